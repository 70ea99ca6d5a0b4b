"""EfficientNet-Lite0 as a dense feature extractor.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) for devices: ReLU6 instead of swish, no
squeeze-and-excitation, so that it is a MobileNet-v2 of EfficientNet-B0's shape.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.features import Features, stage_strides, valid_output_strides
from labor_jax.models.layers import BatchNorm, DepthwiseConv, PointwiseConv, he_normal_fan_out
from labor_jax.models.normalization import denormalize_images

# Each stage: blocks, kernel size, stride, expansion, channels.
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
_LOW_STAGE = 1  # the last stage at stride 4


class _Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise k x k, project 1x1; linear at its end."""

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


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier, dilated to a chosen output stride.

    Takes images normalised like every backbone's and rescales them itself to (RGB - 127) / 128,
    which the published weights were trained on.

    Low-level features have stride 4 (24 channels), high-level ones `output_stride` (320
    channels). Strided convolutions pad as TensorFlow's SAME, as the published weights expect.

    Attributes:
      output_stride: 4, 8, 16 or 32 (native); strides beyond it turn into dilation.
      batch_norm: "trained" or "frozen", see `labor_jax.models.layers.BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      remat: whether the gradient computes each block's activations again instead of keeping them:
        less memory for about a third more time.
      dtype: of the computation; parameters are float32.
    """

    output_stride: int = 8
    batch_norm: str = "trained"
    axis_name: str | None = None
    remat: bool = False
    dtype: Any = jnp.float32

    @staticmethod
    def output_strides() -> tuple[int, ...]:
        """The valid values of `output_stride`."""
        # From stride 4 on, where the low-level features are.
        return valid_output_strides([stage[2] for stage in STAGES], _STEM_STRIDE)[1:]

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Features:
        """Computes features.

        Args:
          images: f32[B, H, W, 3], normalised by `normalize_images`.
          train: whether batch norm in mode "trained" uses and updates batch statistics.

        Returns:
          Features in `dtype`: low [B, H/4, W/4, 24], high
          [B, H/output_stride, W/output_stride, 320], middle of high's size with 192 channels, sizes
          rounded up.
        """

        def norm(name):
            return BatchNorm(
                self.batch_norm,
                epsilon=1e-3,
                momentum=0.99,
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
        for stage, (count, kernel_size, _, expansion, channels) in enumerate(STAGES):
            for index in range(count):
                first = index == 0
                x = block(
                    channels=channels,
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
        return Features(low=stages[_LOW_STAGE], high=stages[-1], middle=stages[-2])
