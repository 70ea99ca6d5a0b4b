"""The hyperbolic head against Moebius addition and distances in the ball, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import Features
from labor_jax.models.heads.hyperbolic import Hyperbolic, regression, to_ball


def moebius_add(u, v):
    uv, uu, vv = u @ v, u @ u, v @ v
    return ((1 + 2 * uv + vv) * u + (1 - uu) * v) / (1 + 2 * uv + uu * vv)


def twin(x, a, p):
    """Ganea et al., Eq. 25, of one point and one class."""
    z = moebius_add(-p, x)
    length = np.linalg.norm(a)
    inner = 2 * (z @ a) / ((1 - z @ z) * length)
    return 2 / (1 - p @ p) * length * np.arcsinh(inner)


@pytest.mark.parametrize("scale", [0.01, 0.5, 3.0])
def test_logits_equal_the_twin(scale):
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(6, 4)) * scale).astype(np.float32)
    normals, offsets = rng.normal(size=(2, 4, 3)).astype(np.float32)
    offsets *= 0.3
    points, norms = to_ball(jnp.asarray(vectors), axis=-1)
    found = regression(points, norms, normals, offsets)
    for i, j in np.ndindex(6, 3):
        v, q = np.float64(vectors[i]), np.float64(offsets[:, j])
        x, p = (np.tanh(np.linalg.norm(each)) * each / np.linalg.norm(each) for each in (v, q))
        expected = twin(x, np.float64(normals[:, j]), p)
        np.testing.assert_allclose(found[i, j], expected, rtol=2e-4, atol=1e-5)


def features(seed=0):
    last = jax.random.normal(jax.random.key(seed), (2, 3, 4, 5))
    return Features.of_stages([last], (8,))


def test_the_radius_is_the_distance_from_the_origin():
    module = Hyperbolic(3, embedding_channels=4)
    variables = module.init(jax.random.key(1), features())
    found = module.apply(variables, features(), method="radii")
    vectors = module.apply(variables, features(), method="embed")
    points, _ = to_ball(vectors, axis=-1)
    norm = np.linalg.norm(np.float64(points), axis=-1)
    assert found.shape == (2, 3, 4) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, 2 * np.arctanh(norm), rtol=1e-3)
    logits = module.apply(variables, features())
    assert logits.shape == (2, 3, 4, 3) and logits.dtype == jnp.float32


def test_gradients_are_finite_at_the_origin_and_far_out():
    module = Hyperbolic(3, embedding_channels=4)
    variables = module.init(jax.random.key(1), features())

    def loss(variables, scale):
        maps = Features.of_stages([features()[-1] * scale], (8,))
        return -jax.nn.log_softmax(module.apply(variables, maps))[..., 0].mean()

    for scale in (0.0, 1.0, 1e4):
        value, gradient = jax.value_and_grad(loss)(variables, scale)
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_dropout_acts_in_training_only():
    module = Hyperbolic(3, dropout=0.5)
    variables = module.init(jax.random.key(1), features())
    plain = module.apply(variables, features())
    np.testing.assert_array_equal(plain, module.apply(variables, features(), False))
    dropped = module.apply(variables, features(), True, rngs={"dropout": jax.random.key(2)})
    assert (dropped != plain).any()


def test_it_learns_to_tell_points_apart():
    module = Hyperbolic(2, embedding_channels=2)
    maps = features()
    labels = (maps[-1][..., 0] > 0).astype(jnp.int32)
    variables = module.init(jax.random.key(1), maps)

    def loss(variables):
        log_p = jax.nn.log_softmax(module.apply(variables, maps))
        return -jnp.take_along_axis(log_p, labels[..., None], -1).mean()

    step = jax.jit(
        lambda v: jax.tree.map(lambda leaf, slope: leaf - 0.05 * slope, v, jax.grad(loss)(v))
    )
    first = loss(variables)
    for _ in range(200):
        variables = step(variables)
    assert loss(variables) < 0.5 * first
