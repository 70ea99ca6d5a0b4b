"""The adversarial terms against NumPy, and who learns from them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import labor_jax
from labor_jax import adaptation
from labor_jax.adaptation import adversarial
from labor_jax.models import Outputs

KINDS = adversarial.INPUTS


def maps(seed, size=(4, 6), classes=5):
    return np.random.default_rng(seed).normal(size=(2, *size, classes), scale=2).astype(np.float32)


WEIGHTS = np.random.default_rng(9).normal(size=5).astype(np.float32)


def discriminate(x):
    """Logits f32[B, H, W, 1] by a linear rule."""
    return x @ WEIGHTS[:, None]


def softmax_twin(logits):
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def input_twin(logits, kind):
    p = softmax_twin(logits)
    return p if kind == "softmax" else -p * np.log2(p) / np.log2(logits.shape[-1])


def loss_twin(logits, kind, label):
    odds = input_twin(logits, kind) @ WEIGHTS
    probability = 1 / (1 + np.exp(-odds))
    return -np.mean(np.log(probability if label else 1 - probability))


@pytest.mark.parametrize("kind", KINDS)
def test_discriminator_input(kind):
    np.testing.assert_allclose(
        adversarial.discriminator_input(maps(0), kind), input_twin(maps(0), kind), atol=1e-6
    )


def test_self_information_is_finite_and_sums_to_the_normalised_entropy():
    certain = np.zeros((1, 1, 1, 5), np.float32)
    certain[..., 0] = 1e4
    of = lambda logits: adversarial.discriminator_input(logits, "self_information")  # noqa: E731
    np.testing.assert_array_equal(of(certain), 0)
    assert np.isfinite(jax.grad(lambda x: of(x).sum())(certain)).all()
    np.testing.assert_allclose(of(np.zeros((1, 1, 1, 5), np.float32)).sum(), 1, rtol=1e-6)


def test_an_unknown_input_is_an_error_with_the_valid_ones():
    for name in ("adversarial", "auxiliary_adversarial"):
        problem = rf"config\.terms\.{name}: input is 'sigmoid'; choose one of: softmax, self_info"
        with pytest.raises(ValueError, match=problem):
            adaptation.build(name, {name: {"input": "sigmoid"}})


@pytest.mark.parametrize("kind", KINDS)
def test_model_loss_wants_target_to_pass_for_source(kind):
    loss = adversarial.model_loss(discriminate, maps(1), kind)
    np.testing.assert_allclose(loss, loss_twin(maps(1), kind, label=1), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_discriminator_loss_is_the_mean_over_the_domains(kind):
    source, target = maps(1), maps(2, size=(3, 9))
    loss = adversarial.discriminator_loss(discriminate, source, target, kind)
    expected = (loss_twin(source, kind, label=1) + loss_twin(target, kind, label=0)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_models_gradient_comes_from_its_own_loss_alone(kind):
    of_model = jax.grad(lambda x: adversarial.model_loss(discriminate, x, kind))(maps(1))
    assert np.abs(of_model).max() > 1e-5
    of_discriminator = jax.grad(
        lambda x, y: adversarial.discriminator_loss(discriminate, x, y, kind), (0, 1)
    )(maps(1), maps(2))
    for gradient in of_discriminator:
        np.testing.assert_array_equal(gradient, 0)


def test_least_squares_is_the_squared_distance_to_the_domain():
    source, target = maps(1), maps(2)
    guess = {name: softmax_twin(x) @ WEIGHTS for name, x in (("s", source), ("t", target))}
    of_model = adversarial.model_loss(discriminate, target, "softmax", "least_squares")
    np.testing.assert_allclose(of_model, np.mean((guess["t"] - 1) ** 2), rtol=1e-5)
    of_discriminator = adversarial.discriminator_loss(
        discriminate, source, target, "softmax", "least_squares"
    )
    expected = (np.mean((guess["s"] - 1) ** 2) + np.mean(guess["t"] ** 2)) / 2
    np.testing.assert_allclose(of_discriminator, expected, rtol=1e-5)


def test_the_objective_is_a_setting_of_both_levels():
    for name in ("adversarial", "auxiliary_adversarial"):
        term = adaptation.build(name, {name: {"objective": "least_squares", "width": 4}})
        logits = jnp.asarray(maps(1, size=(32, 32)))
        outputs = dict.fromkeys(term.reads, Outputs(logits, None, logits))
        setup = adaptation.Setup(num_classes=5, image_size=(32, 32), schedule=lambda rate: rate)
        memory = {"discriminator": term.players(setup)["discriminator"].init(jax.random.key(0))}
        guess = term._discriminator(memory)(jax.nn.softmax(logits))
        loss = term.loss(outputs, {}, memory)
        np.testing.assert_allclose(loss.total, np.mean((guess - 1) ** 2), rtol=1e-5)
        of_player = term.player_losses(outputs, {}, memory)["discriminator"]
        expected = (np.mean((guess - 1) ** 2) + np.mean(guess**2)) / 2
        np.testing.assert_allclose(of_player.total, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="objective is 'hinge'; choose one of: cross_entropy, l"):
        adaptation.build("adversarial", {"adversarial": {"objective": "hinge"}})


def adversarial_settings(method, pair="street"):
    config = labor_jax.get_config(f"uda:{method}", pair)
    weights = {name: weight for name, weight in config.warmup.terms.items() if weight}
    auxiliary = config.supervised.terms.auxiliary_source_labels
    kinds = [config.terms[name].input for name in ("adversarial", "auxiliary_adversarial")]
    return weights, auxiliary, kinds


@pytest.mark.parametrize("pair", ["street", "gtav"])
def test_the_published_settings(pair):
    assert adversarial_settings("adaptsegnet", pair) == (
        {"source_labels": 1.0, "adversarial": 1e-3},
        0.0,
        ["softmax", "softmax"],
    )
    two_levels = {
        "source_labels": 1.0,
        "adversarial": 1e-3,
        "auxiliary_source_labels": 0.1,
        "auxiliary_adversarial": 2e-4,
    }
    assert adversarial_settings("adaptsegnet_two_level", pair) == (
        two_levels,
        0.1,
        ["softmax", "softmax"],
    )
    assert adversarial_settings("advent", pair) == (
        two_levels,
        0.1,
        ["self_information", "self_information"],
    )


def test_descending_on_the_models_loss_fools_the_discriminator():
    logits = jnp.asarray(maps(3))
    gradient = jax.grad(lambda x: adversarial.model_loss(discriminate, x, "softmax"))(logits)
    before, after = (
        np.mean(discriminate(jax.nn.softmax(x))) for x in (logits, logits - 10 * gradient)
    )
    assert after > before


def test_the_published_discriminator_learns_by_adam():
    setup = adaptation.Setup(num_classes=5, image_size=(32, 64), schedule=lambda rate: rate)
    player = adversarial.Adversarial(width=4, learning_rate=0.01).players(setup)["discriminator"]
    params = player.init(jax.random.key(0))
    assert params["conv1"]["kernel"].shape == (4, 4, 5, 4)
    state = player.optimizer.init(params)
    value, first, second = np.asarray(params["conv1"]["bias"], np.float64), 0.0, 0.0
    for step, g in enumerate((0.3, 0.1, -0.5)):
        gradient = jax.tree.map(lambda x, g=g: jnp.full_like(x, g), params)
        updates, state = player.optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        first, second = 0.9 * first + 0.1 * g, 0.99 * second + 0.01 * g**2
        corrected = first / (1 - 0.9 ** (step + 1))
        value = value - 0.01 * corrected / (np.sqrt(second / (1 - 0.99 ** (step + 1))) + 1e-8)
    np.testing.assert_allclose(params["conv1"]["bias"], value, rtol=1e-5, atol=1e-7)
