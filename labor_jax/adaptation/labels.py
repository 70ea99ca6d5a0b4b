"""Cross-entropy on labels: those of the source, and people's answers on the target."""

import jax
import jax.numpy as jnp

from labor_jax import losses
from labor_jax.adaptation.registry import register
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Term


def cross_entropy(
    logits: jax.Array, labels: jax.Array, pixel_weights: jax.Array | None = None
) -> Term:
    """`losses.cross_entropy` as a term.

    Args:
      logits: f32[B, H, W, C].
      labels: int[B, H, W], 255 for void.
      pixel_weights: f32[B, H, W], or None.
    """
    mean = losses.cross_entropy(logits, labels, pixel_weights=pixel_weights)
    return Term.of_mean(mean, jnp.sum(labels != IGNORE_LABEL))


@register("source_labels")
class SourceLabels:
    """Cross-entropy on the source's labels (LabOR, ICCV 2021, Eq. 1, L_s)."""

    reads = ("source",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the labelled pixels of the source."""
        return cross_entropy(outputs["source"].logits, batch["source"]["label"])


@register("answers")
class Answers:
    """Cross-entropy on the target pixels that were asked so far (LabOR, ICCV 2021, Eq. 5)."""

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the answered pixels of the target."""
        return cross_entropy(outputs["target"].logits, batch["target"]["label"])
