"""CLAN against NumPy: what a pixel weighs, the weights' discrepancy, and what fades."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labor_jax
from labor_jax import adaptation, models
from labor_jax.adaptation import clan
from tests.tiny_model import tiny_segmenter

CLASSES, SIZE = 5, (32, 48)


def maps(seed, scale=2.0):
    return np.random.default_rng(seed).normal(0, scale, (2, 4, 6, CLASSES)).astype(np.float32)


def softmax_twin(logits):
    exponentials = np.exp(np.asarray(logits, np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def disagreement_twin(logits_a, logits_b):
    p, q = softmax_twin(logits_a), softmax_twin(logits_b)
    return 1 - (p * q).sum(-1) / np.sqrt((p**2).sum(-1) * (q**2).sum(-1))


@given(st.integers(0, 1000), st.floats(0.1, 8))
def test_disagreement_is_one_minus_the_cosine(seed, scale):
    a, b = maps(seed, scale), maps(seed + 1, scale)
    found = np.asarray(clan.disagreement(a, b))
    np.testing.assert_allclose(found, disagreement_twin(a, b), atol=1e-5)
    np.testing.assert_allclose(clan.disagreement(b, a), found, atol=1e-6)


def test_a_pixel_weighs_the_global_weight_where_the_heads_agree_and_more_elsewhere():
    term = adaptation.build("clan", {})
    first = maps(0)
    second = first + 3.0  # the same probabilities
    second[0, 0, 0] = -10 * first[0, 0, 0]
    late = {"step": jnp.int32(6), "steps": jnp.int32(100)}
    _, weights = term._judged(first, second, late)
    expected = 0.4 + 40 * disagreement_twin(first, second)
    np.testing.assert_allclose(weights[..., 0], expected, rtol=1e-4, atol=1e-4)
    agreeing = np.ones(weights.shape[:3], bool)
    agreeing[0, 0, 0] = False
    np.testing.assert_allclose(weights[agreeing], 0.4, atol=1e-4)
    assert weights[0, 0, 0, 0] > 10
    early = {**late, "step": jnp.int32(5)}
    np.testing.assert_array_equal(term._judged(first, second, early)[1], 1)


def test_the_discriminator_sees_the_probabilities_of_the_summed_logits():
    term = adaptation.build("clan", {})
    seen, _ = term._judged(maps(0), maps(1), {"step": jnp.int32(0), "steps": jnp.int32(9)})
    np.testing.assert_allclose(seen, softmax_twin(maps(0) + maps(1)), atol=1e-6)


def test_weight_discrepancy_is_the_cosine_of_all_weights_plus_one():
    rng = np.random.default_rng(0)
    first, second = (
        {"kernel": rng.normal(size=(3, 4)), "bias": rng.normal(size=4)} for _ in range(2)
    )
    a, b = (np.concatenate([w["kernel"].ravel(), w["bias"]]) for w in (first, second))
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b) + 1
    np.testing.assert_allclose(clan.weight_discrepancy(first, second), expected, rtol=1e-5)
    opposite = jax.tree.map(lambda x: -3 * x, first)
    np.testing.assert_allclose(clan.weight_discrepancy(first, first), 2, rtol=1e-6)
    np.testing.assert_allclose(clan.weight_discrepancy(first, opposite), 0, atol=1e-6)


def test_a_head_of_zero_weights_has_no_angle_and_no_gradient():
    some = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}
    zero = jax.tree.map(jnp.zeros_like, some)
    for pair in ((zero, some), (some, zero), (zero, zero)):
        value, gradients = jax.value_and_grad(clan.weight_discrepancy, argnums=(0, 1))(*pair)
        assert value == 1
        for gradient in jax.tree.leaves(gradients):
            np.testing.assert_array_equal(gradient, 0)


KEY = jax.random.key(7)


@functools.cache
def network():
    segmenter = tiny_segmenter(CLASSES)
    return segmenter, models.init_variables(segmenter, jax.random.key(0), SIZE)


SETUP = adaptation.Setup(
    num_classes=CLASSES,
    image_size=SIZE,
    schedule=lambda rate: rate,
    steps=100,
    network=network()[0],
)


@functools.cache
def scene():
    """A term without labels or discriminator weights of its own, its memory, batch and outputs."""
    term = adaptation.build("clan", {"clan": {"width": 4}})
    segmenter, variables = network()
    drawn = {
        name: player.init(jax.random.key(number))
        for number, (name, player) in enumerate(term.players(SETUP).items())
    }
    memory = {**term.memory(None, SETUP), **drawn}
    rng = np.random.default_rng(1)
    batch = {
        view: {"label": rng.choice([0, 1, 2, 3, 4, 255], (1, *SIZE)).astype(np.int32)}
        for view in term.reads
    }
    outputs = {
        view: segmenter.apply(variables, rng.normal(size=(1, *SIZE, 3)).astype(np.float32))
        for view in term.reads
    }
    return term, memory, batch, outputs


def model(variables=None):
    segmenter, first = network()
    return models.Model(variables=variables or first, network=segmenter)


def value(term):
    return float((term.total / term.count).sum())


def loss_at(step, **settings):
    _, memory, batch, outputs = scene()
    term = adaptation.build("clan", {"clan": {"width": 4, **settings}})
    return term.loss(outputs, batch, {**memory, "step": jnp.int32(step)}, model(), KEY)


def test_the_heads_are_apart_at_first():
    _, memory, _, _ = scene()
    own = network()[1]["params"]["head"]["logits"]["kernel"]
    assert np.abs(memory["second_head"]["head"]["logits"]["kernel"] - own).max() > 0.01


@pytest.mark.parametrize(("step", "left"), [(0, 1.0), (25, 0.75), (99, 0.01)])
def test_the_adversarial_loss_and_the_discrepancy_fade_and_the_labels_stay(step, left):
    only = {"adversarial_weight": 0.0, "discrepancy_weight": 0.0, "start": 1.0}
    labels = value(loss_at(0, **only))
    assert labels == value(loss_at(step, **only)) > 0.1
    for name in ("adversarial_weight", "discrepancy_weight"):
        added = [value(loss_at(each, **{**only, name: 5.0})) - labels for each in (0, step)]
        assert added[0] > 0.1
        np.testing.assert_allclose(added[1], left * added[0], rtol=1e-3)


def test_both_heads_learn_from_the_discrepancy():
    term, memory, batch, outputs = scene()

    def loss(variables, head):
        remembered = {**memory, "second_head": head}
        found = term.loss(outputs, batch, remembered, model(variables), KEY)
        return (found.total / found.count).sum()

    of_model, of_second = jax.grad(loss, (0, 1))(network()[1], memory["second_head"])
    own, second = network()[1]["params"]["head"], memory["second_head"]["head"]
    expected = jax.grad(lambda head: 0.02 * clan.weight_discrepancy(head, second))(own)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-8),
        of_model["params"]["head"],
        expected,
    )
    assert np.abs(of_second["head"]["logits"]["kernel"]).max() > 1e-3


def test_the_second_head_draws_its_dropout_by_the_key():
    _, memory, batch, outputs = scene()
    term = adaptation.build("clan", {"clan": {"width": 4}})
    of_dropout = tiny_segmenter(CLASSES, dropout=0.5)
    own = models.Model(variables=network()[1], network=of_dropout)
    first, again, other = (
        term.loss(outputs, batch, memory, own, jax.random.key(number)).total for number in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_second_head_is_trained_by_the_models_own_loss():
    term, memory, batch, outputs = scene()
    of_players = term.player_losses(outputs, batch, memory, model(), KEY)
    of_model = term.loss(outputs, batch, memory, model(), KEY)
    np.testing.assert_array_equal(of_players["second_head"].total, of_model.total)
    gradient = jax.grad(
        lambda discriminator: value_of(
            term.player_losses(
                outputs, batch, {**memory, "discriminator": discriminator}, model(), KEY
            )
        )
    )(memory["discriminator"])
    assert np.abs(gradient["conv1"]["kernel"]).max() > 0


def value_of(player_losses):
    return player_losses["discriminator"].total


def test_a_start_that_is_no_share_is_an_error():
    with pytest.raises(ValueError, match=r"config\.terms\.clan: start is 5000; it is a share"):
        adaptation.build("clan", {"clan": {"start": 5000}})


def test_the_method_keeps_the_pairs_width():
    config = labor_jax.get_config("uda:clan", "street")
    assert config.terms.clan.width == config.terms.adversarial.width == 16
    assert (config.warmup.terms.clan, config.warmup.terms.adversarial) == (1.0, 0.0)


@pytest.mark.parametrize(("pair", "weight"), [("gtav", 40.0), ("synthia", 10.0)])
def test_the_method_has_the_papers_weight_of_each_pair(pair, weight):
    for name in ("uda:clan", "uda:clan+cbst"):
        assert labor_jax.get_config(name, pair).terms.clan.local_weight == weight
