"""Greedy selection that finds many picks at once: the implementation for accelerators.

A pixel that is the best of its own suppression window is a greedy pick, whatever happens elsewhere.
So the loop keeps all such pixels, makes their windows unavailable, and repeats. The kept pixels in
order of their scores are the greedy picks.

Each pick suppresses at most its own window. So the first `count` picks are among the best
`count * (2 * suppression_radius + 1)^2` pixels, and all others are dropped before the loop.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import loop_carry, pixel_order, window_reductions


def greedy_centers(key: jax.Array, count: int, suppression_radius: int) -> jax.Array:
    """Finds the first `count` greedy picks; each pick makes its window unavailable.

    Args:
      key: i32[H, W] from `pixel_order.sort_key`.
      count: Number of picks, static, >= 1.
      suppression_radius: Radius of the window that a pick makes unavailable, static.

    Returns:
      i32[count, 2], (row, column) in pick order; (-1, -1) once no pixel is available.
    """
    height, width = key.shape
    span = 2 * suppression_radius + 1
    num_candidates = min(count * min(span, height) * min(span, width), height * width)
    candidates = pixel_order.best_mask(key, num_candidates)
    rows, columns, valid = pixel_order.ranked_pixels(candidates, key, num_candidates)
    if suppression_radius > 0:
        rank = _rank_map(rows, columns, valid, key.shape)
        kept = _kept(rank, count, suppression_radius)
        valid &= kept[rows, columns]
    # The n-th pick is the first rank at which n candidates have been kept.
    kept_so_far = jnp.cumsum(valid.astype(jnp.int32))
    picks = jnp.arange(1, count + 1, dtype=jnp.int32)
    place = jnp.minimum(jnp.searchsorted(kept_so_far, picks), num_candidates - 1)
    centers = jnp.stack([rows[place], columns[place]], axis=-1)
    return jnp.where((picks <= kept_so_far[-1])[:, None], centers, -1)


def _rank_map(
    rows: jax.Array, columns: jax.Array, valid: jax.Array, shape: tuple[int, ...]
) -> jax.Array:
    """Rank of each candidate, 0 for the best, i32[H, W]; the largest int32 for all other pixels."""
    none = jnp.iinfo(jnp.int32).max
    rows = jnp.where(valid, rows, shape[0])
    places = jnp.arange(rows.shape[0], dtype=jnp.int32)
    return jnp.full(shape, none, jnp.int32).at[rows, columns].set(places, mode="drop")


def _kept(rank: jax.Array, count: int, radius: int) -> jax.Array:
    """Marks the candidates that greedy selection picks, bool[H, W]; exact for the first `count`."""
    none = jnp.iinfo(jnp.int32).max

    def unfinished(state):
        left, kept_rank = state
        # A kept pixel that ranks before all undecided ones has its final place in the order.
        undecided = jnp.min(left)
        return (undecided < none) & (jnp.sum(kept_rank < undecided) < count)

    def keep_best(state):
        left, kept_rank = state
        best = (left == window_reductions.window_min(left, radius)) & (left < none)
        taken = window_reductions.window_any(best, radius)
        return jnp.where(taken, none, left), jnp.where(best, left, kept_rank)

    kept_rank = loop_carry.initial_carry(jnp.full_like(rank, none), rank)
    _, kept_rank = lax.while_loop(unfinished, keep_best, (rank, kept_rank))
    return kept_rank < none
