"""An item as the shapes of a drawing tool, and shapes' run lengths and polygons."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask
from scipy import ndimage

from labor_jax.annotation.formats.base import UNANSWERED, Item


class Piece(NamedTuple):
    """Asked pixels that a tool shows as one shape.

    Attributes:
      label: Their label; `UNANSWERED` where an answer is waited for.
      top: Row of the mask's corner in the image.
      left: Its column.
      mask: The pixels, `bool[h, w]`.
    """

    label: int
    top: int
    left: int
    mask: np.ndarray


def pieces(item: Item) -> Iterator[Piece]:
    """Cuts an item into shapes that an annotator gives one class each.

    Points are a shape each; of other kinds each 8-connected segment of equal label is. Together
    they cover the asked pixels, each once.
    """
    if item.kind == "points":
        one = np.ones((1, 1), bool)
        for row, column in np.argwhere(item.asked).tolist():
            yield Piece(int(item.labels[row, column]), row, column, one)
        return
    for label in np.unique(item.labels[item.asked]).tolist():
        segments, _ = ndimage.label(
            item.asked & (item.labels == label), structure=np.ones((3, 3), int)
        )
        for segment, (rows, columns) in enumerate(ndimage.find_objects(segments), start=1):
            yield Piece(label, rows.start, columns.start, segments[rows, columns] == segment)


def has_answers(item: Item) -> bool:
    """Whether any pixel of an item is answered."""
    return bool((item.labels[item.asked] != UNANSWERED).any())


def run_lengths(values: np.ndarray) -> np.ndarray:
    """Lengths of the runs of equal values, `int64[N]`, of False first: 0 if it starts with True.

    Args:
      values: `bool[M]`.
    """
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], edges, [values.size]]))
    return np.concatenate([[0], lengths]) if values.size and values[0] else lengths


def from_run_lengths(lengths: Sequence[int], size: int) -> np.ndarray:
    """The inverse of `run_lengths`.

    Args:
      lengths: Lengths of the runs; some may be 0.
      size: What they sum to.

    Returns:
      `bool[size]`.

    Raises:
      ValueError: If one is no whole number or negative, or if they don't sum to `size`.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError("its run lengths are not whole numbers")
    if (lengths.size and (lengths.min() < 0 or lengths.max() > size)) or lengths.sum() != size:
        raise ValueError(f"its run lengths don't cover the {size} pixels")
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths)


def from_columns(lengths: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """The mask of COCO's run lengths, which go down the columns: `bool[height, width]`.

    Raises:
      ValueError: As `from_run_lengths`.
    """
    height, width = size
    return from_run_lengths(lengths, height * width).reshape(width, height).T


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


def polygon_mask(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels inside of a polygon, by COCO's rule, as CVAT has it too.

    Args:
      points: (x, y) of its corners, `float[N, 2]`; what lies outside of the image is moved to its
        border.
      size: (height, width) of the image.

    Returns:
      `bool[height, width]`.

    Raises:
      ValueError: If there are fewer than three corners, or one is not finite.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("its polygon needs three corners or more, (x, y) each")
    height, width = size
    corners = np.clip(points, 0, (width, height)).ravel().tolist()
    (encoded,) = coco_mask.frPyObjects([corners], height, width)
    return from_columns(compressed_run_lengths(encoded["counts"].decode()), size)
