"""Greedy selection that finds one pick at a time: the implementation for CPUs.

It keeps the maximum of each column, and of each band of 32 rows in a column. A pick searches the W
column maxima, then the bands of the column found, then the band found. After that it updates the
maxima that the suppressed window touches. Apart from the search over W columns, the cost of a pick
does not depend on the size of the image.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax.acquisition import loop_carry
from labor_jax.acquisition.pixel_order import UNAVAILABLE

# Rows in a band. A pick reads H / BAND + BAND numbers of a column, which is least for 32 of 1024.
BAND = 32
# Indices of one array have one type, also where JAX has 64 bits.
_ZERO = np.int32(0)


def greedy_centers(key: jax.Array, count: int, suppression_radius: int) -> jax.Array:
    """Finds the first `count` greedy picks; each pick makes its window unavailable.

    Args:
      key: i32[H, W] from `pixel_order.sort_key`.
      count: Number of picks, static, >= 1.
      suppression_radius: Radius of the window that a pick makes unavailable, static.

    Returns:
      i32[count, 2], (row, column) in pick order; (-1, -1) once no pixel is available.
    """

    # vmap runs one image after the other. A batched loop would turn the small slices into gathers
    # and scatters over all images, and each image would wait for the slowest.
    @jax.custom_batching.sequential_vmap
    def pick_all(key):
        return _pick_all(key, count, suppression_radius)

    return pick_all(key)


def _pick_all(key: jax.Array, count: int, radius: int) -> jax.Array:
    height, width = key.shape
    num_bands = -(-height // BAND)
    key = jnp.pad(key, ((0, num_bands * BAND - height), (0, 0)), constant_values=UNAVAILABLE)
    bands = jnp.max(key.reshape(num_bands, BAND, width), axis=1)
    columns = jnp.max(bands, axis=0)

    # The size of a block of whole bands that can hold any suppressed window.
    block_width = min(2 * radius + 1, width)
    block_bands = min((2 * radius + BAND - 1) // BAND + 1, num_bands)
    block_shape = (block_bands * BAND, block_width)

    def unfinished(state):
        index, best, *_ = state
        return (index < count) & (best > UNAVAILABLE)

    def pick(state):
        index, best, key, bands, columns, centers = state
        # The lowest column that holds the best score, then the lowest row in it.
        x = _first(columns == best)
        band = _first(lax.dynamic_slice(bands, (_ZERO, x), (num_bands, 1))[:, 0] == best)
        top = band * BAND
        y = top + _first(lax.dynamic_slice(key, (top, x), (BAND, 1))[:, 0] == best)
        centers = lax.dynamic_update_slice(centers, jnp.stack([y, x])[None], (index, _ZERO))

        left = jnp.clip(x - radius, 0, width - block_width)
        first_band = jnp.clip((y - radius) // BAND, 0, num_bands - block_bands)
        corner = (first_band * BAND, left)
        rows = corner[0] + lax.broadcasted_iota(jnp.int32, block_shape, 0)
        cols = left + lax.broadcasted_iota(jnp.int32, block_shape, 1)
        suppressed = (jnp.abs(rows - y) <= radius) & (jnp.abs(cols - x) <= radius)
        block = jnp.where(suppressed, UNAVAILABLE, lax.dynamic_slice(key, corner, block_shape))
        key = lax.dynamic_update_slice(key, block, corner)

        # Read the block from the updated array. If the old array had a second reader, XLA would
        # copy all of it at every pick instead of updating it in place.
        block = lax.dynamic_slice(key, corner, block_shape)
        block_maxima = jnp.max(block.reshape(block_bands, BAND, block_width), axis=1)
        bands = lax.dynamic_update_slice(bands, block_maxima, (first_band, left))
        strip = lax.dynamic_slice(bands, (_ZERO, left), (num_bands, block_width))
        columns = lax.dynamic_update_slice(columns, jnp.max(strip, axis=0), (left,))
        return index + 1, jnp.max(columns), key, bands, columns, centers

    centers = loop_carry.initial_carry(jnp.full((count, 2), -1, jnp.int32), key)
    state = _ZERO, jnp.max(columns), key, bands, columns, centers
    return lax.while_loop(unfinished, pick, state)[-1]


def _first(condition: jax.Array) -> jax.Array:
    """Index of the first True, i32[]. A minimum vectorises better than an argmax."""
    size = condition.shape[0]
    return jnp.min(jnp.where(condition, lax.iota(jnp.int32, size), size - 1))
