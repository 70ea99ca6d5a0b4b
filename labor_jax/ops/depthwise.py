"""Depthwise convolution: every channel with a filter of its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax.ops import platforms
from labor_jax.ops.varying import vary_together

# Measured on CPUs: folding into more rows is no faster and takes longer to compile.
_ROW_FOLDS = 8


def depthwise_convolution(
    inputs: jax.Array, kernel: jax.Array, *, stride: int = 1, dilation: int = 1
) -> jax.Array:
    """Convolves every channel with its own k x k filter, padded as TensorFlow's "SAME".

    On CPUs it is `shifted_products`, elsewhere `lax.conv_general_dilated`.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [k, k, 1, C].
      stride: distance in input pixels between output pixels.
      dilation: distance in input pixels between the filter's taps.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), C] in the dtype of `inputs`.
    """
    return platforms.choose(
        inputs,
        kernel,
        cpu=shifted_products,
        default=grouped_convolution,
        stride=stride,
        dilation=dilation,
    )


def grouped_convolution(
    inputs: jax.Array, kernel: jax.Array, stride: int, dilation: int
) -> jax.Array:
    """`depthwise_convolution` as XLA's convolution with one group a channel."""
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


def shifted_products(inputs: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    """`depthwise_convolution` as a sum of k^2 shifted products.

    A CPU compiler fuses them into one loop.
    """
    return _depthwise_shifts(*vary_together(inputs, kernel), stride, dilation)


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME padding: output ceil(size / stride), the odd pixel after the image."""
    span = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


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

    # A plain reduction over pixels compiles to slow strided loops on CPUs. Instead, fold the rows
    # into a few by shifted products, which vectorise, and sum the rest by a product with ones.
    # Loop over the taps, because compiling k^2 copies of this takes longer than they would save.
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
