"""Tests of the head's dilated convolutions: both forms, transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from labor_jax.models.atrous import atrous_convolution

# A dilation beyond the image: the centre alone is read.
CASES = [((5, 8), 3, 2), ((4, 6), 3, 7), ((6, 5), 5, 1)]


def arrays(size, taps):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 6)), rng.normal(size=(taps, taps, 6, 3))
    return x.astype(np.float32), kernel.astype(np.float32)


def total(x, kernel, dilation, implementation):
    return jnp.sum(jnp.sin(atrous_convolution(x, kernel, dilation, implementation)))


@functools.partial(jax.jit, static_argnums=(2, 3))
def run(x, kernel, dilation, implementation):
    value = atrous_convolution(x, kernel, dilation, implementation)
    return value, *jax.grad(total, (0, 1))(x, kernel, dilation, implementation)


@pytest.mark.parametrize(("size", "taps", "dilation"), CASES)
def test_both_forms_agree_in_values_and_gradients(size, taps, dilation):
    x, kernel = arrays(size, taps)
    expected = run(x, kernel, dilation, "convolution")
    for ours, reference in zip(run(x, kernel, dilation, "product"), expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=2e-4)
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
        run(x, kernel, 2, "product"), run(x, kernel, 2, "convolution"), strict=True
    ):
        assert ours.dtype == jnp.bfloat16
        scale = np.abs(reference.astype(np.float32)).max()
        np.testing.assert_allclose(
            ours.astype(np.float32), reference.astype(np.float32), atol=0.02 * scale
        )


def test_gradients_under_vmap_and_remat():
    x, kernel = arrays((5, 8), 3)
    gradient = jax.grad(jax.checkpoint(total, static_argnums=(2, 3)), 1)
    each = jax.jit(jax.vmap(lambda image: gradient(image[None], kernel, 2, "product")))(x)
    np.testing.assert_allclose(each.sum(0), run(x, kernel, 2, "convolution")[2], atol=2e-4)


@pytest.mark.parametrize("check_vma", [True, False])
def test_gradients_under_shard_map(check_vma):
    """The filter is the same on all devices, the images are not."""
    x, kernel = arrays((5, 8), 3)
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.shard_map(
        lambda x, kernel: jax.grad(total, (0, 1))(x, kernel, 2, "product"),
        mesh=mesh,
        in_specs=(PartitionSpec("batch"), PartitionSpec()),
        out_specs=(PartitionSpec("batch"), PartitionSpec()),
        check_vma=check_vma,
    )
    expected = run(x, kernel, 2, "convolution")[1:]
    for ours, reference in zip(jax.jit(sharded)(x, kernel), expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=2e-4)


def test_an_unknown_implementation_is_told():
    with pytest.raises(ValueError, match="'product', 'convolution'"):
        atrous_convolution(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), 1, "winograd")
