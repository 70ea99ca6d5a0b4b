"""Tests of the stem's max pooling: both forms, ties, transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from labor_jax.ops import max_pool
from labor_jax.ops.pooling import max_over_taps, max_over_windows
from tests.lowered_programs import operations


def naive(x, border, cotangent):
    """Values and gradient, window by window; the first of equal values wins."""
    batch, height, width, channels = x.shape
    rows, columns = cotangent.shape[1:3]
    padded = np.full((batch, 2 * rows + 1, 2 * columns + 1, channels), -np.inf)
    padded[:, 1 : height + 1, 1 : width + 1] = x
    values, gradient = np.zeros(cotangent.shape), np.zeros(padded.shape)
    for image, i, j, channel in np.ndindex(cotangent.shape):
        window = padded[image, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3, channel]
        row, column = np.unravel_index(window.argmax(), (3, 3))
        values[image, i, j, channel] = window[row, column]
        gradient[image, 2 * i + row, 2 * j + column, channel] += cotangent[image, i, j, channel]
    return values, gradient[:, 1 : height + 1, 1 : width + 1]


@pytest.mark.parametrize(
    ("height", "width", "border"), [(6, 9, (1, 1)), (6, 9, (1, 2)), (1, 2, (1, 1))]
)
def test_both_forms_equal_a_loop_over_windows(height, width, border):
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (4, height, width, 5)).astype(np.float32)  # many are equal

    @functools.partial(jax.jit, static_argnums=1)
    def run(x, form):
        value, pullback = jax.vjp(lambda x: form(x, border), x)
        cotangent = jnp.cos(jnp.arange(value.size, dtype=jnp.float32)).reshape(value.shape)
        return value, pullback(cotangent)[0], cotangent

    for form in (max_over_taps, max_over_windows):
        value, gradient, cotangent = run(x, form)
        expected, expected_gradient = naive(x, border, cotangent)
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)


def total(x, form=max_over_taps):
    return jnp.sum(jnp.sin(form(x, (1, 1))))


gradient_of = jax.jit(jax.grad(total), static_argnums=1)


def test_gradients_under_vmap_remat_and_bfloat16():
    x = jax.random.normal(jax.random.key(0), (3, 2, 6, 7, 4))
    expected = gradient_of(x.reshape(6, 6, 7, 4), max_over_windows).reshape(x.shape)
    np.testing.assert_allclose(jax.jit(jax.vmap(gradient_of))(x), expected, rtol=1e-6)
    rematerialised = jax.jit(jax.grad(jax.checkpoint(total)))
    np.testing.assert_allclose(rematerialised(x[0]), expected[0], rtol=1e-6)
    half = x[0].astype(jnp.bfloat16)
    np.testing.assert_array_equal(gradient_of(half), gradient_of(half, max_over_windows))


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("form", [max_over_taps, max_pool], ids=["taps", "chosen"])
def test_gradients_under_shard_map(check_vma, form):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("batch")
    sharded = jax.shard_map(
        jax.grad(lambda x: total(x, form)),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
        check_vma=check_vma,
    )
    np.testing.assert_allclose(jax.jit(sharded)(x), gradient_of(x, max_over_windows), rtol=1e-6)


def test_not_a_number_is_handed_on():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 2, 2, 0].set(jnp.nan)
    np.testing.assert_array_equal(max_over_taps(x, (1, 1))[0, :, :, 0] != 0, [[0, 0], [0, 1]])


def test_every_platform_gets_its_form():
    traced = jax.jit(jax.grad(lambda x: total(x, max_pool))).trace(jnp.ones((2, 8, 8, 3)))
    for platform, scatters in (("cpu", 0), ("cuda", 1), ("tpu", 1)):
        lowered = traced.lower(lowering_platforms=(platform,))
        assert operations(lowered)["select_and_scatter"] == scatters
