"""Superpixels as parts of a query: their means, merging of like ones, and which of them to ask.

Superpixels are numbered from 0, in a map int32[H, W] as `ops.slic` gives it. `bound` is one more
than the largest number that may occur, so that shapes are static; not every number need occur. A
pixel with a negative number, or one from `bound` on, is in no superpixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import loop_carry, pixel_order
from labor_jax.acquisition.argument_checks import check_image, check_mask, check_natural
from labor_jax.acquisition.pool_image import Query
from labor_jax.acquisition.scores import entropy_in_nats

LARGEST_BOUND = 2**16 - 1
"""The largest `bound` of `adjacent_superpixels`: two numbers then fit 32 bits."""


@functools.partial(jax.jit, static_argnames="bound")
def superpixel_means(values: jax.Array, superpixels: jax.Array, *, bound: int) -> jax.Array:
    """Mean of each superpixel, in float32.

    Args:
      values: float, integer or bool[H, W], or [H, W, C].
      superpixels: int32[H, W]; pixels in none are left out.
      bound: Static, >= 1.

    Returns:
      f32[bound] or f32[bound, C]; 0 for a superpixel without pixels.

    Raises:
      ValueError: If the shapes don't fit.
    """
    _check_numbers(superpixels)
    if values.ndim not in (2, 3) or values.shape[:2] != superpixels.shape:
        raise ValueError(
            f"values must be [H, W] or [H, W, C] with H x W of {superpixels.shape}, got shape "
            f"{values.shape}"
        )
    by_class = values[..., None] if values.ndim == 2 else values
    means = _means(by_class, superpixels, bound, lambda row: row.astype(jnp.float32))
    return means[:, 0] if values.ndim == 2 else means


@functools.partial(jax.jit, static_argnames="bound")
def adjacent_superpixels(superpixels: jax.Array, *, bound: int) -> jax.Array:
    """All pairs of superpixels that share a border, each pair once.

    Args:
      superpixels: int32[H, W], each number a 4-connected piece. Such a map is planar, and has at
        most 3 pairs a superpixel.
      bound: Static, 1 to 65,535.

    Returns:
      int32[3 * bound, 2], the lower number first, in ascending order; the rest is -1.

    Raises:
      ValueError: If the map is not [H, W], or the bound too large.
    """
    _check_numbers(superpixels)
    if bound > LARGEST_BOUND:
        raise ValueError(
            f"{bound} superpixels may occur, and at most {LARGEST_BOUND} can be merged; take "
            "larger ones"
        )
    first = jnp.concatenate([superpixels[:, :-1].ravel(), superpixels[:-1].ravel()])
    second = jnp.concatenate([superpixels[:, 1:].ravel(), superpixels[1:].ravel()])
    code = jnp.minimum(first, second).astype(jnp.uint32) * jnp.uint32(bound)
    code += jnp.maximum(first, second).astype(jnp.uint32)
    none = jnp.uint32(2**32 - 1)
    # With the `none`s at the end every code is there, also of a map without pairs.
    inside = (jnp.minimum(first, second) >= 0) & (jnp.maximum(first, second) < bound)
    code = jnp.where(inside & (first != second), code, none)
    code = jnp.sort(jnp.concatenate([code, jnp.full(3 * bound, none)]))
    before = jnp.concatenate([jnp.full(1, none), code[:-1]])
    rank = jnp.cumsum((code != before) & (code != none))
    place = jnp.searchsorted(rank, jnp.arange(1, 3 * bound + 1))
    found = code[jnp.minimum(place, code.size - 1)]
    pairs = jnp.stack(jnp.divmod(found, jnp.uint32(bound)), axis=-1).astype(jnp.int32)
    return jnp.where((place < code.size)[:, None], pairs, -1)


@functools.partial(jax.jit, static_argnames="bound")
def merge_alike(
    superpixels: jax.Array,
    logits: jax.Array,
    *,
    bound: int,
    entropy: float = 0.05,
    divergence: float = 0.10,
) -> jax.Array:
    """Joins neighbouring superpixels of which the model is certain, and that it finds alike.

    Two superpixels that share a border are joined if the mean entropy of the pixels is below
    `entropy` in both, and the Jensen-Shannon divergence of their mean probabilities is below
    `divergence`, both in nats. Whatever is connected by such pairs becomes one superpixel.

    Args:
      superpixels: int32[H, W], see `adjacent_superpixels`.
      logits: f32[H, W, C] of the model.
      bound: Static, 1 to 65,535.
      entropy: See above.
      divergence: See above.

    Returns:
      int32[H, W]: superpixels that were joined have the lowest of their numbers. A pixel in none
      keeps its number.

    Raises:
      ValueError: If the shapes don't fit, or the bound is too large.

    References:
      D2ADA: Wu et al., ECCV 2022, https://arxiv.org/abs/2202.06484, asks superpixels; the merging
      is of later methods, such as Kim et al., "Adaptive Superpixel for Active Learning in Semantic
      Segmentation", ICCV 2023.
    """
    _check_numbers(superpixels)
    if logits.ndim != 3 or logits.shape[:2] != superpixels.shape:
        raise ValueError(
            f"logits must be [H, W, C] with H x W of {superpixels.shape}, got shape {logits.shape}"
        )
    pairs = adjacent_superpixels(superpixels, bound=bound)

    def probabilities_and_entropy(row):
        probabilities = jax.nn.softmax(row.astype(jnp.float32))
        entropies = entropy_in_nats(probabilities)
        return jnp.concatenate([probabilities, entropies[..., None]], axis=-1)

    means = _means(logits, superpixels, bound, probabilities_and_entropy)
    probabilities, certain = means[:, :-1], means[:, -1] < entropy
    first, second = (probabilities[each] for each in jnp.maximum(pairs, 0).T)
    between = entropy_in_nats((first + second) / 2)
    between -= (entropy_in_nats(first) + entropy_in_nats(second)) / 2
    joined = (between < divergence) & jnp.all(certain[pairs], axis=-1) & (pairs[:, 0] >= 0)
    # A pair that is not joined points to itself, which changes nothing.
    ends = jnp.where(joined, pairs.T, 0)
    parents = loop_carry.initial_carry(jnp.arange(bound, dtype=jnp.int32), means)

    def lower(state):
        parents, _ = state
        roots = parents[ends]
        lowest = jnp.min(roots, axis=0)
        lowered = parents.at[roots].min(jnp.broadcast_to(lowest, roots.shape))
        lowered = lowered[lowered]
        return lowered, jnp.any(lowered != parents)

    any_pair = jnp.any(joined)
    parents, _ = lax.while_loop(lambda state: state[1], lower, (parents, any_pair))
    return jnp.where(_inside(superpixels, bound), parents[superpixels], superpixels)


@functools.partial(jax.jit, static_argnames="count")
def select_superpixels(
    score: jax.Array, superpixels: jax.Array, available: jax.Array, *, count: int
) -> Query:
    """Asks the superpixels of highest score.

    A superpixel can be asked if at least half of its pixels are available, and only its available
    pixels are asked. Ties go to the lowest number.

    Args:
      score: f32[bound] of each superpixel; NaN ranks below -inf.
      superpixels: int32[H, W]; pixels in none are not asked.
      available: bool[H, W].
      count: Number of superpixels, static, >= 0; may exceed their number.

    Returns:
      A `Query` with `parts` and `scores` in the order of the picks; fewer than `count` if fewer are
      available.

    Raises:
      ValueError: If the shapes don't fit, `available` is not bool, or `count` is negative.
      TypeError: If `count` is not an integer.
    """
    if score.ndim != 1:
        raise ValueError(f"score must be f32[bound], one of a superpixel, got shape {score.shape}")
    _check_numbers(superpixels)
    check_mask("available", available, superpixels.shape)
    count = check_natural("count", count)
    bound = score.shape[0]
    numbers = jnp.where(_inside(superpixels, bound), superpixels, bound)
    area = jnp.zeros(bound, jnp.int32).at[numbers].add(1, mode="drop")
    free = jnp.zeros(bound, jnp.int32).at[numbers].add(available.astype(jnp.int32), mode="drop")
    key = pixel_order.sort_key(lax.stop_gradient(score), (free > 0) & (2 * free >= area))
    # `top_k` gives equal keys in the order of their places.
    best, chosen = lax.top_k(key, min(count, bound))
    valid = best > pixel_order.UNAVAILABLE
    rank = jnp.arange(chosen.size, dtype=jnp.int32)
    part = jnp.full(bound, -1, jnp.int32).at[chosen].set(jnp.where(valid, rank, -1))
    parts = jnp.where(available, part.at[numbers].get(mode="fill", fill_value=-1), -1)
    scores = jnp.where(valid, score[chosen].astype(jnp.float32), -jnp.inf)
    scores = jnp.pad(scores, (0, count - chosen.size), constant_values=-jnp.inf)
    return Query(parts >= 0, jnp.sum(valid, dtype=jnp.int32), available, parts=parts, scores=scores)


def _check_numbers(superpixels: jax.Array) -> None:
    check_image("superpixels", superpixels)
    if not jnp.issubdtype(superpixels.dtype, jnp.integer):
        raise ValueError(f"superpixels must be numbers int32[H, W], got {superpixels.dtype}")


def _inside(superpixels: jax.Array, bound: int) -> jax.Array:
    return (superpixels >= 0) & (superpixels < bound)


def _means(
    values: jax.Array, superpixels: jax.Array, bound: int, row_values: Callable
) -> jax.Array:
    """Means f32[bound, D] of what `row_values` makes of each row: [W, C] to f32[W, D].

    Row by row, so that what it makes is never in memory for the whole image.
    """
    numbers = jnp.where(_inside(superpixels, bound), superpixels, bound)
    numbers = loop_carry.initial_carry(numbers, values)

    def add(state, row):
        totals, counts = state
        row, number = row
        totals = totals.at[number].add(row_values(row), mode="drop")
        return (totals, counts.at[number].add(1, mode="drop")), None

    depth = jax.eval_shape(row_values, values[0]).shape[-1]
    state = (jnp.zeros((bound, depth), jnp.float32), jnp.zeros(bound, jnp.int32))
    state = tuple(loop_carry.initial_carry(each, numbers) for each in state)
    (totals, counts), _ = lax.scan(add, state, (values, numbers))
    return totals / jnp.maximum(counts, 1)[:, None]
