"""Finds files with the same bytes."""

from __future__ import annotations

import collections
import hashlib
import pathlib
from collections.abc import Sequence

from labor_jax.data import threads
from labor_jax.data.inspection.scan import ScannedFile


def find_duplicates(root: pathlib.Path, files: Sequence[ScannedFile]) -> list[tuple[str, ...]]:
    """Returns the paths of files that are byte for byte the same, a tuple for each content.

    Only files of equal length are read.
    """
    by_length = collections.defaultdict(list)
    for file in files:
        by_length[file.num_bytes].append(file.path)
    alike = [path for paths in by_length.values() if len(paths) > 1 for path in paths]
    by_content = collections.defaultdict(list)
    for path, digest in zip(
        alike, threads.map_in_threads(lambda path: _digest(root / path), alike), strict=True
    ):
        by_content[digest].append(path)
    return [tuple(paths) for digest, paths in by_content.items() if digest and len(paths) > 1]


def _digest(path: pathlib.Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:  # it has been removed meanwhile
        return b""
