"""The core-set of an image: pixels such that every other is close to one of them in features.

A pixel's features are the backbone's, upsampled to the image. No array of size H x W x D is ever
formed. Upsampling is linear, so the dot products of one vector with all upsampled vectors are the
upsampled dot products with the coarse vectors. The squared norms of the upsampled vectors follow
from the dot products of neighbouring coarse vectors.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax import ops
from labor_jax.acquisition import loop_carry, pixel_order
from labor_jax.acquisition.argument_checks import check_image_features, check_natural
from labor_jax.acquisition.selection import ScoredSelection


@functools.partial(jax.jit, static_argnames="count")
def select_core_set(features: jax.Array, available: jax.Array, *, count: int) -> ScoredSelection:
    """Greedy k-centre choice of single pixels: a core-set of the image in feature space.

    Repeats `count` times: ask the available pixel whose feature vector is farthest (squared
    Euclidean distance) from its nearest asked pixel. Pixels that are not available count as asked
    in earlier rounds. If there are none, the first pick is the pixel nearest to the mean vector;
    that pixel has the smallest mean squared distance to all others. Ties go to the lowest column,
    then the lowest row. Distances are compared in float32.

    A pixel's vector is the bilinear interpolation of `features` with aligned corners. A pixel whose
    vector holds NaN or inf covers no other, and comes last. Each pick, and each pixel asked
    earlier, costs O(h w D + H W). Use this for budgets of single points, not for large shares of an
    image or where large areas are labelled.

    Reference: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
    Approach", ICLR 2018, arXiv 1708.00489, Algorithm 1. There a point is an image; here it is a
    pixel of one image.

    Args:
      features: float[h, w, D], the image's features at any resolution.
      available: bool[H, W].
      count: Number of pixels, static, >= 0; may exceed the number of pixels.

    Returns:
      A `ScoredSelection` of `count` picks. If fewer pixels are available, the remaining picks are
      invalid. A pick's score is its squared distance to the nearest pixel asked before, inf for the
      first of all.

    Raises:
      ValueError: If the shapes are not [h, w, D] and [H, W], an array is empty, `available` is not
        bool, or `count` is negative.
      TypeError: If `count` is not an integer.
    """
    count = _check(features, available, count)
    height = available.shape[0]
    vectors = _pixel_vectors(lax.stop_gradient(features), available.shape)
    # Columns first, as in the vectors, so that the lowest number wins a tie.
    free = loop_carry.initial_carry(available, features).T
    size = free.size
    number = lax.broadcasted_iota(jnp.int32, (size,), 0).reshape(free.shape)

    def next_asked(last):
        return jnp.min(jnp.where(~free & (number > last), number, size))

    def cover_asked(state):
        pixel, nearest = state
        return next_asked(pixel), jnp.fmin(nearest, vectors.distances_to_pixel(pixel))

    # A pixel of a vector with NaN has no distance to any other, and comes last.
    nearest = jnp.where(jnp.isnan(vectors.squared_norms), jnp.nan, jnp.float32(jnp.inf))
    nearest = loop_carry.initial_carry(nearest, free)
    # Where nothing is left to ask, it does not matter what the asked pixels cover.
    first_asked = jnp.where(jnp.any(free), next_asked(-1), size)
    _, nearest = lax.while_loop(lambda state: state[0] < size, cover_asked, (first_asked, nearest))
    # Nothing was asked before: start with the pixel nearest to the mean.
    first_score = jnp.where(jnp.all(free), -vectors.distances_to_mean(), nearest)

    def pick(state, index):
        nearest, free = state
        key = pixel_order.sort_key(jnp.where(index == 0, first_score, nearest), free)
        best = jnp.max(key)
        pixel = jnp.min(jnp.where(key == best, number, size - 1))
        distance = nearest[pixel // height, pixel % height]
        nearest = jnp.fmin(nearest, vectors.distances_to_pixel(pixel))
        picked = jnp.where(best > pixel_order.UNAVAILABLE, pixel, -1)
        return (nearest, free & (number != pixel)), (picked, distance)

    (_, left), (picks, distances) = lax.scan(pick, (nearest, free), jnp.arange(count))
    valid = picks >= 0
    centers = jnp.stack([picks % height, picks // height], axis=-1)
    return ScoredSelection(
        centers=jnp.where(valid[:, None], centers, -1),
        valid=valid,
        query=(free & ~left).T,
        available=left.T,
        scores=distances,
    )


class _PixelVectors(NamedTuple):
    """The vectors of all pixels of an image, columns first, stored as the coarse vectors.

    Attributes:
      features: f32[w, h, D].
      squared_norms: f32[W, H].
      columns: Interpolation from w to W.
      rows: Interpolation from h to H.
    """

    features: jax.Array
    squared_norms: jax.Array
    columns: ops.Taps
    rows: ops.Taps

    def distances_to_pixel(self, pixel: jax.Array) -> jax.Array:
        """Squared distances f32[W, H] of all pixels to pixel number column * H + row."""
        column, row = jnp.divmod(pixel, self.squared_norms.shape[1])
        ends = []
        for x in (self.columns.lower, self.columns.upper):
            low, high = (
                self.features[jnp.asarray(x)[column], jnp.asarray(y)[row]]
                for y in (self.rows.lower, self.rows.upper)
            )
            ends.append(low + (high - low) * jnp.asarray(self.rows.weight)[row])
        left, right = ends
        vector = left + (right - left) * jnp.asarray(self.columns.weight)[column]
        return self._distances(vector, self.squared_norms[column, row])

    def distances_to_mean(self) -> jax.Array:
        """Squared distances f32[W, H] of all pixels to their mean vector."""
        width, height = self.features.shape[:2]
        shares = _input_shares(self.columns, width)[:, None] * _input_shares(self.rows, height)
        sound = ~jnp.any(jnp.isnan(self.features), axis=-1)
        features = jnp.where(sound[..., None], self.features, 0.0)
        shares = jnp.where(sound, shares, 0.0)
        mean = jnp.einsum("xy,xyd->d", shares, features, precision=lax.Precision.HIGHEST)
        mean /= jnp.sum(shares)
        return self._distances(mean, jnp.sum(mean * mean))

    def _distances(self, vector: jax.Array, squared_norm: jax.Array) -> jax.Array:
        products = jnp.dot(self.features, vector, precision=lax.Precision.HIGHEST)
        products = _interpolate(_interpolate(products, self.rows, 1), self.columns, 0)
        # Rounding can make the distance of equal vectors slightly negative.
        return jnp.maximum(self.squared_norms - 2 * products + squared_norm, 0.0)


def _pixel_vectors(features: jax.Array, shape: tuple[int, int]) -> _PixelVectors:
    rows, columns = (
        ops.taps_align_corners(*sizes) for sizes in zip(features.shape[:2], shape, strict=True)
    )
    features = features.astype(jnp.float32).swapaxes(0, 1)
    # The distances don't depend on the origin, but their rounding errors do. With one of the
    # image's own vectors as the origin the numbers are small, and equal vectors become exactly 0.
    features = jnp.where(jnp.isfinite(features), features, jnp.nan)  # inf - inf is NaN everywhere
    vectors = features.reshape(-1, features.shape[-1])
    features = features - vectors[jnp.argmax(~jnp.any(jnp.isnan(vectors), axis=-1))]
    return _PixelVectors(features, _squared_norms(features, columns, rows), columns, rows)


def _squared_norms(features: jax.Array, columns: ops.Taps, rows: ops.Taps) -> jax.Array:
    """Squared norms f32[W, H] of the interpolated f32[w, h, D], from products of neighbours."""
    right, below = _next(features, 0), _next(features, 1)
    below_right = _next(right, 1)

    def products(first, second):
        return jnp.sum(first * second, axis=-1)

    within = _interpolate_squares(products(features, features), products(features, below), rows, 1)
    mixed = (products(features, below_right) + products(below, right)) / 2
    across = _interpolate_squares(products(features, right), mixed, rows, 1)
    return _interpolate_squares(within, across, columns, 0)


def _interpolate_squares(squares: jax.Array, products: jax.Array, along: ops.Taps, axis: int):
    """Interpolates squared norms, given the products of each vector with the next one."""
    low, high = (jnp.take(squares, ends, axis) for ends in (along.lower, along.upper))
    between = jnp.take(products, along.lower, axis)
    weight = np.expand_dims(along.weight, 1 - axis)
    mixed = (1 - weight) ** 2 * low + 2 * weight * (1 - weight) * between + weight**2 * high
    return jnp.where(weight > 0, mixed, low)  # the next one may be NaN


def _interpolate(plane: jax.Array, along: ops.Taps, axis: int) -> jax.Array:
    low, high = (jnp.take(plane, ends, axis) for ends in (along.lower, along.upper))
    return low + (high - low) * np.expand_dims(along.weight, 1 - axis)


def _next(features: jax.Array, axis: int) -> jax.Array:
    """Shifts an axis by one, so that each place holds its successor; repeats the last one."""
    size = features.shape[axis]
    bounds = [(1, size), (size - 1, size)]
    slices = [lax.slice_in_dim(features, *ends, axis=axis) for ends in bounds]
    return jnp.concatenate(slices, axis)


def _input_shares(along: ops.Taps, size: int) -> np.ndarray:
    """Weight of each input in the mean of all outputs, f32[size]."""
    shares = np.bincount(along.lower, 1.0 - along.weight, size)
    shares += np.bincount(along.upper, along.weight, size)
    return np.float32(shares / len(along.lower))


def _check(features: jax.Array, available: jax.Array, count: int) -> int:
    check_image_features(features, available)
    return check_natural("count", count)
