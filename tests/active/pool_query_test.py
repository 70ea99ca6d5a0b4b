"""The query of a pool image depends on neither its batch nor the windows of the network."""

import functools
import gc
import logging
import math
import re
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from labor_jax import acquisition, models, ops
from labor_jax.active import (
    fields_read,
    make_pool_queries,
    make_pool_query,
    one_ahead,
    strategies,
)
from labor_jax.training import mesh as mesh_lib
from tests.active.acquisition_config import acquisition_config
from tests.lowered_programs import operations
from tests.slow import all_but

SIZE = (12, 16)  # of the label maps; the images have half of it
ROUNDS = 2
COUNT = 4
SAMPLES = 3
NETWORK = models.Segmenter(
    backbone=models.TwoLayers(output_stride=2, batch_norm="frozen"),
    head=models.Linear(5, dropout=0.5),
)


class Selector(nn.Module):
    """A backbone and two heads, as a pixel selector has them."""

    backbone: nn.Module
    head_1: nn.Module
    head_2: nn.Module

    def extract(self, images, train=False):
        return self.backbone(images, train)

    def coarse_logits(self, features):
        return self.head_1(features), self.head_2(features)

    def __call__(self, images):
        return self.coarse_logits(self.extract(images))


SELECTOR = Selector(NETWORK.backbone.clone(), NETWORK.head.clone(), NETWORK.head.clone())


@functools.cache
def variables(network):
    return jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 6, 8, 3)))


@functools.cache
def first_variables():
    return jax.jit(NETWORK.init)(jax.random.key(1), jnp.zeros((1, 6, 8, 3)))


def uses_selector(method):
    return "selector_logits" in acquisition.method(method).reads


def reads_first_logits(method):
    return "first_logits" in acquisition.method(method).reads


def build(method):
    settings = {"max_fraction": 0.2} if method == "spl" else {}
    if acquisition.method(method).budget in ("points", "regions", "images"):
        settings = {"fraction": 0.2}
    if acquisition.method(method).budget == "superpixels":
        settings = {"points": 4, "superpixel_size": 4}
    return strategies.build(acquisition_config(method, **settings), ROUNDS)


def make(method, size=SIZE, **settings):
    return make_pool_query(
        NETWORK,
        build(method),
        size,
        selector=SELECTOR if uses_selector(method) else None,
        **fields_read(acquisition.method(method), samples=SAMPLES),
        **settings,
    )


def call(query, method, images, available, index, key=0):
    """Runs a query, with the selector's variables if the method needs them."""
    return query(
        variables(NETWORK),
        variables(SELECTOR) if uses_selector(method) else None,
        jax.random.key(key),
        images,
        available,
        np.asarray(index, np.int32),
        **({"first_variables": first_variables()} if reads_first_logits(method) else {}),
    )


query = functools.cache(make)


def ask(method, numbers, *, key=0, available=None):
    """The query of these images of the pool as one batch."""
    images, free = pool()
    free = free if available is None else available
    return call(query(method), method, images[numbers], free[numbers], numbers, key)


def pool():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
    return images, rng.random((COUNT, *SIZE)) < 0.8


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


@pytest.mark.parametrize(
    "method",
    all_but(
        ("ppl", "multi_hot"),
        [
            *("spl", "ppl", "random", "entropy", "impurity", "core_set", "max_herding", "bald"),
            *("superpixels", "multi_hot", "image_entropy"),
        ],
    ),
)
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


def test_candidates_are_the_pixels_where_the_selectors_heads_differ():
    images, _ = pool()
    found = ask("spl", [0, 1, 2])
    coarse = SELECTOR.apply(variables(SELECTOR), models.network_input(images[:3]))
    first, second = (
        jnp.argmax(ops.resize_bilinear_align_corners(each, SIZE), -1) for each in coarse
    )
    np.testing.assert_array_equal(found.candidates, first != second)
    assert not np.any(found.pixels & ~found.candidates)


def test_strategies_see_the_last_feature_map_and_the_logits_at_the_labels_size():
    images, free = pool()

    def show(image):
        return acquisition.Query(image.features, jnp.int32(0), image.logits)

    found = call(make_pool_query(NETWORK, show, SIZE), "entropy", images[:3], free[:3], range(3))
    outputs = NETWORK.apply(variables(NETWORK), models.network_input(images[:3]))
    np.testing.assert_allclose(found.pixels, outputs.features[-1], rtol=1e-5, atol=1e-6)
    coarse = NETWORK.apply(variables(NETWORK), outputs.features, method="coarse_logits")
    logits = ops.resize_bilinear_align_corners(coarse, SIZE)
    np.testing.assert_allclose(found.candidates, logits, rtol=1e-5, atol=1e-6)


