"""Batches for training and inference: seeded, resumable, read ahead by threads (Grain)."""

from labor_jax.data.pipeline.batches import Batches
from labor_jax.data.pipeline.inference import inference_batches
from labor_jax.data.pipeline.training import TrainingImages, check_training, training_batches

__all__ = [
    "Batches",
    "TrainingImages",
    "check_training",
    "inference_batches",
    "training_batches",
]
