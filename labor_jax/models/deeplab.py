"""DeepLab heads: from a backbone's features to logits at feature resolution."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.atrous import atrous_convolution
from labor_jax.models.features import Features
from labor_jax.models.layers import (
    BatchNorm,
    DepthwiseConv,
    PointwiseConv,
    he_normal_fan_in,
    interpolate,
    resize_bilinear_align_corners,
)
from labor_jax.models.winograd import flax_convolution_3x3

HEADS = ("deeplab_v2", "deeplab_v3plus")


def _convolve(inputs, kernel, strides, padding, *, rhs_dilation, **_):
    """`atrous_convolution` as `nn.Conv` calls it; strides and padding are those."""
    return atrous_convolution(inputs, kernel, rhs_dilation[0])


class DeepLabV2(nn.Module):
    """Atrous spatial pyramid pooling of DeepLab-v2 (Chen et al. 2017, arXiv 1606.00915).

    The sum of one 3x3 convolution with bias for each rate, weights from Normal(0, 0.01).

    Attributes:
      num_classes: C.
      rates: the dilations.
      first_two_only: sum only the first two rates, as AdaptSegNet's published head does: it
        returns inside its loop, and its released weights were trained so. The other branches'
        parameters exist, so that weights fit, but have no part in the logits.
      dropout: share of feature channels dropped in training, none in the published head.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    rates: tuple[int, ...] = (6, 12, 18, 24)
    first_two_only: bool = False
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Classifies the high-level features.

        Args:
          features: `Features`; only `high` [B, h, w, D] is used.
          train: whether dropout is active; it takes the "dropout" random key.

        Returns:
          f32[B, h, w, num_classes] logits at the resolution of `features.high`.
        """
        x = features.high.astype(self.dtype)
        x = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(x)
        branches = [
            nn.Conv(
                self.num_classes,
                (3, 3),
                padding=rate,
                kernel_dilation=rate,
                dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.01),
                conv_general_dilated=_convolve,
                name=f"rate{rate}",
            )(x).astype(jnp.float32)
            for rate in self.rates
        ]
        return sum(branches[:2] if self.first_two_only else branches)


class _ConvNormReLU(nn.Module):
    channels: int
    kernel_size: int
    norm: Any
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if self.kernel_size == 1:
            conv = PointwiseConv(
                self.channels, dtype=self.dtype, kernel_init=he_normal_fan_in, name="conv"
            )
        else:
            conv = nn.Conv(
                self.channels,
                (self.kernel_size, self.kernel_size),
                padding=self.kernel_size // 2,
                use_bias=False,
                dtype=self.dtype,
                kernel_init=he_normal_fan_in,
                conv_general_dilated=flax_convolution_3x3,
                name="conv",
            )
        x = conv(x)
        return nn.relu(self.norm(name="bn")(x, train))


class _SeparableConv(nn.Module):
    """3x3 depthwise, batch norm, ReLU, then 1x1, batch norm, ReLU."""

    channels: int
    dilation: int
    norm: Any
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = DepthwiseConv(3, dilation=self.dilation, dtype=self.dtype, name="depthwise")(x)
        x = nn.relu(self.norm(name="depthwise_bn")(x, train))
        return _ConvNormReLU(self.channels, 1, self.norm, self.dtype, name="pointwise")(x, train)


class DeepLabV3Plus(nn.Module):
    """Depthwise separable ASPP and decoder of DeepLab-v3+ (Chen et al. 2018, arXiv 1802.02611).

    As in RIPU (arXiv 2111.12940): a 1x1 branch, one separable 3x3 branch for each rate and image
    pooling, joined by a 3x3 convolution, upsampled to the low-level features, joined with a
    48-channel shortcut from them, two separable 3x3 convolutions, dropout of whole channels, 1x1.

    Attributes:
      num_classes: C.
      channels: of every branch and of the decoder; 512 in RIPU, 256 in DeepLab-v3+.
      rates: the dilations of the separable branches.
      shortcut_channels: of the low-level shortcut.
      dropout: share of the decoder's channels dropped in training.
      batch_norm: "trained" or "frozen", see `labor_jax.models.layers.BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    channels: int = 512
    rates: tuple[int, ...] = (6, 12, 18)
    shortcut_channels: int = 48
    dropout: float = 0.1
    batch_norm: str = "trained"
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Classifies both levels of features.

        Args:
          features: low [B, h1, w1, D1] and high [B, h2, w2, D2].
          train: whether batch norm and dropout are in training; takes the "dropout" random key.

        Returns:
          f32[B, h1, w1, num_classes] logits at the resolution of `features.low`.
        """

        def norm(name):
            return BatchNorm(self.batch_norm, axis_name=self.axis_name, dtype=self.dtype, name=name)

        def conv(name, kernel_size=1, channels=self.channels):
            return _ConvNormReLU(channels, kernel_size, norm, self.dtype, name=name)

        def separable(name, dilation=1):
            return _SeparableConv(self.channels, dilation, norm, self.dtype, name=name)

        high, low = features.high.astype(self.dtype), features.low.astype(self.dtype)
        branches = [conv("aspp1")(high, train)]
        branches += [separable(f"aspp{rate}", rate)(high, train) for rate in self.rates]
        window = features.window
        if window is None:
            pooled = jnp.mean(high.astype(jnp.float32), (1, 2), keepdims=True)
        else:
            pooled = window.pooled
        pooled = conv("pooling")(pooled.astype(self.dtype), train)
        branches.append(jnp.broadcast_to(pooled, (*high.shape[:3], self.channels)))
        x = conv("projection", 3)(jnp.concatenate(branches, -1), train)
        if window is None:
            x = resize_bilinear_align_corners(x, low.shape[1:3])
        else:
            x = interpolate(x.astype(jnp.float32), window.rows, window.columns)
        x = x.astype(self.dtype)
        shortcut = conv("shortcut", channels=self.shortcut_channels)(low, train)
        x = jnp.concatenate([x, shortcut], -1)
        x = separable("decoder1")(x, train)
        x = separable("decoder2")(x, train)
        x = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(x)
        x = nn.Dense(
            self.num_classes,
            dtype=self.dtype,
            kernel_init=nn.initializers.normal(0.01),
            name="logits",
        )(x)
        return x.astype(jnp.float32)
