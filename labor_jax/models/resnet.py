"""Residual networks as dense feature extractors (He et al. 2016, arXiv 1512.03385)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.features import Features, stage_strides, valid_output_strides
from labor_jax.models.layers import BatchNorm, PointwiseConv, he_normal_fan_out
from labor_jax.models.normalization import denormalize_images
from labor_jax.models.pooling import max_pool
from labor_jax.models.winograd import flax_convolution_3x3

# name: (bottleneck blocks?, blocks in each of the four stages)
RESNETS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
}
STEMS = ("imagenet", "small")
VARIANTS = ("torchvision", "caffe")
_ENTRY_STRIDE = {"imagenet": 4, "small": 2}
_NATIVE_STRIDES = (1, 2, 2, 2)
# Of ImageNet's BGR in 0 to 255, as Caffe's weights expect.
_CAFFE_MEAN = (104.00698793, 116.66876762, 122.67891434)


class _Block(nn.Module):
    """A residual block; submodules carry torchvision's names.

    Attributes:
      width: channels of the 3x3 convolutions; the block returns 4 x width with `bottleneck`.
      stride: of the block.
      stride_first: whether a bottleneck's first 1x1 convolution has the stride (Caffe's) instead
        of its 3x3 (torchvision's, "v1.5").
      first_dilation: dilation of the first 3x3 convolution.
      dilation: dilation of a later 3x3 convolution in the block.
    """

    width: int
    bottleneck: bool
    stride: int
    stride_first: bool
    first_dilation: int
    dilation: int
    norm: Any
    dtype: Any

    def _conv(self, name, features, kernel, stride=1, dilation=1):
        if kernel == 1:
            return PointwiseConv(features, stride, dtype=self.dtype, name=name)
        return nn.Conv(
            features,
            (kernel, kernel),
            strides=stride,
            padding=dilation * (kernel // 2),
            kernel_dilation=dilation,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=he_normal_fan_out,
            conv_general_dilated=flax_convolution_3x3 if stride == 1 else None,
            name=name,
        )

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        channels = self.width * (4 if self.bottleneck else 1)
        residual = x
        if self.stride != 1 or x.shape[-1] != channels:
            residual = self._conv("downsample_conv", channels, 1, self.stride)(x)
            residual = self.norm(name="downsample_bn")(residual, train)
        if self.bottleneck:
            strides = (self.stride, 1) if self.stride_first else (1, self.stride)
            y = self._conv("conv1", self.width, 1, strides[0])(x)
            y = nn.relu(self.norm(name="bn1")(y, train))
            y = self._conv("conv2", self.width, 3, strides[1], self.first_dilation)(y)
            y = nn.relu(self.norm(name="bn2")(y, train))
            y = self._conv("conv3", channels, 1)(y)
            y = self.norm(name="bn3")(y, train)
        else:
            y = self._conv("conv1", channels, 3, self.stride, self.first_dilation)(x)
            y = nn.relu(self.norm(name="bn1")(y, train))
            y = self._conv("conv2", channels, 3, 1, self.dilation)(y)
            y = self.norm(name="bn2")(y, train)
        return nn.relu(residual + y)


class ResNet(nn.Module):
    """ResNet-18/34/50/101 in torchvision's layout, dilated to a chosen output stride.

    Strides of the features, relative to the image (rounded up):

    | stem       | conv1           | low (stage 1) | native stages 2, 3, 4 | output_stride  |
    |------------|-----------------|---------------|-----------------------|----------------|
    | "imagenet" | 7x7/2 + pool /2 | 4             | 8, 16, 32             | 4, 8, 16 or 32 |
    | "small"    | 3x3/2           | 2             | 4, 8, 16              | 2, 4, 8 or 16  |

    A stage that would go beyond `output_stride` keeps its resolution and dilates its 3x3
    convolutions instead (DeepLab, arXiv 1606.00915, section 3.1), so that it computes the native
    network's features on a denser grid.

    Variants hold the same variables and differ in what they compute. "caffe" is the network of
    AdaptSegNet's and ADVENT's published weights:

    |                             | "torchvision"               | "caffe"               |
    |-----------------------------|-----------------------------|-----------------------|
    | input                       | normalised RGB              | BGR 0-255 less a mean |
    | a bottleneck's stride       | in its 3x3                  | in its first 1x1      |
    | pooling of an even size n   | n / 2                       | n / 2 + 1             |
    | a dilated stage's first 3x3 | dilated as the stage before | dilated as the others |

    Attributes:
      layout: one of `RESNETS`.
      width: channels of stage 1's 3x3 convolutions; 64 is the published network.
      stem: "imagenet" as published, or "small" for images of some hundred pixels or fewer.
      variant: one of `VARIANTS`; both take images normalised like every backbone's, "caffe"
        rescales them itself.
      output_stride: stride of the high-level features.
      batch_norm: "trained" or "frozen", see `labor_jax.models.layers.BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      remat: whether the gradient computes each block's activations again instead of keeping them:
        less memory for about a third more time.
      dtype: of the computation; parameters are float32.
    """

    layout: str = "resnet101"
    width: int = 64
    stem: str = "imagenet"
    variant: str = "torchvision"
    output_stride: int = 8
    batch_norm: str = "trained"
    axis_name: str | None = None
    remat: bool = False
    dtype: Any = jnp.float32

    @staticmethod
    def output_strides(stem: str) -> tuple[int, ...]:
        """The valid values of `output_stride` for a stem."""
        return valid_output_strides(_NATIVE_STRIDES, _ENTRY_STRIDE[stem])

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Features:
        """Computes features.

        Args:
          images: f32[B, H, W, 3], normalised.
          train: whether batch norm in mode "trained" uses and updates batch statistics.

        Returns:
          Features in `dtype`: low [B, H/4, W/4, C1] (H/2 with the small stem), high
          [B, H/output_stride, W/output_stride, C2], middle of C2 / 2 channels at the third stage's
          stride; (C1, C2) is width x (1, 8) for basic and width x (4, 32) for bottleneck blocks;
          sizes are rounded up. Variant "caffe" has a row and a column more where its pooling or a
          later stage rounds up.
        """
        bottleneck, blocks = RESNETS[self.layout]
        caffe = self.variant == "caffe"
        if caffe:
            images = denormalize_images(images)[..., ::-1] - jnp.asarray(_CAFFE_MEAN)

        def norm(name):
            return BatchNorm(self.batch_norm, axis_name=self.axis_name, dtype=self.dtype, name=name)

        kernel = 7 if self.stem == "imagenet" else 3
        x = nn.Conv(
            self.width,
            (kernel, kernel),
            strides=2,
            padding=kernel // 2,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=he_normal_fan_out,
            name="conv1",
        )(images.astype(self.dtype))
        x = nn.relu(norm(name="bn1")(x, train))
        if self.stem == "imagenet":
            # A second pixel behind the image makes PyTorch's ceil_mode.
            border = (1, 2) if caffe else (1, 1)
            x = max_pool(x, border)

        strides, dilations = stage_strides(
            _NATIVE_STRIDES, _ENTRY_STRIDE[self.stem], self.output_stride
        )
        block = nn.remat(_Block, static_argnums=(2,)) if self.remat else _Block
        stages = []
        previous_dilation = 1
        for stage, (count, stride, dilation) in enumerate(
            zip(blocks, strides, dilations, strict=True)
        ):
            # The first 3x3 reads features from before the (possibly removed) stride, so it keeps
            # the dilation of the stage before; Caffe's networks overlook that.
            first_dilation = dilation if caffe else previous_dilation
            for index in range(count):
                x = block(
                    width=self.width * 2**stage,
                    bottleneck=bottleneck,
                    stride=stride if index == 0 else 1,
                    stride_first=caffe,
                    first_dilation=first_dilation if index == 0 else dilation,
                    dilation=dilation,
                    norm=norm,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{index}",
                )(x, train)
            previous_dilation = dilation
            stages.append(x)
        return Features(low=stages[0], high=stages[-1], middle=stages[-2])
