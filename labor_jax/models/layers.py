"""Layers the backbones and heads share: batch norm, depthwise convolution, bilinear resizing."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

BATCH_NORM_MODES = ("trained", "frozen")

# Measured on CPUs: from 5 on the folding no longer shows in the time, more only compile longer.
_ROW_FOLDS = 8

# He et al. 2015 (arXiv 1502.01852, section 2.2); fan-out is torchvision's choice for ResNets.
he_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
he_normal_fan_in = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, computed in float32.

    In mode "trained" a call with `train=True` normalises by the batch's own mean and variance and
    moves the running ones towards them; with `train=False` it uses the running ones. In mode
    "frozen" the running statistics are always used and never move, and scale and bias receive a
    gradient of exactly zero (`stop_gradient`). They stay in "params", so that the two modes share
    one layout of variables; weight decay has to be masked for them, see
    `labor_jax.models.trainable_mask`.

    Attributes:
      mode: "trained" or "frozen".
      epsilon: added to the variance.
      momentum: share of the old running statistic that a training call keeps.
      axis_name: the device axis over which batch statistics are averaged, or None for one device.
      dtype: dtype of the result.
    """

    mode: str = "trained"
    epsilon: float = 1e-5
    momentum: float = 0.9
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        """Normalises `inputs`, floating [..., C], to `dtype` of the same shape."""
        channels = inputs.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        if self.mode == "frozen":
            scale, bias = jax.lax.stop_gradient((scale, bias))
        if self.mode == "frozen" or not train:
            multiplier = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            centred = inputs.astype(jnp.float32) - running_mean.value
            return (centred * multiplier + bias).astype(self.dtype)
        axis_name = None if self.is_initializing() else self.axis_name
        inputs, affine = vary_together(inputs, jnp.stack([scale, bias]))
        outputs, mean, var = _normalize_by_batch(
            inputs, affine, running_mean.value, self.epsilon, axis_name
        )
        if not self.is_initializing():
            keep = self.momentum
            running_mean.value = keep * running_mean.value + (1 - keep) * mean
            running_var.value = keep * running_var.value + (1 - keep) * var
        return outputs.astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalize_by_batch(inputs, affine, shift, epsilon, axis_name):
    """Normalises by the batch's statistics.

    A rule of its own for the gradient, as autodiff goes over the images once more for each of the
    moments: of a layer on a CPU it leaves two thirds of the time.

    Args:
      inputs: floating [..., C].
      affine: f32[2, C], scale and bias.
      shift: f32[C], the moments are taken around it; no gradient.
      epsilon: added to the variance.
      axis_name: the device axis of the statistics, or None.

    Returns:
      f32[..., C], and mean and variance, f32[C], through which no gradient is handed back.
    """
    return _normalize_forward(inputs, affine, shift, epsilon, axis_name)[0]


def _mean_over_devices(values, axis_name):
    return values if axis_name is None else jax.lax.pmean(values, axis_name)


def _normalize_forward(inputs, affine, shift, epsilon, axis_name):
    axes = tuple(range(inputs.ndim - 1))
    x = inputs.astype(jnp.float32)
    # One pass and one reduction over devices for both moments; centred at the running mean, so
    # that E[x^2] - E[x]^2 does not cancel once that has come near the batch's.
    centred = x - shift
    moments = jnp.stack([jnp.mean(centred, axes), jnp.mean(jnp.square(centred), axes)])
    moments = _mean_over_devices(moments, axis_name)
    var = jnp.maximum(moments[1] - jnp.square(moments[0]), 0.0)
    mean = moments[0] + shift
    inverse_deviation = jax.lax.rsqrt(var + epsilon)
    outputs = (x - mean) * (affine[0] * inverse_deviation) + affine[1]
    return (outputs, mean, var), (inputs, affine, mean, inverse_deviation)


def _normalize_backward(epsilon, axis_name, residuals, cotangents):
    inputs, affine, mean, inverse_deviation = residuals
    cotangent = cotangents[0]
    axes = tuple(range(inputs.ndim - 1))
    centred = inputs.astype(jnp.float32) - mean
    affine_gradient = jnp.stack(
        [jnp.sum(cotangent * centred, axes) * inverse_deviation, jnp.sum(cotangent, axes)]
    )
    # The part of the gradient along the normalised input and along ones does not come through.
    pixels = math.prod(inputs.shape[:-1])
    along_input, along_ones = _mean_over_devices(affine_gradient / pixels, axis_name)
    inputs_gradient = (affine[0] * inverse_deviation) * (
        cotangent - along_ones - centred * (along_input * inverse_deviation)
    )
    return inputs_gradient.astype(inputs.dtype), affine_gradient, jnp.zeros_like(mean)


