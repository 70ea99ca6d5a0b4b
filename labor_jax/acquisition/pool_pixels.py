"""The best pixels among the masks of a whole pool, which a cap on the pool lets ask.

A mask has no order of picks, and its pixels don't suppress each other. So the best pixels of the
pool are all those above a threshold, and of those at the threshold the first ones. The threshold is
found by counting: a histogram of the upper 16 bits of all scores, and then one of the lower 16 bits
of the scores whose upper bits are the threshold's. Meanwhile the masked pixels wait in a file.

NumPy alone. The memory is that of the largest image and two histograms of 65,536 numbers, whatever
the pool and its cap. The file takes 8 bytes for each masked pixel that could still count when its
image was added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

from labor_jax.acquisition.pool_order import sort_keys

_BUCKETS = 1 << 16

Total = Callable[[np.ndarray], np.ndarray]
"""Adds up an int64[n] over processes."""


class _Place(NamedTuple):
    """Where an image's pixels are in the file."""

    offset: int
    count: int
    size: tuple[int, int]


class PoolPixels:
    """The best pixels among the masks of a pool, at most a number of them.

    Pixels are ranked by score, then by the number of the image, then by the lowest column and row,
    as in `select_inconsistent`. NaN ranks below -inf.
    """

    def __init__(self, limit: int, images: int, spool: BinaryIO):
        """Starts with no pixels.

        Args:
          limit: The most pixels to ask of the pool.
          images: How many images the pool has, in all processes.
          spool: An empty file, open for reading and writing, such as `tempfile.TemporaryFile()`.

        Raises:
          ValueError: If the limit is negative.
        """
        if limit < 0:
            raise ValueError(f"limit must be 0 or more, got {limit}")
        self._limit, self._images, self._spool = limit, images, spool
        self._places: dict[int, _Place] = {}
        self._histogram = np.zeros(_BUCKETS, np.int64)
        self._threshold = 0
        self._quotas = np.zeros(images, np.int64)

    def add(self, image: int, score: np.ndarray, mask: np.ndarray) -> None:
        """Adds an image.

        Args:
          image: Its number in the pool, each once.
          score: f32[H, W].
          mask: bool[H, W], the pixels that may be asked.

        Raises:
          ValueError: If the shapes differ, or the image was added before.
        """
        if np.shape(score) != np.shape(mask) or image in self._places:
            raise ValueError(
                f"image {image} has a score {list(np.shape(score))} and a mask "
                f"{list(np.shape(mask))}, which must be of one shape and added once"
            )
        # By columns, so that ties are in order.
        pixels = np.flatnonzero(np.transpose(mask)).astype(np.uint32)
        codes = _codes(np.transpose(score).reshape(-1)[pixels])
        self._histogram += np.bincount(codes >> 16, minlength=_BUCKETS)
        kept = codes >> 16 >= _crossing(self._histogram, self._limit)[0]
        codes, pixels = codes[kept], pixels[kept]
        offset = self._spool.seek(0, 2)
        self._spool.write(codes.tobytes())
        self._spool.write(pixels.tobytes())
        self._places[image] = _Place(offset, codes.size, np.shape(mask))

    def settle(self, total: Total = lambda counts: counts) -> None:
        """Finds the threshold, once all images were added. All processes call it.

        Args:
          total: Adds up counts over the processes, each of which holds other images of the pool.
        """
        bucket, above = _crossing(total(self._histogram), self._limit)
        fine = np.zeros(_BUCKETS, np.int64)
        for image in self._places:
            codes, _ = self._read(image)
            fine += np.bincount(codes[codes >> 16 == bucket] & 0xFFFF, minlength=_BUCKETS)
        low, more_above = _crossing(total(fine), self._limit - above)
        self._threshold = bucket << 16 | low
        ties = np.zeros(self._images, np.int64)
        for image in self._places:
            ties[image] = np.count_nonzero(self._read(image)[0] == self._threshold)
        ties = total(ties)
        left = self._limit - above - more_above
        self._quotas = np.clip(left - (np.cumsum(ties) - ties), 0, ties)

    def mask(self, image: int) -> np.ndarray:
        """The pixels to ask of an image that was added, bool[H, W]; call `settle` before."""
        codes, pixels = self._read(image)
        tied = np.flatnonzero(codes == self._threshold)[: self._quotas[image]]
        height, width = self._places[image].size
        chosen = np.zeros(height * width, bool)
        chosen[pixels[codes > self._threshold]] = True
        chosen[pixels[tied]] = True
        return chosen.reshape(width, height).T

    def _read(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        place = self._places[image]
        self._spool.seek(place.offset)
        numbers = np.frombuffer(self._spool.read(8 * place.count), np.uint32)
        return numbers[: place.count], numbers[place.count :]


def _codes(scores: np.ndarray) -> np.ndarray:
    """The order of scores as u32, 1 or more."""
    return sort_keys(scores).view(np.uint32) ^ np.uint32(1 << 31)


def _crossing(histogram: np.ndarray, limit: int) -> tuple[int, int]:
    """The bucket that holds the last of the `limit` best, and how many are above it.

    The lowest bucket if there are fewer.
    """
    reached = np.cumsum(histogram[::-1])
    place = min(int(np.searchsorted(reached, limit)), _BUCKETS - 1)
    return _BUCKETS - 1 - place, int(reached[place - 1]) if place else 0
