"""Pairs of domains, their images and labels, and batches of them."""

from labor_jax.data.base import IGNORE_LABEL, ROLES, DataError, Pair, Split
from labor_jax.data.pair import PAIRS, load_pair
from labor_jax.data.pipeline import Batches, inference_batches, training_batches
from labor_jax.data.transforms import AUGMENT_FIELDS, check_augment, resize_image, resize_labels

__all__ = [
    "AUGMENT_FIELDS",
    "IGNORE_LABEL",
    "PAIRS",
    "ROLES",
    "Batches",
    "DataError",
    "Pair",
    "Split",
    "check_augment",
    "inference_batches",
    "load_pair",
    "resize_image",
    "resize_labels",
    "training_batches",
]
