"""Tests of batch norm, depthwise and pointwise convolution, and aligned bilinear resizing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec

from labor_jax.models import layers


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
def test_depthwise_forms_agree_in_values_and_gradients(size, taps, stride, dilation):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    kernel = rng.normal(size=(taps, taps, 1, 3)).astype(np.float32)
    expected = naive_depthwise(x, kernel, stride, dilation)
    cotangent = rng.normal(size=expected.shape).astype(np.float32)

    def run(implementation):
        def convolve(x, kernel):
            return layers.depthwise_convolution(
                x, kernel, stride=stride, dilation=dilation, implementation=implementation
            )

        value, pullback = jax.vjp(convolve, x, kernel)
        return value, *pullback(cotangent)

    shifts, convolution = jax.jit(run, static_argnums=0)("shifts"), run("convolution")
    np.testing.assert_allclose(shifts[0], expected, atol=1e-5)
    for ours, reference in zip(shifts, convolution, strict=True):
        np.testing.assert_allclose(ours, reference, atol=2e-5)


def test_depthwise_keeps_bfloat16():
    x = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    kernel = jnp.ones((3, 3, 1, 2), jnp.bfloat16)

    def total(kernel):
        return layers.depthwise_convolution(x, kernel, implementation="shifts").sum()

    assert layers.depthwise_convolution(x, kernel).dtype == jnp.bfloat16
    gradient = jax.grad(total)(kernel)
    assert gradient.dtype == jnp.bfloat16
    # The centre tap sees all 16 pixels, a corner tap 9.
    assert gradient[1, 1, 0, 0] == 16 and gradient[0, 0, 0, 0] == 9


@pytest.mark.parametrize("check_vma", [True, False])
def test_depthwise_gradients_under_shard_map(check_vma):
    """The filter is the same on all devices, the images are not."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 3))

    def gradients(kernel, x):
        def loss(kernel):
            y = layers.depthwise_convolution(x, kernel, stride=2, implementation="shifts")
            return jnp.sum(layers.resize_bilinear_align_corners(y, (7, 8)) ** 2)

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


def test_depthwise_rejects_unknown_implementation():
    with pytest.raises(ValueError, match="'shifts', 'convolution'"):
        layers.depthwise_convolution(
            jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), implementation="winograd"
        )


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_equals_convolution(stride):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    module = layers.PointwiseConv(4, stride)
    variables = module.init(jax.random.key(1), x)
    expected = jax.lax.conv_general_dilated(
        x,
        variables["params"]["kernel"],
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5)


