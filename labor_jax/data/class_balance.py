"""Class-balanced sampling of images, so that training sees rare classes more often.

Labelled driving scenes are mostly road, building and sky. RIPU (Xie et al., CVPR 2022, and its
public code) picks a class for each training image, rare ones more likely, and then an image that
holds it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterable

import numpy as np

from labor_jax.data import base, image_files

_DRAWS = 3000  # after which RIPU's code forgets the shares


class BalancedOrder:
    """An endless, seeded order of images; image k is a function of the arguments and k alone.

    A class is drawn with probability proportional to 1 / log(1.01 + share), where share is the
    class's part of all the classes that the images drawn so far hold, each counted once an image;
    shares start anew every 3000 draws. Each class walks through its own shuffled list of the images
    that hold it, and shuffles again at its end. Classes that no image holds are never drawn.

    What comes before an image decides about it, so the first call computes everything up to its
    number (some ten microseconds a draw) and keeps it. Safe to call from several threads.
    """

    def __init__(self, presence: np.ndarray, seed: int):
        """Makes the order.

        Args:
          presence: bool[N, C], which image holds which class, see `read_presence`.
          seed: of the order, 0 or more.

        Raises:
          ValueError: `presence` is of another form, or no image holds a class.
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
        block, place = divmod(number, _DRAWS)
        if block >= len(self._blocks):
            with self._lock:
                while block >= len(self._blocks):
                    self._blocks.append(self._draw(len(self._blocks)))
        return int(self._blocks[block][place])

    def _draw(self, block: int) -> np.ndarray:
        """Draws the next `_DRAWS` images, int32; only under the lock."""
        drawn = np.empty(_DRAWS, np.int32)
        counts = np.zeros(len(self._images))
        total = 1.0  # of no counts: a share is then 0
        uniform = np.random.default_rng((self._seed, 2, block)).random(_DRAWS).tolist()
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
        raise ValueError("no label holds a class, so that classes cannot be balanced")


def read_presence(
    split: base.Split,
    num_classes: int,
    *,
    cache_folder: str | os.PathLike = "",
    num_threads: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> np.ndarray:
    """Returns which image of a split holds which class, bool[N, C].

    It decodes every label, by threads: GTAV's 24,966 take three minutes of a core. So what it finds
    is kept on disk for the next run, under a name that changes with the labels: a split that has a
    `label_key()` (folders and built data sets) is read once. A cache that cannot be read or written
    is told in a log message, and costs only time.

    Args:
      split: the images; their labels must be readable.
      num_classes: C.
      cache_folder: where to keep it; empty for labor_jax/ in $XDG_CACHE_HOME, which is ~/.cache
        where it isn't set.
      num_threads: threads that read; None for four a core, at most 32.
      progress: a wrapper for a sequence as long as the split that may show progress.

    Raises:
      DataError: a label cannot be read.
    """
    key = split.label_key() if hasattr(split, "label_key") else None
    if key is None:
        return _read(split, num_classes, num_threads, progress)
    digest = hashlib.sha256(f"1 {num_classes} {key}".encode()).hexdigest()
    path = _cache_folder(cache_folder) / f"presence_{digest[:32]}.npz"
    presence = _load(path, (len(split), num_classes))
    if presence is None:
        presence = _read(split, num_classes, num_threads, progress)
        _save(path, presence)
    return presence


def _read(
    split: base.Split,
    num_classes: int,
    num_threads: int | None,
    progress: Callable[[Iterable], Iterable],
) -> np.ndarray:
    def classes_in(i: int) -> np.ndarray:
        label = split.label(i)
        # Comparisons take less time than a histogram, and leave Python to other threads.
        return np.array([(label == number).any() for number in range(num_classes)])

    return np.stack(
        image_files.in_threads(
            classes_in, range(len(split)), num_threads=num_threads, progress=progress
        )
    )


def _cache_folder(folder: str | os.PathLike) -> pathlib.Path:
    if folder:
        return pathlib.Path(folder).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "labor_jax"


def _load(path: pathlib.Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The array in a cache file; None where there is none, or none that can be used."""
    try:
        with np.load(path, allow_pickle=False) as file:
            presence = file["presence"]
        if presence.shape != shape or presence.dtype != bool:
            raise ValueError(f"it holds {presence.dtype}{list(presence.shape)}")
    except FileNotFoundError:
        return None
    except Exception as error:  # OSError, BadZipFile, zlib.error, KeyError, ...: whatever bytes do
        logging.warning("%s cannot be read (%s); the labels are read again.", path, error)
        return None
    return presence


def _save(path: pathlib.Path, presence: np.ndarray) -> None:
    """Writes a cache file so that a kill leaves all of it or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: several processes may write the same file.
        descriptor, replacement = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez_compressed(file, presence=presence)
            os.replace(replacement, path)
        except BaseException:
            os.unlink(replacement)
            raise
    except OSError as error:
        logging.warning(
            "%s cannot be written (%s), so the next run reads all labels again; "
            "config.data.cache_folder names another folder.",
            path,
            error,
        )
