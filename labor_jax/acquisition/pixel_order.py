"""The order of pixels that every selection follows, and the best pixels in this order.

Available pixels come first, then higher scores, then lower columns, then lower rows. No two pixels
are equal in this order, so a greedy selection has exactly one result, however it is computed.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax.acquisition import loop_carry, window_reductions

# The key of a pixel that is not available. It is below the key of every score, even -inf and NaN.
UNAVAILABLE = np.int32(np.iinfo(np.int32).min)


def sort_key(score: jax.Array, available: jax.Array) -> jax.Array:
    """Turns scores into integers of the same order, with unavailable pixels below all others.

    Args:
      score: f32[...]. -0.0 equals 0.0. NaN ranks below -inf: a pixel with a NaN score is asked only
        when nothing else is left.
      available: bool[...], the same shape.

    Returns:
      i32[...]; `UNAVAILABLE` exactly where `available` is False.
    """
    bits = lax.bitcast_convert_type(score.astype(jnp.float32), jnp.int32)
    magnitude = bits & jnp.int32(0x7FFFFFFF)
    # The bits of negative floats descend as the floats ascend; flipping them reverses that.
    key = jnp.where(bits < 0, ~magnitude, magnitude)
    key = jnp.where(magnitude == 0, 0, key)
    is_nan = magnitude > jnp.int32(0x7F800000)
    key = jnp.where(is_nan, UNAVAILABLE + 1, key)
    return jnp.where(available, key, UNAVAILABLE)


def best_mask(key: jax.Array, count: int) -> jax.Array:
    """Marks the `count` best available pixels, or all available ones if there are fewer.

    Finds the threshold bit by bit: 32 passes that count pixels, and no sort.

    Args:
      key: i32[H, W] from `sort_key`.
      count: Number of pixels, static, >= 0.

    Returns:
      bool[H, W] with exactly `min(count, number of available pixels)` pixels set.
    """
    if count >= key.size:
        return key > UNAVAILABLE
    # The same order as unsigned integers, with 0 for unavailable pixels.
    code = lax.bitcast_convert_type(key, jnp.uint32) ^ jnp.uint32(2**31)

    def refine(step, threshold):
        candidate = threshold | jnp.left_shift(jnp.uint32(1), jnp.uint32(31) - step)
        return jnp.where(_count(code >= candidate) >= count, candidate, threshold)

    threshold = loop_carry.initial_carry(jnp.uint32(0), code)
    threshold = lax.fori_loop(jnp.uint32(0), jnp.uint32(32), refine, threshold)
    above = code > threshold
    tied = (code == threshold) & (threshold > 0)
    return above | _first_in_order(tied, count - _count(above))


def ranked_pixels(
    mask: jax.Array, key: jax.Array, count: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Lists the set pixels of a mask, best first.

    Args:
      mask: bool[H, W] with at most `count` pixels set.
      key: i32[H, W] from `sort_key`.
      count: Length of the result, static, >= 1.

    Returns:
      rows i32[count], columns i32[count] and valid bool[count]; the valid ones come first.
    """
    height = mask.shape[0]
    # `counts[y, x]` pixels are set in column x down to row y.
    counts = window_reductions.column_sums(mask.astype(jnp.int32))
    ends = jnp.cumsum(counts[-1])
    slot = jnp.arange(count, dtype=jnp.int32)
    valid = slot < ends[-1]
    column = jnp.minimum(jnp.searchsorted(ends, slot, side="right"), mask.shape[1] - 1)
    column = column.astype(jnp.int32)
    nth = slot - (ends[column] - counts[-1, column]) + 1

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        reached = counts[middle, column] >= nth
        return jnp.where(reached, low, middle + 1), jnp.where(reached, middle, high)

    low, high = jnp.zeros_like(column), jnp.full_like(column, height - 1)
    bounds = loop_carry.initial_carry(low, column), loop_carry.initial_carry(high, column)
    row, _ = lax.fori_loop(0, math.ceil(math.log2(height)) if height > 1 else 0, halve, bounds)
    # The slots ascend by column, then row. A stable sort by score keeps this order for ties.
    descending = jnp.where(valid, ~key[row, column], jnp.iinfo(jnp.int32).max)
    _, row, column = lax.sort((descending, row, column), num_keys=1, is_stable=True)
    return row, column, valid


def _count(mask: jax.Array) -> jax.Array:
    """Number of set pixels, i32[]. Columns are summed in float32: exact, and it vectorises."""
    return jnp.sum(jnp.sum(mask, axis=0, dtype=jnp.float32).astype(jnp.int32))


def _first_in_order(mask: jax.Array, count: jax.Array) -> jax.Array:
    """Marks the first `count` set pixels of a mask, by column and then row."""
    height = mask.shape[0]
    per_column = jnp.sum(mask, axis=0, dtype=jnp.int32)
    quota = jnp.clip(count - (jnp.cumsum(per_column) - per_column), 0, per_column)
    # At most one column is taken partially. Find the last row to take from it.
    partial = (quota > 0) & (quota < per_column)
    column = jnp.argmax(partial)
    reached = jnp.cumsum(mask[:, column].astype(jnp.int32)) >= quota[column]
    last_row = jnp.where(partial, jnp.argmax(reached), jnp.where(quota > 0, height - 1, -1))
    return mask & (jnp.arange(height)[:, None] <= last_row)
