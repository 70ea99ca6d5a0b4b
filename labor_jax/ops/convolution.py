"""XLA's dilated convolution, which accelerators use."""

import jax


def dilated_convolution(inputs: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Convolves at stride 1 and pads with zeros so that the size stays.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [k, l, C, D], k and l odd.
      dilation: distance in pixels between the filter's taps.

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
