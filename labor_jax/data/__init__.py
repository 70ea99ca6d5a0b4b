"""Data pairs, their images and labels, and batches of them."""

import importlib
from typing import Any

from labor_jax.data import pairs as pairs  # registers the package's pairs
from labor_jax.data.arrays import pair_from_arrays
from labor_jax.data.augmentation import Augment
from labor_jax.data.base import IGNORE_LABEL, ROLES, DataError, Pair, Split
from labor_jax.data.batch_spec import BatchSpec, ProcessShare
from labor_jax.data.registry import PAIRS, load_pair, register_pair
from labor_jax.data.transforms import resize_image, resize_labels

__all__ = [
    "IGNORE_LABEL",
    "PAIRS",
    "ROLES",
    "Augment",
    "BatchSpec",
    "Batches",
    "DataError",
    "Pair",
    "ProcessShare",
    "Split",
    "TrainingImages",
    "inference_batches",
    "load_pair",
    "pair_from_arrays",
    "register_pair",
    "resize_image",
    "resize_labels",
    "training_batches",
]

_OF_PIPELINE = ("Batches", "TrainingImages", "inference_batches", "training_batches")


def __getattr__(name: str) -> Any:
    """Imports the pipeline on first use: it imports JAX, which some tools do without."""
    if name in _OF_PIPELINE:
        return getattr(importlib.import_module("labor_jax.data.pipeline"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
