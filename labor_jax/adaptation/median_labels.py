"""Pseudo labels of BDL's and LTIR's published code: half of a class at least, and all sure pixels.

BDL's text asks for a probability of 0.9, which few pixels of a weak model reach. Its code, and
LTIR's, lowers that to the median of a class where the median is less.

References:
  Li et al., Bidirectional Learning for Domain Adaptation of Semantic Segmentation, CVPR 2019.
  Kim and Byun, Learning Texture Invariant Representation for Domain Adaptation of Semantic
  Segmentation, CVPR 2020.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax import models, pseudo_labels
from labor_jax.adaptation.cbst import pool_histogram
from labor_jax.adaptation.pseudo_labelling import PseudoLabelling
from labor_jax.adaptation.registry import register, share
from labor_jax.training.terms import Setup


@register("median_labels")
@dataclasses.dataclass(frozen=True)
class MedianLabels(PseudoLabelling):
    """Cross-entropy on predictions above a class's median probability, or above `threshold`.

    Attributes:
      threshold: the probability at which any prediction is labelled.
      portion: the share of the pixels predicted as a class that is labelled at least.
    """

    threshold: float = 0.9
    portion: float = 0.5

    def __post_init__(self):
        """Checks the settings."""
        share("threshold", self.threshold)
        share("portion", self.portion)

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the labeller and its thresholds f32[C]."""
        thresholds = jnp.full(setup.num_classes, self.threshold, jnp.float32)
        return {**super().memory(model, setup), "thresholds": thresholds}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Finds the medians of the pool."""
        histogram = pool_histogram(passes, len(memory["thresholds"]))
        medians = pseudo_labels.histogram_thresholds(histogram, self.portion)
        thresholds = jnp.minimum(jnp.asarray(medians, jnp.float32), self.threshold)
        return {**super().before_phase(passes, memory), "thresholds": thresholds}

    def labels(self, logits, target, memory) -> jax.Array:
        """The predicted classes, above their thresholds."""
        return pseudo_labels.confident_labels(logits, memory["thresholds"])
