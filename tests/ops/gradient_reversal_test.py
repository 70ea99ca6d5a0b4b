"""Tests of gradient reversal."""

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax.ops import reverse_gradient


def test_values_pass_and_the_gradient_is_turned_and_scaled():
    x = jnp.arange(6.0).reshape(2, 3)

    @jax.jit
    def turned(x, scale):
        value, pullback = jax.vjp(lambda x: reverse_gradient(x, scale), x)
        return value, pullback(jnp.cos(x))[0]

    value, gradient = turned(x, 0.3)
    np.testing.assert_array_equal(value, x)
    np.testing.assert_allclose(gradient, -0.3 * jnp.cos(x), rtol=1e-6)
    half = jax.grad(lambda x: reverse_gradient(x, 2.0).astype(jnp.float32).sum())
    assert half(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_each_of_a_batch_under_vmap_is_turned():
    x = jnp.arange(6.0).reshape(2, 3)
    gradient = jax.vmap(jax.grad(lambda x: jnp.sum(reverse_gradient(x, 2.0) ** 2)))(x)
    np.testing.assert_allclose(gradient, -4 * x)
