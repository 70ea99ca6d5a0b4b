"""Selection under a budget: which pixels of an image to ask, given their scores.

All functions are pure, take one image, and have static shapes; use `jax.vmap` for a batch. The
result is the exact greedy selection on every platform. CPUs use `greedy_sequential`, accelerators
`greedy_parallel`.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import greedy_parallel, greedy_sequential, pixel_order, window_reductions
from labor_jax.acquisition.argument_checks import check_image, check_mask, check_natural

# Number of pixels that `greedy_parallel` processes on a CPU while `greedy_sequential` makes a pick.
_PIXELS_PER_PICK = 128


class Selection(NamedTuple):
    """Picks in an image.

    Attributes:
      centers: i32[count, 2], (row, column) in pick order; (-1, -1) where not valid.
      valid: bool[count], False for picks for which no available pixel was left.
      query: bool[H, W], the pixels to ask.
      available: bool[H, W], the pixels that later rounds may pick.
    """

    centers: jax.Array
    valid: jax.Array
    query: jax.Array
    available: jax.Array


class ScoredSelection(NamedTuple):
    """A `Selection` with the score of each pick, which a budget over the pool goes by.

    Attributes:
      centers: as of a `Selection`, like `valid`, `query` and `available`.
      valid: bool[count].
      query: bool[H, W].
      available: bool[H, W].
      scores: f32[count], never increasing as far as the picks are valid; any number after that.
    """

    centers: jax.Array
    valid: jax.Array
    query: jax.Array
    available: jax.Array
    scores: jax.Array


class MaskSelection(NamedTuple):
    """Asked pixels that have no order.

    Attributes:
      query: bool[H, W], the pixels to ask.
      available: bool[H, W], the pixels that later rounds may ask.
    """

    query: jax.Array
    available: jax.Array


@functools.partial(jax.jit, static_argnames=("count", "radius", "suppression_radius"))
def select_regions(
    score: jax.Array,
    available: jax.Array,
    *,
    count: int,
    radius: int,
    suppression_radius: int,
) -> Selection:
    """Greedy choice of square regions, as in RIPU's region-based annotation.

    Repeats `count` times: take the available pixel of highest score as a centre, ask its
    `(2 * radius + 1)^2` window, make its `(2 * suppression_radius + 1)^2` window unavailable. Both
    windows are clipped to the image. Ties go to the lowest column, then the lowest row. The result
    is exact, never an approximation.

    Only the centre has to be available; its whole window is asked. With
    `suppression_radius >= 2 * radius` no two windows share a pixel, within a round or across rounds
    that pass `available` on.

    Args:
      score: f32[H, W]. An available pixel with score -inf can be picked; NaN ranks below -inf.
      available: bool[H, W].
      count: Number of regions, static, >= 0; may exceed the number of pixels.
      radius: Radius of the asked window, static, >= 0.
      suppression_radius: Radius of the window made unavailable, static, >= 0.

    Returns:
      A `Selection` of `count` picks. If fewer centres are available, the remaining picks are
      invalid.

    Raises:
      ValueError: If the shapes differ or are not [H, W], `available` is not bool, or a number is
        negative.
      TypeError: If a number is not an integer.
    """
    check_image("score", score)
    check_mask("available", available, score.shape)
    count = check_natural("count", count)
    radius = check_natural("radius", radius)
    suppression_radius = check_natural("suppression_radius", suppression_radius)

    if count == 0 or score.size == 0:
        centers = jnp.full((count, 2), -1, jnp.int32)
    else:
        key = pixel_order.sort_key(lax.stop_gradient(score), available)
        centers = _greedy_centers(key, count, suppression_radius)
    valid = centers[:, 0] >= 0
    picked = _mark(centers, valid, score.shape)
    return Selection(
        centers=centers,
        valid=valid,
        query=window_reductions.window_any(picked, radius),
        available=available & ~window_reductions.window_any(picked, suppression_radius),
    )


def select_points(
    score: jax.Array, available: jax.Array, *, count: int, suppression_radius: int = 0
) -> Selection:
    """Greedy choice of single pixels, as in RIPU's pixel-based annotation: regions of radius 0.

    Args:
      score: f32[H, W], as for `select_regions`.
      available: bool[H, W].
      count: Number of pixels, static, >= 0.
      suppression_radius: Radius of the window that a pick makes unavailable, static, >= 0.

    Returns:
      A `Selection` of `count` picks.

    Raises:
      ValueError: As `select_regions`.
      TypeError: As `select_regions`.
    """
    return select_regions(
        score, available, count=count, radius=0, suppression_radius=suppression_radius
    )


@functools.partial(jax.jit, static_argnames="max_pixels")
def select_inconsistent(
    mask: jax.Array,
    discrepancy: jax.Array,
    available: jax.Array,
    *,
    max_pixels: int | None = None,
) -> MaskSelection:
    """LabOR's SPL: asks the pixels where two heads disagree, at most `max_pixels` of them.

    Args:
      mask: bool[H, W] from `inconsistency_mask`; LabOR Eq. 2.
      discrepancy: f32[H, W] from `discrepancy_map`. Pixels of largest discrepancy are asked first.
      available: bool[H, W].
      max_pixels: The most pixels to ask, static, >= 0. None asks all of them, as the paper does.
        Ties go to the lowest column, then the lowest row.

    Returns:
      A `MaskSelection` of exactly `min(max_pixels, number of pixels in mask & available)` pixels.

    Raises:
      ValueError: If the shapes differ or are not [H, W], a mask is not bool, or `max_pixels` is
        negative.
      TypeError: If `max_pixels` is not an integer.
    """
    check_image("discrepancy", discrepancy)
    check_mask("mask", mask, discrepancy.shape)
    check_mask("available", available, discrepancy.shape)
    query = mask & available
    if max_pixels is not None:
        max_pixels = check_natural("max_pixels", max_pixels)
        query = pixel_order.best_mask(pixel_order.sort_key(discrepancy, query), max_pixels)
    return MaskSelection(query=query, available=available & ~query)


def clear_of_asked(available: jax.Array, radius: int) -> jax.Array:
    """Removes from the available pixels those within `radius` of a pixel that is not available.

    Restores what earlier rounds suppressed, given only the pixels that they asked. A region of
    radius r suppresses the window of radius 2r around its centre, which is the region widened by r.
    A point with suppression radius r suppresses the window of radius r, which is the point widened
    by r.

    Args:
      available: bool[H, W], the pixels not asked in earlier rounds.
      radius: Distance to keep, in rows and in columns, static, >= 0.

    Returns:
      bool[H, W].

    Raises:
      ValueError: If `available` is not bool[H, W], or the radius is negative.
      TypeError: If the radius is not an integer.
    """
    check_image("available", available)
    check_mask("available", available, available.shape)
    radius = check_natural("radius", radius)
    return available & ~window_reductions.window_any(~available, radius)


def _greedy_centers(key: jax.Array, count: int, suppression_radius: int) -> jax.Array:
    if suppression_radius == 0 and count > key.size // _PIXELS_PER_PICK:
        # No pick affects another, so `greedy_parallel` is just a threshold and a sort.
        return greedy_parallel.greedy_centers(key, count, 0)
    settings = {"count": count, "suppression_radius": suppression_radius}
    return lax.platform_dependent(
        key,
        cpu=functools.partial(greedy_sequential.greedy_centers, **settings),
        default=functools.partial(greedy_parallel.greedy_centers, **settings),
    )


def _mark(centers: jax.Array, valid: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Marks the valid centres in a mask, bool[H, W]."""
    rows = jnp.where(valid, centers[:, 0], shape[0])
    return jnp.zeros(shape, bool).at[rows, centers[:, 1]].set(True, mode="drop")
