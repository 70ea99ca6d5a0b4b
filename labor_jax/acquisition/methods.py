"""The built-in acquisition methods.

References:
  LabOR (SPL, PPL): Shin et al., ICCV 2021, arXiv 2108.05570.
  RIPU (RA, PA): Xie et al., CVPR 2022, arXiv 2111.12940.
  WDA: Paul et al., "Domain Adaptive Semantic Segmentation Using Weak Labels", ECCV 2020,
    arXiv 2007.15176.
  D2ADA: Wu et al., "Dynamic Density-aware Active Domain Adaptation for Semantic Segmentation",
    ECCV 2022, arXiv 2202.06484.
  MulActSeg: Hwang et al., "Active Learning for Semantic Segmentation with Multi-class Label Query",
    NeurIPS 2023, arXiv 2309.09319.
  HALO: Franco et al., "Hyperbolic Active Learning for Semantic Segmentation under Domain Shift",
    ICML 2024, arXiv 2306.11180.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from labor_jax import ops
from labor_jax.acquisition import dirichlet, image_scores, registry, scores
from labor_jax.acquisition.class_weights import weighted
from labor_jax.acquisition.core_set import select_core_set
from labor_jax.acquisition.max_herding import herding_positions, select_max_herding
from labor_jax.acquisition.pool_image import Query, ScoredPixels
from labor_jax.acquisition.random_of_best import select_random_of_best
from labor_jax.acquisition.registry import register
from labor_jax.acquisition.representative_points import select_representative_points
from labor_jax.acquisition.superpixels import merge_alike, select_superpixels, superpixel_means

# HALO asks windows of 3x3 and suppresses 11x11.
_HALO_SUPPRESSION = 5
# A mean change of the predictions below this is rounding.
_NO_CHANGE = 1e-6


@register("spl", asks="mask", budget="cap")
def spl(selector_logits):
    """LabOR's SPL: the whole inconsistency mask, or its pixels of largest discrepancy."""
    mask = scores.inconsistency_mask(*selector_logits)
    return ScoredPixels(scores.discrepancy_map(*selector_logits), candidates=mask)


@register("ppl", budget="own")
def ppl(logits, selector_logits, available, distance="euclidean"):
    """LabOR's PPL: a representative point of each class in the inconsistency mask.

    Args:
      distance: PPL's, of a pixel to the mean of its class: "euclidean" or "cosine".
    """
    mask = scores.inconsistency_mask(*selector_logits)
    chosen = select_representative_points(
        mask & available, jax.nn.softmax(logits), distance=distance
    )
    return Query(chosen.query, jnp.sum(chosen.valid, dtype=jnp.int32), mask)


@register("ripu_ra", asks="regions")
def ripu_regions(logits, radius):
    """RIPU-RA: regions of largest impurity times uncertainty."""
    return scores.ripu(logits, radius)


@register("ripu_pa")
def ripu_points(logits, radius):
    """RIPU-PA: pixels of largest impurity times uncertainty, more than `radius` apart.

    Uncertainty is the mean over the window, as in the paper's formula; see `ripu_code_points`.
    """
    return ScoredPixels(scores.ripu(logits, radius), suppression_radius=radius)


@register("ripu_pa_code")
def ripu_code_points(logits, radius):
    """RIPU-PA as in RIPU's code: impurity is of the window, and entropy of the pixel alone.

    Its entropies are not divided by log C. That is one factor for all pixels, so the same ones are
    asked.
    """
    score = scores.region_impurity(logits, radius) * scores.softmax_entropy(logits)
    return ScoredPixels(score, suppression_radius=radius)


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


@register("halo", asks="regions")
def halo(logits, radii, radius):
    """HALO: regions of largest hyperbolic radius times uncertainty, kept well apart."""
    score = scores.halo(radii, logits, radius)
    return ScoredPixels(score, suppression_radius=_HALO_SUPPRESSION * radius)


@register("max_herding", most_picks=herding_positions)
def max_herding(features, available, count, lengthscale=1.0):
    """MaxHerding: pixels that are like as many others of the image as possible.

    Args:
      lengthscale: of MaxHerding's Gaussian kernel, between features of length 1.
    """
    return select_max_herding(features, available, count=count, lengthscale=lengthscale)


@register("bald")
def bald(logit_samples):
    """Pixels on which passes with dropout are certain, but of different classes."""
    return scores.bald(logit_samples)


