"""Reads the header of every file below a folder, and keeps what is wrong with any of them."""

from __future__ import annotations

import dataclasses
import pathlib
import stat
from collections.abc import Callable, Iterable

from PIL import Image

from labor_jax.data import threads
from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding, exif, listing

EMPTY = "are empty (0 bytes)"
NOT_REGULAR = "are not regular (pipes, sockets or devices)"
NOT_UTF8 = "have a name that is not UTF-8"
TOO_LARGE = decoding.TOO_LARGE.several


@dataclasses.dataclass(frozen=True)
class ScannedFile:
    """An image file and its header.

    Attributes:
      path: path below the root, with "/".
      num_bytes: its length.
      problem: what is wrong with it, one of the above or a reason; empty if it can be read. With a
        problem, the following are unknown.
      format: "PNG", "JPEG", ...
      mode: Pillow's mode.
      is_deep: whether it is a PNG of 16 bits per channel, of which Pillow's mode tells 8.
      size: (height, width) as a photo is shown, after the EXIF turn.
      label_size: (height, width) as a label is read: EXIF data of a TIFF alone count.
      orientation: EXIF orientation, 1 (as stored) to 8.
    """

    path: str
    num_bytes: int = 0
    problem: str = ""
    format: str = ""
    mode: str = ""
    is_deep: bool = False
    size: tuple[int, int] = (0, 0)
    label_size: tuple[int, int] = (0, 0)
    orientation: int = 1

    @property
    def unturned_size(self) -> tuple[int, int]:
        """(height, width) of a photo without its EXIF turn."""
        return self.size[::-1] if self.orientation >= 5 else self.size

    @property
    def folder(self) -> str:
        """The path of its folder below the root, empty for the root."""
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """The file name without extension."""
        return self.path.rpartition("/")[2].rpartition(".")[0]

    @property
    def extension(self) -> str:
        """The file name's extension, with the dot."""
        return "." + self.path.rpartition(".")[2]


@dataclasses.dataclass(frozen=True)
class Scan:
    """What is below a folder.

    Attributes:
      root: the folder.
      images: the files with an image's extension, in order of their paths.
      others: paths of all other files that aren't hidden.
    """

    root: pathlib.Path
    images: tuple[ScannedFile, ...]
    others: tuple[str, ...]


def scan(root: pathlib.Path, progress: Callable[[Iterable], Iterable] = iter) -> Scan:
    """Reads the header and the end of every image below a folder.

    Args:
      root: the folder; its subfolders are read too.
      progress: see `threads.map_in_threads`.

    Raises:
      DataError: there is no such folder, or a folder may not be read.
    """
    if not root.exists():
        raise DataError(f"There is no folder {root}.")
    if not root.is_dir():
        raise DataError(f"{root} is a file; name the folder that it is in.")
    files = listing.list_files(root)
    images = [file for file in files if file.lower().endswith(listing.IMAGE_EXTENSIONS)]
    Image.init()  # loads Pillow's readers, which is not safe from several threads at once
    found = threads.map_in_threads(lambda file: read_header(root, file), images, progress=progress)
    return Scan(root, tuple(found), tuple(sorted(set(files) - set(images))))


def read_header(root: pathlib.Path, file: str) -> ScannedFile:
    """Reads one file's header. Opens regular files only: a pipe would wait for ever."""
    path = root / file
    try:
        file.encode()
    except UnicodeEncodeError:
        return ScannedFile(file, problem=NOT_UTF8)
    try:
        status = path.stat()
    except OSError as error:
        linked = "is a link to nothing" if path.is_symlink() else f"cannot be read: {error}"
        return ScannedFile(file, problem=linked)
    if not stat.S_ISREG(status.st_mode):
        return ScannedFile(file, problem=NOT_REGULAR)
    if not status.st_size:
        return ScannedFile(file, problem=EMPTY)
    try:
        with decoding.naming_file(path), Image.open(path) as image:
            orientation = exif.orientation(image, path)
            scanned = ScannedFile(
                path=file,
                num_bytes=status.st_size,
                format=image.format or "",
                mode=image.mode,
                is_deep=image.format == "PNG" and decoding.is_deep_png(path),
                size=exif.turned_size(image, orientation),
                label_size=(image.height, image.width),
                orientation=orientation,
            )
            if not checks.has_end(path, image.format):
                image.load()
            return scanned
    except decoding.TooLargeError:
        return ScannedFile(file, status.st_size, TOO_LARGE)
    except DataError as error:
        reason = str(error).removeprefix(f"{path} ")
        return ScannedFile(file, status.st_size, reason)
