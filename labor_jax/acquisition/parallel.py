"""Greedy selection with all picks found together: the form for accelerators.

A pixel that is the best of its own suppression window is a greedy pick whatever happens elsewhere.
So keep all such pixels, make their windows unavailable, and repeat: the kept pixels, in order, are
the greedy picks. Only the best `count * (2 * suppression_radius + 1)^2` pixels can be among the
first `count` picks, since a pick takes no more than its window from those behind it; the rest is
dropped first.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import loops, ranking, windows


def greedy_centers(key: jax.Array, count: int, suppression_radius: int) -> jax.Array:
    """The first `count` greedy picks, each making its window unavailable for the next.

    Args:
      key: i32[H, W] from `ranking.sort_key`.
      count: Number of picks, static, >= 1.
      suppression_radius: Radius of the window that a pick makes unavailable, static.

    Returns:
      i32[count, 2], (row, column) in pick order, (-1, -1) after the last available pixel.
    """
    height, width = key.shape
    span = 2 * suppression_radius + 1
    num_candidates = min(count * min(span, height) * min(span, width), height * width)
    candidates = ranking.best_mask(key, num_candidates)
    rows, columns, valid = ranking.ranked_pixels(candidates, key, num_candidates)
    if suppression_radius > 0:
        rank = _rank_map(rows, columns, valid, key.shape)
        kept = _settle(rank, count, suppression_radius)
        valid &= kept[rows, columns]
    # The n-th pick is the first place where n kept candidates have been passed.
    passed = jnp.cumsum(valid.astype(jnp.int32))
    picks = jnp.arange(1, count + 1, dtype=jnp.int32)
    place = jnp.minimum(jnp.searchsorted(passed, picks), num_candidates - 1)
    centers = jnp.stack([rows[place], columns[place]], axis=-1)
    return jnp.where((picks <= passed[-1])[:, None], centers, -1)


def _rank_map(
    rows: jax.Array, columns: jax.Array, valid: jax.Array, shape: tuple[int, ...]
) -> jax.Array:
    """Place of each candidate in the total order, i32[H, W]; the largest integer elsewhere."""
    none = jnp.iinfo(jnp.int32).max
    rows = jnp.where(valid, rows, shape[0])
    places = jnp.arange(rows.shape[0], dtype=jnp.int32)
    return jnp.full(shape, none, jnp.int32).at[rows, columns].set(places, mode="drop")


def _settle(rank: jax.Array, count: int, radius: int) -> jax.Array:
    """Which candidates greedy selection picks, bool[H, W]; exact for the first `count` of them."""
    none = jnp.iinfo(jnp.int32).max

    def unsettled(state):
        left, kept_rank = state
        # Kept pixels that come before all undecided ones have their final place.
        undecided = jnp.min(left)
        return (undecided < none) & (jnp.sum(kept_rank < undecided) < count)

    def keep_best(state):
        left, kept_rank = state
        best = (left == windows.window_min(left, radius)) & (left < none)
        taken = windows.window_any(best, radius)
        return jnp.where(taken, none, left), jnp.where(best, left, kept_rank)

    kept_rank = loops.initial(jnp.full_like(rank, none), rank)
    _, kept_rank = lax.while_loop(unsettled, keep_best, (rank, kept_rank))
    return kept_rank < none
