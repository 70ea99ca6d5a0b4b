"""Heads: feature maps to logits. Importing this package registers them."""

from labor_jax.models.heads.deeplab_v2 import DeepLabV2
from labor_jax.models.heads.deeplab_v3plus import DeepLabV3Plus
from labor_jax.models.heads.hyperbolic import Hyperbolic
from labor_jax.models.heads.linear import Linear

__all__ = ["DeepLabV2", "DeepLabV3Plus", "Hyperbolic", "Linear"]
