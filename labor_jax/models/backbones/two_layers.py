"""Two convolutions, for tests and tiny images: compiles in a fraction of a second."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.convolutions import he_normal_fan_out
from labor_jax.models.dilation import stage_strides, valid_output_strides
from labor_jax.models.features import Features
from labor_jax.models.registry import register_backbone, require_at_least_one, require_one_of

_ENTRY_STRIDE = 2
_NATIVE_STRIDES = (1, 2)


@register_backbone("two_layers")
class TwoLayers(nn.Module):
    """A 3x3 convolution of stride 2 with batch norm, and a second one with a bias.

    The maps are "stage1" of stride 2 and "stage2" of `output_stride`, so every head and an
    auxiliary head find what they need.

    Attributes:
      width: channels of the first map; the second has as many.
      output_stride: 2 or 4, stride of the second map.
      batch_norm: "trained" or "frozen", see `BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      dtype: of the computation; parameters are float32.
    """

    width: int = 8
    output_stride: int = 4
    batch_norm: str = "trained"
    axis_name: str | None = None
    dtype: Any = jnp.float32

    def check(self) -> None:
        """Raises a ValueError for a field of `config.model` that is out of range."""
        require_at_least_one("width", self.width)
        valid = valid_output_strides(_NATIVE_STRIDES, _ENTRY_STRIDE)
        require_one_of("output_stride", self.output_stride, valid)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Features:
        """Computes two feature maps of f32[B, H, W, 3], normalised."""
        strides, _ = stage_strides(_NATIVE_STRIDES, _ENTRY_STRIDE, self.output_stride)

        def conv(name, stride, use_bias):
            return nn.Conv(
                self.width,
                (3, 3),
                strides=stride,
                padding=1,
                use_bias=use_bias,
                dtype=self.dtype,
                kernel_init=he_normal_fan_out,
                name=name,
            )

        first = conv("conv1", _ENTRY_STRIDE, False)(images.astype(self.dtype))
        norm = BatchNorm(self.batch_norm, axis_name=self.axis_name, dtype=self.dtype, name="bn1")
        first = nn.relu(norm(first, train))
        second = nn.relu(conv("conv2", strides[1], True)(first))
        return Features.of_stages((first, second), (_ENTRY_STRIDE, self.output_stride))