def naive_resize(x, size):
    height, width = x.shape[:2]
    out = np.zeros((*size, x.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            row = i * (height - 1) / (size[0] - 1) if size[0] > 1 else 0.0
            column = j * (width - 1) / (size[1] - 1) if size[1] > 1 else 0.0
            for a in range(height):
                for b in range(width):
                    weight = max(0, 1 - abs(row - a)) * max(0, 1 - abs(column - b))
                    out[i, j] += weight * x[a, b]
    return out


@settings(max_examples=15, deadline=None)
@given(*[st.integers(1, 6)] * 2, *[st.integers(1, 9)] * 2, st.integers(0, 2**31))
def test_resize_equals_naive_and_its_gradient_is_the_transpose(h, w, out_h, out_w, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(h, w, 2)).astype(np.float32)
    y = rng.normal(size=(out_h, out_w, 2)).astype(np.float32)

    def resize(x):
        return layers.resize_bilinear_align_corners(x, (out_h, out_w))

    value, pullback = jax.vjp(resize, x)
    np.testing.assert_allclose(value, naive_resize(x, (out_h, out_w)), atol=1e-5)
    # The map A is linear, so <A x, y> = <x, A^T y>.
    np.testing.assert_allclose(np.vdot(value, y), np.vdot(x, pullback(y)[0]), atol=1e-4, rtol=1e-4)


def test_resize_works_under_vmap_jit_and_bfloat16():
    x = jnp.arange(24.0).reshape(2, 1, 3, 4, 1)
    resize = jax.jit(jax.vmap(lambda x: layers.resize_bilinear_align_corners(x, (5, 7))))
    np.testing.assert_allclose(resize(x), layers.resize_bilinear_align_corners(x, (5, 7)))
    small = layers.resize_bilinear_align_corners(x.astype(jnp.bfloat16), (3, 4))
    assert small.dtype == jnp.float32


def test_resize_rejects_empty_size():
    with pytest.raises(ValueError, match="at least 1"):
        layers.resize_bilinear_align_corners(jnp.ones((1, 2, 2, 1)), (0, 4))


def apply_norm(module, variables, x, train):
    return module.apply(variables, x, train, mutable=["batch_stats"])


def test_batch_norm_trains_with_batch_statistics_and_moves_running_ones():
    x = 10.0 + 2.0 * jax.random.normal(jax.random.key(0), (4, 6, 6, 3))
    module = layers.BatchNorm()
    variables = module.init(jax.random.key(1), x, False)
    out, updated = apply_norm(module, variables, x, True)
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0.0, atol=0.02)
    np.testing.assert_allclose(out.std((0, 1, 2)), 1.0, atol=0.02)
    np.testing.assert_allclose(
        updated["batch_stats"]["mean"], 0.1 * np.mean(x, (0, 1, 2)), rtol=1e-4
    )
    _, unmoved = apply_norm(module, variables, x, False)
    jax.tree.map(np.testing.assert_array_equal, unmoved["batch_stats"], variables["batch_stats"])


def normalized_plainly(x, scale, bias, axis_name=None):
    """Batch norm by autodiff."""
    mean, square = jnp.mean(x, (0, 1, 2)), jnp.mean(x**2, (0, 1, 2))
    if axis_name:
        mean, square = jax.lax.pmean((mean, square), axis_name)
    return (x - mean) * (scale / jnp.sqrt(square - mean**2 + 1e-5)) + bias


def normalized(x, scale, bias, axis_name=None):
    module = layers.BatchNorm(axis_name=axis_name)
    ones = jnp.ones(scale.shape)
    variables = {
        "params": {"scale": scale, "bias": bias},
        "batch_stats": {"mean": 0.3 * ones, "var": ones},
    }
    return module.apply(variables, x, train=True, mutable=["batch_stats"])[0]


def norm_arguments():
    keys = jax.random.split(jax.random.key(0), 3)
    x = 2 * jax.random.normal(keys[0], (2, 5, 6, 3)) + 1
    return x, jax.random.normal(keys[1], (3,)), jax.random.normal(keys[2], (3,))


def norm_gradients(normalize, axis_name=None):
    def total(*arguments):
        return jnp.sum(jnp.sin(normalize(*arguments, axis_name)))

    return jax.grad(total, (0, 1, 2))


@pytest.mark.parametrize(
    "wrap", [lambda f: f, jax.vmap, jax.checkpoint], ids=["plain", "vmap", "remat"]
)
def test_batch_norms_gradient_is_autodiffs(wrap):
    arguments = norm_arguments()
    if wrap is jax.vmap:
        arguments = jax.tree.map(lambda x: jnp.stack([x, 2 * x + 1]), arguments)
    ours = jax.jit(wrap(norm_gradients(normalized)))(*arguments)
    expected = jax.jit(wrap(norm_gradients(normalized_plainly)))(*arguments)
    for each, reference in zip(ours, expected, strict=True):
        np.testing.assert_allclose(each, reference, rtol=1e-4, atol=1e-4)


def test_batch_norms_gradient_of_bfloat16_is_taken_in_float32():
    x, scale, bias = norm_arguments()
    x = x.astype(jnp.bfloat16)
    ours = jax.jit(norm_gradients(normalized))(x, scale, bias)
    expected = jax.jit(norm_gradients(normalized_plainly))(x.astype(jnp.float32), scale, bias)
    assert ours[0].dtype == jnp.bfloat16
    np.testing.assert_allclose(ours[0].astype(jnp.float32), expected[0], rtol=0.02, atol=0.02)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("check_vma", [True, False])
def test_batch_norms_gradient_under_shard_map(check_vma):
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = PartitionSpec("batch"), PartitionSpec(), PartitionSpec()

    def sharded(normalize):
        return jax.jit(
            jax.shard_map(
                norm_gradients(normalize, "batch"),
                mesh=mesh,
                in_specs=spec,
                out_specs=spec,
                check_vma=check_vma,
            )
        )

    arguments = norm_arguments()
    for each, reference in zip(
        sharded(normalized)(*arguments), sharded(normalized_plainly)(*arguments), strict=True
    ):
        np.testing.assert_allclose(each, reference, rtol=1e-4, atol=1e-4)


def test_batch_norms_gradient_over_devices_is_that_of_the_whole_batch():
    x, scale, bias = norm_arguments()
    whole = jax.jit(norm_gradients(normalized))(x, scale, bias)
    # vmap's axis stands for the devices.
    each = jax.vmap(norm_gradients(normalized, "batch"), (0, None, None), axis_name="batch")
    parts = jax.jit(each)(x[:, None], scale, bias)
    np.testing.assert_allclose(parts[0][:, 0], whole[0], rtol=1e-4, atol=1e-4)
    for part, reference in zip(parts[1:], whole[1:], strict=True):
        np.testing.assert_allclose(part.sum(0), reference, rtol=1e-4, atol=1e-4)


def test_frozen_batch_norm_never_moves_and_has_zero_gradient():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    module = layers.BatchNorm("frozen")
    variables = module.init(jax.random.key(1), x, False)
    variables["batch_stats"]["mean"] = jnp.full((3,), 0.5)

    def loss(params, x):
        out, updated = apply_norm(module, {**variables, "params": params}, x, True)
        return jnp.sum(out**2), (out, updated)

    (_, (out, updated)), gradients = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        variables["params"], x
    )
    np.testing.assert_allclose(out, (x - 0.5) / np.sqrt(1 + 1e-5), rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], variables["batch_stats"])
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradients[0]))
    assert np.all(np.isfinite(gradients[1])) and np.any(gradients[1])


def test_batch_norm_averages_over_the_device_axis():
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 2))
    module = layers.BatchNorm(axis_name="batch")
    variables = module.init(jax.random.key(1), x, False)
    whole, whole_stats = apply_norm(layers.BatchNorm(), variables, x, True)

    # `vmap` with a named axis stands for two devices with half of the batch each.
    halves, stats = jax.vmap(lambda x: apply_norm(module, variables, x, True), axis_name="batch")(
        x.reshape(2, 2, 3, 3, 2)
    )
    np.testing.assert_allclose(halves.reshape(x.shape), whole, atol=1e-5)
    jax.tree.map(
        lambda ours, one: np.testing.assert_allclose(ours, [one, one], atol=1e-6),
        stats,
        whole_stats,
    )

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.jit(
        jax.shard_map(
            lambda x: apply_norm(module, variables, x, True),
            mesh=mesh,
            in_specs=PartitionSpec("batch"),
            out_specs=(PartitionSpec("batch"), PartitionSpec()),
        )
    )
    np.testing.assert_allclose(sharded(x)[0], whole, atol=1e-5)