@register("duc")
def duc(logits, available, count):
    """DUC: the most ambiguous pixels, among 10 times as many of which the model knows least."""
    return dirichlet.select_in_two_steps(
        dirichlet.distribution_uncertainty(logits),
        dirichlet.data_uncertainty(logits),
        available,
        count=count,
    )


@register("pixel_pick")
def pixel_pick(logits, key, available, count, uncertain_share=0.05):
    """PixelPick: random pixels among those of smallest margin.

    Args:
      uncertain_share: the share of an image's pixels among which PixelPick draws.
    """
    return select_random_of_best(
        key, scores.margin(logits), available, count=count, share=uncertain_share
    )


@register("corrections", asks="corrections")
def corrections(logits):
    """Pixels of largest entropy, shown with the model's class, which is confirmed or replaced."""
    return scores.softmax_entropy(logits)


@register("superpixels", asks="superpixels")
def superpixels(
    image,
    logits,
    first_logits,
    available,
    count,
    class_weights=None,
    superpixel_size=32,
    superpixel_compactness=10.0,
    superpixel_iterations=5,
):
    """Superpixels whose predictions have changed most since the first round, one class each.

    Neighbours that the model finds alike are one part. In the first round, where nothing has
    changed, the parts of largest mean entropy are asked.

    Args:
      superpixel_size: about how many pixels long a superpixel's side is, from 2 to 256.
      superpixel_compactness: how many CIELAB units of colour weigh as much as the distance
        `superpixel_size`, from 0 to 1000.
      superpixel_iterations: of SLIC, 0 or more.
    """
    numbers, bound = _superpixels(
        image, superpixel_size, superpixel_compactness, superpixel_iterations
    )
    merged = merge_alike(numbers, logits, bound=bound)
    change = scores.prediction_change(first_logits, logits)
    unchanged = jnp.nanmean(change) < _NO_CHANGE
    score = jnp.where(unchanged, scores.softmax_entropy(logits), change)
    if class_weights is not None:
        score = weighted(score, logits, class_weights)
    means = superpixel_means(score, merged, bound=bound)
    return select_superpixels(means, merged, available, count=count)


@register("multi_hot", asks="classes")
def multi_hot(
    image,
    logits,
    available,
    count,
    class_weights=None,
    superpixel_size=32,
    superpixel_compactness=10.0,
    superpixel_iterations=5,
):
    """MulActSeg: superpixels of largest mean PixBal, answered by all classes in them.

    PixBal's weights are the class weights "predicted", of the shares in the pool. Without class
    weights they are of the shares in the image alone.
    """
    numbers, bound = _superpixels(
        image, superpixel_size, superpixel_compactness, superpixel_iterations
    )
    if class_weights is None:
        shares = jnp.nanmean(jax.nn.softmax(logits), axis=(0, 1))
        score = scores.pixbal(logits, shares)
    else:
        score = weighted(scores.best_versus_second(logits, 0.1), logits, class_weights)
    means = superpixel_means(score, numbers, bound=bound)
    return select_superpixels(means, numbers, available, count=count)


def _superpixels(image, size, compactness, iterations):
    """The superpixels of an image, and their bound."""
    numbers = ops.slic(image, size=size, compactness=compactness, iterations=iterations)
    return numbers, ops.superpixel_bound(numbers.shape, size)


@register("image_entropy", asks="images")
def image_entropy(logits):
    """Whole images of largest mean entropy."""
    return image_scores.image_entropy(logits)


@register("image_margin", asks="images")
def image_margin(logits):
    """Whole images in which the two largest probabilities are closest on average."""
    return image_scores.image_margin(logits)


@register("image_inconsistency", asks="images")
def image_inconsistency(selector_logits):
    """Whole images in which LabOR's selector is inconsistent on most pixels."""
    return image_scores.image_inconsistency(*selector_logits)


@register("image_core_set", asks="images")
def image_core_set(features):
    """Whole images that cover the pool's other images in feature space."""
    return image_scores.image_vector(features)


@register("random_images", asks="images")
def random_images(key):
    """Random whole images: what any other query of as many seconds must beat."""
    return scores.random_score(key, ())


# WDA's points: the annotator picks one pixel of each class present, see `annotation.Oracle`.
registry.add(registry.Method("human_points", function=None, asks="points", budget="own"))


@register("all", asks="full")
def everything(available):
    """Every pixel: full supervision, the upper bound of the other methods."""
    return jnp.ones_like(available)
