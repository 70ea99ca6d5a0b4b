"""MaxHerding: pixels that are like as many others as possible, none of them alike."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax import ops
from labor_jax.acquisition import loop_carry
from labor_jax.acquisition.argument_checks import check_image_features, check_natural
from labor_jax.acquisition.selection import ScoredSelection

# Gains that are smaller by less than this share of the largest count as equal: of two positions
# that cover nothing but each other, both gain the same, and rounding would choose between them.
_TIE = 1e-5
_POSITIONS = 2048


@functools.partial(jax.jit, static_argnames=("count", "lengthscale", "positions"))
def select_max_herding(
    features: jax.Array,
    available: jax.Array,
    *,
    count: int,
    lengthscale: float = 1.0,
    positions: int = _POSITIONS,
) -> ScoredSelection:
    """Greedy choice of pixels that cover the image in a kernel of its features.

    Pixels are compared at positions spread over the image: every n-th pixel in both directions,
    with the smallest n that leaves at most `positions`. m(x) is the largest kernel value between
    position x and the positions asked, 0 before there are any. Repeats `count` times: ask the
    available position y for which the mean over all x of max(0, k(x, y) - m(x)) is largest, its
    gain. Gains within a 1e-5th of the largest are ties, which go to the lowest column, then the
    lowest row. Positions that are not available count as asked in earlier rounds. Gains are
    computed in float32. Where a tie or rounding made a gain larger than the one before, the one
    before is given.

    k(x, y) = exp(-|x - y|^2 / (2 lengthscale^2)) of the feature vectors, scaled to length 1; a
    zero vector stays one. A pixel's vector is the bilinear interpolation of `features` with
    aligned corners. k is 0 where a vector holds NaN: such a pixel covers none, and gains 0.

    Args:
      features: float[h, w, D], the image's features at any resolution.
      available: bool[H, W].
      count: Number of pixels, static, >= 0. All rounds together can ask each position once.
      lengthscale: Above 0, static.
      positions: The most positions to compare, static, >= 1. The kernel of all their pairs is kept,
        so memory grows with its square: 16 MB for 2048.

    Returns:
      A `ScoredSelection` of `count` picks; their scores are their gains. If fewer positions are
      available, the remaining picks are invalid.

    Raises:
      ValueError: If the shapes are not [h, w, D] and [H, W], an array is empty, `available` is not
        bool, or a setting is out of its range.
      TypeError: If the count is not an integer.

    References:
      Bae et al., "Generalized Coverage for More Robust Low-Budget Active Learning", ECCV 2024,
      https://arxiv.org/abs/2407.12212. There x and y are images; here they are pixels of one.
    """
    count = _check(features, available, count, lengthscale, positions)
    available = loop_carry.initial_carry(available, features)
    rows, columns = _position_lines(available.shape, positions)
    # Columns first, so that the lowest number wins a tie.
    places = np.stack(np.meshgrid(rows, columns), axis=-1).reshape(-1, 2)
    kernel = _kernel(features, available.shape, rows, columns, lengthscale)
    free = available[places[:, 0], places[:, 1]]
    covered = jnp.max(jnp.where(free, 0.0, kernel), axis=1)
    number = jnp.arange(len(places), dtype=jnp.int32)

    def pick(state, _):
        covered, free = state
        # The kernel is symmetric: a row is a candidate.
        gains = jnp.mean(jnp.maximum(kernel - covered, 0.0), axis=1)
        least = jnp.max(jnp.where(free, gains, 0.0)) * (1.0 - _TIE)
        best = jnp.argmax(free & ~(gains < least)).astype(jnp.int32)
        found = jnp.any(free)
        covered = jnp.where(found, jnp.maximum(covered, kernel[best]), covered)
        picked = jnp.where(found, best, -1), jnp.where(found, gains[best], -jnp.inf)
        return (covered, free & (number != best)), picked

    _, (picks, gains) = lax.scan(pick, (covered, free), length=count)
    gains = lax.cummin(gains)
    valid = picks >= 0
    centers = jnp.where(valid[:, None], jnp.asarray(places)[picks], -1)
    marked = jnp.where(valid, centers[:, 0], available.shape[0])
    query = jnp.zeros(available.shape, bool).at[marked, centers[:, 1]].set(True, mode="drop")
    return ScoredSelection(centers, valid, query, available & ~query, gains)


def herding_positions(size: tuple[int, int]) -> int:
    """How many pixels `select_max_herding` can ask of an image in all rounds together.

    Args:
      size: (H, W) of the image.

    Returns:
      The number of its positions, by default at most 2048.
    """
    return math.prod(map(len, _position_lines(size, _POSITIONS)))


def _position_lines(size: tuple[int, int], positions: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the columns of the positions, as far from one border as from the other."""
    every = 1
    while math.prod(-(-side // every) for side in size) > positions:
        every += 1
    rows, columns = (
        np.arange((side - 1) % every // 2, side, every, dtype=np.int32) for side in size
    )
    return rows, columns


def _kernel(
    features: jax.Array,
    size: tuple[int, int],
    rows: np.ndarray,
    columns: np.ndarray,
    lengthscale: float,
) -> jax.Array:
    """The kernel of all pairs of positions, f32[P, P], numbered by column, then by row."""
    taps = []
    for coarse, side, lines in zip(features.shape, size, (rows, columns), strict=False):
        every_pixel = ops.taps_align_corners(coarse, side)
        taps.append(ops.Taps(*(each[lines] for each in every_pixel)))
    vectors = ops.interpolate(lax.stop_gradient(features).astype(jnp.float32), *taps)
    vectors = _unit(vectors.swapaxes(0, 1).reshape(len(rows) * len(columns), -1))
    products = jnp.dot(vectors, vectors.T, precision=lax.Precision.HIGHEST)
    # |x - y|^2 is |x|^2 + |y|^2 - 2 xy; a length is 1, or 0 of a zero vector.
    half = 0.5 * jnp.any(vectors != 0, axis=-1)
    kernel = jnp.exp(jnp.minimum(products - half[:, None] - half, 0.0) / lengthscale**2)
    return jnp.where(jnp.isnan(kernel), 0.0, kernel)


def _unit(vectors: jax.Array) -> jax.Array:
    """Scales vectors to length 1; a zero vector stays as it is."""
    # First to a largest value of 1, whose square neither overflows nor vanishes.
    largest = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.sqrt(jnp.sum(jnp.square(vectors), axis=-1, keepdims=True))
    return vectors / jnp.where(largest > 0, norm, 1.0)


def _check(
    features: jax.Array, available: jax.Array, count: int, lengthscale: float, positions: int
) -> int:
    check_image_features(features, available)
    if not lengthscale > 0:
        raise ValueError(f"lengthscale must be above 0, got {lengthscale}")
    if positions < 1:
        raise ValueError(f"positions must be 1 or more, got {positions}")
    return check_natural("count", count)
