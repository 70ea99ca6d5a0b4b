"""Lists the files of a folder, and identifies a state of them."""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
from collections.abc import Iterable
from typing import NoReturn

from labor_jax.data import threads
from labor_jax.data.base import DataError

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
"""Extensions of the files that count as images, in lower case."""


def is_side_file(name: str) -> bool:
    """Whether a file is hidden, or one that Windows puts into folders, by its name."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def list_files(folder: pathlib.Path) -> list[str]:
    """Returns the paths below a folder of all its files, with "/", sorted. Skips side files.

    Links to folders are followed. What several paths lead to is listed once, if possible by the
    path without a link.

    Raises:
      DataError: a folder may not be read.
    """
    files, seen = [], set()
    tops = collections.deque([os.fspath(folder)])
    while tops:  # the folder, then the links that were found, each without those in it
        for directory, folders, names in os.walk(tops.popleft(), onerror=_refuse):
            real = os.path.realpath(directory)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = (os.path.join(directory, name) for name in folders)
            tops.extend(path for path in paths if os.path.islink(path))
            below = pathlib.Path(directory).relative_to(folder)
            files += [(below / name).as_posix() for name in names if not is_side_file(name)]
    return sorted(files)


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"The folder {error.filename} cannot be read: {error.strerror}. Change its permissions, or "
        "move it elsewhere."
    ) from error


def files_key(paths: Iterable[pathlib.Path], *more: object) -> str:
    """Returns a hash that changes with the files' names, sizes or times, or with `more`."""

    def version(path: pathlib.Path) -> tuple[str, int, int]:
        status = path.stat()
        return path.name, status.st_size, status.st_mtime_ns

    described = repr((threads.map_in_threads(version, paths), more))
    return hashlib.sha256(described.encode()).hexdigest()
