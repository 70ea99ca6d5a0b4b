"""Convolutions that backbones and heads share, and their initialisers."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.ops import (
    atrous_convolution,
    convolution_3x3,
    depthwise_convolution,
    pointwise_convolution,
)

# He et al. 2015 (arXiv 1502.01852, section 2.2); fan-out is torchvision's choice for ResNets.
he_normal_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
he_normal_fan_in = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def conv_general_dilated_3x3(inputs, kernel, strides, padding, *, rhs_dilation, **_):
    """`ops.convolution_3x3` with the signature that `nn.Conv` calls; the stride must be 1."""
    return convolution_3x3(inputs, kernel, rhs_dilation[0])


def conv_general_dilated_atrous(inputs, kernel, strides, padding, *, rhs_dilation, **_):
    """`ops.atrous_convolution` with the signature that `nn.Conv` calls; the stride must be 1."""
    return atrous_convolution(inputs, kernel, rhs_dilation[0])


class PointwiseConv(nn.Module):
    """1x1 convolution without bias.

    Attributes:
      features: output channels.
      stride: distance in input pixels between output pixels.
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
        return pointwise_convolution(
            inputs.astype(self.dtype), kernel.astype(self.dtype), self.stride
        )


class DepthwiseConv(nn.Module):
    """Depthwise convolution without bias, [B, H, W, C] to [B, ceil(H/s), ceil(W/s), C].

    Attributes:
      kernel_size: k of the k x k filters.
      stride: see `ops.depthwise_convolution`.
      dilation: see `ops.depthwise_convolution`.
      dtype: dtype of the computation; the filter is kept in float32.
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Convolves `inputs` [B, H, W, C]; see `ops.depthwise_convolution`."""
        shape = (self.kernel_size, self.kernel_size, 1, inputs.shape[-1])
        # A depthwise filter's fan is its own k^2 taps: the fan-in of the shape [k, k, 1, C].
        kernel = self.param("kernel", he_normal_fan_in, shape, jnp.float32)
        return depthwise_convolution(
            inputs.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            dilation=self.dilation,
        )
