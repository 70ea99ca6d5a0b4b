"""Sum, mean, minimum and union over the square window around each pixel, clipped to the image.

Windows are built by doubling: windows of 1, 2, 4, ... elements, each from two windows of half the
size. A window of n elements costs log2(n) shifted operations per axis. All windows add their
elements in the same order, so equal windows have exactly equal sums. A floating-point running sum
would instead carry its rounding errors along the image.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import loop_carry


def window_size(size: int, radius: int) -> jax.Array:
    """Number of elements in the clipped 1-D window around each of `size` places, i32[size]."""
    place = jnp.arange(size)
    return jnp.minimum(place + radius, size - 1) - jnp.maximum(place - radius, 0) + 1


def window_sum(x: jax.Array, radius: int, axis: int) -> jax.Array:
    """Sum over the clipped window around each element, along one axis.

    Args:
      x: Any shape. Integers wrap around on overflow.
      radius: Window radius, static; the window has `2 * radius + 1` elements.
      axis: The axis to sum along.

    Returns:
      The sums, same shape and dtype as `x`.
    """
    size = x.shape[axis]
    radius = _reach(radius, size)
    span = _pad(x, radius, radius, axis, jnp.zeros((), x.dtype))
    remaining, start, width = 2 * radius + 1, 0, 1
    total = None
    # The binary digits of the window's size tell which of the doubled windows add up to it.
    while remaining:
        if remaining & 1:
            summand = lax.slice_in_dim(span, start, start + size, axis=axis)
            total = summand if total is None else total + summand
            start += width
        remaining >>= 1
        if remaining:
            span = _double(span, width, axis, jnp.add)
            width *= 2
    return total


def window_mean(x: jax.Array, radius: int) -> jax.Array:
    """Mean over the clipped square window of `radius`: f32[..., H, W] to f32[..., H, W]."""
    height, width = x.shape[-2:]
    total = window_sum(window_sum(x, radius, x.ndim - 1), radius, x.ndim - 2)
    return total / window_area(height, width, radius)


def window_area(height: int, width: int, radius: int) -> jax.Array:
    """Number of pixels in the clipped square window around each pixel, f32[H, W]."""
    area = window_size(height, radius)[:, None] * window_size(width, radius)
    return area.astype(jnp.float32)


def window_min(x: jax.Array, radius: int) -> jax.Array:
    """Minimum over the clipped square window of `radius`: i32[H, W] to i32[H, W]."""
    largest = jnp.asarray(jnp.iinfo(x.dtype).max, x.dtype)
    return _window_idempotent(x, radius, jnp.minimum, largest)


def window_any(x: jax.Array, radius: int) -> jax.Array:
    """Whether any pixel of the clipped square window is set: bool[H, W] to bool[H, W]."""
    return _window_idempotent(x, radius, jnp.logical_or, jnp.asarray(False))


def column_sums(x: jax.Array) -> jax.Array:
    """Running sums down the columns, including each row itself: int[H, W] to int[H, W].

    Integers only: a floating-point running sum would carry its rounding errors along.
    """
    return lax.platform_dependent(x, cpu=_scanned_column_sums, default=_cumulative_column_sums)


def column_window_sum(x: jax.Array, radius: int) -> jax.Array:
    """`window_sum` of integers down the columns, at the same cost for every radius.

    Takes differences of running sums. Their overflows cancel, so only the sum of a window has to
    fit the dtype.
    """
    height = x.shape[0]
    radius = _reach(radius, height)
    sums = column_sums(x)
    upto = jnp.concatenate([sums[radius:], jnp.broadcast_to(sums[-1:], (radius, *x.shape[1:]))])
    before = _pad(sums[: height - radius - 1], radius + 1, 0, 0, jnp.zeros((), x.dtype))
    return upto - before


def _scanned_column_sums(x: jax.Array) -> jax.Array:
    # XLA's CPU backend computes a cumulative sum by a tree of strided slices. Adding row to row is
    # a single pass of vector instructions.
    def add_row(total, row):
        total = total + row
        return total, total

    return lax.scan(add_row, loop_carry.initial_carry(jnp.zeros_like(x[0]), x), x)[1]


def _cumulative_column_sums(x: jax.Array) -> jax.Array:
    return lax.cumsum(x, axis=0)


def _window_idempotent(
    x: jax.Array, radius: int, combine: Callable, neutral: jax.Array
) -> jax.Array:
    """A window reduction by an operation that may count an element twice."""
    for axis in (x.ndim - 1, x.ndim - 2):
        size = x.shape[axis]
        reach = _reach(radius, size)
        span = _pad(x, reach, reach, axis, neutral)
        width, target = 1, 2 * reach + 1
        while 2 * width <= target:
            span = _double(span, width, axis, combine)
            width *= 2
        # Two overlapping windows of `width` cover the target.
        x = combine(
            lax.slice_in_dim(span, 0, size, axis=axis),
            lax.slice_in_dim(span, target - width, target - width + size, axis=axis),
        )
    return x


def _double(span: jax.Array, width: int, axis: int, combine: Callable) -> jax.Array:
    """Windows of `2 * width` elements, from the windows of `width` that start at each place."""
    length = span.shape[axis]
    return combine(
        lax.slice_in_dim(span, 0, length - width, axis=axis),
        lax.slice_in_dim(span, width, length, axis=axis),
    )


def _reach(radius: int, size: int) -> int:
    """The largest radius that matters: a larger one reaches past both ends from everywhere."""
    return max(min(radius, size - 1), 0)


def _pad(x: jax.Array, before: int, after: int, axis: int, value: jax.Array) -> jax.Array:
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (before, after, 0)
    return lax.pad(x, value, widths)
