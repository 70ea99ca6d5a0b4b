"""Learning from answers that name all classes of a part: MulActSeg's first stage.

Each pixel of the part is of one of these classes, and each of the classes has a pixel. Published
code weighs the answers of one class, the first and the second of these losses by 16, 8 and 1. Its
second stage, which trains a new model on pseudo labels, is left out.

Reference:
  Hwang et al., Active Learning for Semantic Segmentation with Multi-class Label Query, NeurIPS
  2023, arXiv 2309.09319.
"""

import jax
import jax.numpy as jnp

from labor_jax import losses
from labor_jax.adaptation import target_answers
from labor_jax.adaptation.registry import register
from labor_jax.data import label_sets
from labor_jax.training.terms import Term


@register("candidate_classes")
class CandidateClasses:
    """`losses.candidate_classes` on the target's pixels whose part was answered by several classes.

    Parts of a single class are answers like others, of the term `answers`.
    """

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels of such parts."""
        logits, target = outputs["target"].logits, batch["target"]
        candidates = target_answers.candidate_classes(target, logits.shape[-1])
        count = (target["candidates"] > 0).sum()
        return Term.of_mean(losses.candidate_classes(logits, candidates), count)


@register("prototypical_pixels")
class PrototypicalPixels:
    """`losses.prototypical_pixels` on the target's parts that were answered by several classes.

    Of a part that a crop cuts, what is left counts. An image has `label_sets.MAX_PARTS` numbered
    parts; further ones add nothing.
    """

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over all pairs of such a part and a class of it."""
        logits, target = outputs["target"].logits, batch["target"]
        candidates = target_answers.candidate_classes(target, logits.shape[-1])
        value = losses.prototypical_pixels(
            logits, candidates, target["part"], bound=label_sets.MAX_PARTS
        )
        return Term.of_mean(value, jnp.sum(_classes_of_parts(target)))


def _classes_of_parts(target: target_answers.Target) -> jax.Array:
    """How many classes each part of a batch holds: int32[B, MAX_PARTS], 0 where there is none."""

    def of_image(bits, part):
        part = jnp.where(part < 0, label_sets.MAX_PARTS, part)
        held = jax.ops.segment_max(bits.ravel(), part.ravel(), label_sets.MAX_PARTS + 1)
        return jnp.maximum(held[:-1], 0)  # the least int32 where a part has no pixel

    return jax.lax.population_count(jax.vmap(of_image)(target["candidates"], target["part"]))
