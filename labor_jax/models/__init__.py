"""Segmentation models: backbones, heads, discriminator, and published weights for them."""

from labor_jax.models.deeplab import DeepLabV2, DeepLabV3Plus
from labor_jax.models.discriminator import Discriminator
from labor_jax.models.efficientnet_lite import EfficientNetLite0
from labor_jax.models.features import Features
from labor_jax.models.layers import resize_bilinear_align_corners
from labor_jax.models.normalization import denormalize_images, normalize_images
from labor_jax.models.pretrained import load_backbone, to_tensors
from labor_jax.models.published import load_model, save_model, to_torch
from labor_jax.models.resnet import ResNet
from labor_jax.models.segmenter import (
    BACKBONES,
    Segmenter,
    apply,
    build_segmenter,
    classify,
    classify_auxiliary,
    coarse_logits,
    extract,
    init_variables,
    trainable_mask,
)
from labor_jax.models.tiles import windowed_logits, windowed_outputs
from labor_jax.models.weight_files import WeightsError

__all__ = [
    "BACKBONES",
    "DeepLabV2",
    "DeepLabV3Plus",
    "Discriminator",
    "EfficientNetLite0",
    "Features",
    "ResNet",
    "Segmenter",
    "WeightsError",
    "apply",
    "build_segmenter",
    "classify",
    "classify_auxiliary",
    "coarse_logits",
    "denormalize_images",
    "extract",
    "init_variables",
    "load_backbone",
    "load_model",
    "normalize_images",
    "resize_bilinear_align_corners",
    "save_model",
    "to_tensors",
    "to_torch",
    "trainable_mask",
    "windowed_logits",
    "windowed_outputs",
]
