"""Runs of pixels, by which the page and the label store name asked pixels and their labels.

A list of runs is flat, `[start, length, start, length, ...]`: pixels of the image in raster order,
ascending and without overlap. The *rank* of an asked pixel is its place among the asked ones.
Labels are stored by rank, as in `LabelStore`, so pixels that were not asked can't be stored.

Where runs would be many, as of a fill on foliage, the page names asked pixels by a bit for each:
the bit `rank % 8` of byte `rank // 8`, counted from the lowest, in base64.
"""

import base64
from typing import NamedTuple

import numpy as np

UNKNOWN = 254
"""The label of a pixel that nobody has labelled yet."""


class AskedRuns(NamedTuple):
    """The asked pixels of an image, as the longest possible runs.

    Attributes:
      starts: Where each run starts, `int64[R]`.
      stops: Where it ends, `int64[R]`.
      ranks: The rank of its first pixel, `int64[R]`.
      pixels: The number of asked pixels.
    """

    starts: np.ndarray
    stops: np.ndarray
    ranks: np.ndarray
    pixels: int


def asked_runs(query: np.ndarray) -> AskedRuns:
    """The runs of a query, `bool[H, W]`, or of bits in any other shape."""
    padded = np.zeros(query.size + 2, np.int8)
    padded[1:-1] = query.reshape(-1)
    bounds = np.flatnonzero(np.diff(padded))
    starts, stops = bounds[::2], bounds[1::2]
    lengths = stops - starts
    return AskedRuns(starts, stops, np.cumsum(lengths) - lengths, int(lengths.sum()))


def to_list(asked: AskedRuns) -> list[int]:
    """All asked pixels as a list of runs."""
    return np.stack([asked.starts, asked.stops - asked.starts], axis=1).reshape(-1).tolist()


def to_ranks(asked: AskedRuns, runs: list[int] | str) -> np.ndarray:
    """Turns a list of runs of asked pixels, or their bits, into runs of ranks.

    Args:
      asked: The image's query.
      runs: The list or the bits, unchecked.

    Returns:
      The first rank and the length of each run, `int64[N, 2]`.

    Raises:
      ValueError: If `runs` is neither, names no pixel, or has a pixel that isn't asked.
    """
    if isinstance(runs, str):
        return _ranks_of_bits(asked, runs)
    if not isinstance(runs, list) or len(runs) % 2 or not set(map(type, runs)) <= {int}:
        raise ValueError("pixels are a flat list of whole numbers [start, length, ...]")
    if not runs:
        raise ValueError("pixels are an empty list; name at least one")
    try:
        starts, lengths = np.array(runs, np.int64).reshape(-1, 2).T
    except OverflowError as error:
        raise ValueError("pixels hold a number that is too large for any image") from error
    # Compare differences with lengths instead of adding lengths, which could overflow.
    if (lengths < 1).any() or (starts < 0).any() or (np.diff(starts) < lengths[:-1]).any():
        raise ValueError(
            "pixels are runs of at least one pixel, ascending and without overlap: "
            "[start, length, ...]"
        )
    owner = np.searchsorted(asked.starts, starts, side="right") - 1
    outside = (owner < 0) | (lengths > asked.stops[owner] - starts)
    if outside.any():
        start, length = starts[outside][0], lengths[outside][0]
        raise ValueError(
            f"the {length} pixels from {start} on are not all asked; only asked pixels are labelled"
        )
    return np.stack([asked.ranks[owner] + starts - asked.starts[owner], lengths], axis=1)


def _ranks_of_bits(asked: AskedRuns, text: str) -> np.ndarray:
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except ValueError as error:
        raise ValueError("pixels are neither a list of runs nor bits in base64") from error
    bits = np.unpackbits(packed, bitorder="little")
    if packed.size != -(-asked.pixels // 8) or bits[asked.pixels :].any():
        raise ValueError(f"pixels are not one bit for each of the {asked.pixels} asked pixels")
    runs = asked_runs(bits)
    if not runs.pixels:
        raise ValueError("pixels are no set bit; name at least one pixel")
    return np.stack([runs.starts, runs.stops - runs.starts], axis=1)


def positions(rank_runs: np.ndarray) -> np.ndarray:
    """All ranks in runs of ranks, `int64[N, 2]`, as `int64[sum of lengths]`."""
    starts, lengths = rank_runs.T
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def label_runs(asked: AskedRuns, labels: np.ndarray) -> list[list]:
    """The labelled pixels of each label, as lists of runs.

    Args:
      asked: The image's query.
      labels: The labels by rank, `uint8[pixels]`; `UNKNOWN` ones are left out.

    Returns:
      `[[label, runs], ...]`, labels ascending.
    """
    return [[label, runs] for label, runs in _runs_by_value(asked, labels) if label != UNKNOWN]


def part_runs(asked: AskedRuns, parts: np.ndarray) -> list[list[int]]:
    """The pixels of each part of a query, as lists of runs.

    Args:
      asked: The image's query.
      parts: The number of each asked pixel's part by rank, `int[pixels]`, from 0 without gaps.

    Returns:
      The lists, in the order of the numbers.
    """
    return [runs for _, runs in _runs_by_value(asked, parts)]


def _runs_by_value(asked: AskedRuns, values: np.ndarray) -> list[tuple[int, list[int]]]:
    """The runs of pixels of each value, values ascending."""
    if not asked.pixels:
        return []
    changes = np.flatnonzero(np.diff(values)) + 1
    starts = np.union1d(asked.ranks, changes)
    lengths = np.diff(starts, append=asked.pixels)
    owner = np.searchsorted(asked.ranks, starts, side="right") - 1
    pixels = np.stack([asked.starts[owner] + starts - asked.ranks[owner], lengths], axis=1)
    order = np.argsort(values[starts], kind="stable")
    found, first = np.unique(values[starts][order], return_index=True)
    runs = np.split(pixels[order], first[1:])
    return [
        (int(value), each.reshape(-1).tolist()) for value, each in zip(found, runs, strict=True)
    ]
