"""PixelPick's choice: random pixels among the most uncertain ones."""

from __future__ import annotations

import functools
import math

import jax

from labor_jax.acquisition import pixel_order, scores
from labor_jax.acquisition.argument_checks import check_image, check_mask, check_natural
from labor_jax.acquisition.budget import exact
from labor_jax.acquisition.selection import Selection, select_points


@functools.partial(jax.jit, static_argnames=("count", "share"))
def select_random_of_best(
    key: jax.Array, score: jax.Array, available: jax.Array, *, count: int, share: float = 0.05
) -> Selection:
    """Asks random pixels among the available ones of largest score, without replacement.

    Args:
      key: A JAX random key.
      score: f32[H, W].
      available: bool[H, W].
      count: Number of pixels, static, >= 0.
      share: How many of the image's pixels to draw from, static, above 0, at most 1: its share is
        rounded up, and is never less than `count` pixels. Ties at its end go to the lowest column,
        then the lowest row.

    Returns:
      A `Selection` of `count` picks.

    Raises:
      ValueError: If the shapes differ or are not [H, W], `available` is not bool, the share is out
        of its range or the count negative.
      TypeError: If the count is not an integer.

    References:
      Shin, Xie and Albanie, "All you need are a few pixels: semantic segmentation with PixelPick",
      ICCV workshops 2021, https://arxiv.org/abs/2104.06394.
    """
    check_image("score", score)
    check_mask("available", available, score.shape)
    count = check_natural("count", count)
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    pixels = max(count, math.ceil(exact(share) * score.size))
    order = pixel_order.sort_key(jax.lax.stop_gradient(score), available)
    best = pixel_order.best_mask(order, pixels)
    chosen = select_points(scores.random_score(key, score.shape), best, count=count)
    return chosen._replace(available=available & ~chosen.query)
