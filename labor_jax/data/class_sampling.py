"""Orders of images in which training sees rare classes more often.

Labelled driving scenes are mostly road, building and sky. RIPU (Xie et al., CVPR 2022, and its
public code) picks a class for each training image, rare ones more likely, and then an image that
holds it. DAFormer (Hoyer et al., CVPR 2022, arXiv 2111.14887, Eq. 7 and 8) picks rare classes far
more often, and crops the image where they are.
"""

from __future__ import annotations

import threading

import numpy as np

SAMPLINGS = ("each_once", "balanced", "rare_classes")
"""How training images are drawn: each once an epoch, by `BalancedOrder`, by `RareClassOrder`."""

RARE_SHARE = 0.01
"""Of a training image, what pixels of a rare class should fill: 3,000 of 512x512 in DAFormer."""

_TEMPERATURE = 0.01  # DAFormer's
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
          presence: bool[N, C], which image holds which class, see `class_counts`.
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


class RareClassOrder:
    """An endless, seeded order of images. Image k depends on the arguments and k alone.

    Each draw picks class c with probability softmax((1 - f_c) / 0.01), f_c its share of all
    labelled pixels, and then one of the images with enough of it; if none has enough, one of those
    that hold it. Classes that no image holds are never drawn.
    """

    def __init__(self, counts: np.ndarray, enough: np.ndarray, seed: int):
        """Makes the order.

        Args:
          counts: int[N, C], pixels of each class in each image, see `class_counts`.
          enough: bool[N, C], which image has enough of which class.
          seed: of the order, 0 or more.

        Raises:
          ValueError: no image holds a class.
        """
        check_presence(counts > 0)
        self._seed = seed
        frequency = counts.sum(axis=0) / counts.sum()
        heights = np.where(frequency > 0, np.exp((frequency.min() - frequency) / _TEMPERATURE), 0)
        self._heights = np.cumsum(heights / heights.sum())
        self._images = [
            np.flatnonzero(column if column.any() else held)
            for column, held in zip(enough.T, (counts > 0).T, strict=True)
        ]

    def __call__(self, number: int) -> int:
        """Returns the index of image `number` of the order, from 0."""
        images = self._images[self.class_of(number)]
        generator = np.random.default_rng((self._seed, 3, number))
        return int(images[generator.integers(len(images))])

    def class_of(self, number: int) -> int:
        """Returns the class for which image `number` of the order was drawn."""
        drawn = np.random.default_rng((self._seed, 2, number)).random() * self._heights[-1]
        return int(np.searchsorted(self._heights, drawn, side="right"))


def check_presence(presence: np.ndarray) -> None:
    """Raises ValueError unless `presence` is bool[N, C] with a class in at least one image."""
    if presence.ndim != 2 or presence.dtype != bool:
        raise ValueError(
            f"presence must be bool[images, classes], got {presence.dtype}{list(presence.shape)}"
        )
    if not presence.any():
        raise ValueError("no label holds a class, so classes cannot be balanced")
