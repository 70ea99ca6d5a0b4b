"""Pairs of domains, their images and labels, and batches of them."""

import importlib
from typing import Any

from labor_jax.data.base import IGNORE_LABEL, ROLES, DataError, Pair, Split
from labor_jax.data.pair import PAIRS, load_pair
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

_OF_PIPELINE = ("Batches", "inference_batches", "training_batches")


def __getattr__(name: str) -> Any:
    """Imports the pipeline when it is used: it brings JAX along, which tools do without."""
    if name in _OF_PIPELINE:
        return getattr(importlib.import_module("labor_jax.data.pipeline"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
