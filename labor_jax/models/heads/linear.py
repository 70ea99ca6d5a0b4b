"""A linear head: the fastest to compile."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.features import Features
from labor_jax.models.registry import register_head


@register_head("linear")
class Linear(nn.Module):
    """One 1x1 convolution of the last map, after dropout.

    Attributes:
      num_classes: C.
      dropout: share of feature channels dropped in training.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Returns f32[B, h, w, num_classes] at the resolution of the last map.

        Args:
          features: of which the last map is read.
          train: whether dropout is active; it takes the "dropout" random key.
        """
        x = features[-1].astype(self.dtype)
        x = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype, name="logits")(x).astype(jnp.float32)
