"""Selection under a budget: which pixels of an image to ask, given what each is worth.

All functions take one image and are pure with static shapes; a batch is their `jax.vmap`. The
result is exactly the greedy one on every platform: `tiled` finds it on CPUs, `parallel` on
accelerators.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import parallel, ranking, tiled, windows
from labor_jax.acquisition.checks import check_image, check_mask, check_natural

# On a CPU, about how many pixels the parallel form passes over in the time of one tiled pick.
_PIXELS_PER_PICK = 128


class Selection(NamedTuple):
    """Picks in an image.

    Attributes:
      centers: i32[count, 2], (row, column) in pick order; (-1, -1) where not valid.
      valid: bool[count], False for the picks that the image could not serve.
      query: bool[H, W], the pixels to ask.
      available: bool[H, W], what later rounds may still pick.
    """

    centers: jax.Array
    valid: jax.Array
    query: jax.Array
    available: jax.Array


class MaskSelection(NamedTuple):
    """Asked pixels without an order.

    Attributes:
      query: bool[H, W], the pixels to ask.
      available: bool[H, W], what later rounds may still ask.
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
    is exactly that, never an approximation.

    Only centres have to be available: a window is asked whole. With
    `suppression_radius >= 2 * radius` no two windows share a pixel, in later rounds neither.

    Args:
      score: f32[H, W]. An available pixel with -inf is still a candidate; NaN ranks below -inf.
      available: bool[H, W].
      count: Number of regions, static, >= 0; may exceed the number of pixels.
      radius: Radius of the asked window, static, >= 0.
      suppression_radius: Radius of the window made unavailable, static, >= 0.

    Returns:
      A `Selection` of `count` picks. When fewer centres are available the rest is invalid.

    Raises:
      ValueError: If the shapes differ or are not [H, W], `available` is not bool, or a number is
        negative.
      TypeError: If a number is no integer.
    """
    check_image("score", score)
    check_mask("available", available, score.shape)
    count = check_natural("count", count)
    radius = check_natural("radius", radius)
    suppression_radius = check_natural("suppression_radius", suppression_radius)

    if count == 0 or score.size == 0:
        centers = jnp.full((count, 2), -1, jnp.int32)
    else:
        key = ranking.sort_key(lax.stop_gradient(score), available)
        centers = _greedy_centers(key, count, suppression_radius)
    valid = centers[:, 0] >= 0
    picked = _mark(centers, valid, score.shape)
    return Selection(
        centers=centers,
        valid=valid,
        query=windows.window_any(picked, radius),
        available=available & ~windows.window_any(picked, suppression_radius),
    )


def select_points(
    score: jax.Array, available: jax.Array, *, count: int, suppression_radius: int = 0
) -> Selection:
    """Greedy choice of single pixels, as RIPU's pixel-based annotation: regions of radius 0.

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
    """LabOR's SPL: asks the pixels on which the two classifiers disagree, under a cap.

    Args:
      mask: bool[H, W] from `inconsistency_mask`; LabOR Eq. 2.
      discrepancy: f32[H, W] from `discrepancy_map`; it decides which pixels a cap keeps.
      available: bool[H, W].
      max_pixels: The most pixels to ask, static, >= 0; None asks all of them, as the paper does.
        The pixels of largest discrepancy are kept, ties by lowest column, then lowest row.

    Returns:
      A `MaskSelection` of exactly `min(max_pixels, pixels in mask & available)` pixels.

    Raises:
      ValueError: If the shapes differ or are not [H, W], a mask is not bool, or `max_pixels` is
        negative.
      TypeError: If `max_pixels` is no integer.
    """
    check_image("discrepancy", discrepancy)
    check_mask("mask", mask, discrepancy.shape)
    check_mask("available", available, discrepancy.shape)
    query = mask & available
    if max_pixels is not None:
        max_pixels = check_natural("max_pixels", max_pixels)
        query = ranking.best_mask(ranking.sort_key(discrepancy, query), max_pixels)
    return MaskSelection(query=query, available=available & ~query)


def _greedy_centers(key: jax.Array, count: int, suppression_radius: int) -> jax.Array:
    if suppression_radius == 0 and count > key.size // _PIXELS_PER_PICK:
        # Picks do not affect each other, so the parallel form is one threshold and one sort.
        return parallel.greedy_centers(key, count, 0)
    tiled_form = functools.partial(
        tiled.greedy_centers, count=count, suppression_radius=suppression_radius
    )
    parallel_form = functools.partial(
        parallel.greedy_centers, count=count, suppression_radius=suppression_radius
    )
    return lax.platform_dependent(key, cpu=tiled_form, default=parallel_form)


def _mark(centers: jax.Array, valid: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The valid centers as a mask, bool[H, W]."""
    rows = jnp.where(valid, centers[:, 0], shape[0])
    return jnp.zeros(shape, bool).at[rows, centers[:, 1]].set(True, mode="drop")
