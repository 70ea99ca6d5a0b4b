"""Backbones: images to feature maps. Importing this package registers them."""

from labor_jax.models.backbones.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
)
from labor_jax.models.backbones.resnet import ResNet
from labor_jax.models.backbones.two_layers import TwoLayers

__all__ = [
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "ResNet",
    "TwoLayers",
]
