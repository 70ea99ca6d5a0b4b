"""Scores of whole images, and the k-centre choice of images by their features."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax.acquisition import loop_carry, pixel_order, scores
from labor_jax.acquisition.argument_checks import check_class_maps, check_mask, check_natural


def image_entropy(logits: jax.Array) -> jax.Array:
    """Mean of `softmax_entropy` over each image's pixels: f32[..., H, W, C] to f32[...].

    Raises:
      ValueError: If there are fewer than two classes or three axes.

    References:
      The query of ILM-ASSL (Guan and Yuan, "Iterative Loop Method Combining Active and
      Semi-Supervised Learning for Domain Adaptive Semantic Segmentation", arXiv 2301.13361).
    """
    check_class_maps(logits)
    return jnp.mean(scores.softmax_entropy(logits), axis=(-2, -1))


def image_margin(logits: jax.Array) -> jax.Array:
    """Mean of `margin` over each image's pixels: f32[..., H, W, C] to f32[...].

    Raises:
      ValueError: If there are fewer than two classes or three axes.
    """
    check_class_maps(logits)
    return jnp.mean(scores.margin(logits), axis=(-2, -1))


def image_inconsistency(logits_a: jax.Array, logits_b: jax.Array) -> jax.Array:
    """Share of each image's pixels on which two heads differ, LabOR's inconsistency mask.

    Args:
      logits_a: f32[..., H, W, C] of one head.
      logits_b: The same of the other.

    Returns:
      f32[...].

    Raises:
      ValueError: If the shapes differ, or there are fewer than two classes or three axes.
    """
    check_class_maps(logits_a)
    mask = scores.inconsistency_mask(logits_a, logits_b)
    return jnp.mean(mask.astype(jnp.float32), axis=(-2, -1))


def image_vector(features: jax.Array) -> jax.Array:
    """Mean feature vector of each image, f32[..., h, w, D] to f32[..., D], for the k-centres."""
    return jnp.mean(features.astype(jnp.float32), axis=(-3, -2))


@functools.partial(jax.jit, static_argnames="count")
def select_image_core_set(
    vectors: jax.Array, available: jax.Array, *, count: int
) -> tuple[jax.Array, jax.Array]:
    """Greedy k-centre choice of whole images: a core-set of the pool.

    Repeats `count` times: ask the available image whose vector is farthest (squared Euclidean
    distance) from its nearest asked image. Images that are not available count as asked in earlier
    rounds. If there are none, the first pick is the image nearest to the mean vector. Ties go to
    the lowest number. Distances are computed in float32, one asked image at a time: O(N D) each. An
    image whose vector holds NaN or inf covers no other, and comes last.

    Reference: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach", ICLR 2018, arXiv 1708.00489, Algorithm 1.

    Args:
      vectors: float[N, D] of all images, such as `image_vector` gives them.
      available: bool[N].
      count: Number of images, static, >= 0; may exceed N.

    Returns:
      The images' numbers in the order of the picks, int32[count], -1 once none is left; and their
      squared distances to the nearest image asked before, f32[count], -inf for those, and inf for
      the first pick of all.

    Raises:
      ValueError: If the shapes are not [N, D] and [N], there is no image, `available` is not bool,
        or `count` is negative.
      TypeError: If `count` is not an integer.
    """
    if vectors.ndim != 2 or not vectors.shape[0]:
        raise ValueError(f"vectors must be [N, D] of at least one image, got shape {vectors.shape}")
    check_mask("available", available, vectors.shape[:1])
    count = check_natural("count", count)
    vectors = lax.stop_gradient(vectors).astype(jnp.float32)
    vectors = jnp.where(jnp.isfinite(vectors), vectors, jnp.nan)
    broken = jnp.any(jnp.isnan(vectors), axis=-1)
    number = jnp.arange(vectors.shape[0], dtype=jnp.int32)

    def distances_to(vector):
        return jnp.sum(jnp.square(vectors - vector), axis=-1)

    def cover(index, nearest):
        covered = jnp.fmin(nearest, distances_to(vectors[index]))
        return jnp.where(available[index], nearest, covered)

    available = loop_carry.initial_carry(available, vectors)
    nearest = loop_carry.initial_carry(jnp.full(number.shape, jnp.inf, jnp.float32), available)
    nearest = lax.fori_loop(0, number.size, cover, nearest)
    nearest = jnp.where(broken, jnp.nan, nearest)
    to_mean = -distances_to(jnp.mean(vectors, axis=0, where=~broken[:, None]))
    first_score = jnp.where(jnp.all(available | broken), to_mean, nearest)

    def pick(state, index):
        nearest, free = state
        key = pixel_order.sort_key(jnp.where(index == 0, first_score, nearest), free)
        image = jnp.argmax(key).astype(jnp.int32)
        found = key[image] > pixel_order.UNAVAILABLE
        picked = jnp.where(found, image, -1), jnp.where(found, nearest[image], -jnp.inf)
        nearest = jnp.fmin(nearest, distances_to(vectors[image]))
        return (nearest, free & (number != image)), picked

    _, (picks, distances) = lax.scan(pick, (nearest, available), jnp.arange(count))
    return picks, distances


def best_images(scores: np.ndarray, count: int, *, vectors: np.ndarray | None = None) -> np.ndarray:
    """The images of the largest scores, or those that cover the pool.

    Args:
      scores: f32[N] of all images of the pool; NaN ranks below all, -inf is never chosen.
      count: How many to choose, at most.
      vectors: f32[N, D]; if given, `select_image_core_set` chooses by them, and scores only say
        which images can be chosen.

    Returns:
      int64[n], their numbers, best first; of equal scores the lower number comes first.
    """
    if vectors is not None:
        picks, _ = select_image_core_set(
            jnp.asarray(vectors), jnp.asarray(~np.isneginf(scores)), count=min(count, len(scores))
        )
        picks = np.asarray(picks, np.int64)
        return picks[picks >= 0]
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    return order[~np.isneginf(scores[order])][:count]
