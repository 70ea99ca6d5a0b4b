"""Keeps decoded images and labels in memory, so that a small data set is decoded only once."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable, Mapping

import numpy as np

from labor_jax.data import base


class MemoryCache:
    """A bounded store of arrays that several splits can share.

    An array that is in the cache stays there. Training reads each image once an epoch, so evicting
    the least recently used array would evict every image of a larger set before its next use.
    """

    def __init__(self, max_bytes: int):
        """Makes an empty cache.

        Args:
          max_bytes: most bytes of array data to keep; 0 keeps nothing.

        Raises:
          ValueError: if `max_bytes` is negative.
        """
        if max_bytes < 0:
            raise ValueError(f"cache_bytes must be 0 (no cache) or more, got {max_bytes}")
        self._free = max_bytes
        self._arrays: dict[tuple, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the array of `key`, read-only; calls `make()` if it is not in the cache."""
        array = self._arrays.get(key)
        if array is not None:
            return array
        # Outside the lock, so that threads decode different images at the same time. If two want
        # the same one, it is decoded twice, which costs only time.
        array = make().view()
        array.flags.writeable = False
        with self._lock:
            if key not in self._arrays and array.nbytes <= self._free:
                self._free -= array.nbytes
                self._arrays[key] = array
        return array


class CachedSplit:
    """A split whose decoded images and labels are kept in a `MemoryCache`."""

    def __init__(self, split: base.Split, cache: MemoryCache):
        self.names = split.names
        self._split = split
        self._cache = cache
        self._key = object()  # an identity that no other split can take over, unlike id(self)

    def __len__(self) -> int:
        return len(self._split)

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of label `i`."""
        return self._split.size(i)

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3], read-only."""
        return self._cache.get((self._key, "image", i), lambda: self._split.image(i))

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W], read-only."""
        return self._cache.get((self._key, "label", i), lambda: self._split.label(i))

    @property
    def files(self) -> Callable[[int], tuple]:
        """The split's own `files`; an AttributeError if it has none."""
        return self._split.files

    @property
    def folders(self) -> tuple[pathlib.Path, ...]:
        """The folders that the split's files were searched in; empty if it has none."""
        return getattr(self._split, "folders", ())

    @property
    def read_label(self) -> Callable[[pathlib.Path], np.ndarray] | None:
        """The split's own reader of label files; None if it has none."""
        return getattr(self._split, "read_label", None)

    @property
    def image_suffix(self) -> str | None:
        """Ending of image file names that the split's names lack; None if it knows none."""
        return getattr(self._split, "image_suffix", None)

    @property
    def label_pattern(self) -> str | None:
        """File name of the split's label files; None if it knows none."""
        return getattr(self._split, "label_pattern", None)

    def label_coding(self) -> dict[str, str] | None:
        """Returns the split's own; None if it has none."""
        return self._split.label_coding() if hasattr(self._split, "label_coding") else None

    def label_key(self) -> str | None:
        """Returns the split's own key; None if it has none."""
        return self._split.label_key() if hasattr(self._split, "label_key") else None


def cached(splits: Mapping[str, base.Split], max_bytes: int) -> dict[str, CachedSplit]:
    """Returns the splits with one `MemoryCache` of `max_bytes` for all of them."""
    memory = MemoryCache(max_bytes)
    return {name: CachedSplit(split, memory) for name, split in splits.items()}
