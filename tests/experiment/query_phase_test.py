"""The query phase asks as the config says."""

import contextlib
import dataclasses
import types

import jax
import numpy as np
import pytest

from labor_jax import acquisition, models, ops
from labor_jax.annotation import SharedStore
from labor_jax.data import load_pair, pair_from_arrays
from labor_jax.experiment import components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import query
from labor_jax.experiment.plan import plan
from labor_jax.experiment.previews import Previews
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter


@contextlib.contextmanager
def first_query(config, pair, segmenter, model, folder):
    """The label store after the first round's query of a network, and the previews' folder."""
    built = dataclasses.replace(components.build(config, pair), frozen_segmenter=segmenter)
    folder.mkdir()
    previews = Previews(
        folder, pair.pool, segmenter, built.mesh, size=None, count=config.preview_images
    )
    compiled = {}

    def once(key, build):
        if key not in compiled:
            compiled[key] = build()
        return compiled[key]

    store = SharedStore(folder / "labels.sqlite", classes=pair.classes)
    with contextlib.closing(store):
        (phase,) = (each for each in plan(config) if each.name == "round_1/query")
        session = types.SimpleNamespace(
            components=built,
            config=config,
            store=store,
            previews=previews,
            once=once,
            held_out=frozenset(),
            keep_labels=lambda: None,
        )
        query.run(session, phase, Handover(model=model, players={}), None, None)
        yield store.reader


def network_of(pair):
    segmenter = tiny_segmenter(pair.num_classes, batch_norm="frozen")
    return segmenter, models.init_variables(segmenter, jax.random.key(0), (16, 16))


def logits_of(pair, segmenter, model):
    """A network's logits of the pool, f32[N, H, W, C]."""
    logits = []
    for number in range(len(pair.pool)):
        images = models.network_input(pair.pool.image(number)[None])
        coarse = segmenter.apply(
            model, segmenter.apply(model, images, method="extract"), method="coarse_logits"
        )
        size = pair.pool.size(number)
        logits.append(np.asarray(ops.resize_bilinear_align_corners(coarse, size)[0]))
    return np.stack(logits)


@pytest.mark.slow
def test_windows_of_the_config_are_the_pools_too(tmp_path):
    """And mirror images and scales are not. A pixel of this network sees one around it."""
    config = tiny_config("active:entropy")
    config.preview_images = 0
    pair = load_pair("street", config.data)
    network = network_of(pair)

    def asked(folder, **evaluation):
        config.update({f"evaluation_{name}": value for name, value in evaluation.items()})
        with first_query(config, pair, *network, folder) as reader:
            return np.stack([reader.asked(name) for name in pair.pool.names])

    whole = asked(tmp_path / "whole")
    assert whole.any((1, 2)).all()
    windows = {"window": (16, 18), "flip": True, "scales": (0.5, 1.0)}
    np.testing.assert_array_equal(asked(tmp_path / "shared", overlap=8, **windows), whole)
    # Without the shared context the seams would show.
    assert (asked(tmp_path / "apart", overlap=0, **windows) != whole).any()


def test_people_are_asked_the_best_of_the_pool(tmp_path):
    """With guesses and with previews of where the pool was asked; some images get nothing."""
    config = tiny_config("active:entropy")
    config.annotator, config.annotation.show_guess = "human", True
    config.acquisition.update(scope="pool", points=0, seconds=2 * 9.0)
    pair = load_pair("street", config.data)
    segmenter, model = network_of(pair)
    logits = logits_of(pair, segmenter, model)
    entropy = np.asarray(acquisition.softmax_entropy(logits))

    with first_query(config, pair, segmenter, model, tmp_path / "run") as reader:
        names = pair.pool.names
        asked = np.stack([reader.asked(name) for name in names])
        assert entropy[asked].min() >= entropy[~asked].max() - 1e-5
        images = asked.any((1, 2))
        left = 9 - 2.4 * asked.sum() - 1.0 * images.sum()
        assert 0 <= left < 3.4 and not images.all()
        for name, pixels, values in zip(names, asked, logits, strict=True):
            if pixels.any():
                np.testing.assert_array_equal(
                    reader.guess(name, 1)[pixels], values.argmax(-1)[pixels]
                )
        assert reader.unasked(1) == []
        assert sorted(reader.pending(1)) == sorted(np.array(names)[images])
    assert len(list((tmp_path / "run").rglob("*.png"))) == config.preview_images


