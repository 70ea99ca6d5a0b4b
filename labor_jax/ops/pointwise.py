"""1x1 convolutions."""

import jax

from labor_jax.ops import platforms


def pointwise_convolution(inputs: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Convolves with a 1x1 filter.

    At stride 1, and on CPUs at any, it is `matrix_product`, elsewhere XLA's convolution.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [1, 1, C, D].
      stride: distance in input pixels between output pixels.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), D] in the dtype of `inputs`.
    """
    if stride == 1:
        return matrix_product(inputs, kernel)
    # XLA of jax 0.11 for GPUs aborts when it fuses a product with the choice of every second pixel.
    return platforms.choose(
        inputs,
        kernel,
        cpu=strided_product,
        default=strided_convolution,
        stride=stride,
    )


def matrix_product(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """`pointwise_convolution` at stride 1 as a product, which is twice as fast on CPUs."""
    # A plain matrix: the filter's gradient of the 4-D product is up to 4 times slower.
    product = inputs.reshape(-1, inputs.shape[-1]) @ kernel[0, 0]
    return product.reshape(*inputs.shape[:-1], kernel.shape[-1])


def strided_product(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`pointwise_convolution` as a product with every `stride`-th pixel."""
    return matrix_product(inputs[:, ::stride, ::stride], kernel)


def strided_convolution(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`pointwise_convolution` as XLA's convolution."""
    return jax.lax.conv_general_dilated(
        inputs, kernel, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
