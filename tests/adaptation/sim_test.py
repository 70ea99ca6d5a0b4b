"""SIM: regions of stuff and things, their nearest prototypes, and how prototypes follow."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import ndimage

import labor_jax
from labor_jax import adaptation, experiment, models
from labor_jax.adaptation import sim
from tests.adaptation.exact_means import assert_exact_mean
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter

CLASSES, CHANNELS, SIZE = 4, 3, (6, 8)
IS_THING = jnp.array([False, True, False, True])
NAMES = ("road", "Car", "sky", "traffic_light")


def class_map(seed, count=2):
    maps = np.random.default_rng(seed).integers(0, CLASSES, (count, *SIZE)).astype(np.int32)
    maps[np.random.default_rng(seed + 1).random(maps.shape) < 0.2] = 255
    return maps


def feature_map(seed, count=2):
    return np.random.default_rng(seed).normal(size=(count, *SIZE, CHANNELS)).astype(np.float32)


def regions_twin(classes, features, instances):
    """Of one image, the (mean, weight) of each region, by class."""
    found = []
    for c in range(CLASSES):
        masks = [classes == c]
        if IS_THING[c]:
            numbers, count = ndimage.label(classes == c, np.ones((3, 3)))
            masks = [numbers == number for number in range(1, count + 1)]
            masks.sort(key=lambda mask: (-mask.sum(), np.flatnonzero(mask)[0]))
        masks = [mask for mask in masks if mask.any()][:instances]
        found.append([(features[mask].mean(0), 1 / len(masks)) for mask in masks])
    return found


compiled = jax.jit(functools.partial(sim.regions, is_thing=IS_THING, instances=3))


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.integers(0, 10**6))
def test_stuff_is_one_region_and_things_are_their_largest_instances(seed):
    classes, features = class_map(seed), feature_map(seed)
    found = compiled(classes, features)
    for image in range(len(classes)):
        for c, expected in enumerate(regions_twin(classes[image], features[image], 3)):
            weights = np.asarray(found.weights[image, c])
            assert np.count_nonzero(weights) == len(expected)
            for k, (mean, weight) in enumerate(expected):
                np.testing.assert_allclose(found.means[image, c, k], mean, rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(weights[k], weight, rtol=1e-6)


def test_an_image_without_a_class_has_no_region():
    nothing = np.full((1, *SIZE), 255, np.int32)
    found = compiled(nothing, feature_map(0, 1))
    assert not np.any(found.weights) and not np.any(found.means)


TERM = sim.InstanceMatching(prototypes=5, instances=3, rate=0.5)


def memory():
    rng = np.random.default_rng(3)
    valid = np.ones((CLASSES, 5), bool)
    valid[0, 3:] = False
    valid[2] = False  # the source has none of the class so far
    return {
        "is_thing": IS_THING,
        "prototypes": jnp.asarray(rng.normal(size=(CLASSES, 5, CHANNELS)), jnp.float32),
        "valid": jnp.asarray(valid),
    }


def outputs_of(classes, features):
    logits = np.where(np.arange(CLASSES) == classes[..., None], 3.0, 0.0).astype(np.float32)
    return models.Outputs(
        jnp.asarray(logits), models.Features.of_stages([jnp.asarray(features)], (1,))
    )


def both(count=2):
    """Predictions of both domains, and labels of which most are right."""
    maps = [np.where(each == 255, 0, each) for each in (class_map(1, count), class_map(2, count))]
    outputs = {
        name: outputs_of(maps[number], feature_map(number, count))
        for number, name in enumerate(("source", "target"))
    }
    labels = np.where(np.random.default_rng(5).random(maps[0].shape) < 0.7, maps[0], 255)
    target = {"label": np.full_like(labels, 255), "void": np.zeros(labels.shape, bool)}
    return outputs, {"source": {"label": labels}, "target": target}


def nearest_twin(mean, kept, c):
    rows = np.asarray(kept["prototypes"][c])[np.asarray(kept["valid"][c])]
    return rows[np.abs(rows - mean).sum(-1).argmin()] if len(rows) else None


def test_each_target_region_is_drawn_to_the_nearest_prototype_of_its_class():
    outputs, batch = both()
    kept, total = memory(), 0.0
    classes = np.asarray(outputs["target"].logits).argmax(-1)
    features = np.asarray(outputs["target"].features[-1])
    for image in range(2):
        for c, found in enumerate(regions_twin(classes[image], features[image], 3)):
            for mean, weight in found:
                chosen = nearest_twin(mean, kept, c)
                if chosen is not None:
                    total += weight * np.abs(mean - chosen).mean()
    term = TERM.loss(outputs, batch, kept)
    np.testing.assert_allclose(term.total / term.count, total / 2, rtol=1e-4)


def test_void_of_the_target_is_in_no_region():
    outputs, batch = both()
    kept, features = memory(), outputs["target"].features[-1]
    void = np.zeros((2, 2 * SIZE[0], 2 * SIZE[1]), bool)  # of the images' resolution
    void[:, :, SIZE[1] :] = True

    @jax.jit
    @jax.grad
    def gradient(values):
        stages = models.Features.of_stages([values], (1,))
        found = {"target": outputs["target"]._replace(features=stages)}
        return TERM.loss(found, {"target": {**batch["target"], "void": void}}, kept).total

    found = np.asarray(gradient(features))
    half = SIZE[1] // 2
    assert np.any(found[:, :, :half]) and not np.any(found[:, :, half:])


def test_descending_draws_features_to_the_prototypes():
    outputs, batch = both()
    kept, features = memory(), outputs["target"].features[-1]

    def loss(values):
        found = {"target": outputs_of(np.asarray(outputs["target"].logits).argmax(-1), features)}
        found["target"] = found["target"]._replace(
            features=models.Features.of_stages([values], (1,))
        )
        return TERM.loss(found, batch, kept).total

    before, gradient = jax.value_and_grad(loss)(features)
    assert loss(features - 0.5 * gradient) < before
    stuff_without_prototype = np.asarray(outputs["target"].logits).argmax(-1) == 2
    np.testing.assert_array_equal(np.asarray(gradient)[stuff_without_prototype], 0)


def test_a_source_region_moves_its_nearest_prototype_alone():
    outputs, batch = both()
    kept = memory()
    classes = np.asarray(outputs["source"].logits).argmax(-1)
    right = np.where(classes == batch["source"]["label"], classes, 255)
    features = np.asarray(outputs["source"].features[-1])
    expected = np.asarray(kept["prototypes"], np.float64).copy()
    for image in range(2):
        for c, found in enumerate(regions_twin(right[image], features[image], 3)):
            for mean, weight in found:
                chosen = nearest_twin(mean, kept, c)
                if chosen is not None:
                    row = np.flatnonzero((np.asarray(kept["prototypes"][c]) == chosen).all(-1))[0]
                    expected[c, row] += 0.5 * weight / 2 * (mean - chosen)

    def loss(prototypes):
        found = {**kept, "prototypes": prototypes}
        term = TERM.player_losses(outputs, batch, found)["prototypes"]
        return term.total / term.count

    setup = adaptation.Setup(
        num_classes=CLASSES,
        image_size=(16, 24),
        schedule=lambda rate: rate,
        network=tiny_segmenter(CLASSES),
    )
    optimizer = TERM.players(setup)["prototypes"].optimizer
    gradient = jax.grad(loss)(kept["prototypes"])
    updates, _ = optimizer.update(gradient, optimizer.init(kept["prototypes"]))
    moved = optax.apply_updates(kept["prototypes"], updates)
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-5)
    unchanged = ~np.asarray(kept["valid"])
    np.testing.assert_array_equal(moved[unchanged], kept["prototypes"][unchanged])


def test_means_are_exact_however_a_batch_is_cut():
    outputs, batch = both(4)
    kept = memory()
    for compute in (
        lambda o, b: TERM.loss(o, b, kept),
        lambda o, b: TERM.player_losses(o, b, kept)["prototypes"],
    ):
        assert assert_exact_mean(compute, outputs, batch) > 1e-3


class FakePasses:
    """A source whose images have their numbers as features."""

    def __init__(self, maps, batch_size=1):
        self.maps, self.batch_size, self.seen = maps, batch_size, 0

    def images(self, domain, function, *, with_labels):
        assert domain == "source" and with_labels
        for start in range(0, len(self.maps), self.batch_size):
            classes = self.maps[start : start + self.batch_size]
            numbers = start + np.arange(len(classes))
            self.seen += len(classes)
            features = np.ones((*classes.shape, CHANNELS)) * (1.0 + numbers)[:, None, None, None]
            labels = classes.repeat(2, 1).repeat(2, 2)  # of another resolution
            rows = function(
                outputs_of(np.where(classes == 255, 0, classes), features.astype(np.float32)),
                labels,
            )
            yield numbers, jax.tree.map(np.asarray, rows)


def test_a_phase_starts_with_features_of_source_images():
    quarter = np.zeros((3, *SIZE), np.int32)
    quarter[1, 3:] = 2
    quarter[2] = 255
    term = sim.InstanceMatching(prototypes=2, instances=3)
    kept = {
        **memory(),
        "prototypes": jnp.zeros((CLASSES, 2, CHANNELS)),
        "valid": jnp.zeros((CLASSES, 2), bool),
    }
    found = term.before_phase(FakePasses(quarter), kept)
    expected = [[True, True], [False, False], [True, False], [False, False]]
    np.testing.assert_array_equal(found["valid"], expected)
    np.testing.assert_array_equal(found["prototypes"][0, :, 0], [1.0, 2.0])
    np.testing.assert_array_equal(found["prototypes"][2, :, 0], [2.0, 0.0])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_pass_ends_after_enough_images(batch_size):
    passes = FakePasses(np.zeros((4, *SIZE), np.int32), batch_size)
    kept = {
        **memory(),
        "prototypes": jnp.zeros((CLASSES, 9, CHANNELS)),
        "valid": jnp.zeros((CLASSES, 9), bool),
    }
    found = sim.InstanceMatching(prototypes=9, pass_images=2).before_phase(passes, kept)
    assert passes.seen < 4 and found["valid"].sum() == 2


def setup_of(classes):
    return adaptation.Setup(
        num_classes=len(classes),
        image_size=(16, 24),
        schedule=lambda rate: rate,
        classes=classes,
        network=tiny_segmenter(len(classes)),
    )


@pytest.mark.parametrize("name", ["instance_matching", "feature_distance"])
def test_a_name_of_several_words_is_known_by_its_words(name):
    setup = setup_of(("road", "Traffic_Light", "traffic-sign", "sign symbol"))
    kept = adaptation.build(name, {}).memory(None, setup)
    np.testing.assert_array_equal(kept["is_thing"], [False, True, True, True])


def test_things_are_known_by_name():
    kept = TERM.memory(None, setup_of(NAMES))
    np.testing.assert_array_equal(kept["is_thing"], [False, True, False, True])
    own = sim.InstanceMatching(things=("sky",)).memory(None, setup_of(NAMES))
    np.testing.assert_array_equal(own["is_thing"], [False, False, True, False])
    with pytest.raises(ValueError, match=r"things names moon; the classes are road, Car"):
        sim.InstanceMatching(things=("moon", "sky")).memory(None, setup_of(NAMES))


@pytest.mark.parametrize("pair", ["street", "camvid"])
def test_pairs_have_things_and_stuff(pair):
    if pair == "street":
        classes = labor_jax.data.street.CLASSES
    else:
        classes = labor_jax.data.pairs.camvid.CLASSES
    kept = sim.InstanceMatching().memory(None, setup_of(tuple(classes)))
    things = {name for name, thing in zip(classes, kept["is_thing"], strict=True) if thing}
    assert things >= {"car", "pole"} and not things & {"road", "sky", "building", "fence"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("prototypes", 0), ("instances", 0), ("pass_images", 0), ("rate", 0.0), ("rate", 1.5)],
)
def test_settings_must_make_sense(field, value):
    with pytest.raises(ValueError, match=rf"config\.terms\.instance_matching: {field} is {value}"):
        adaptation.build("instance_matching", {"instance_matching": {field: value}})


@pytest.mark.slow
def test_prototypes_live_through_a_kill(tmp_path):
    def config():
        config = tiny_config("uda:sim")
        config.retraining.steps = 3
        config.terms.instance_matching.prototypes = 3
        return config

    summary = experiment.run(config(), tmp_path / "whole")
    interrupt_training(config(), tmp_path / "cut", "retraining_1", 2)
    assert comparable(experiment.run(config(), tmp_path / "cut")) == comparable(summary)
