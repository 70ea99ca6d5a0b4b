"""TPLD: pseudo labels that become dense in two stages.

First, labelled pixels vote on those around them. Then images on which the model is sure, the easy
ones, get their full predictions as labels, and the others keep the votes. A bootstrapped loss bears
the wrong ones among so many labels.

What differs from the paper: it calls an image easy by a confidence weighted by class, which its
text gives in part; here it is the mean over the image's classes of the class's mean confidence in
the image relative to that in the pool. It aligns the features of hard images with those of easy
ones by a discriminator, which is left out. There is no public code; see also
`pseudo_labels.voted_labels`.

References:
  Shin et al., Two-phase Pseudo Label Densification for Self-training based Domain Adaptation, ECCV
  2020. Bootstrapping: Reed et al., ICLR 2015 workshops.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax import losses, models, pseudo_labels
from labor_jax.acquisition.budget import exact
from labor_jax.adaptation.cbst import ClassBalancedLabels, histogram_of
from labor_jax.adaptation.pseudo_labelling import VIEW, PseudoLabelling
from labor_jax.adaptation.registry import register, register_method, retrain, share
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Setup, Term

_FULL_WIDTH = 2048  # of the images that `window` refers to, Cityscapes'


@register("densified_labels")
@dataclasses.dataclass(frozen=True)
class DensifiedLabels(ClassBalancedLabels):
    """Bootstrapped cross-entropy on the pseudo labels of TPLD.

    Attributes:
      portion: the share of the pixels predicted as a class that may vote in the first stage.
      portion_step: by how much it grows from stage to stage.
      largest_portion: the most that it may become.
      window: side of the window of votes, in pixels of an image 2048 wide; it shrinks with training
        images, of which a crop counts as a whole one. Set a larger one where images are cropped.
      own_weight: how much a pixel's own probability counts beside the votes, 0 to 1.
      agreement: the score that a voted label needs, 0 to 1.
      easy_share: the share of the pool's images whose full predictions are labels from the second
        stage on.
      trust: the labels' share in the bootstrapped loss, 0 to 1; the rest is the prediction's own.
    """

    window: int = 57
    own_weight: float = 0.5
    agreement: float = 0.75
    easy_share: float = 0.3
    trust: float = 0.95

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        for field in ("own_weight", "agreement", "easy_share", "trust"):
            share(field, getattr(self, field))
        if self.window < 1:
            raise ValueError(f"window is {self.window}; a window has at least 1 pixel.")

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps what CBST does, and which images are easy: bool[N], none in the first stage."""
        easy = jnp.zeros(setup.num_images["target"], bool)
        return {**super().memory(model, setup), "easy": easy}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Finds the thresholds of the pool, and its easy images."""
        num_classes = len(memory["thresholds"])
        num_images = len(memory["easy"])
        histogram = np.zeros((num_classes, pseudo_labels.CONFIDENCE_BINS), np.int64)
        sums, counts = np.zeros((2, num_images, num_classes))
        for numbers, rows in passes.images("target", _statistics(num_classes)):
            histogram += rows["histogram"].sum(0)
            sums[numbers], counts[numbers] = rows["sum"], rows["histogram"].sum(-1)
        easy = easiest(sums, counts, self.easy_share if passes.stage else 0.0)
        return {
            **PseudoLabelling.before_phase(self, passes, memory),
            "thresholds": self.stage_thresholds(histogram, passes.stage),
            "easy": jnp.asarray(easy),
        }

    def labels(self, logits, target, memory) -> jax.Array:
        """The votes, and on easy images the predictions."""
        thresholds = memory["thresholds"]
        voted = pseudo_labels.voted_labels(
            logits,
            pseudo_labels.class_balanced_labels(logits, thresholds),
            thresholds,
            radius=self.radius(logits.shape[2]),
            own_weight=self.own_weight,
            agreement=self.agreement,
        )
        easy = memory["easy"][target["index"]][:, None, None]
        return jnp.where(easy, pseudo_labels.confident_labels(logits, 0.0), voted)

    def radius(self, width: int) -> int:
        """The window's radius in images of this width, at least 1."""
        return max(1, round(self.window // 2 * width / _FULL_WIDTH))

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels with a label."""
        logits, label = outputs[VIEW].logits, batch[VIEW]["label"]
        mean = losses.bootstrapped_cross_entropy(logits, label, trust=self.trust)
        return Term.of_mean(mean, jnp.sum(label != IGNORE_LABEL))


def easiest(sums: np.ndarray, counts: np.ndarray, portion: float) -> np.ndarray:
    """The images on which the model is surest, for their classes.

    Args:
      sums: the confidences of the pixels predicted as each class in each image, summed, [N, C].
      counts: how many these are, [N, C].
      portion: the share of the images to choose.

    Returns:
      bool[N], True for floor(portion * N) images.
    """
    present = counts > 0
    in_pool = sums.sum(0) / np.maximum(counts.sum(0), 1)
    relative = sums / np.maximum(counts, 1) / np.where(in_pool > 0, in_pool, 1)
    score = relative.sum(1) / np.maximum(present.sum(1), 1)
    easy = np.zeros(len(sums), bool)
    count = math.floor(exact(portion) * len(sums))
    easy[np.argsort(-score, kind="stable")[:count]] = True
    return easy


@functools.cache
def _statistics(num_classes: int) -> Any:
    """A pass's function: each image's histogram, and its confidences summed by class."""
    histogram = histogram_of(num_classes)

    def statistics(outputs: models.Outputs) -> dict[str, jax.Array]:
        probabilities = jax.nn.softmax(outputs.logits.astype(jnp.float32))
        confidence = jnp.max(probabilities, -1, keepdims=True)
        predicted = jnp.argmax(probabilities, -1)[..., None] == jnp.arange(num_classes)
        sums = jnp.sum(jnp.where(predicted, confidence, 0.0), (1, 2))
        return {"histogram": histogram(outputs), "sum": sums}

    return statistics


@register_method("tpld")
def tpld(config: ConfigDict) -> None:
    """TPLD: labels densified by votes, then full on easy images (Shin et al., ECCV 2020)."""
    retrain(config, stages=2)
    config.retraining.terms.densified_labels = 1.0
