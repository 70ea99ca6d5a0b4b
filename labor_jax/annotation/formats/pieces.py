"""An item as the shapes of a drawing tool, and shapes' run lengths and polygons."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask
from scipy import ndimage

from labor_jax.annotation.formats.base import UNANSWERED, Item

MOST_SEGMENTS = 500
"""Segments that are a shape each. Tools slow down with more, and nobody clicks them one by one."""


class Piece(NamedTuple):
    """Asked pixels that a tool shows as one shape.

    Attributes:
      label: Their label; `UNANSWERED` where an answer is waited for.
      pixels: The pixels, numbered in raster order, `int64[N]` ascending.
    """

    label: int
    pixels: np.ndarray


def pieces(item: Item) -> Iterator[Piece]:
    """Cuts an item into shapes that an annotator gives one class each.

    Points are a shape each; of other kinds each 8-connected segment of equal label is, or all of
    a label together if they are more than `MOST_SEGMENTS`: then classes are painted over them.
    The shapes cover the asked pixels, each once.
    """
    labels = item.labels.reshape(-1)
    asked = np.flatnonzero(item.asked)
    if item.kind == "points":
        for pixel in asked:
            yield Piece(int(labels[pixel]), pixel[None])
        return
    for label in np.unique(labels[asked]).tolist():
        segments, count = ndimage.label(
            item.asked & (item.labels == label), structure=np.ones((3, 3), int)
        )
        pixels = np.flatnonzero(segments)
        if count > MOST_SEGMENTS:
            yield Piece(label, pixels)
            continue
        numbers = segments.reshape(-1)[pixels]
        order = np.argsort(numbers, kind="stable")
        for each in np.split(pixels[order], np.flatnonzero(np.diff(numbers[order])) + 1):
            yield Piece(label, each)


def has_answers(item: Item) -> bool:
    """Whether any pixel of an item is answered."""
    return bool((item.labels[item.asked] != UNANSWERED).any())


def run_lengths(positions: np.ndarray, size: int) -> np.ndarray:
    """Lengths of the runs of absent and present positions in turn, absent ones first.

    Args:
      positions: The present ones, `int64[N]` ascending, from 0 to `size` - 1.
      size: What the lengths sum to.

    Returns:
      `int64[M]`; the first is 0 if position 0 is present.
    """
    gaps = np.flatnonzero(np.diff(positions) > 1)
    starts = positions[np.concatenate([[0], gaps + 1])] if positions.size else positions
    stops = positions[np.concatenate([gaps, [-1]])] + 1 if positions.size else positions
    bounds = np.stack([starts, stops], axis=1).reshape(-1)
    lengths = np.diff(bounds, prepend=0, append=size)
    return lengths if lengths[-1] else lengths[:-1]


def from_run_lengths(lengths: Sequence[int], size: int) -> np.ndarray:
    """The inverse of `run_lengths`.

    Args:
      lengths: Lengths of the runs; some may be 0.
      size: What they sum to.

    Returns:
      The present positions, `int64[N]` ascending.

    Raises:
      ValueError: If one is no whole number or negative, or if they don't sum to `size`.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError("its run lengths are not whole numbers")
    lengths = lengths.astype(np.int64)
    if (lengths.size and (lengths.min() < 0 or lengths.max() > size)) or lengths.sum() != size:
        raise ValueError(f"its run lengths don't cover the {size} pixels")
    starts, present = np.cumsum(lengths)[:-1:2], lengths[1::2]
    before = np.cumsum(present) - present
    return np.repeat(starts - before, present) + np.arange(present.sum())


def in_columns(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels numbered row by row, as their numbers column by column, ascending."""
    rows, columns = np.divmod(pixels, size[1])
    return np.sort(columns * size[0] + rows)


def from_columns(lengths: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """The pixels of COCO's run lengths, which go down the columns, in raster order.

    Args:
      lengths: As `from_run_lengths` takes them.
      size: (height, width) of the image.

    Returns:
      `int64[N]`, in no order.

    Raises:
      ValueError: As `from_run_lengths`.
    """
    columns, rows = np.divmod(from_run_lengths(lengths, size[0] * size[1]), size[0])
    return rows * size[1] + columns


def compressed_run_lengths(text: str) -> list[int]:
    """The run lengths in COCO's compressed string.

    Six bits a character from "0" on: five of a number, low ones first and the last its sign, and
    one that tells whether more follow. From the fourth run on it is the difference to the run
    before the last. pycocotools can read it too, but fills a mask whose runs are too short with
    whatever was in memory.

    Raises:
      ValueError: If it is damaged.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its compressed run lengths are damaged")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("its compressed run lengths are cut off")
    return counts


def polygon_pixels(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels inside of a polygon, by COCO's rule, as CVAT has it too.

    Args:
      points: (x, y) of its corners, `float[N, 2]`; what lies outside of the image is moved to its
        border.
      size: (height, width) of the image.

    Returns:
      The pixels, numbered in raster order, `int64[N]`.

    Raises:
      ValueError: If there are fewer than three corners, if one is not finite, or if the outline is
        longer than one around every pixel: COCO's code takes memory for all of it at once.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("its polygon needs three corners or more, (x, y) each")
    height, width = size
    corners = np.clip(points, 0, (width, height))
    outline = np.abs(corners - np.roll(corners, 1, axis=0)).sum()
    if outline > 4 * height * width:
        raise ValueError("its polygon's outline is longer than one around every pixel")
    (encoded,) = coco_mask.frPyObjects([corners.ravel().tolist()], height, width)
    return from_columns(compressed_run_lengths(encoded["counts"].decode()), size)
