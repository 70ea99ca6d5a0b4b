"""Networks on images that are too large to go through them at once.

The network runs on overlapping windows, one after the other, and its outputs are put together at
the resolution of features, before anything is upsampled. Windows lie on the network's own grid: a
window's start is a multiple of the output stride and its size leaves the same remainder as the
image's, so each position of a window's features is a position of the image's, with the same padding
and rounding of strides. Positions away from the borders of windows therefore get what the whole
image gives them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax.models.deeplab import DeepLabV3Plus
from labor_jax.models.features import Features, Window
from labor_jax.models.layers import Taps, taps_align_corners
from labor_jax.models.segmenter import Segmenter, coarse_logits, extract


class _Grid(NamedTuple):
    """Windows along one axis of a grid of features.

    Attributes:
      offsets: int32[n], where each window begins.
      first: int32[n], the first position that is taken from it.
      stop: int32[n], behind the last one.
    """

    offsets: np.ndarray
    first: np.ndarray
    stop: np.ndarray


def plan_windows(length: int, window: int, overlap: int, stride: int) -> tuple[int, np.ndarray]:
    """Lays windows along one axis of an image.

    Args:
      length: pixels of the image.
      window: most pixels of a window.
      overlap: pixels that neighbouring windows share at least. A position is taken from the window
        in whose inside it lies deepest, so half of it is context there.
      stride: the network's output stride.

    Returns:
      The windows' size, and int32[n] starts, ascending, the last window ending with the image. One
      window of all the image where `window` is not smaller.

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
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    images: jax.Array,
    *,
    window: tuple[int, int] | None,
    overlap: int,
) -> jax.Array:
    """Computes logits at feature resolution, a window at a time.

    Args:
      segmenter: from `build_segmenter`.
      variables: from `init_variables`.
      images: f32[B, H, W, 3], normalised.
      window: see `windowed_outputs`.
      overlap: see `windowed_outputs`.

    Returns:
      f32[B, h, w, C], as `coarse_logits`.

    Raises:
      ValueError: the windows are too small for the overlap.
    """

    def logits(features: Features) -> jax.Array:
        return coarse_logits(segmenter, variables["classifier"], features)[0]

    return windowed_outputs(
        segmenter, variables["backbone"], logits, images, window=window, overlap=overlap
    )


def windowed_outputs(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    head: Callable[[Features], Any],
    images: jax.Array,
    *,
    window: tuple[int, int] | None,
    overlap: int,
) -> Any:
    """Computes what a head makes of the backbone's features, a window at a time.

    It equals what the head makes of the whole images' features wherever the network's receptive
    field, centred there, lies in the window; half of `overlap` is around each position at least.
    DeepLab-v3+ pools the whole image: its backbone runs twice, first for that mean and then for the
    outputs.

    Args:
      segmenter: from `build_segmenter`.
      variables: of the backbone, {"params", "batch_stats"}.
      head: from `Features` to a tree of arrays [B, h, w, D], each with positions of its own: logits
        of one or several classifiers, features themselves.
      images: f32[B, H, W, 3], normalised.
      window: (height, width) of the windows in pixels, at most; smaller by up to the output stride
        less one. Images that are not larger go through the network whole, and all where it is None.
      overlap: pixels that neighbouring windows share at least.

    Returns:
      The head's tree for the whole images.

    Raises:
      ValueError: the windows are too small for the overlap.
    """
    batch, sides = images.shape[0], images.shape[1:3]
    stride = segmenter.backbone.output_stride
    sizes, starts = zip(
        *(
            plan_windows(side, most, overlap, stride)
            for side, most in zip(sides, window or sides, strict=True)
        ),
        strict=True,
    )

    def features_and_outputs(images):
        features, _ = extract(segmenter, variables, images)
        return features, head(features)

    if sizes == sides:
        return features_and_outputs(images)[1]
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

    low, high = grids(whole.low, inside.low), grids(whole.high, inside.high)
    taps = [
        _window_taps(
            taps_align_corners(whole.high.shape[1 + axis], whole.low.shape[1 + axis]),
            low[axis].offsets,
            high[axis].offsets,
            inside.low.shape[1 + axis],
            inside.high.shape[1 + axis],
        )
        for axis in range(2)
    ]
    places = np.stack(
        np.meshgrid(*(np.arange(len(each)) for each in starts), indexing="ij"), -1
    ).reshape(-1, 2)

    def features_at(place):
        start = [jnp.asarray(starts[axis])[place[axis]] for axis in range(2)]
        cut = jax.lax.dynamic_slice(images, (0, *start, 0), (batch, *sizes, 3))
        return extract(segmenter, variables, cut)[0]

    pooled = jnp.zeros((batch, 1, 1, whole.high.shape[-1]), jnp.float32)
    if isinstance(segmenter.classifier, DeepLabV3Plus):

        def add(total, place):
            features = features_at(place)
            taken = _taken(high, place, features.high.shape[1:3])
            high_features = jnp.where(taken[..., None], features.high.astype(jnp.float32), 0.0)
            return total + jnp.sum(high_features, (1, 2), keepdims=True), None

        pooled, _ = jax.lax.scan(add, pooled, places)
        pooled /= whole.high.shape[1] * whole.high.shape[2]

    def put(canvases, place):
        row_taps, column_taps = (
            Taps(*(jnp.asarray(each)[place[axis]] for each in taps[axis])) for axis in range(2)
        )
        features = features_at(place)._replace(window=Window(pooled, row_taps, column_taps))
        return jax.tree.map(
            lambda canvas, output: _put(canvas, output, grids(canvas, output), place),
            canvases,
            head(features),
        ), None

    canvases = jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), whole_outputs)
    return jax.lax.scan(put, canvases, places)[0]


def _grid(starts: np.ndarray, room: int, of_whole: int, of_window: int) -> _Grid:
    """Windows that start at pixels `starts`, the last at `room`, on a grid of features."""
    offsets = starts.astype(np.int64) * (of_whole - of_window) // max(room, 1)
    # In the middle of what neighbours share: there both have as far to their borders.
    cuts = (offsets[:-1] + of_window - 1 + offsets[1:]) // 2 + 1
    first, stop = np.append(0, cuts), np.append(cuts, of_whole)
    return _Grid(*(each.astype(np.int32) for each in (offsets, first, stop)))


def _window_taps(
    taps: Taps, low_offsets: np.ndarray, high_offsets: np.ndarray, size: int, high_size: int
) -> Taps:
    """Each window's part of `taps` along an axis, [n, size], for its own high-level features."""
    rows = low_offsets[:, None] + np.arange(size)
    lower, upper = (
        np.clip(each[rows] - high_offsets[:, None], 0, high_size - 1) for each in taps[:2]
    )
    return Taps(lower, upper, taps.weight[rows])


def _put(canvas: jax.Array, output: jax.Array, grids: list[_Grid], place: jax.Array) -> jax.Array:
    """Puts the positions that are taken from a window into the array of the whole images."""
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
