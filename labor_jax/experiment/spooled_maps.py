"""Maps of a whole pool's images that would not fit in memory."""

import contextlib
import tempfile
import zlib

import numpy as np


class SpooledMaps(contextlib.AbstractContextManager):
    """Integer maps, one for an image, compressed in a temporary file."""

    def __init__(self):
        self._places: dict[int, tuple[int, int, tuple[int, int], np.dtype]] = {}

    def __enter__(self) -> "SpooledMaps":
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *unused_error) -> None:
        self._file.close()

    def put(self, number: int, values: np.ndarray) -> None:
        """Keeps an image's map; an earlier one of the same image is dropped."""
        packed = zlib.compress(np.ascontiguousarray(values), level=1)
        self._places[number] = self._file.seek(0, 2), len(packed), values.shape, values.dtype
        self._file.write(packed)

    def get(self, number: int) -> np.ndarray | None:
        """The image's map; None if it has none."""
        if number not in self._places:
            return None
        offset, length, shape, dtype = self._places[number]
        self._file.seek(offset)
        return np.frombuffer(zlib.decompress(self._file.read(length)), dtype).reshape(shape)
