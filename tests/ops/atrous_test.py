"""Tests of the head's dilated convolutions: both forms, transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from labor_jax.ops import atrous_convolution
from labor_jax.ops.atrous import shifted_matrix_product
from labor_jax.ops.convolution import dilated_convolution
from tests.lowered_programs import operations

# A dilation beyond the image: the centre alone is read.
CASES = [((5, 8), 3, 2), ((4, 6), 3, 7), ((6, 5), 5, 1)]


def arrays(size, taps):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 6)), rng.normal(size=(taps, taps, 6, 3))
    return x.astype(np.float32), kernel.astype(np.float32)


def total(x, kernel, dilation, form):
    return jnp.sum(jnp.sin(form(x, kernel, dilation)))


@functools.partial(jax.jit, static_argnums=(2, 3))
def run(x, kernel, dilation, form):
    value = form(x, kernel, dilation)
    return value, *jax.grad(total, (0, 1))(x, kernel, dilation, form)


@pytest.mark.parametrize(("size", "taps", "dilation"), CASES)
def test_both_forms_agree_in_values_and_gradients(size, taps, dilation):
    x, kernel = arrays(size, taps)
    expected = run(x, kernel, dilation, dilated_convolution)
    ours = run(x, kernel, dilation, shifted_matrix_product)
    for each, reference in zip(ours, expected, strict=True):
        np.testing.assert_allclose(each, reference, atol=2e-4)
    rows, columns = np.indices(size)
    loop = np.zeros((*size, 3))
    for a, b in np.ndindex(taps, taps):
        i, j = rows + (a - taps // 2) * dilation, columns + (b - taps // 2) * dilation
        inside = (i >= 0) & (i < size[0]) & (j >= 0) & (j < size[1])
        loop[inside] += x[0, i[inside], j[inside]] @ kernel[a, b]
    np.testing.assert_allclose(expected[0][0], loop, atol=1e-4)


def test_bfloat16_sums_in_float32():
    x, kernel = (array.astype(jnp.bfloat16) for array in arrays((5, 8), 3))
    for ours, reference in zip(
        run(x, kernel, 2, shifted_matrix_product),
        run(x, kernel, 2, dilated_convolution),
        strict=True,
    ):
        assert ours.dtype == jnp.bfloat16
        scale = np.abs(reference.astype(np.float32)).max()
        np.testing.assert_allclose(
            ours.astype(np.float32), reference.astype(np.float32), atol=0.02 * scale
        )


def test_gradients_under_vmap_and_remat():
    x, kernel = arrays((5, 8), 3)
    gradient = jax.grad(jax.checkpoint(total, static_argnums=(2, 3)), 1)
    each = jax.jit(
        jax.vmap(lambda image: gradient(image[None], kernel, 2, shifted_matrix_product))
    )(x)
    np.testing.assert_allclose(each.sum(0), run(x, kernel, 2, dilated_convolution)[2], atol=2e-4)


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize(
    "form", [shifted_matrix_product, atrous_convolution], ids=["product", "chosen"]
)
def test_gradients_under_shard_map(check_vma, form):
    """The filter is the same on all devices, the images are not."""
    x, kernel = arrays((5, 8), 3)
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.shard_map(
        lambda x, kernel: jax.grad(total, (0, 1))(x, kernel, 2, form),
        mesh=mesh,
        in_specs=(PartitionSpec("batch"), PartitionSpec()),
        out_specs=(PartitionSpec("batch"), PartitionSpec()),
        check_vma=check_vma,
    )
    expected = run(x, kernel, 2, dilated_convolution)[1:]
    for ours, reference in zip(jax.jit(sharded)(x, kernel), expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=2e-4)


def test_every_platform_gets_its_form():
    x, kernel = arrays((5, 8), 3)
    traced = jax.jit(jax.grad(total, (0, 1)), static_argnums=(2, 3)).trace(
        x, kernel, 2, atrous_convolution
    )
    for platform, convolutions in (("cpu", 0), ("cuda", 3), ("tpu", 3)):
        lowered = traced.lower(lowering_platforms=(platform,))
        assert operations(lowered)["convolution"] == convolutions
