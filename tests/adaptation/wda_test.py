"""WDA: what counts as present, the image-level loss, and the alignment class by class."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import labor_jax
from labor_jax import adaptation, experiment, models
from labor_jax.adaptation import wda
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from tests.adaptation.exact_means import assert_exact_mean
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter

CLASSES, CHANNELS, SIZE = 4, 6, (4, 6)


def logits(seed=0, count=2):
    rng = np.random.default_rng(seed)
    return rng.normal(-2, 2, (count, *SIZE, CLASSES)).astype(np.float32)


def features(seed=0, count=2, size=SIZE):
    return np.random.default_rng(seed).normal(size=(count, *size, CHANNELS)).astype(np.float32)


def outputs(count=2, seed=0):
    return {
        name: models.Outputs(
            jnp.asarray(logits(seed + number, count)),
            models.Features.of_stages([jnp.asarray(features(seed + number, count))], (1,)),
        )
        for number, name in enumerate(("source", "target"))
    }


def no_answers(count=2):
    return np.full((count, *SIZE), 255, np.int32)


def batch(count=2, answers=None):
    labels = np.random.default_rng(7).choice([0, 2, 3, 255], (count, *SIZE)).astype(np.int32)
    labels[0][labels[0] == 3] = 0
    return {"source": {"label": labels}, "target": target_of(answers, count)}


def target_of(answers=None, count=2):
    label = no_answers(count) if answers is None else answers
    return {"image": np.zeros((count, *SIZE, 3), np.uint8), "label": label}


def scores(values):
    return 1 / (1 + 1 / np.exp(values.astype(np.float64)).mean((1, 2)))


def test_guessed_labels_are_the_classes_of_a_high_score():
    found = wda.weak_labels(logits(), target_of(), threshold=0.5, complete=False)
    np.testing.assert_array_equal(found, scores(logits()) > 0.5)
    assert found.any() and not found.all()


def test_answered_classes_are_present():
    answers = no_answers()
    answers[0, 1, 2], answers[0, 3, 3] = 1, 3
    never = wda.weak_labels(logits(), target_of(answers), threshold=1.0, complete=False)
    np.testing.assert_array_equal(never, [[False, True, False, True], [False] * 4])
    always = wda.weak_labels(logits(), target_of(answers), threshold=0.0, complete=True)
    np.testing.assert_array_equal(always, [[False, True, False, True], [True] * 4])


@pytest.mark.parametrize("complete", [False, True])
def test_all_classes_that_an_answer_names_are_present(complete):
    candidates = np.zeros((2, *SIZE), np.int32)
    candidates[0, :2] = 0b0110
    found = wda.weak_labels(
        logits() * 0 - 6,
        {**target_of(), "candidates": candidates},
        threshold=0.2,
        complete=complete,
    )
    np.testing.assert_array_equal(found, [[False, True, True, False], [False] * 4])


def test_what_is_beyond_the_image_holds_no_class():
    values, void = logits(), np.zeros((2, *SIZE), bool)
    void[0, :, 3:] = True
    values[0, :, 3:] = 50.0
    maps = features()
    maps[0, :, 3:] = 1e6
    seen = {**target_of(), "void": void}
    found = wda.weak_labels(values, seen, threshold=0.5, complete=False)
    np.testing.assert_array_equal(found[0], scores(values[:1, :, :3])[0] > 0.5)
    np.testing.assert_array_equal(found[1], scores(values)[1] > 0.5)
    kept = wda.attended_features(jnp.asarray(values), jnp.asarray(maps), ~void)
    alone = wda.attended_features(jnp.asarray(values[:, :, :3]), jnp.asarray(maps[:, :, :3]))
    np.testing.assert_allclose(kept[0], alone[0], rtol=1e-5)


def test_no_gradient_goes_through_a_weak_label():
    def count(values):
        found = wda.weak_labels(values, target_of(), threshold=0.2, complete=False)
        return jnp.sum(found.astype(jnp.float32) * values.sum((1, 2)))

    gradient = jax.grad(count)(jnp.asarray(logits()))
    present = (scores(logits()) > 0.2)[:, None, None]
    np.testing.assert_array_equal(gradient, np.broadcast_to(present, gradient.shape))


def test_the_image_level_loss_is_binary_cross_entropy_summed_over_classes():
    answers = no_answers()
    answers[1, 0, 0] = 2
    term = wda.WeakLabels().loss(outputs(), batch(answers=answers), {})
    p = scores(np.asarray(outputs()["target"].logits))
    y = p > 0.2
    y[1, 2] = True
    expected = -(np.log(np.where(y, p, 1 - p))).sum(1).mean()
    np.testing.assert_allclose(term.total / term.count, expected, rtol=1e-4)


def test_descending_on_the_image_level_loss_raises_an_answered_class():
    answers = no_answers()
    answers[:, 0, 0] = 1
    values = jnp.asarray(logits(1))

    def loss(z):
        term = wda.WeakLabels(complete_answers=True).loss(
            {"target": models.Outputs(z, None)}, batch(answers=answers), {}
        )
        return term.total

    gradient = np.asarray(jax.grad(loss)(values)).sum((1, 2))
    assert np.all(gradient[:, 1] < 0) and np.all(np.delete(gradient, 1, axis=1) > 0)


def test_attended_features_are_means_weighted_by_a_softmax_over_positions():
    values, maps = logits(2), features(3)
    found = wda.attended_features(jnp.asarray(values), jnp.asarray(maps))
    for image in range(2):
        for c in range(CLASSES):
            weights = np.exp(values[image, ..., c].astype(np.float64))
            weights /= weights.sum()
            expected = (weights[..., None] * maps[image]).sum((0, 1))
            np.testing.assert_allclose(found[image, c], expected, rtol=1e-4, atol=1e-5)


def test_attention_is_at_the_features_resolution():
    values = np.full((1, 8, 12, 2), -50.0, np.float32)
    values[0, 0, 0, 1] = 50.0  # a corner, which stays in place
    maps = features(0, 1, size=(2, 3))
    found = wda.attended_features(jnp.asarray(values), jnp.asarray(maps))
    np.testing.assert_allclose(found[0, 1], maps[0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(
        found[0, 0, :],
        np.delete(maps.reshape(6, -1), 0, 0).mean(0) * 5 / 6 + maps[0, 0, 0] / 6,
        rtol=1e-4,
        atol=1e-5,
    )


TERM = wda.ClassAdversarial(width=3)


def memory():
    setup = adaptation.Setup(
        num_classes=CLASSES,
        image_size=SIZE,
        schedule=lambda rate: rate,
        network=tiny_segmenter(CLASSES),
    )
    player = TERM.players(setup)["discriminators"]
    drawn = player.init(jax.random.key(0))
    drawn[0]["kernel"] = jnp.asarray(
        np.random.default_rng(0).normal(size=(CLASSES, CHANNELS, 3)), jnp.float32
    )
    return {"discriminators": drawn}


def score_twin(outputs_, kept):
    attended = np.asarray(wda.attended_features(outputs_.logits, outputs_.features[-1]))
    found = np.zeros(attended.shape[:2])
    for image, c in np.ndindex(*found.shape):
        x = attended[image, c]
        for number, layer in enumerate(kept["discriminators"]):
            x = x @ np.asarray(layer["kernel"][c]) + np.asarray(layer["bias"][c])
            x = np.maximum(x, 0) if number < 2 else x
        found[image, c] = x[0]
    return found


def softplus(x):
    return np.log1p(np.exp(x))


def test_each_class_has_a_discriminator_of_the_features_width():
    setup = adaptation.Setup(
        num_classes=CLASSES,
        image_size=(16, 24),
        schedule=lambda rate: rate,
        network=tiny_segmenter(CLASSES),
    )
    channels = setup.feature_shape()[-1]
    drawn = TERM.players(setup)["discriminators"].init(jax.random.key(0))
    shapes = [layer["kernel"].shape for layer in drawn]
    assert shapes == [(CLASSES, channels, 3), (CLASSES, 3, 3), (CLASSES, 3, 1)]
    bound = 1 / np.sqrt(channels)
    kernel = np.asarray(drawn[0]["kernel"])
    assert np.abs(kernel).max() <= bound and np.abs(kernel).max() > 0.8 * bound
    assert np.all(kernel[0] != kernel[1])


def test_only_present_classes_are_aligned():
    kept, found = memory(), outputs()
    term = TERM.loss(found, batch(), kept)
    present = scores(np.asarray(found["target"].logits)) > 0.2
    expected = (present * softplus(-score_twin(found["target"], kept))).sum() / 2
    np.testing.assert_allclose(term.total / term.count, expected, rtol=1e-4)

    players = TERM.player_losses(found, batch(), kept)["discriminators"]
    labels = batch()["source"]["label"]
    in_source = np.array([[np.any(each == c) for c in range(CLASSES)] for each in labels])
    expected = (in_source * softplus(-score_twin(found["source"], kept))).sum() / 2
    expected += (present * softplus(score_twin(found["target"], kept))).sum() / 2
    np.testing.assert_allclose(players.total / players.count, expected, rtol=1e-4)


def test_means_are_exact_however_a_batch_is_cut():
    kept, found, views = memory(), outputs(4), batch(4)
    own = wda.WeakLabels()
    for compute in (
        lambda o, b: own.loss(o, b, {}),
        lambda o, b: TERM.loss(o, b, kept),
        lambda o, b: TERM.player_losses(o, b, kept)["discriminators"],
    ):
        assert abs(assert_exact_mean(compute, found, views)) > 1e-3


def test_the_discriminators_learn_to_tell_the_domains_apart():
    found, kept = outputs(), memory()

    def loss(drawn):
        return TERM.player_losses(found, batch(), {"discriminators": drawn})["discriminators"].total

    optimizer = optax.adam(0.05)
    drawn, state = kept["discriminators"], optimizer.init(kept["discriminators"])
    before = float(loss(drawn))
    step = jax.jit(lambda d, s: optimizer.update(jax.grad(loss)(d), s, d))
    for _ in range(30):
        updates, state = step(drawn, state)
        drawn = optax.apply_updates(drawn, updates)
    assert float(loss(drawn)) < 0.6 * before


@pytest.mark.parametrize("name", ["weak_labels", "class_adversarial"])
def test_a_threshold_is_a_probability(name):
    with pytest.raises(ValueError, match=rf"config\.terms\.{name}: threshold is 1.5"):
        adaptation.build(name, {name: {"threshold": 1.5}})


@pytest.mark.slow
def test_wda_of_points_asks_a_pixel_of_each_class_and_learns_it(tmp_path):
    config = tiny_config("uda:wda")
    config.terms.class_adversarial.width = 4
    config.terms.weak_labels.complete_answers = True
    config.terms.class_adversarial.complete_answers = True
    config.rounds = 1
    assert config.round.terms.answers == 1.0
    summary = experiment.run(config, tmp_path)
    assert len(summary["rounds"]) == 1
    pool = labor_jax.data.load_pair("street", config.data).pool
    with LabelStore(tmp_path / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        for index, name in enumerate(pool.names):
            labels, asked = pool.label(index), store.asked(name)
            answered = labels[asked]
            assert sorted(answered) == sorted(set(labels[labels != 255].tolist()))
