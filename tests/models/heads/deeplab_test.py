"""Tests of the DeepLab heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import DeepLabV2, DeepLabV3Plus, Features, Linear


def random_features(fine=(8, 12, 6), last=(4, 6, 10)):
    keys = jax.random.split(jax.random.key(0))
    sizes = zip(keys, (fine, last), strict=True)
    return Features.of_stages([jax.random.normal(key, (2, *size)) for key, size in sizes], (4, 8))


def count(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def test_v2_sums_its_dilated_branches():
    features = random_features(last=(9, 13, 4))
    module = DeepLabV2(3, rates=(1, 2, 4, 6))
    logits, variables = jax.jit(module.init_with_output)(jax.random.key(1), features)
    assert logits.shape == (2, 9, 13, 3) and logits.dtype == jnp.float32
    bias = {r: jnp.full((3,), float(r)) for r in (1, 2, 4, 6)}
    params = {f"rate{r}": {**variables["params"][f"rate{r}"], "bias": bias[r]} for r in bias}

    def branch(rate):
        kernel = params[f"rate{rate}"]["kernel"]
        padded = np.pad(features[-1], ((0, 0), (rate, rate), (rate, rate), (0, 0)))
        out = np.zeros((2, 9, 13, 3)) + rate
        for i in range(3):
            for j in range(3):
                view = padded[:, i * rate : i * rate + 9, j * rate : j * rate + 13]
                out += view @ np.asarray(kernel[i, j])
        return out

    np.testing.assert_allclose(
        module.apply({"params": params}, features), sum(map(branch, bias)), atol=1e-4
    )
    published = DeepLabV2(3, rates=(1, 2, 4, 6), first_two_only=True)
    np.testing.assert_allclose(
        published.apply({"params": params}, features), branch(1) + branch(2), atol=1e-4
    )


def test_v2_published_size_and_initialisation():
    features = random_features(last=(4, 4, 2048))
    variables = jax.jit(DeepLabV2(19).init)(jax.random.key(1), features)
    assert sorted(variables["params"]) == ["rate12", "rate18", "rate24", "rate6"]
    assert count(variables) == 4 * (9 * 2048 * 19 + 19)
    assert np.std(variables["params"]["rate6"]["kernel"]) == pytest.approx(0.01, rel=0.02)
    assert not np.any(variables["params"]["rate6"]["bias"])


@pytest.mark.parametrize(
    "head",
    [
        DeepLabV2(3, dropout=0.5),
        pytest.param(DeepLabV3Plus(3, 8, dropout=0.5), marks=pytest.mark.slow),
        Linear(3, 0.5),
    ],
)
def test_dropout_acts_in_training_only(head):
    features = random_features()
    variables = jax.jit(head.init)(jax.random.key(1), features)

    @jax.jit
    def train(key):
        return head.apply(
            variables, features, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )[0]

    first, again, other = (train(jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    # Without training no random key is needed, and nothing is dropped.
    undropped = head.clone(dropout=0.0).apply
    np.testing.assert_allclose(
        jax.jit(head.apply)(variables, features), jax.jit(undropped)(variables, features), atol=1e-6
    )


def test_v3plus_shapes_and_parameter_count():
    features = random_features()
    head = DeepLabV3Plus(3, head_channels=8, shortcut_channels=5)
    logits, variables = jax.eval_shape(head.init_with_output, jax.random.key(1), features)
    assert logits.shape == (2, 8, 12, 3) and logits.dtype == jnp.float32

    def conv(a, b, kernel=1):
        return kernel**2 * a * b + 2 * b

    def separable(a, b):
        return 9 * a + 2 * a + conv(a, b)

    expected = conv(10, 8) + 3 * separable(10, 8) + conv(10, 8) + conv(5 * 8, 8, 3)
    expected += conv(6, 5) + separable(13, 8) + separable(8, 8) + 8 * 3 + 3
    assert count(variables["params"]) == expected


def test_v3plus_uses_both_maps_and_the_pooled_image():
    features = random_features(fine=(32, 32, 6), last=(32, 32, 10))
    head = DeepLabV3Plus(3, head_channels=4, rates=(2,))
    variables = jax.jit(head.init)(jax.random.key(1), features)
    weights = jax.tree.map(lambda x: jnp.abs(x) + 0.1, variables["params"])
    variables = {**variables, "params": weights}

    def corner(features):
        return head.apply(variables, features)[0, 0, 0].sum()

    gradient = jax.jit(jax.grad(corner))(features)
    # The far corner is out of every convolution's reach, so it comes in by pooling alone.
    assert np.any(gradient[-1][0, -1, -1]) and not np.any(gradient[0][0, -1, -1])
    assert np.any(gradient[0][0, 0, 0])
