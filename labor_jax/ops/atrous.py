"""Convolutions of large dilation from many channels to few classes, as in DeepLab-v2's head."""

import functools

import jax
import jax.numpy as jnp

from labor_jax.ops import platforms
from labor_jax.ops.convolution import dilated_convolution
from labor_jax.ops.varying import vary_together


def atrous_convolution(inputs: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Convolves with a dilated k x k filter and pads so that the size stays.

    On CPUs it is `shifted_matrix_product`, elsewhere XLA's convolution.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [k, k, C, D], k odd.
      dilation: distance in pixels between the filter's taps.

    Returns:
      [B, H, W, D] in the dtype of `inputs`.
    """
    return platforms.choose(
        inputs,
        kernel,
        cpu=shifted_matrix_product,
        default=dilated_convolution,
        dilation=dilation,
    )


def shifted_matrix_product(inputs: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """`atrous_convolution` as one matrix product of the pixels with all taps, then shifted sums.

    With few output channels a convolution leaves most of a CPU idle; it takes 1.5 times as long.
    """
    return _product(*vary_together(inputs, kernel), dilation)


def _offsets(kernel_size: tuple[int, int], dilation: int) -> list[tuple[int, int]]:
    """(rows, columns) from an output pixel to the input pixel of each tap."""
    rows, columns = kernel_size
    return [
        ((row - rows // 2) * dilation, (column - columns // 2) * dilation)
        for row in range(rows)
        for column in range(columns)
    ]


def _shift(images: jax.Array, rows: int, columns: int) -> jax.Array:
    """The pixel that many rows and columns further on; 0 beyond the image."""
    pads = ((0, 0, 0), (-rows, rows, 0), (-columns, columns, 0), (0, 0, 0))
    return jax.lax.pad(images, jnp.zeros((), images.dtype), pads)


def _matrix(kernel: jax.Array) -> jax.Array:
    """The filter as [C, k k D]."""
    return jnp.moveaxis(kernel, 2, 0).reshape(kernel.shape[2], -1)


def _times(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _product(inputs, kernel, dilation):
    pixels = inputs.reshape(-1, inputs.shape[-1])
    products = _times(pixels, _matrix(kernel)).reshape(*inputs.shape[:-1], -1, kernel.shape[-1])
    # Without the barrier XLA computes a matrix product for each tap.
    products = jax.lax.optimization_barrier(products)
    offsets = _offsets(kernel.shape[:2], dilation)
    terms = [_shift(products[:, :, :, tap], *offset) for tap, offset in enumerate(offsets)]
    return sum(terms).astype(inputs.dtype)


def _forward(inputs, kernel, dilation):
    return _product(inputs, kernel, dilation), (inputs, kernel)


def _backward(dilation, residuals, cotangent):
    inputs, kernel = residuals
    shifted = jnp.stack(
        [
            _shift(cotangent, -rows, -columns)
            for rows, columns in _offsets(kernel.shape[:2], dilation)
        ],
        axis=3,
    )
    shifted = jax.lax.optimization_barrier(shifted.reshape(inputs[..., 0].size, -1))
    pixels = inputs.reshape(-1, inputs.shape[-1])
    inputs_gradient = _times(shifted, _matrix(kernel).T).reshape(inputs.shape)
    kernel_gradient = _times(pixels.T, shifted).reshape(-1, *kernel.shape[:2], kernel.shape[-1])
    kernel_gradient = jnp.moveaxis(kernel_gradient, 0, 2)
    return inputs_gradient.astype(inputs.dtype), kernel_gradient.astype(kernel.dtype)


_product.defvjp(_forward, _backward)
