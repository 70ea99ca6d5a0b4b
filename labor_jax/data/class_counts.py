"""How many pixels of each class the images of a split hold, kept on disk for the next run."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable

import numpy as np

from labor_jax.data import base, threads


def read_counts(
    split: base.Split,
    num_classes: int,
    *,
    cache_folder: str | os.PathLike = "",
    num_threads: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> np.ndarray:
    """Returns how many pixels of each class each image of a split holds, int64[N, C].

    This decodes every label, in threads: GTAV's 24,966 take three minutes of a core. So the result
    of a split that has a `label_key()` (folders and built data sets) is kept on disk for the next
    run, in a file whose name changes with the labels. If that file can't be read or written, a
    warning is logged and the labels are read again.

    Args:
      split: the images; their labels must be readable.
      num_classes: C.
      cache_folder: where to keep the result; empty for labor_jax/ in $XDG_CACHE_HOME, or in
        ~/.cache if that isn't set.
      num_threads: threads that read; None for four per core, at most 32.
      progress: wraps a sequence as long as the split; use it to show progress.

    Raises:
      DataError: a label cannot be read.
    """
    key = split.label_key() if hasattr(split, "label_key") else None
    if key is None:
        return _read(split, num_classes, num_threads, progress)
    digest = hashlib.sha256(f"2 {num_classes} {key}".encode()).hexdigest()
    path = _cache_folder(cache_folder) / f"class_counts_{digest[:32]}.npz"
    counts = _load(path, (len(split), num_classes))
    if counts is None:
        counts = _read(split, num_classes, num_threads, progress)
        _save(path, counts)
    return counts


def _read(
    split: base.Split,
    num_classes: int,
    num_threads: int | None,
    progress: Callable[[Iterable], Iterable],
) -> np.ndarray:
    def classes_in(i: int) -> np.ndarray:
        label = split.label(i)
        # Comparisons are faster than a histogram, and release the GIL.
        return np.array(
            [np.count_nonzero(label == number) for number in range(num_classes)], np.int64
        )

    return np.stack(
        threads.map_in_threads(
            classes_in, range(len(split)), num_threads=num_threads, progress=progress
        )
    )


def _cache_folder(folder: str | os.PathLike) -> pathlib.Path:
    if folder:
        return pathlib.Path(folder).expanduser()
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "labor_jax"


def _load(path: pathlib.Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Returns the array in a cache file; None if the file is missing or unusable."""
    try:
        with np.load(path, allow_pickle=False) as file:
            counts = file["counts"]
        if counts.shape != shape or counts.dtype != np.int64:
            raise ValueError(f"it holds {counts.dtype}{list(counts.shape)}")
    except FileNotFoundError:
        return None
    except Exception as error:  # OSError, BadZipFile, zlib.error, KeyError, ...: whatever bytes do
        logging.warning("%s cannot be read (%s); the labels are read again.", path, error)
        return None
    return counts


def _save(path: pathlib.Path, counts: np.ndarray) -> None:
    """Writes a cache file atomically: a kill leaves all of it or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A temporary name of its own, because several processes may write the same file.
        descriptor, replacement = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez_compressed(file, counts=counts)
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
