"""CBST: self-training on the most confident pixels of each class alike.

A constant threshold labels road and hardly a rider. Here each class has a threshold of its own, so
that the same portion of what is predicted as the class is labelled, a larger one in each stage. The
thresholds are those of the whole pool: a pass counts its pixels in a histogram for each class.

The published code also samples source images anew and shows crops of rare classes more often; that
is the data's matter here (`config.data.source_sampling`).

Reference:
  Zou et al., Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced
  Self-Training, ECCV 2018. Portions are those of the published code of CRST, which contains CBST;
  rates and steps are the data pair's.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax import models, pseudo_labels
from labor_jax.adaptation.pseudo_labelling import (
    PseudoLabelling,
    check_growing_share,
    growing_share,
)
from labor_jax.adaptation.registry import register, register_method, retrain
from labor_jax.training.terms import Setup


@register("class_balanced_labels")
@dataclasses.dataclass(frozen=True)
class ClassBalancedLabels(PseudoLabelling):
    """Cross-entropy on the pseudo labels of CBST.

    Attributes:
      portion: the share of the pixels predicted as a class that is labelled in the first stage.
      portion_step: by how much it grows from stage to stage.
      largest_portion: the most that it may become.
    """

    portion: float = 0.2
    portion_step: float = 0.05
    largest_portion: float = 0.5

    def __post_init__(self):
        """Checks the settings."""
        check_growing_share(self)

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the labeller and its thresholds f32[C]."""
        thresholds = jnp.ones(setup.num_classes, jnp.float32)
        return {**super().memory(model, setup), "thresholds": thresholds}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Finds the thresholds of the pool that label the stage's portion."""
        histogram = pool_histogram(passes, len(memory["thresholds"]))
        thresholds = self.stage_thresholds(histogram, passes.stage)
        return {**super().before_phase(passes, memory), "thresholds": thresholds}

    def stage_thresholds(self, histogram: np.ndarray, stage: int) -> jax.Array:
        """The thresholds f32[C] that label a stage's portion, by the pool's int64[C, bins]."""
        portion = growing_share(self.portion, self.portion_step, self.largest_portion, stage)
        return jnp.asarray(pseudo_labels.histogram_thresholds(histogram, portion))

    def labels(self, logits, target, memory) -> jax.Array:
        """The classes whose probability exceeds their threshold by the largest factor."""
        return pseudo_labels.class_balanced_labels(logits, memory["thresholds"])


def pool_histogram(passes: Any, num_classes: int) -> np.ndarray:
    """How many of the pool's pixels are predicted as a class with a confidence: int64[C, bins]."""
    histogram = np.zeros((num_classes, pseudo_labels.CONFIDENCE_BINS), np.int64)
    for _, rows in passes.images("target", histogram_of(num_classes)):
        histogram += rows.sum(0)
    return histogram


@functools.cache  # so that each stage's pass is the same function, which is compiled once
def histogram_of(num_classes: int) -> Any:
    """A pass's function: from outputs to each image's int32[B, C, CONFIDENCE_BINS]."""

    def histogram(outputs: models.Outputs) -> jax.Array:
        probabilities = jax.nn.softmax(outputs.logits.astype(jnp.float32))
        return jax.vmap(pseudo_labels.confidence_histogram, (0, 0, None))(
            jnp.max(probabilities, -1), jnp.argmax(probabilities, -1), num_classes
        )

    return histogram


@register_method("cbst")
def cbst(config: ConfigDict) -> None:
    """CBST: retrains on the most confident pixels of each class (Zou et al., ECCV 2018)."""
    retrain(config, stages=4)
    config.retraining.terms.class_balanced_labels = 1.0
