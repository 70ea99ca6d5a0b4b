"""Runs a network on a large image window by window, and joins the outputs.

The network runs on overlapping windows, one after the other. Its outputs are joined at the
resolution that the head has, before anything is upsampled. Windows lie on the network's own grid: a
window starts at a multiple of the output stride, and its size leaves the same remainder as the
image's. Each position of a window's feature maps is therefore a position of the image's, with the
same padding and rounding of strides, and away from a window's borders its values are those that
the whole image gives.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from labor_jax.models.features import Features, Window


class _Grid(NamedTuple):
    """Windows along one axis of a grid of features.

    Attributes:
      offsets: int32[n], where each window begins.
      first: int32[n], the first position that is taken from it.
      stop: int32[n], one after the last.
    """

    offsets: np.ndarray
    first: np.ndarray
    stop: np.ndarray


def plan_windows(length: int, window: int, overlap: int, stride: int) -> tuple[int, np.ndarray]:
    """Lays windows along one axis of an image.

    Args:
      length: pixels of the image.
      window: largest number of pixels of a window.
      overlap: least number of pixels that neighbouring windows share. A position is taken from the
        window whose borders are farthest from it, so half of the overlap is context there.
      stride: the network's output stride.

    Returns:
      The windows' size, and int32[n] starts, ascending; the last window ends with the image. One
      window of the whole image if `window` is not smaller than that.

    Raises:
      ValueError: the windows are too small for the overlap.
    """
    if window >= length:
        return length, np.zeros(1, np.int32)
    size = window - (window - length) % stride
    step = (size - overlap) // stride * stride
    if overlap < 0 or step < stride:
        raise ValueError(
            f"Windows of {window} pixels can't share {overlap} at an output stride of {stride}; "
            f"take windows of at least {max(overlap, 0) + 2 * stride}, and no overlap below 0."
        )
    count = -(-(length - size) // step) + 1
    steps = np.arange(count) * ((length - size) // stride) // (count - 1)
    return size, (steps * stride).astype(np.int32)


def windowed_logits(
    segmenter: nn.Module,
    variables: Mapping[str, Any],
    images: jax.Array,
    *,
    window: tuple[int, int] | None,
    overlap: int,
) -> jax.Array:
    """Computes a segmenter's logits at the head's resolution, a window at a time.

    Args:
      segmenter: a `Segmenter`.
      variables: the segmenter's.
      images: f32[B, H, W, 3], normalised.
      window: see `windowed_outputs`.
      overlap: see `windowed_outputs`.

    Returns:
      f32[B, h, w, C], as `Segmenter.coarse_logits`.

    Raises:
      ValueError: the windows are too small for the overlap.
    """
    return windowed_outputs(
        lambda images: segmenter.apply(variables, images, method="extract"),
        lambda features: segmenter.apply(variables, features, method="coarse_logits"),
        images,
        output_stride=segmenter.output_stride,
        pools_image=segmenter.pools_image,
        window=window,
        overlap=overlap,
    )


def windowed_outputs(
    extract: Callable[[jax.Array], Features],
    head: Callable[[Features], Any],
    images: jax.Array,
    *,
    output_stride: int,
    pools_image: bool,
    window: tuple[int, int] | None,
    overlap: int,
) -> Any:
    """Applies backbone and head window by window; returns the outputs for the whole image.

    A position gets the same value as from the whole image where the network's receptive field,
    centred there, lies in its window. At least half of `overlap` surrounds each position.

    Args:
      extract: the backbone, from images [B, h, w, 3] of any size to `Features`.
      head: from `Features` to a tree of arrays [B, h, w, D], each with a resolution of its own:
        logits of one head or of several, or the features themselves.
      images: f32[B, H, W, 3], normalised.
      output_stride: a multiple of each map's stride: that of the last map.
      pools_image: whether the head reads `Features.mean`. The backbone then runs twice: first for
        the means over the whole images, then for the outputs.
      window: largest (height, width) of the windows in pixels; they may be smaller by up to the
        output stride less one. Images that are not larger go through the network whole, and so do
        all images when it is None.
      overlap: least number of pixels that neighbouring windows share.

    Returns:
      The head's tree for the whole images.

    Raises:
      ValueError: the windows are too small for the overlap.
    """
    batch, sides = images.shape[0], images.shape[1:3]
    sizes, starts = zip(
        *(
            plan_windows(side, most, overlap, output_stride)
            for side, most in zip(sides, window or sides, strict=True)
        ),
        strict=True,
    )
    if sizes == sides:
        return head(extract(images))

    def features_and_outputs(images):
        features = extract(images)
        return features.maps, head(features)

    (whole, whole_outputs), (inside, _) = (
        jax.eval_shape(features_and_outputs, jax.ShapeDtypeStruct((batch, *size, 3), images.dtype))
        for size in (sides, sizes)
    )

    def grids(of_whole, of_window):
        return [
            _grid(
                starts[axis],
                sides[axis] - sizes[axis],
                of_whole.shape[1 + axis],
                of_window.shape[1 + axis],
            )
            for axis in range(2)
        ]

    map_grids = [grids(*each) for each in zip(whole, inside, strict=True)]
    places = np.stack(
        np.meshgrid(*(np.arange(len(each)) for each in starts), indexing="ij"), -1
    ).reshape(-1, 2)

    def features_at(place):
        start = [jnp.asarray(starts[axis])[place[axis]] for axis in range(2)]
        return extract(jax.lax.dynamic_slice(images, (0, *start, 0), (batch, *sizes, 3)))

    means = None
    if pools_image:

        def add(totals, place):
            return tuple(
                total + _sum_of_taken(values, each, place)
                for total, values, each in zip(
                    totals, features_at(place).maps, map_grids, strict=True
                )
            ), None

        zeros = tuple(jnp.zeros((batch, 1, 1, each.shape[-1]), jnp.float32) for each in whole)
        totals, _ = jax.lax.scan(add, zeros, places)
        means = tuple(
            total / (each.shape[1] * each.shape[2])
            for total, each in zip(totals, whole, strict=True)
        )

    def put(canvases, place):
        offsets = tuple(
            jnp.stack([jnp.asarray(each[axis].offsets)[place[axis]] for axis in range(2)])
            for each in map_grids
        )
        where = Window(offsets, means, tuple(each.shape[1:3] for each in whole))
        outputs = head(features_at(place).replace(window=where))
        return jax.tree.map(
            lambda canvas, output: _put(canvas, output, grids(canvas, output), place),
            canvases,
            outputs,
        ), None

    canvases = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), whole_outputs)
    return jax.lax.scan(put, canvases, places)[0]


def _grid(starts: np.ndarray, room: int, of_whole: int, of_window: int) -> _Grid:
    """Windows that start at pixels `starts`, the last at `room`, on a grid of features."""
    offsets = starts.astype(np.int64) * (of_whole - of_window) // max(room, 1)
    # Cut in the middle of what neighbours share, equally far from both borders.
    cuts = (offsets[:-1] + of_window - 1 + offsets[1:]) // 2 + 1
    first, stop = np.append(0, cuts), np.append(cuts, of_whole)
    return _Grid(*(each.astype(np.int32) for each in (offsets, first, stop)))


def _sum_of_taken(values: jax.Array, grids: list[_Grid], place: jax.Array) -> jax.Array:
    """Sums the positions [B, h, w, C] that are taken from a window, f32[B, 1, 1, C]."""
    taken = _taken(grids, place, values.shape[1:3])
    values = jnp.where(taken[..., None], values.astype(jnp.float32), 0.0)
    return jnp.sum(values, (1, 2), keepdims=True)


def _put(canvas: jax.Array, output: jax.Array, grids: list[_Grid], place: jax.Array) -> jax.Array:
    """Writes the positions that are taken from a window into the array of the whole images."""
    corner = (0, *(jnp.asarray(grids[axis].offsets)[place[axis]] for axis in range(2)), 0)
    before = jax.lax.dynamic_slice(canvas, corner, output.shape)
    taken = _taken(grids, place, output.shape[1:3])
    merged = jnp.where(taken[..., None], output, before)
    return jax.lax.dynamic_update_slice(canvas, merged, corner)


def _taken(grids: list[_Grid], place: jax.Array, size: tuple[int, int]) -> jax.Array:
    """bool[h, w], the positions of a window that are taken from it."""
    rows, columns = (
        (position >= jnp.asarray(grid.first)[number]) & (position < jnp.asarray(grid.stop)[number])
        for grid, number, position in (
            (grid, place[axis], jnp.asarray(grid.offsets)[place[axis]] + jnp.arange(size[axis]))
            for axis, grid in enumerate(grids)
        )
    )
    return rows[:, None] & columns
