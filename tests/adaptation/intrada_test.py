"""IntraDA: which images are easy, and what a batch without easy or hard ones teaches."""

import functools
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import labor_jax
from labor_jax import adaptation, experiment, models
from labor_jax.adaptation import intrada
from labor_jax.training.terms import Setup
from tests.adaptation.exact_means import assert_exact_mean
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config
from tests.tiny_model import TinyDiscriminator, tiny_discriminator_params, tiny_segmenter

CLASSES = 5
VIEW = intrada.VIEW


@hypothesis.given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.floats(0.01, 0.99))
def test_the_share_of_lowest_entropy_is_easy(entropies, share):
    easy = intrada.easiest(np.array(entropies, np.float32), share)
    ranked = sorted(range(len(entropies)), key=lambda i: (entropies[i], i))
    count = min(max(int(Fraction(str(share)) * len(entropies)), 1), len(entropies) - 1)
    assert set(np.flatnonzero(easy)) == set(ranked[:count])


def test_a_share_is_the_decimal_number_that_is_written():
    assert intrada.easiest(np.arange(100.0), 0.29).sum() == 29  # 0.29 * 100 is 28.999…


@hypothesis.given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_easy_and_hard_images_of_the_pool_weigh_the_same(easy, data):
    numbers = np.array(data.draw(st.permutations(range(len(easy)))))
    found = intrada.sides(jnp.asarray(easy), jnp.asarray(numbers))
    np.testing.assert_array_equal(found["easy"], np.array(easy)[numbers])
    for side in set(easy):
        weights = np.asarray(found["weight"])[np.array(easy)[numbers] == side]
        np.testing.assert_allclose(weights.sum(), len(easy) / 2, rtol=1e-6)


class Tiny(intrada.IntraDomainAdversarial):
    def _module(self):
        return TinyDiscriminator()


MEMORY = {"discriminator": tiny_discriminator_params()["head"]}


def logits(seed=0, count=4):
    shape = (count, 8, 8, CLASSES)
    return np.random.default_rng(seed).normal(size=shape, scale=2).astype(np.float32)


def outputs_of(values):
    return {VIEW: models.Outputs(jnp.asarray(values), None)}


def batch_of(easy):
    """A batch of the whole pool."""
    return {VIEW: intrada.sides(jnp.asarray(easy), jnp.arange(len(easy)))}


