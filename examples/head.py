"""A head: SegFormer's, a few dense layers on all maps of the backbone (Xie et al., NeurIPS 2021).

labor-jax run examples/head.py --workdir runs/all_mlp --config.model.head_channels=64
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

import labor_jax
from labor_jax import models


@models.register_head("all_mlp")
class AllMLP(nn.Module):
    """Logits at the first map's resolution; `num_classes` is the data pair's."""

    num_classes: int
    head_channels: int = 256
    dropout: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features, train=False):
        """Computes f32[B, h, w, num_classes] from the backbone's `models.Features`."""
        maps = []
        for name in features.names:
            x = nn.Dense(self.head_channels, dtype=self.dtype)(features[name])
            maps.append(features.resize(x, name, 0))
        x = nn.Dense(self.head_channels, dtype=self.dtype)(jnp.concatenate(maps, axis=-1))
        x = nn.relu(nn.LayerNorm(dtype=self.dtype)(x))
        x = nn.Dropout(self.dropout, broadcast_dims=(1, 2), deterministic=not train)(x)
        return nn.Dense(self.num_classes)(x)


def get_config(pair="street"):
    """LabOR's SPL with the pair's own backbone and this head."""
    config = labor_jax.get_config("spl", pair)
    config.model.head = "all_mlp"
    return config