@pytest.mark.parametrize(
    ("method", "annotator", "settings"),
    [
        ("entropy", "human", {"class_weights": "predicted", "points": 4}),
        ("corrections", "oracle", {"class_weights": "predicted", "points": 4}),
        ("image_entropy", "human", {"points": 4}),
        ("image_core_set", "human", {"points": 4}),
    ],
)
def test_whatever_is_asked_is_shown_with_the_models_guess(method, annotator, settings, tmp_path):
    config = tiny_config(f"active:{method}")
    config.annotator, config.annotation.show_guess = annotator, True
    config.acquisition.update(fraction=0.0, **settings)
    config.preview_images = 0
    pair = load_pair("street", config.data)
    network = network_of(pair)
    guesses = logits_of(pair, *network).argmax(-1)
    with first_query(config, pair, *network, tmp_path / "run") as reader:
        asked = [(n, name) for n, name in enumerate(pair.pool.names) if reader.asked(name).any()]
        assert len(asked) == (2 if method.startswith("image_") else 4)
        for number, name in asked:
            pixels = reader.asked(name)
            assert pixels.all() == method.startswith("image_")
            np.testing.assert_array_equal(reader.guess(name, 1)[pixels], guesses[number][pixels])


def test_weights_follow_the_answers_that_train(tmp_path):
    """Those of earlier rounds, but of no image that is held out to measure."""
    config = tiny_config("active:entropy")
    config.acquisition.update(class_weights="answers")
    pair = load_pair("street", config.data)
    with contextlib.closing(SharedStore(tmp_path / "labels.sqlite", classes=pair.classes)) as store:
        for number in (1, 2):
            store.writer.open_round(number, pair.pool.names)
        asked = np.zeros(pair.pool.size(0), bool)
        asked[:4] = True
        for i, name in enumerate(pair.pool.names):
            labels = np.full(asked.shape, i, np.uint8)
            labels[0] = 255
            store.writer.ask(name, 1, asked, kind="points")
            store.writer.answer(name, 1, labels)
        (phase,) = (each for each in plan(config) if each.name == "round_2/query")
        session = types.SimpleNamespace(
            components=components.build(config, pair),
            config=config,
            store=store,
            previews=None,
            once=None,
            held_out=frozenset([1]),
        )
        found = query.Asking(session, phase, None)._class_weights()
    counts = np.zeros(pair.num_classes)
    counts[[0, 2, 3]] = 3 * asked.shape[1]
    np.testing.assert_array_equal(found, acquisition.class_weights_from_answers(counts))


def test_rankings_and_class_weights_share_the_network(tmp_path):
    """It is traced once for a pool of one input size, whatever the labels' sizes."""
    traced = []

    class Counted(models.TwoLayers):
        def __call__(self, images, train=False):
            traced.append(images.shape)
            return super().__call__(images, train)

    config = tiny_config("active:entropy")
    config.acquisition.update(scope="pool", class_weights="predicted")
    config.data.target_size, config.preview_images = (16, 16), 0
    sizes = [(16, 20), (24, 16), (18, 18)]
    scenes = (
        [np.zeros((*size, 3), np.uint8) for size in sizes],
        [np.zeros(size, np.uint8) for size in sizes],
    )
    pair = pair_from_arrays("rain", ("dry", "wet"), source=scenes, pool=scenes)
    segmenter, model = network_of(pair)
    counted = segmenter.clone(backbone=Counted(output_stride=2, batch_norm="frozen"))
    with first_query(config, pair, counted, model, tmp_path / "run") as reader:
        assert all(reader.asked(name).any() for name in pair.pool.names)
    assert traced == [(2, 16, 16, 3)]
