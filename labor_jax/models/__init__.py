"""Segmentation networks: backbones, heads, the segmenter of both, and published weights."""

from labor_jax.models import registry
from labor_jax.models.backbones import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    ResNet,
    TwoLayers,
)
from labor_jax.models.batch_norm import BatchNorm
from labor_jax.models.building import build_segmenter, init_variables, trainable_mask
from labor_jax.models.conditional_prior import ConditionalPrior
from labor_jax.models.discriminator import Discriminator
from labor_jax.models.features import Features, Window
from labor_jax.models.heads import DeepLabV2, DeepLabV3Plus, Hyperbolic, Linear
from labor_jax.models.model import Model
from labor_jax.models.normalization import denormalize_images, network_input, normalize_images
from labor_jax.models.registry import BACKBONES, HEADS, register_backbone, register_head
from labor_jax.models.segmenter import Outputs, Segmenter
from labor_jax.models.translator import ImageDiscriminator, Translator
from labor_jax.models.weights import (
    WeightsError,
    installed_weights,
    load_weights,
    read_weights,
    save_weights,
    to_torch,
)
from labor_jax.models.windows import windowed_logits, windowed_outputs

registry.note_packaged()

__all__ = [
    "BACKBONES",
    "HEADS",
    "BatchNorm",
    "ConditionalPrior",
    "DeepLabV2",
    "DeepLabV3Plus",
    "Discriminator",
    "EfficientNetLite0",
    "EfficientNetLite1",
    "EfficientNetLite2",
    "Features",
    "Hyperbolic",
    "ImageDiscriminator",
    "Linear",
    "Model",
    "Outputs",
    "ResNet",
    "Segmenter",
    "Translator",
    "TwoLayers",
    "WeightsError",
    "Window",
    "build_segmenter",
    "denormalize_images",
    "init_variables",
    "installed_weights",
    "load_weights",
    "network_input",
    "normalize_images",
    "read_weights",
    "register_backbone",
    "register_head",
    "save_weights",
    "to_torch",
    "trainable_mask",
    "windowed_logits",
    "windowed_outputs",
]