def scores(values):
    p = np.exp(values.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    maps = (-p * np.log2(p) / np.log2(CLASSES)).astype(np.float32)
    return np.asarray(TinyDiscriminator().apply({"params": MEMORY["discriminator"]}, maps))


def cross_entropies(values, passes):
    """Of each image, over its patches."""
    odds = scores(values).astype(np.float64)
    return np.log1p(np.exp(-odds if passes else odds)).mean((1, 2, 3))


def test_hard_images_should_pass_for_easy_ones():
    easy = np.array([True, False, True, False])
    term = Tiny().loss(outputs_of(logits()), batch_of(easy), MEMORY)
    np.testing.assert_allclose(
        term.total / term.count, cross_entropies(logits(), True)[~easy].mean(), rtol=1e-4
    )
    gradient = jax.grad(lambda z: Tiny().loss(outputs_of(z), batch_of(easy), MEMORY).total)(
        jnp.asarray(logits())
    )
    assert np.abs(gradient[~easy]).max() > 1e-4
    np.testing.assert_array_equal(gradient[easy], 0)


def test_the_objective_is_what_the_setting_says():
    easy = np.array([True, False, True, False])
    own = Tiny(objective="least_squares")
    term = own.loss(outputs_of(logits()), batch_of(easy), MEMORY)
    odds = scores(logits()).astype(np.float64)
    wanted = np.square(odds - 1)[~easy].mean()
    np.testing.assert_allclose(term.total / term.count, wanted, rtol=1e-4)
    term = own.player_losses(outputs_of(logits()), batch_of(easy), MEMORY)["discriminator"]
    wanted = (np.square(odds - 1)[easy].mean() + np.square(odds)[~easy].mean()) / 2
    np.testing.assert_allclose(term.total / term.count, wanted, rtol=1e-4)


def test_the_discriminator_weighs_easy_and_hard_by_their_shares():
    easy = np.array([True, False, True, True])
    term = Tiny().player_losses(outputs_of(logits()), batch_of(easy), MEMORY)["discriminator"]
    on_easy = cross_entropies(logits(), True)[easy].mean()
    on_hard = cross_entropies(logits(), False)[~easy].mean()
    np.testing.assert_allclose(term.total / term.count, (on_easy + on_hard) / 2, rtol=1e-4)


def test_means_are_exact_however_a_batch_is_cut():
    easy, own = np.array([True, True, True, False]), Tiny()
    assert_exact_mean(lambda o, b: own.loss(o, b, MEMORY), outputs_of(logits()), batch_of(easy))
    assert_exact_mean(
        lambda o, b: own.player_losses(o, b, MEMORY)["discriminator"],
        outputs_of(logits()),
        batch_of(easy),
    )


def test_a_batch_without_hard_images_teaches_the_model_nothing():
    easy = np.ones(4, bool)
    compute = functools.partial(Tiny().loss, batch=batch_of(easy), memory=MEMORY)
    value, gradient = jax.value_and_grad(lambda z: compute(outputs_of(z)).total)(
        jnp.asarray(logits())
    )
    assert float(value) == float(compute(outputs_of(logits())).count) == 0.0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("easy", [True, False])
def test_a_batch_of_one_side_leaves_the_discriminator_finite(easy):
    compute = lambda params: Tiny().player_losses(  # noqa: E731
        outputs_of(logits()), batch_of(np.full(4, easy)), {"discriminator": params}
    )["discriminator"]
    gradient = jax.grad(lambda params: compute(params).total)(MEMORY["discriminator"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_easy_images_have_pseudo_labels_and_answers_stand_everywhere():
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen")
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    labeller = models.Model(variables=variables, network=segmenter)
    image = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)
    answers = np.full((3, 16, 24), 255, np.int32)
    answers[:, 2, 3] = 4
    batch = {"target": {"image": image, "label": answers, "index": np.array([5, 0, 2])}}
    memory = {"labeller": labeller, "easy": jnp.arange(6) == 5}
    term = intrada.EasyPseudoLabels()
    view = term.views(jax.random.key(0), batch, memory)[VIEW]
    np.testing.assert_array_equal(view["easy"], [True, False, False])
    predicted = np.asarray(labeller(image).logits).argmax(-1)
    expected = np.where(answers == 255, predicted, answers)
    expected[1:] = answers[1:]
    np.testing.assert_array_equal(view["label"], expected)
    unlabelled = {VIEW: {"label": jnp.full((3, 16, 24), 255)}}
    nothing = term.loss({VIEW: labeller(image)}, unlabelled, memory)
    assert float(nothing.total) == float(nothing.count) == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_sides_need_images(share):
    name = "easy_pseudo_labels"
    with pytest.raises(ValueError, match=rf"config\.terms\.{name}: share is {share}"):
        adaptation.build(name, {name: {"share": share}})


def test_a_pool_of_one_image_has_no_two_sides():
    setup = Setup(CLASSES, (16, 24), schedule=None, num_images={"target": 1})
    with pytest.raises(ValueError, match="the pool has 1 image, but IntraDA needs at least 2"):
        intrada.EasyPseudoLabels().memory(None, setup)


def test_advent_comes_first():
    config = labor_jax.get_config("uda:intrada")
    assert config.warmup.terms.adversarial == 1e-3
    assert config.terms.adversarial.input == "self_information"
    assert config.retraining.terms.adversarial == 0


@pytest.mark.slow
def test_a_killed_retraining_keeps_its_split(tmp_path):
    config = tiny_config("uda:intrada")
    config.retraining.steps = 3
    summary = experiment.run(config, tmp_path / "whole")
    config = tiny_config("uda:intrada")
    config.retraining.steps = 3
    interrupt_training(config, tmp_path / "cut", "retraining_1", 2)
    assert comparable(experiment.run(config, tmp_path / "cut")) == comparable(summary)
