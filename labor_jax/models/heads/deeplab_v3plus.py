"""DeepLab-v3+'s head: separable atrous pyramid, image pooling and decoder."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.convolutions import (
    DepthwiseConv,
    PointwiseConv,
    conv_general_dilated_3x3,
    he_normal_fan_in,
)
from labor_jax.models.features import Features
from labor_jax.models.registry import register_head, require_at_least_one


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
                conv_general_dilated=conv_general_dilated_3x3,
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


@register_head("deeplab_v3plus")
class DeepLabV3Plus(nn.Module):
    """Depthwise separable ASPP and decoder of DeepLab-v3+ (Chen et al. 2018, arXiv 1802.02611).

    As in RIPU (arXiv 2111.12940): a 1x1 branch, one separable 3x3 branch for each rate and image
    pooling read the last map and are joined by a 3x3 convolution. The result is upsampled to the
    finest map and joined with a 48-channel shortcut from it. Two separable 3x3 convolutions,
    dropout of whole channels and a 1x1 convolution follow.

    Attributes:
      num_classes: C.
      head_channels: of every branch and of the decoder; 512 in RIPU, 256 in DeepLab-v3+.
      rates: the dilations of the separable branches.
      shortcut: index or name of the map that the decoder's shortcut reads.
      shortcut_channels: of that shortcut.
      dropout: share of the decoder's channels dropped in training.
      batch_norm: "trained" or "frozen", see `BatchNorm`.
      axis_name: device axis for batch statistics in training, or None.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    head_channels: int = 512
    rates: tuple[int, ...] = (6, 12, 18)
    shortcut: int | str = 0
    shortcut_channels: int = 48
    dropout: float = 0.1
    batch_norm: str = "trained"
    axis_name: str | None = None
    dtype: Any = jnp.float32

    pools_image = True

    def check(self) -> None:
        """Raises a ValueError for a field of `config.model` that is out of range."""
        require_at_least_one("head_channels", self.head_channels)

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Returns f32[B, h, w, num_classes] logits at the resolution of the map `shortcut`.

        Args:
          features: of which the last map and the map `shortcut` are read.
          train: whether batch norm and dropout are in training; takes the "dropout" random key.
        """

        def norm(name):
            return BatchNorm(self.batch_norm, axis_name=self.axis_name, dtype=self.dtype, name=name)

        def conv(name, kernel_size=1, channels=self.head_channels):
            return _ConvNormReLU(channels, kernel_size, norm, self.dtype, name=name)

        def separable(name, dilation=1):
            return _SeparableConv(self.head_channels, dilation, norm, self.dtype, name=name)

        last = features[-1].astype(self.dtype)
        branches = [conv("aspp1")(last, train)]
        branches += [separable(f"aspp{rate}", rate)(last, train) for rate in self.rates]
        pooled = conv("pooling")(features.mean(-1).astype(self.dtype), train)
        branches.append(jnp.broadcast_to(pooled, (*last.shape[:3], self.head_channels)))
        x = conv("projection", 3)(jnp.concatenate(branches, -1), train)
        x = features.resize(x, -1, self.shortcut).astype(self.dtype)
        fine = features[self.shortcut].astype(self.dtype)
        fine = conv("shortcut", channels=self.shortcut_channels)(fine, train)
        x = jnp.concatenate([x, fine], -1)
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
