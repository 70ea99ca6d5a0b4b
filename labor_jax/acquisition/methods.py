"""The built-in acquisition methods.

References:
  LabOR (SPL, PPL): Shin et al., ICCV 2021, arXiv 2108.05570.
  RIPU (RA, PA): Xie et al., CVPR 2022, arXiv 2111.12940.
  WDA: Paul et al., "Domain Adaptive Semantic Segmentation Using Weak Labels", ECCV 2020,
    arXiv 2007.15176.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from labor_jax.acquisition import registry, scores
from labor_jax.acquisition.core_set import select_core_set
from labor_jax.acquisition.pool_image import Query, ScoredPixels
from labor_jax.acquisition.registry import register
from labor_jax.acquisition.representative_points import select_representative_points


@register("spl", asks="mask", budget="cap")
def spl(selector_logits):
    """LabOR's SPL: the whole inconsistency mask, or its pixels of largest discrepancy."""
    mask = scores.inconsistency_mask(*selector_logits)
    return ScoredPixels(scores.discrepancy_map(*selector_logits), candidates=mask)


@register("ppl", budget="own")
def ppl(logits, selector_logits, available, distance="euclidean"):
    """LabOR's PPL: a representative point of each class in the inconsistency mask."""
    mask = scores.inconsistency_mask(*selector_logits)
    chosen = select_representative_points(
        mask & available, jax.nn.softmax(logits), distance=distance
    )
    return Query(chosen.query, jnp.sum(chosen.valid), mask)


@register("ripu_ra", asks="regions")
def ripu_regions(logits, radius):
    """RIPU-RA: regions of largest impurity times uncertainty."""
    return scores.ripu(logits, radius)


@register("ripu_pa")
def ripu_points(logits, radius):
    """RIPU-PA: pixels of largest impurity times uncertainty, more than `radius` apart.

    RIPU's code does not divide PA's entropies by log C. That is one factor for all pixels, so the
    same pixels are asked.
    """
    return ScoredPixels(scores.ripu(logits, radius), suppression_radius=radius)


@register("impurity", asks="regions")
def impurity(logits, radius):
    """The first factor of RIPU's score alone, from its ablation."""
    return scores.region_impurity(logits, radius)


@register("uncertainty", asks="regions")
def uncertainty(logits, radius):
    """The second factor of RIPU's score alone, from its ablation."""
    return scores.prediction_uncertainty(logits, radius)


@register("random")
def random_points(key, available):
    """Random pixels, without replacement."""
    return scores.random_score(key, available.shape)


@register("random_regions", asks="regions")
def random_regions(key, available):
    """Random regions that don't overlap."""
    return scores.random_score(key, available.shape)


@register("entropy")
def entropy(logits):
    """Pixels of largest entropy."""
    return scores.softmax_entropy(logits)


@register("least_confidence")
def least_confidence(logits):
    """Pixels whose largest probability is smallest."""
    return scores.least_confidence(logits)


@register("margin")
def margin(logits):
    """Pixels whose two largest probabilities are closest."""
    return scores.margin(logits)


@register("core_set")
def core_set(features, available, count):
    """Pixels that cover the image's other pixels in feature space."""
    return select_core_set(features, available, count=count)


# WDA's points: the annotator picks one pixel of each class present, see `annotation.Oracle`.
registry.add(registry.Method("human_points", function=None, asks="points", budget="own"))


@register("all", asks="full")
def everything(available):
    """Every pixel: full supervision, the upper bound of the other methods."""
    return jnp.ones_like(available)
