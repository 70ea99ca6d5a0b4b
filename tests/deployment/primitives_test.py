"""Functions that are spelt out with fewer primitives compute the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from labor_jax import ops
from labor_jax.deployment.primitives import spelt_out


@jax.custom_vjp
def own_gradient(x):
    return 3 * x


own_gradient.defvjp(lambda x: (3 * x, None), lambda _, g: (g,))

FUNCTIONS = {
    "calls": lambda x: jax.nn.relu6(own_gradient(jax.checkpoint(jnp.sin)(x))),
    "identities": lambda x: lax.optimization_barrier(lax.stop_gradient(x)) + 1,
    "padding": lambda x: jnp.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=7),
    "pool": lambda x: ops.max_pool(x, (1, 2)),
    "odd window": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 3, 1), (1, 1, 2, 1), ((0, 0), (1, 0), (0, 1), (0, 0))
    ),
    "dilated window": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "VALID", window_dilation=(1, 2, 2, 1)
    ),
    "negative padding": lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-1, 0, 0), (0, 0, 1), (0, 0, 0))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_values_stay(name):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 7, 9, 3)), jnp.float32)
    with ops.portable():
        rewritten = spelt_out(FUNCTIONS[name], x)
    np.testing.assert_allclose(rewritten(x)[0], FUNCTIONS[name](x), rtol=1e-6)


@pytest.mark.parametrize("name", ["calls", "identities", "padding", "pool", "odd window"])
def test_what_converters_lack_is_gone(name):
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, 7, 9, 3), np.float32)
    with ops.portable():
        rewritten = spelt_out(FUNCTIONS[name], shape)
    used = {equation.primitive.name for equation in jax.make_jaxpr(rewritten)(shape).eqns}
    assert used.isdisjoint(
        {"pad", "reduce_window_max", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2"}
        | {"optimization_barrier", "stop_gradient", "platform_index", "cond"}
    )
