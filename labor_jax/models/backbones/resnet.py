"""Residual networks as dense feature extractors (He et al. 2016, arXiv 1512.03385)."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.convolutions import (
    PointwiseConv,
    conv_general_dilated_3x3,
    he_normal_fan_out,
)
from labor_jax.models.dilation import stage_strides, valid_output_strides
from labor_jax.models.features import Features
from labor_jax.models.normalization import denormalize_images
from labor_jax.models.registry import register_backbone, require_at_least_one, require_one_of
from labor_jax.ops import max_pool

# layout: (bottleneck blocks?, blocks in each of the four stages)
LAYOUTS = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
}
STEMS = ("imagenet", "small")
VARIANTS = ("torchvision", "caffe")
_ENTRY_STRIDE = {"imagenet": 4, "small": 2}
_NATIVE_STRIDES = (1, 2, 2, 2)
# Of BGR in 0 to 255 over ImageNet, as Caffe's weights expect.
_CAFFE_MEAN = (104.00698793, 116.66876762, 122.67891434)


class _Block(nn.Module):
    """A residual block; submodules have torchvision's names.

    Attributes:
      width: channels of the 3x3 convolutions; with `bottleneck` the block returns 4 x width.
      bottleneck: 1x1, 3x3 and 1x1 convolutions instead of two of 3x3.
      stride: of the block.
      stride_first: whether a bottleneck strides in its first 1x1 convolution (Caffe's) instead of
        its 3x3 (torchvision's, "v1.5").
      first_dilation: dilation of the first 3x3 convolution.
      dilation: dilation of a later 3x3 convolution in the block.
      norm: makes a batch norm of a name.
      dtype: of the computation.
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
            conv_general_dilated=conv_general_dilated_3x3 if stride == 1 else None,
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

    | stem       | conv1           | stage 1 | native stages 2, 3, 4 | output_stride  |
    |------------|-----------------|---------|-----------------------|----------------|
    | "imagenet" | 7x7/2 + pool /2 | 4       | 8, 16, 32             | 4, 8, 16 or 32 |
    | "small"    | 3x3/2           | 2       | 4, 8, 16              | 2, 4, 8 or 16  |

    A stage that would go beyond `output_stride` keeps its resolution and dilates its 3x3
    convolutions instead (DeepLab, arXiv 1606.00915, section 3.1). It then computes the native
    network's features on a denser grid.

    Both variants have the same variables and compute different functions. "caffe" is the network
    of AdaptSegNet's and ADVENT's published weights:

    |                             | "torchvision"               | "caffe"               |
    |-----------------------------|-----------------------------|-----------------------|
    | input                       | normalised RGB              | BGR 0-255 less a mean |
    | a bottleneck's stride       | in its 3x3                  | in its first 1x1      |
    | pooling of an even size n   | n / 2                       | n / 2 + 1             |
    | a dilated stage's first 3x3 | dilated as the stage before | dilated as the others |

    Attributes:
      layout: one of `LAYOUTS`.
      width: channels of stage 1's 3x3 convolutions; 64 is the published network.
      stem: "imagenet" as published, or "small" for images of some hundred pixels or fewer.
      variant: one of `VARIANTS`. Both take images normalised as for every backbone; "caffe"
        rescales them itself.
      output_stride: stride of the last map.
      batch_norm: "trained" or "frozen", see `BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      remat: whether the gradient computes each block's activations again instead of keeping them.
        It takes less memory and about a third more time.
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

    def check(self) -> None:
        """Raises a ValueError for a field of `config.model` that is out of range."""
        require_one_of("stem", self.stem, STEMS)
        require_one_of("variant", self.variant, VARIANTS)
        valid = valid_output_strides(_NATIVE_STRIDES, _ENTRY_STRIDE[self.stem])
        require_one_of("output_stride", self.output_stride, valid)
        require_at_least_one("width", self.width)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Features:
        """Computes feature maps.

        Args:
          images: f32[B, H, W, 3], normalised.
          train: whether batch norm in mode "trained" uses and updates batch statistics.

        Returns:
          The maps "stage1" to "stage4" in `dtype`, [B, H / stride, W / stride, C] rounded up, of
          width x (1, 2, 4, 8) channels with basic and width x (4, 8, 16, 32) with bottleneck
          blocks. Variant "caffe" has a row and a column more where its pooling or a later stage
          rounds up.
        """
        bottleneck, blocks = LAYOUTS[self.layout]
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
            # A second pixel of padding after the image gives PyTorch's ceil_mode.
            border = (1, 2) if caffe else (1, 1)
            x = max_pool(x, border)

        entry_stride = _ENTRY_STRIDE[self.stem]
        strides, dilations = stage_strides(_NATIVE_STRIDES, entry_stride, self.output_stride)
        block = nn.remat(_Block, static_argnums=(2,)) if self.remat else _Block
        stages = []
        previous_dilation = 1
        for stage, (count, stride, dilation) in enumerate(
            zip(blocks, strides, dilations, strict=True)
        ):
            # The first 3x3 reads features from before the (perhaps removed) stride, so it keeps the
            # dilation of the stage before. Caffe's networks do not.
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
        totals = entry_stride * np.cumprod(strides)
        return Features.of_stages(stages, totals.tolist())


for _layout in LAYOUTS:
    register_backbone(_layout)(functools.partial(ResNet, layout=_layout))
