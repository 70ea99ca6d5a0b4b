"""DeepLab-v2's head: atrous spatial pyramid pooling."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.convolutions import conv_general_dilated_atrous
from labor_jax.models.features import Features
from labor_jax.models.registry import register_head


@register_head("deeplab_v2")
class DeepLabV2(nn.Module):
    """Atrous spatial pyramid pooling of DeepLab-v2 (Chen et al. 2017, arXiv 1606.00915).

    The sum of one 3x3 convolution with bias for each rate. Weights start from Normal(0, 0.01).

    Attributes:
      num_classes: C.
      rates: the dilations.
      first_two_only: sum only the first two rates, as AdaptSegNet's code does: it returns inside
        its loop, and its released weights were trained that way. The other branches' parameters
        exist, so that weight files fit, but do not affect the logits.
      dropout: share of feature channels dropped in training; 0 in the published head.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    rates: tuple[int, ...] = (6, 12, 18, 24)
    first_two_only: bool = False
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Returns f32[B, h, w, num_classes] logits at the resolution of the last map.

        Args:
          features: of which the last map is read.
          train: whether dropout is active; it takes the "dropout" random key.
        """
        x = features[-1].astype(self.dtype)
        x = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(x)
        branches = [
            nn.Conv(
                self.num_classes,
                (3, 3),
                padding=rate,
                kernel_dilation=rate,
                dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.01),
                conv_general_dilated=conv_general_dilated_atrous,
                name=f"rate{rate}",
            )(x).astype(jnp.float32)
            for rate in self.rates
        ]
        return sum(branches[:2] if self.first_two_only else branches)
