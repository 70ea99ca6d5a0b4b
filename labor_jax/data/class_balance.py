"""A class-balanced order of images, so that training sees rare classes more often.

Labelled driving scenes are mostly road, building and sky. RIPU (Xie et al., CVPR 2022, and its
public code) picks a class for each training image, rare ones more likely, and then an image that
holds it.
"""

from __future__ import annotations

import threading

import numpy as np

_BLOCK_DRAWS = 3000  # after which RIPU's code starts the classes' shares anew


class BalancedOrder:
    """An endless, seeded order of images. Image k depends on the arguments and k alone.

    Each draw picks a class with probability proportional to 1 / log(1.01 + share). To get the
    shares, count for each class the images drawn so far that hold it, and divide by the sum of all
    counts. Counts start anew every 3000 draws. The image is the next one in the class's own
    shuffled list of the images that hold it; the list is shuffled again when it ends. Classes that
    no image holds are never drawn.

    A draw depends on those before it. So a call computes all draws up to its number (some ten
    microseconds each) and keeps them. Safe to call from several threads.
    """

    def __init__(self, presence: np.ndarray, seed: int):
        """Makes the order.

        Args:
          presence: bool[N, C], which image holds which class, see `class_presence.read_presence`.
          seed: of the order, 0 or more.

        Raises:
          ValueError: `presence` has another dtype or rank, or no image holds a class.
        """
        check_presence(presence)
        self._seed = seed
        self._holds = presence[:, presence.any(axis=0)].astype(np.float64)
        self._images = [np.flatnonzero(column) for column in self._holds.T]
        self._walks = [iter(()) for _ in self._images]
        self._shuffles = [0 for _ in self._images]
        self._blocks: list[np.ndarray] = []
        self._lock = threading.Lock()

    def __call__(self, number: int) -> int:
        """Returns the index of image `number` of the order, from 0."""
        block, place = divmod(number, _BLOCK_DRAWS)
        if block >= len(self._blocks):
            with self._lock:
                while block >= len(self._blocks):
                    self._blocks.append(self._draw(len(self._blocks)))
        return int(self._blocks[block][place])

    def _draw(self, block: int) -> np.ndarray:
        """Returns the next `_BLOCK_DRAWS` images, int32. Call it with the lock held."""
        drawn = np.empty(_BLOCK_DRAWS, np.int32)
        counts = np.zeros(len(self._images))
        total = 1.0  # before any count, so that shares are 0
        uniform = np.random.default_rng((self._seed, 2, block)).random(_BLOCK_DRAWS).tolist()
        for place, fraction in enumerate(uniform):
            heights = np.cumsum(1.0 / np.log(1.01 + counts / total))
            drawn[place] = image = self._next_image(
                int(np.searchsorted(heights, fraction * heights[-1], side="right"))
            )
            counts += self._holds[image]
            total = counts.sum()
        return drawn

    def _next_image(self, column: int) -> int:
        image = next(self._walks[column], None)
        if image is None:
            generator = np.random.default_rng((self._seed, 3, column, self._shuffles[column]))
            self._shuffles[column] += 1
            self._walks[column] = iter(generator.permutation(self._images[column]).tolist())
            image = next(self._walks[column])
        return image


def check_presence(presence: np.ndarray) -> None:
    """Raises ValueError unless `presence` is bool[N, C] with a class in at least one image."""
    if presence.ndim != 2 or presence.dtype != bool:
        raise ValueError(
            f"presence must be bool[images, classes], got {presence.dtype}{list(presence.shape)}"
        )
    if not presence.any():
        raise ValueError("no label holds a class, so classes cannot be balanced")