_normalize_by_batch.defvjp(_normalize_forward, _normalize_backward)


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME padding: output ceil(size / stride), the odd pixel after the image."""
    span = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def choose_implementation(
    implementation: str, on_cpu: str, otherwise: str, *, pays: bool = True
) -> str:
    """Which of a layer's two implementations is taken.

    Args:
      implementation: one of the two, or "auto".
      on_cpu: the one that "auto" is where the default backend is the CPU when the call is traced.
      otherwise: the one that it is elsewhere.
      pays: whether "auto" may be `on_cpu` for these arrays.

    Raises:
      ValueError: for an unknown implementation.
    """
    if implementation == "auto":
        return on_cpu if pays and jax.default_backend() == "cpu" else otherwise
    if implementation not in (on_cpu, otherwise):
        raise ValueError(
            f"implementation is {implementation!r}; valid: 'auto', {on_cpu!r}, {otherwise!r}."
        )
    return implementation


def depthwise_convolution(
    inputs: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    implementation: str = "auto",
) -> jax.Array:
    """Convolves every channel with its own k x k filter, TensorFlow-"SAME" padded.

    The two implementations give the same values and gradients. "shifts" writes the convolution as
    a sum of k^2 shifted products, which a CPU compiler fuses into one loop; "convolution" is
    `lax.conv_general_dilated`, which accelerators run best.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [k, k, 1, C].
      stride: output pixels lie this many input pixels apart.
      dilation: filter taps lie this many input pixels apart.
      implementation: "shifts", "convolution", or "auto": "shifts" where the default backend is
        the CPU when the call is traced.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), C] in the dtype of `inputs`.

    Raises:
      ValueError: for an unknown implementation.
    """
    if choose_implementation(implementation, "shifts", "convolution") == "shifts":
        return _depthwise_shifts(*vary_together(inputs, kernel), stride, dilation)
    padding = [
        _same_padding(size, taps, stride, dilation)
        for size, taps in zip(inputs.shape[1:3], kernel.shape[:2], strict=True)
    ]
    return jax.lax.conv_general_dilated(
        inputs,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=inputs.shape[-1],
    )


def dilated_convolution(inputs: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """XLA's convolution at stride 1, padded so that the size stays.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [k, l, C, D], k and l odd.
      dilation: filter taps lie this many pixels apart.

    Returns:
      [B, H, W, D] in the dtype of `inputs`.
    """
    return jax.lax.conv_general_dilated(
        inputs,
        kernel,
        window_strides=(1, 1),
        padding=[(dilation * (taps // 2),) * 2 for taps in kernel.shape[:2]],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def vary_together(inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gives both arrays the device axes that either varies over inside `shard_map`.

    A custom gradient rule must return gradients of its arguments' own types; a filter that is the
    same on all devices has to be cast to vary like the images, and the cast's transpose sums its
    gradient over devices. The explicit casts have other names in every version of JAX, so this is
    a choice by a condition that depends on both arrays and never holds; the compiler drops it.
    """
    never = (inputs.ravel()[0] > kernel.ravel()[0]) & False
    return jnp.where(never, 0, inputs), jnp.where(never, 0, kernel)


def _shifted_views(
    padded: jax.Array, kernel_size: tuple[int, int], out_size: tuple[int, int], stride, dilation
):
    """Yields (row tap, column tap, the pixels of `padded` which that tap multiplies)."""
    batch, _, _, channels = padded.shape
    for row in range(kernel_size[0]):
        for column in range(kernel_size[1]):
            top, left = row * dilation, column * dilation
            view = jax.lax.slice(
                padded,
                (0, top, left, 0),
                (
                    batch,
                    top + (out_size[0] - 1) * stride + 1,
                    left + (out_size[1] - 1) * stride + 1,
                    channels,
                ),
                (1, stride, stride, 1),
            )
            yield row, column, view


def _sum_of_products(padded, kernel, out_size, stride, dilation):
    total = None
    for row, column, view in _shifted_views(padded, kernel.shape[:2], out_size, stride, dilation):
        term = view.astype(jnp.float32) * kernel[row, column, 0].astype(jnp.float32)
        total = term if total is None else total + term
    return total


