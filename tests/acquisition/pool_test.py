"""The query of a pool image is its own: whatever else is in its batch, or in its window."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import models
from labor_jax.acquisition import strategies
from labor_jax.acquisition.pool import make_pool_query, one_ahead
from labor_jax.adaptation import pixel_selector
from labor_jax.training import mesh as mesh_lib
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter

SEGMENTER = tiny_segmenter(5, batch_norm="frozen")
SIZE = (12, 16)  # of the labels; the model sees half of it
ROUNDS = 2
COUNT = 4


@functools.cache
def model():
    return models.init_variables(SEGMENTER, jax.random.key(0), (6, 8))


def selector():
    noise_keys = jax.random.split(jax.random.key(3))
    classifier = model()["classifier"]
    return {
        "backbone": model()["backbone"],
        "classifiers": tuple(
            {**classifier, "params": pixel_selector._perturb(classifier["params"], key, 0.5)}
            for key in noise_keys
        ),
    }


def acquisition(method):
    config = tiny_config("spl").acquisition
    config.method = method
    config.max_fraction = 0.2
    config.fraction = 0.0 if strategies.uses_selector(method) else 0.2
    return config


@functools.cache
def query(method):
    strategy = strategies.build(acquisition(method), ROUNDS)
    return make_pool_query(
        SEGMENTER, strategy, SIZE, with_features=strategies.uses_features(method)
    )


def ask(method, numbers, *, key=0, available=None):
    """The query of these images of the pool as one batch."""
    images, free = pool()
    needs_selector = strategies.uses_selector(method)
    free = free if available is None else available
    return query(method)(
        model(),
        selector() if needs_selector else None,
        jax.random.key(key),
        images[numbers],
        free[numbers],
        np.asarray(numbers, np.int32),
    )


def pool():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
    return images, rng.random((COUNT, *SIZE)) < 0.8


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize("method", ["spl", "ppl", "random", "entropy", "impurity", "core_set"])
def test_a_query_does_not_depend_on_its_batch(method):
    together = ask(method, [0, 1, 2])
    for numbers in ([2, 0, 1], [1, 3, 3], [3, 2, 0]):
        found = ask(method, numbers)
        for place, number in enumerate(numbers):
            if number < 3:
                assert_equal(
                    jax.tree.map(lambda x, place=place: x[place], found),
                    jax.tree.map(lambda x, number=number: x[number], together),
                )
    assert np.asarray(together.pixels).any(axis=(1, 2)).all()
    assert not np.any(together.pixels & ~pool()[1][:3])  # only available ones


def test_padded_rows_are_harmless():
    """A last batch repeats its last image; the repetition asks what the image asks."""
    padded = ask("spl", [1, 2, 2])
    assert_equal(padded.pixels[1], padded.pixels[2])
    assert_equal(padded.pixels[0], ask("spl", [0, 1, 2]).pixels[1])


def test_random_queries_differ_by_image_and_round():
    everything = np.ones((COUNT, *SIZE), bool)
    first = ask("random", [0, 1, 2], available=everything).pixels
    assert not np.array_equal(first[0], first[1])
    other_round = ask("random", [0, 1, 2], key=1, available=everything).pixels
    assert not np.array_equal(first[0], other_round[0])
    # The budget of a round: half of 20% of the pixels.
    assert np.sum(first[0]) == math.ceil(0.2 * 12 * 16 / ROUNDS)


def test_candidates_are_the_pixels_where_the_selectors_classifiers_differ():
    images, _ = pool()
    found = ask("spl", [0, 1, 2])
    parts = selector()
    logits = pixel_selector.selector_logits(
        SEGMENTER,
        parts["backbone"],
        parts["classifiers"],
        models.normalize_images(images[:3]),
        SIZE,
    )
    first, second = (jnp.argmax(each, -1) for each in logits)
    np.testing.assert_array_equal(found.candidates, first != second)
    assert not np.any(found.pixels & ~found.candidates)


def test_features_are_the_backbones_last_ones():
    images, free = pool()

    def show(image):
        return strategies.Query(image.features, jnp.int32(0), image.logits)

    found = make_pool_query(SEGMENTER, show, SIZE)(
        model(), None, jax.random.key(0), images[:3], free[:3], np.arange(3, dtype=np.int32)
    )
    features, _ = models.extract(
        SEGMENTER, model()["backbone"], models.normalize_images(images[:3])
    )
    np.testing.assert_allclose(found.pixels, features.high, rtol=1e-5, atol=1e-6)
    logits, _ = models.apply(SEGMENTER, model(), models.normalize_images(images[:3]), size=SIZE)
    np.testing.assert_allclose(found.candidates, logits, rtol=1e-5, atol=1e-6)


def test_features_that_the_strategy_does_not_read_are_not_kept():
    images, free = pool()
    results = []

    def show(image):
        assert image.features is None
        return strategies.Query(image.available, jnp.int32(0), image.available)

    def compile(function, batched_arguments):
        return lambda *arguments: results.append(function(*arguments)) or results[-1]

    query = make_pool_query(SEGMENTER, show, SIZE, with_features=False, compile=compile)
    query(model(), None, jax.random.key(0), images, free, np.arange(COUNT, dtype=np.int32))
    (logits,) = jax.tree.leaves(results[0])
    assert logits.shape == (COUNT, *SIZE, 5)


@pytest.mark.parametrize("method", ["entropy", "spl", "core_set"])
def test_windows_change_nothing_where_they_share_enough(method):
    """A pixel of this network sees one around it."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, 30, 44, 3), np.uint8)
    free = rng.random((2, 37, 51)) < 0.8

    def ask(**windows):
        query = make_pool_query(
            SEGMENTER,
            strategies.build(acquisition(method), ROUNDS),
            free.shape[1:],
            with_features=strategies.uses_features(method),
            **windows,
        )
        parts = selector() if strategies.uses_selector(method) else None
        number = np.arange(2, dtype=np.int32)
        return query(model(), parts, jax.random.key(0), images, free, number)

    expected = ask()
    assert_equal(ask(window=(16, 17), overlap=8), expected)
    # Without the shared context the seams would show.
    assert np.any(ask(window=(16, 17)).pixels != expected.pixels)


def test_runs_on_a_mesh():
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    strategy = strategies.build(acquisition("spl"), ROUNDS)
    compiled = make_pool_query(
        SEGMENTER,
        strategy,
        SIZE,
        compile=functools.partial(mesh_lib.data_parallel_map, mesh=mesh),
    )
    images, free = pool()
    found = compiled(
        model(), selector(), jax.random.key(0), images[:3], free[:3], np.arange(3, dtype=np.int32)
    )
    assert_equal(found, ask("spl", [0, 1, 2]))


def test_one_ahead_asks_for_the_next_before_it_gives_the_last():
    told = []

    def results():
        for number in range(3):
            told.append(f"dispatched {number}")
            yield number

    for number in one_ahead(results()):
        told.append(f"given {number}")
    assert told == [
        *("dispatched 0", "dispatched 1", "given 0", "dispatched 2", "given 1", "given 2")
    ]
    assert list(one_ahead([])) == []
