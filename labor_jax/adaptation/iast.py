"""IAST: thresholds of pseudo labels that go from image to image and adapt to each.

An image in which a class is hard gets lower thresholds for it than one in which it is easy, and a
class whose threshold is low labels a smaller share of its pixels. Labelled pixels have their
predictions smoothed, ignored ones have them sharpened.

References:
  Mei et al., Instance Adaptive Self-Training for Unsupervised Domain Adaptation, ECCV 2020, and its
  published code: an adversarial warm-up of 4 epochs, then 3 stages of 2. Here the data pair has the
  rates and the number of steps.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax import losses, models, pseudo_labels
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.pseudo_labelling import (
    VIEW,
    PseudoLabelling,
    check_growing_share,
    growing_share,
)
from labor_jax.adaptation.registry import not_negative, register, register_method, retrain
from labor_jax.adaptation.target_answers import is_void
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Setup, Term

FIRST_THRESHOLD = 0.9
"""A class's before the first image."""


def pool_thresholds(
    passes: Any, num_images: int, num_classes: int, *, portion: float, gamma: float
) -> np.ndarray:
    """IAST's thresholds of each image of the pool, in the order of the pool.

    Args:
      passes: see `experiment.passes`.
      num_images: the pool's.
      num_classes: C.
      portion: see `pseudo_labels.instance_adaptive_thresholds`.
      gamma: likewise.

    Returns:
      f32[num_images, C].
    """
    settings = {"portion": np.float32(portion), "gamma": np.float32(gamma)}
    thresholds = np.empty((num_images, num_classes), np.float32)
    last, most = np.full(num_classes, FIRST_THRESHOLD, np.float32), 0
    for numbers, rows in passes.images("target", confidence_and_class):
        # Batches that are not full are filled up, so that all have one shape.
        most = max(most, len(numbers))
        filled = [np.resize(each, (most, *each.shape[1:])) for each in rows]
        thresholds[numbers] = _adapted(*filled, last, **settings)[: len(numbers)]
        last = thresholds[numbers[-1]]
    return thresholds


@jax.jit
def _adapted(confidence, prediction, last, *, portion, gamma):
    """Each image's thresholds, see `pseudo_labels.instance_adaptive_thresholds`."""
    return pseudo_labels.instance_adaptive_thresholds(
        confidence, prediction, last, portion=portion, gamma=gamma
    ).thresholds


def confidence_and_class(outputs: models.Outputs) -> tuple[jax.Array, jax.Array]:
    """The largest probability f32[B, h, w] and its class int32[B, h, w]."""
    probabilities = jax.nn.softmax(outputs.logits.astype(jnp.float32))
    return jnp.max(probabilities, axis=-1), jnp.argmax(probabilities, axis=-1).astype(jnp.int32)


def adapted_labels(
    logits: jax.Array, target: dict[str, jax.Array], thresholds: jax.Array
) -> jax.Array:
    """The predictions above the thresholds of each image: int32[B, h, w], 255 elsewhere.

    Args:
      logits: f32[B, h, w, C].
      target: the batch's view "target".
      thresholds: those of the pool, f32[N, C].
    """
    own = thresholds[target["index"]][:, None, None]
    return pseudo_labels.confident_labels(logits, own)


@register("instance_adaptive_labels")
@dataclasses.dataclass(frozen=True)
class InstanceAdaptiveLabels(PseudoLabelling):
    """Cross-entropy on the pseudo labels of IAST, whose predictions are kept smooth.

    Attributes:
      portion: alpha, the share of pixels that a class of threshold 1 has labelled in the first
        stage.
      portion_step: by how much it grows from stage to stage.
      largest_portion: the most that it may become.
      gamma: how much less of a class is labelled whose threshold is low.
      smoothing: weight of the labelled pixels' divergence from the uniform distribution. As in the
        published code, that is a mean over classes, too: `losses.uniform_divergence` / C.
    """

    portion: float = 0.2
    portion_step: float = 0.05
    largest_portion: float = 0.5
    gamma: float = 8.0
    smoothing: float = 0.1

    def __post_init__(self):
        """Checks the settings."""
        check_growing_share(self)
        not_negative(self, "gamma", "smoothing")

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the labeller and the thresholds of each image f32[N, C]."""
        shape = setup.num_images["target"], setup.num_classes
        return {
            **super().memory(model, setup),
            "thresholds": jnp.full(shape, FIRST_THRESHOLD, jnp.float32),
        }

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Finds the thresholds of the stage's portion, image by image."""
        portion = growing_share(self.portion, self.portion_step, self.largest_portion, passes.stage)
        found = pool_thresholds(
            passes, *memory["thresholds"].shape, portion=portion, gamma=self.gamma
        )
        return {**super().before_phase(passes, memory), "thresholds": jnp.asarray(found)}

    def labels(self, logits, target, memory) -> jax.Array:
        """The predicted classes, above the image's thresholds."""
        return adapted_labels(logits, target, memory["thresholds"])

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels with a label."""
        logits, label = outputs[VIEW].logits, batch[VIEW]["label"]
        term = cross_entropy(logits, label)
        divergence = losses.uniform_divergence(logits, label != IGNORE_LABEL) / logits.shape[-1]
        return term._replace(total=term.total + self.smoothing * divergence * term.count)


@register("ignored_entropy")
class IgnoredEntropy:
    """The entropy of the pixels without a pseudo label, but for void ones; weight 3 in IAST.

    As in the published code it is a mean over classes, too: entropy in nats / C.
    """

    reads = (VIEW,)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels without a pseudo label, and over classes."""
        logits = outputs[VIEW].logits
        ignored = (batch[VIEW]["label"] == IGNORE_LABEL) & ~is_void(batch[VIEW])
        num_classes = logits.shape[-1]
        in_nats = losses.entropy(logits, ignored) * math.log(max(num_classes, 2))
        return Term.of_mean(in_nats / num_classes, jnp.sum(ignored))


@register_method("iast")
def iast(config: ConfigDict) -> None:
    """IAST: adversarial, then pseudo labels above adaptive thresholds (Mei et al., ECCV 2020)."""
    retrain(config, stages=3, share=0.6)
    config.warmup.terms.adversarial = 0.05
    config.terms.adversarial.update(objective="least_squares", learning_rate=2e-5)
    config.retraining.terms.update(instance_adaptive_labels=1.0, ignored_entropy=3.0)