def test_features_that_the_strategy_does_not_read_are_not_kept():
    images, free = pool()
    results = []

    def show(image):
        assert image.features is None
        return acquisition.Query(image.available, jnp.int32(0), image.available)

    def compile(function, batched_arguments):
        return lambda *arguments: results.append(function(*arguments)) or results[-1]

    query = make_pool_query(NETWORK, show, SIZE, with_features=False, compile=compile)
    call(query, "entropy", images, free, range(COUNT))
    (coarse,), (logits,) = (jax.tree.leaves(each) for each in results[:2])
    assert coarse.shape == (COUNT, 3, 4, 5)
    assert logits.shape == (COUNT, *SIZE, 5)


def shown(field, images, **settings):
    """A field of `PoolImage`, as a strategy sees it."""

    def show(image):
        return acquisition.Query(image.available, jnp.int32(0), getattr(image, field))

    query = make_pool_query(NETWORK, show, SIZE, with_features=False, **settings)
    free = pool()[1][: len(images)]
    index = np.arange(len(images), dtype=np.int32)
    arguments = (variables(NETWORK), None, jax.random.key(0), images, free, index)
    return query(*arguments, first_variables=first_variables()).candidates


def test_strategies_see_the_image_at_the_labels_size():
    images = pool()[0][:2]
    found = shown("image", images, with_image=True)
    expected = ops.resize_bilinear_align_corners(images, SIZE)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    normalised = shown("image", models.normalize_images(images), with_image=True)
    np.testing.assert_allclose(normalised, expected, atol=1e-3)


def test_strategies_see_the_logits_of_the_first_model():
    images = pool()[0][:2]
    found = shown("first_logits", images, with_first_logits=True)
    outputs = NETWORK.apply(first_variables(), models.network_input(images))
    coarse = NETWORK.apply(first_variables(), outputs.features, method="coarse_logits")
    expected = ops.resize_bilinear_align_corners(coarse, SIZE)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_samples_are_passes_with_dropout_of_an_image_alone():
    images = pool()[0][:3]
    found = np.asarray(shown("logit_samples", images, samples=SAMPLES))
    assert found.shape == (3, SAMPLES, *SIZE, 5)
    features = NETWORK.apply(variables(NETWORK), models.network_input(images)).features
    for number in range(3):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), number), 1)
        alone = jax.tree.map(lambda leaf, n=number: leaf[n : n + 1], features)
        for sample, each in zip(found[number], jax.random.split(key, SAMPLES), strict=True):
            coarse = NETWORK.apply(
                variables(NETWORK), alone, True, method="coarse_logits", rngs={"dropout": each}
            )
            expected = ops.resize_bilinear_align_corners(coarse, SIZE)[0]
            np.testing.assert_allclose(sample, expected, rtol=1e-5, atol=1e-5)
    assert (found[:, 0] != found[:, 1]).any()


def test_strategies_see_the_radii_of_a_hyperbolic_head():
    images = pool()[0][:2]
    network = NETWORK.clone(head=models.Hyperbolic(5, embedding_channels=3))
    weights = jax.jit(network.init)(jax.random.key(2), jnp.zeros((1, 6, 8, 3)))

    def show(image):
        return acquisition.Query(image.available, jnp.int32(0), image.radii)

    query = make_pool_query(network, show, SIZE, with_features=False, with_radii=True)
    key, free, index = jax.random.key(0), pool()[1][:2], np.arange(2, dtype=np.int32)
    found = query(weights, None, key, images, free, index).candidates
    features = network.apply(weights, models.network_input(images), method="extract")
    coarse = network.apply(weights, features, method="radii")
    expected = ops.resize_bilinear_align_corners(coarse[..., None], SIZE)[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="to 'hyperbolic'"):
        make("halo")


def test_samples_need_dropout():
    network = NETWORK.clone(head=models.Linear(5))
    with pytest.raises(ValueError, match="dropout above 0"):
        make_pool_query(network, build("bald"), SIZE, samples=SAMPLES)


def test_a_method_reads_what_its_function_names():
    read = {name: fields_read(acquisition.method(name), samples=7) for name in acquisition.METHODS}
    assert read["entropy"] == {
        "with_features": False,
        "with_image": False,
        "with_first_logits": False,
        "with_radii": False,
        "samples": 0,
    }
    with_features = ["core_set", "max_herding", "image_core_set"]
    assert [name for name in read if read[name]["with_features"]] == with_features
    assert [name for name in read if read[name]["with_image"]] == ["superpixels", "multi_hot"]
    assert [name for name in read if read[name]["with_first_logits"]] == ["superpixels"]
    assert [name for name in read if read[name]["with_radii"]] == ["halo"]
    assert [name for name in read if read[name]["samples"] == 7] == ["bald"]


