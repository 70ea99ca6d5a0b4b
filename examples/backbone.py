"""A backbone: the first two stages of a ConvNeXt (Liu et al., CVPR 2022).

labor-jax run examples/backbone.py --workdir runs/convnext --config.model.width=64
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

import labor_jax
from labor_jax import models


@models.register_backbone("convnext")
class ConvNeXt(nn.Module):
    """Maps of stride 4 and 8; fields that `config.model` has too get their values from it."""

    width: int = 96
    output_stride: int = 8
    dtype: Any = jnp.float32
    depths: tuple[int, ...] = (3, 3)  # `config.model` has no such field: the default stays

    @nn.compact
    def __call__(self, images, train=False):
        """Computes the features of f32[B, H, W, 3], normalised."""
        x, maps = images.astype(self.dtype), []
        for stage, depth in enumerate(self.depths):
            width, patch = self.width * 2**stage, 2 if stage else 4
            x = nn.Conv(width, (patch, patch), strides=patch, dtype=self.dtype)(x)
            for _ in range(depth):
                y = nn.Conv(width, (7, 7), feature_group_count=width, dtype=self.dtype)(x)
                y = nn.LayerNorm(dtype=self.dtype)(y)
                y = nn.gelu(nn.Dense(4 * width, dtype=self.dtype)(y))
                x = x + nn.Dense(width, dtype=self.dtype)(y)
            maps.append(x)
        return models.Features.of_stages(maps, strides=(4, 8))


def get_config(pair="street"):
    """LabOR's SPL with a network of this backbone and the linear head."""
    config = labor_jax.get_config("spl", pair)
    config.model.update(backbone="convnext", head="linear", width=32)
    return config
