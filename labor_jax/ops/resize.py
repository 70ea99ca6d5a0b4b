"""Bilinear resizing whose corners stay in place."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Taps(NamedTuple):
    """How each output position along an axis mixes two input positions.

    Attributes:
      lower: int[n], the first input position.
      upper: int[n], the second.
      weight: f32[n], the share of the second.
    """

    lower: np.ndarray | jax.Array
    upper: np.ndarray | jax.Array
    weight: np.ndarray | jax.Array


def taps_align_corners(in_size: int, out_size: int) -> Taps:
    """Returns the `Taps` of bilinear resizing from `in_size` to `out_size`, aligned corners.

    An output at the place of an input reads no other one, which may be NaN.
    """
    last = max(out_size - 1, 1)
    lower, rest = np.divmod(np.arange(out_size) * (in_size - 1), last)
    return Taps(lower, lower + (rest > 0), (rest / last).astype(np.float32))


def interpolate(x: jax.Array, rows: Taps, columns: Taps) -> jax.Array:
    """Interpolates rows and columns of f32[..., h, w, C]; returns f32[..., H, W, C]."""
    x = _interpolate_rows(x, rows)
    return jnp.swapaxes(_interpolate_rows(jnp.swapaxes(x, -3, -2), columns), -3, -2)


def _interpolate_rows(x: jax.Array, taps: Taps) -> jax.Array:
    """Interpolates axis -3."""
    lower, upper = jnp.take(x, taps.lower, axis=-3), jnp.take(x, taps.upper, axis=-3)
    return lower + (upper - lower) * taps.weight[:, None, None]


def _interpolation_matrix(in_size: int, out_size: int) -> np.ndarray:
    """`taps_align_corners` as a matrix [out_size, in_size]."""
    low, high, weight = taps_align_corners(in_size, out_size)
    matrix = np.zeros((out_size, in_size), np.float32)
    rows = np.arange(out_size)
    matrix[rows, low] += 1.0 - weight
    matrix[rows, high] += weight
    return matrix


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _resize(x, size):
    height, width = x.shape[-3:-1]
    return interpolate(x, taps_align_corners(height, size[0]), taps_align_corners(width, size[1]))


def _resize_forward(x, size):
    return _resize(x, size), x.shape


def _resize_backward(size, shape, cotangent):
    # The transpose of a gather is a scatter, which is slow everywhere; two products are not.
    highest = jax.lax.Precision.HIGHEST
    rows = _interpolation_matrix(shape[-3], size[0])
    columns = _interpolation_matrix(shape[-2], size[1])
    x = jnp.einsum("Ww,...hWc->...hwc", columns, cotangent, precision=highest)
    return (jnp.einsum("Hh,...Hwc->...hwc", rows, x, precision=highest),)


_resize.defvjp(_resize_forward, _resize_backward)


def resize_bilinear_align_corners(inputs: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Bilinear resizing whose corner pixels coincide with the input's.

    Output row i reads input position i (h - 1) / (H - 1), as the `align_corners=True` of DeepLab
    and its descendants; `jax.image.resize` has no such mode.

    Args:
      inputs: floating [..., h, w, C].
      size: (H, W), both positive.

    Returns:
      f32[..., H, W, C].

    Raises:
      ValueError: when a size is not positive.
    """
    if min(size) < 1:
        raise ValueError(f"size is {tuple(size)}; both height and width must be at least 1.")
    x = inputs.astype(jnp.float32)
    return x if x.shape[-3:-1] == tuple(size) else _resize(x, tuple(size))