def test_the_guess_is_the_predicted_class():
    images, free = pool()
    found = call(make("entropy", with_guess=True), "entropy", images, free, range(COUNT))
    outputs = NETWORK.apply(variables(NETWORK), models.network_input(images))
    coarse = NETWORK.apply(variables(NETWORK), outputs.features, method="coarse_logits")
    expected = jnp.argmax(ops.resize_bilinear_align_corners(coarse, SIZE), -1)
    assert found.guess.dtype == jnp.uint8
    np.testing.assert_array_equal(found.guess, expected)
    assert ask("entropy", [0, 1, 2]).guess is None


@pytest.mark.parametrize(
    "method",
    all_but(["spl"], ["entropy", "spl", "core_set", "bald", "superpixels"]),
)
def test_windows_change_nothing_if_they_overlap_enough(method):
    """An output of this network depends on the three pixels around it."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, 30, 44, 3), np.uint8)
    free = rng.random((2, 37, 51)) < 0.8

    def ask(**windows):
        query = make(method, free.shape[1:], **windows)
        return call(query, method, images, free, range(2))

    expected = ask()
    assert_equal(ask(window=(16, 17), overlap=8), expected)
    if method == "superpixels":
        return  # few parts, which the seams need not change
    # Without the shared context the seams would show.
    assert np.any(ask(window=(16, 17)).pixels != expected.pixels)


def test_the_network_compiles_once_for_labels_of_any_sizes(caplog):
    images, _ = pool()
    queries = make_pool_queries(NETWORK, **fields_read(acquisition.method("entropy"), samples=0))
    strategy, other = build("entropy"), build("margin")
    sizes = [(12, 16), (9, 20), (15, 10)]
    rng = np.random.default_rng(2)

    def compiled(strategy):
        """How often each call compiled, for a batch of each size."""
        caplog.clear()
        found = []
        with caplog.at_level(logging.WARNING), jax.log_compiles():
            for size in sizes:
                free = rng.random((COUNT, *size)) < 0.8
                query = queries(strategy, size)
                found.append((size, free, call(query, "entropy", images, free, range(COUNT))))
        names = re.findall(r"Compiling jit\((\w+)\)", caplog.text)
        return [names.count(name) for name in ("predict", "enlarge", "select")], found

    counts, found = compiled(strategy)
    assert counts == [1, 3, 3]
    assert compiled(strategy)[0] == [0, 0, 0]
    assert compiled(other)[0] == [0, 0, 3]
    for size, free, asked in found:
        alone = call(make("entropy", size), "entropy", images, free, range(COUNT))
        assert_equal(asked, alone)


def test_of_hundreds_of_sizes_only_the_last_queries_are_kept():
    queries = make_pool_queries(NETWORK)
    strategy = build("entropy")
    first = weakref.ref(queries(strategy, SIZE))
    assert queries(strategy, SIZE) is first()
    for width in range(100):
        queries(strategy, (10, 1 + width))
    gc.collect()
    assert first() is None


def test_runs_on_a_mesh():
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    compile = functools.partial(mesh_lib.data_parallel_map, mesh=mesh)
    images, free = pool()
    found = call(make("spl", compile=compile), "spl", images[:3], free[:3], range(3))
    assert_equal(found, ask("spl", [0, 1, 2]))


@pytest.mark.parametrize("platform", all_but(["cuda"], ["cuda", "tpu"]))
@pytest.mark.parametrize(
    "method",
    all_but(
        ("spl", "core_set", "multi_hot"),
        sorted(set(acquisition.METHODS) - {"all", "human_points", "halo"}),
    ),
)
def test_lowers_for_accelerators(method, platform):
    lowered = []

    def compile(function, batched_arguments):
        def lower(*arguments):
            traced = jax.jit(function).trace(*arguments)
            program = traced.lower(lowering_platforms=(platform,))
            lowered.append(operations(program)["convolution"])
            return jax.eval_shape(function, *arguments)

        return lower

    query = make(method, with_guess=True, compile=compile)
    images, free = pool()
    asked = call(query, method, images, free, range(COUNT))
    assert asked.pixels.shape == (COUNT, *SIZE)
    # The network's own convolutions, none of them replaced by a form for CPUs.
    networks = 2 if uses_selector(method) or reads_first_logits(method) else 1
    assert lowered == [2 * networks, 0, 0]


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
