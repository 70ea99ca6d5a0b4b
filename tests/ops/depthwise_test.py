"""Tests of depthwise convolution: both forms against a loop, transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from labor_jax.ops import depthwise_convolution, resize_bilinear_align_corners
from labor_jax.ops.depthwise import grouped_convolution, shifted_products
from tests.lowered_programs import operations


def naive_depthwise(x, kernel, stride, dilation):
    """TensorFlow's SAME depthwise convolution, pixel by pixel."""
    batch, height, width, channels = x.shape
    taps = kernel.shape[0]
    out_h, out_w = -(-height // stride), -(-width // stride)
    span = (taps - 1) * dilation + 1
    top = max((out_h - 1) * stride + span - height, 0) // 2
    left = max((out_w - 1) * stride + span - width, 0) // 2
    out = np.zeros((batch, out_h, out_w, channels))
    for i in range(out_h):
        for j in range(out_w):
            for a in range(taps):
                for b in range(taps):
                    row = i * stride - top + a * dilation
                    column = j * stride - left + b * dilation
                    if 0 <= row < height and 0 <= column < width:
                        out[:, i, j] += x[:, row, column] * kernel[a, b, 0]
    return out


@pytest.mark.parametrize(
    ("size", "taps", "stride", "dilation"),
    [
        ((5, 8), 3, 1, 1),
        ((6, 7), 5, 2, 1),
        ((9, 6), 3, 1, 3),
        ((11, 19), 5, 1, 2),
        ((2, 3), 5, 2, 1),
    ],
)
def test_both_forms_agree_in_values_and_gradients(size, taps, stride, dilation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    kernel = rng.normal(size=(taps, taps, 1, 3)).astype(np.float32)
    expected = naive_depthwise(x, kernel, stride, dilation)
    cotangent = rng.normal(size=expected.shape).astype(np.float32)

    def run(form):
        def convolve(x, kernel):
            return form(x, kernel, stride, dilation)

        value, pullback = jax.vjp(convolve, x, kernel)
        return value, *pullback(cotangent)

    shifts, convolution = jax.jit(run, static_argnums=0)(shifted_products), run(grouped_convolution)
    np.testing.assert_allclose(shifts[0], expected, atol=1e-5)
    for ours, reference in zip(shifts, convolution, strict=True):
        np.testing.assert_allclose(ours, reference, atol=2e-5)


def test_keeps_bfloat16():
    x = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 1, 2), jnp.bfloat16)

    def total(kernel):
        return shifted_products(x, kernel, 1, 1).sum()

    assert depthwise_convolution(x, kernel).dtype == jnp.bfloat16
    gradient = jax.grad(total)(kernel)
    assert gradient.dtype == jnp.bfloat16
    # The centre tap sees all 16 pixels, a corner tap 9.
    assert gradient[1, 1, 0, 0] == 16 and gradient[0, 0, 0, 0] == 9


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize(
    "form",
    [
        lambda x, kernel: shifted_products(x, kernel, 2, 1),
        lambda x, kernel: depthwise_convolution(x, kernel, stride=2),
    ],
    ids=["shifts", "chosen"],
)
def test_gradients_under_shard_map(check_vma, form):
    """The filter is the same on all devices, the images are not."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 3))

    def gradients(kernel, x):
        def loss(kernel):
            y = form(x, kernel)
            return jnp.sum(resize_bilinear_align_corners(y, (7, 8)) ** 2)

        return jax.grad(loss)(kernel)

    spec = PartitionSpec
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.jit(
        jax.shard_map(
            gradients,
            mesh=mesh,
            in_specs=(spec(), spec("batch")),
            out_specs=spec(),
            check_vma=check_vma,
        )
    )
    np.testing.assert_allclose(sharded(kernel, x), jax.jit(gradients)(kernel, x), rtol=1e-5)


def test_every_platform_gets_its_form():
    x, kernel = jnp.ones((1, 6, 7, 4)), jnp.ones((3, 3, 1, 4))
    traced = jax.jit(jax.grad(lambda x, k: depthwise_convolution(x, k).sum(), (0, 1))).trace(
        x, kernel
    )
    for platform, convolutions in (("cpu", 0), ("cuda", 2), ("tpu", 2)):
        lowered = traced.lower(lowering_platforms=(platform,))
        assert operations(lowered)["convolution"] == convolutions