def _pad_same(inputs, kernel_size, stride, dilation):
    rows, columns = (
        _same_padding(size, taps, stride, dilation)
        for size, taps in zip(inputs.shape[1:3], kernel_size, strict=True)
    )
    padded = jnp.pad(inputs, ((0, 0), rows, columns, (0, 0)))
    return jax.lax.optimization_barrier(padded), (rows, columns)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise_shifts(inputs, kernel, stride, dilation):
    padded, _ = _pad_same(inputs, kernel.shape[:2], stride, dilation)
    out_size = tuple(-(-size // stride) for size in inputs.shape[1:3])
    return _sum_of_products(padded, kernel, out_size, stride, dilation).astype(inputs.dtype)


def _depthwise_shifts_forward(inputs, kernel, stride, dilation):
    return _depthwise_shifts(inputs, kernel, stride, dilation), (inputs, kernel)


def _depthwise_shifts_backward(stride, dilation, residuals, cotangent):
    inputs, kernel = residuals
    height, width = inputs.shape[1:3]
    padded, pads = _pad_same(inputs, kernel.shape[:2], stride, dilation)
    out_size = cotangent.shape[1:3]

    # A plain reduction over pixels compiles to slow strided loops on the CPU. Instead fold the rows
    # into a few by shifted products, which vectorise, and let a product with ones sum the rest.
    # A loop over the taps, because compiling k^2 copies of this takes longer than it saves.
    batch, _, _, channels = inputs.shape
    folds = min(_ROW_FOLDS, out_size[0])
    rows = -(-out_size[0] // folds)
    missing = rows * folds - out_size[0]
    cotangent = jax.lax.optimization_barrier(cotangent)
    tall_cotangent = jnp.pad(cotangent, ((0, 0), (0, missing), (0, 0), (0, 0)))
    tall_padded = jnp.pad(padded, ((0, 0), (0, missing * stride), (0, 0), (0, 0)))
    window = [(out - 1) * stride + 1 for out in (rows * folds, out_size[1])]
    ones = jnp.ones(batch * rows * out_size[1], jnp.float32)

    def gradient_of_tap(tap):
        view = jax.lax.dynamic_slice(
            tall_padded,
            (0, tap[0] * dilation, tap[1] * dilation, 0),
            (batch, *window, channels),
        )[:, ::stride, ::stride]
        folded = sum(
            view[:, top : top + rows].astype(jnp.float32)
            * tall_cotangent[:, top : top + rows].astype(jnp.float32)
            for top in range(0, rows * folds, rows)
        )
        return jnp.matmul(ones, folded.reshape(-1, channels), precision=jax.lax.Precision.HIGHEST)

    positions = np.stack(np.meshgrid(*map(np.arange, kernel.shape[:2]), indexing="ij"), -1)
    kernel_gradient = jax.lax.map(gradient_of_tap, jnp.asarray(positions.reshape(-1, 2)))
    kernel_gradient = kernel_gradient.reshape(kernel.shape)

    # The transposed convolution, again as shifted products: spread the cotangent over the input
    # grid (zeros between strides), pad it so that every input pixel sees all its taps, and
    # correlate with the flipped filter.
    config = [(0, 0, 0)]
    for size, out, taps, (before, _) in zip(
        (height, width), out_size, kernel.shape[:2], pads, strict=True
    ):
        spread = (out - 1) * stride + 1
        low = (taps - 1) * dilation - before
        config.append((low, size + (taps - 1) * dilation - spread - low, stride - 1))
    config.append((0, 0, 0))
    spread = jax.lax.pad(cotangent, jnp.zeros((), cotangent.dtype), config)
    flipped = kernel[::-1, ::-1]
    input_gradient = _sum_of_products(spread, flipped, (height, width), 1, dilation)
    return input_gradient.astype(inputs.dtype), kernel_gradient.astype(kernel.dtype)


_depthwise_shifts.defvjp(_depthwise_shifts_forward, _depthwise_shifts_backward)


class PointwiseConv(nn.Module):
    """1x1 convolution without bias, written as a matrix product: twice as fast on CPUs.

    Attributes:
      features: output channels.
      stride: output pixels lie this many input pixels apart.
      dtype: dtype of the computation; the filter is kept in float32.
      kernel_init: initialiser of the filter [1, 1, C, features].
    """

    features: int
    stride: int = 1
    dtype: Any = jnp.float32
    kernel_init: Any = he_normal_fan_out

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps `inputs` [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), features]."""
        shape = (1, 1, inputs.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        x = inputs[:, :: self.stride, :: self.stride].astype(self.dtype)
        # As a plain matrix: the filter's gradient of the 4-D product is up to 4 times slower.
        product = x.reshape(-1, x.shape[-1]) @ kernel[0, 0].astype(self.dtype)
        return product.reshape(*x.shape[:-1], self.features)


class DepthwiseConv(nn.Module):
    """Depthwise convolution without bias, [B, H, W, C] to [B, ceil(H/s), ceil(W/s), C].

    Attributes:
      kernel_size: k of the k x k filters.
      stride: see `depthwise_convolution`.
      dilation: see `depthwise_convolution`.
      dtype: dtype of the computation; the filter is kept in float32.
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Convolves `inputs` [B, H, W, C]; see `depthwise_convolution`."""
        shape = (self.kernel_size, self.kernel_size, 1, inputs.shape[-1])
        # The fan of a depthwise filter is its own k^2 taps: [k, k, 1, C] makes that the fan-in.
        kernel = self.param("kernel", he_normal_fan_in, shape, jnp.float32)
        return depthwise_convolution(
            inputs.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            dilation=self.dilation,
        )


class Taps(NamedTuple):
    """How each output position along an axis mixes two input positions.

    Attributes:
      lower: int[n], the first input position.
      upper: int[n], the second.
      weight: f32[n], the share of the second.
    """

    lower: np.ndarray | jax.Array
    upper: np.ndarray | jax.Array
    weight: np.ndarray | jax.Array


def taps_align_corners(in_size: int, out_size: int) -> Taps:
    """Returns the `Taps` of bilinear resizing from `in_size` to `out_size`, aligned corners."""
    position = np.linspace(0.0, in_size - 1.0, out_size) if out_size > 1 else np.zeros(1)
    low = np.minimum(np.floor(position).astype(np.int64), max(in_size - 2, 0))
    return Taps(low, np.minimum(low + 1, in_size - 1), (position - low).astype(np.float32))


def interpolate(x: jax.Array, rows: Taps, columns: Taps) -> jax.Array:
    """Interpolates rows and columns of f32[..., h, w, C]; returns f32[..., H, W, C]."""
    x = _interpolate_rows(x, rows)
    return jnp.swapaxes(_interpolate_rows(jnp.swapaxes(x, -3, -2), columns), -3, -2)


def _interpolate_rows(x: jax.Array, taps: Taps) -> jax.Array:
    """Interpolates axis -3."""
    lower, upper = jnp.take(x, taps.lower, axis=-3), jnp.take(x, taps.upper, axis=-3)
    return lower + (upper - lower) * taps.weight[:, None, None]


def _interpolation_matrix(in_size: int, out_size: int) -> np.ndarray:
    """`taps_align_corners` as a matrix [out_size, in_size]."""
    low, high, weight = taps_align_corners(in_size, out_size)
    matrix = np.zeros((out_size, in_size), np.float32)
    rows = np.arange(out_size)
    matrix[rows, low] += 1.0 - weight
    matrix[rows, high] += weight
    return matrix


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _resize(x, size):
    height, width = x.shape[-3:-1]
    return interpolate(x, taps_align_corners(height, size[0]), taps_align_corners(width, size[1]))


def _resize_forward(x, size):
    return _resize(x, size), x.shape


def _resize_backward(size, shape, cotangent):
    # The transpose of a gather is a scatter, which is slow everywhere; two products are not.
    highest = jax.lax.Precision.HIGHEST
    rows = _interpolation_matrix(shape[-3], size[0])
    columns = _interpolation_matrix(shape[-2], size[1])
    x = jnp.einsum("Ww,...hWc->...hwc", columns, cotangent, precision=highest)
    return (jnp.einsum("Hh,...Hwc->...hwc", rows, x, precision=highest),)


_resize.defvjp(_resize_forward, _resize_backward)


def resize_bilinear_align_corners(inputs: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Bilinear resizing whose corner pixels coincide with the input's.

    Output row i reads input position i (h - 1) / (H - 1), as the `align_corners=True` of DeepLab
    and its descendants; `jax.image.resize` has no such mode.

    Args:
      inputs: floating [..., h, w, C].
      size: (H, W), both positive.

    Returns:
      f32[..., H, W, C].

    Raises:
      ValueError: when a size is not positive.
    """
    if min(size) < 1:
        raise ValueError(f"size is {tuple(size)}; both height and width must be at least 1.")
    x = inputs.astype(jnp.float32)
    return x if x.shape[-3:-1] == tuple(size) else _resize(x, tuple(size))
