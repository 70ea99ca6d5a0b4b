"""Run lengths, by which drawing tools store masks: plain ones, and COCO's by column."""

from collections.abc import Sequence

import numpy as np


def run_lengths(positions: np.ndarray, size: int) -> np.ndarray:
    """The lengths of alternating runs of absent and present positions, absent ones first.

    Args:
      positions: The present positions, `int64[N]` ascending, from 0 to `size` - 1.
      size: The sum of the lengths.

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
      size: Their sum.

    Returns:
      The present positions, `int64[N]` ascending.

    Raises:
      ValueError: If one is negative or not a whole number, or if their sum is not `size`.
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
    """Renumbers pixels from row by row to column by column, ascending."""
    rows, columns = np.divmod(pixels, size[1])
    return np.sort(columns * size[0] + rows)


def from_columns(lengths: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """The pixels of COCO's run lengths, which go column by column, numbered in raster order.

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


def compressed_run_lengths(text: str, size: int) -> list[int]:
    """The run lengths in COCO's compressed string.

    Each character holds six bits, counted from "0". Five belong to a number, low bits first, and
    the highest of them is its sign; the sixth says whether more characters follow. From the fourth
    run on, the number is the difference to the run before the last. pycocotools can read this too,
    but if the runs are too short, it fills the mask with uninitialised memory.

    Args:
      text: The string.
      size: The number of pixels of the image.

    Raises:
      ValueError: If it is damaged, or has more runs than the image has pixels.
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
            if len(counts) > size + 2:
                raise ValueError("its compressed run lengths are more than the image has pixels")
    if shift:
        raise ValueError("its compressed run lengths are cut off")
    return counts
