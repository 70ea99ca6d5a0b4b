"""Takes an image a few rows at a time, where NumPy would copy it into 8 bytes a pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_PIXELS = 2**18


def row_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields an array [H, W, …], H at least 1, in views of some rows, about 2**18 pixels each."""
    rows = max(1, _PIXELS // array.shape[1])
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
