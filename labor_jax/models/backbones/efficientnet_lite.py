"""EfficientNet-Lite0, Lite1 and Lite2 as dense feature extractors.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) for small devices: ReLU6 instead of swish and no
squeeze-and-excitation, which makes it a MobileNet-v2 of EfficientNet's shape.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.convolutions import DepthwiseConv, PointwiseConv, he_normal_fan_out
from labor_jax.models.dilation import stage_strides, valid_output_strides
from labor_jax.models.features import Features
from labor_jax.models.normalization import denormalize_images
from labor_jax.models.registry import register_backbone, require_one_of

# Each stage of Lite0: blocks, kernel size, stride, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_STEM_STRIDE = 2
_FIRST_MAP = 1  # the stage of the finest map that heads get, at stride 4
_MOMENTUM = 0.99
_EPSILON = 1e-3


class _Block(nn.Module):
    """Inverted residual: expand by 1x1, depthwise k x k, project by 1x1 without activation."""

    channels: int
    kernel_size: int
    stride: int
    dilation: int
    expansion: int
    norm: Any
    dtype: Any

    def _pointwise(self, name, features):
        return PointwiseConv(features, dtype=self.dtype, name=name)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = x
        if self.expansion != 1:
            y = self._pointwise("expand_conv", x.shape[-1] * self.expansion)(y)
            y = nn.relu6(self.norm(name="bn0")(y, train))
        y = DepthwiseConv(
            self.kernel_size, self.stride, self.dilation, self.dtype, name="depthwise_conv"
        )(y)
        y = nn.relu6(self.norm(name="bn1")(y, train))
        y = self._pointwise("project_conv", self.channels)(y)
        y = self.norm(name="bn2")(y, train)
        return x + y if x.shape == y.shape else y


def _scaled_channels(channels: int, multiplier: float) -> int:
    """Channels times the multiplier as a multiple of 8, never more than 10% below."""
    wanted = channels * multiplier
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * wanted else nearest + 8


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite without its classification layers, dilated to a chosen output stride.

    It takes images normalised as for every backbone and rescales them itself to (RGB - 127) / 128,
    on which the published weights were trained. Strided convolutions pad as TensorFlow's SAME,
    which these weights expect as well.

    Attributes:
      output_stride: 4, 8, 16 or 32 (native), stride of the last map; strides beyond it turn into
        dilation.
      batch_norm: "trained" or "frozen", see `BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      remat: whether the gradient computes each block's activations again instead of keeping them.
        It takes less memory and about a third more time.
      dtype: of the computation; parameters are float32.
      width_multiplier: channels of each stage over Lite0's, rounded to multiples of 8. The stem
        keeps its own.
      depth_multiplier: blocks of each stage over Lite0's, rounded up. The first and the last stage
        keep their one block.
    """

    output_stride: int = 8
    batch_norm: str = "trained"
    axis_name: str | None = None
    remat: bool = False
    dtype: Any = jnp.float32
    width_multiplier: float = 1.0
    depth_multiplier: float = 1.0

    def check(self) -> None:
        """Raises a ValueError for a field of `config.model` that is out of range."""
        # From stride 4 on, where the finest map is.
        valid = valid_output_strides([stage[2] for stage in STAGES], _STEM_STRIDE)[1:]
        require_one_of("output_stride", self.output_stride, valid)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Features:
        """Computes feature maps.

        Args:
          images: f32[B, H, W, 3], normalised.
          train: whether batch norm in mode "trained" uses and updates batch statistics.

        Returns:
          The maps "stage2" to "stage7" in `dtype`, [B, H / stride, W / stride, C] rounded up, of
          24, 40, 80, 112, 192 and 320 channels times `width_multiplier`. "stage2" has stride 4,
          "stage7" `output_stride`.
        """

        def norm(name):
            return BatchNorm(
                self.batch_norm,
                epsilon=_EPSILON,
                momentum=_MOMENTUM,
                axis_name=self.axis_name,
                dtype=self.dtype,
                name=name,
            )

        x = (denormalize_images(images) - 127.0) / 128.0
        x = nn.Conv(
            _STEM_CHANNELS,
            (3, 3),
            strides=_STEM_STRIDE,
            padding="SAME",
            use_bias=False,
            dtype=self.dtype,
            kernel_init=he_normal_fan_out,
            name="conv_stem",
        )(x.astype(self.dtype))
        x = nn.relu6(norm(name="bn0")(x, train))
        strides, dilations = stage_strides(
            [stage[2] for stage in STAGES], _STEM_STRIDE, self.output_stride
        )
        block = nn.remat(_Block, static_argnums=(2,)) if self.remat else _Block
        number = 0
        stages = []
        previous_dilation = 1
        for stage, (blocks, kernel_size, _, expansion, channels) in enumerate(STAGES):
            if stage not in (0, len(STAGES) - 1):
                blocks = math.ceil(blocks * self.depth_multiplier)
            for index in range(blocks):
                first = index == 0
                x = block(
                    channels=_scaled_channels(channels, self.width_multiplier),
                    kernel_size=kernel_size,
                    stride=strides[stage] if first else 1,
                    # The first depthwise filter reads features from before the removed stride.
                    dilation=previous_dilation if first else dilations[stage],
                    expansion=expansion,
                    norm=norm,
                    dtype=self.dtype,
                    name=f"blocks_{number}",
                )(x, train)
                number += 1
            previous_dilation = dilations[stage]
            stages.append(x)
        totals = (_STEM_STRIDE * np.cumprod(strides)).tolist()
        return Features.of_stages(stages[_FIRST_MAP:], totals[_FIRST_MAP:], first=_FIRST_MAP + 1)


@register_backbone("efficientnet_lite0")
class EfficientNetLite0(EfficientNetLite):
    """See `EfficientNetLite`; 3.4 million parameters."""


@register_backbone("efficientnet_lite1")
class EfficientNetLite1(EfficientNetLite):
    """See `EfficientNetLite`; more blocks than Lite0."""

    depth_multiplier: float = 1.1


@register_backbone("efficientnet_lite2")
class EfficientNetLite2(EfficientNetLite):
    """See `EfficientNetLite`; more blocks and channels than Lite0."""

    width_multiplier: float = 1.1
    depth_multiplier: float = 1.2
