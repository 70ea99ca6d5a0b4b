"""Image files as a split, of which damaged ones are left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from labor_jax.data import DataError, threads
from labor_jax.data.files import checks, decoding


class ImageFiles:
    """A split of image files without labels. A damaged image ends no prediction.

    Attributes:
      names: the files' paths.
      problems: what is wrong with each image that can't be read, by its number. More may come while
        images are read; `image` returns black for those, whose prediction counts for nothing.
    """

    def __init__(self, paths: Sequence[Path]):
        """Reads the headers."""
        self.names = tuple(map(str, paths))
        self.problems: dict[int, str] = {}
        Image.init()  # loads Pillow's readers, which is not safe from several threads at once
        self._paths = tuple(paths)
        self._sizes = threads.map_in_threads(self._read_size, range(len(paths)))

    def __len__(self) -> int:
        return len(self._paths)

    def size(self, i: int) -> tuple[int, int]:
        """(height, width) of an image; (0, 0) if its header can't be read."""
        return self._sizes[i]

    def image(self, i: int) -> np.ndarray:
        """An image, uint8[H, W, 3]."""
        try:
            image = decoding.read_image(self._paths[i])
            if image.shape[:2] != self._sizes[i]:
                raise DataError(f"{self.names[i]} was replaced by an image of another size.")
            return image
        except DataError as error:
            self.problems[i] = str(error)
            return np.zeros((*self._sizes[i], 3), np.uint8)

    def readable(self) -> list[int]:
        """The numbers of the images without a problem so far."""
        return [number for number in range(len(self)) if number not in self.problems]

    def _read_size(self, i: int) -> tuple[int, int]:
        try:
            return checks.checked_size(self._paths[i])
        except DataError as error:
            self.problems[i] = str(error)
            return 0, 0
