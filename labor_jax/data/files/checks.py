"""Checks image and label files before a run uses them."""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from labor_jax.data import messages, threads
from labor_jax.data.base import DataError
from labor_jax.data.files import decoding, exif
from labor_jax.data.files.decoding import FileFault

COLOUR_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
"""Pillow's modes that lose at most transparency in RGB. 16-bit grey and floats would be clipped.
16-bit colour has one of these modes: Pillow reads its high bytes."""

_DEEP = FileFault(
    "is not an 8-bit colour or grey image",
    "are not 8-bit colour or grey images",
    "Convert them to 8 bits per channel.",
)
_SHALLOW = FileFault("is not a 16-bit PNG", "are not 16-bit PNGs", "Take the original files.")


class Header(NamedTuple):
    """What a file's header says.

    Attributes:
      size: (height, width), of an image as it is shown.
      orientation: an image's EXIF orientation, 1 to 8: from 5 on, `size` is turned.
      mode: Pillow's mode.
    """

    size: tuple[int, int]
    orientation: int
    mode: str


def checked_size(path: pathlib.Path) -> tuple[int, int]:
    """Reads the (height, width) of an image as it is shown, from the file's header.

    Raises:
      DataError: the file is no image, or not one of 8 bits.
    """
    size = decoding.image_size(path)
    with Image.open(path) as image:
        if image.mode not in COLOUR_MODES:
            raise DataError(
                f"{path} is not an 8-bit image (mode {image.mode}); convert it to 8 bits."
            )
    return size


def check_images(paths: Sequence[pathlib.Path], what: str) -> list[Header]:
    """Reads the headers of images and finds files that are cut off.

    Only a file that does not end as its format demands, or whose format has no end marker, is
    decoded as a whole.

    Args:
      paths: the files.
      what: what they are, for errors ("source images").

    Returns:
      The header of each.

    Raises:
      DataError: files cannot be read, or their mode is none of `COLOUR_MODES`. The error counts and
        lists them.
    """

    def fault(path: pathlib.Path, image: Image.Image) -> FileFault | None:
        return None if image.mode in COLOUR_MODES else _DEEP

    return _check(paths, what, fault)


def check_labels(
    paths: Sequence[pathlib.Path],
    what: str,
    channel: int | None = None,
    coding: str = "numbers",
) -> list[Header]:
    """Checks label maps as `check_images` checks images.

    Args:
      paths: the files.
      what: what they are, for errors.
      channel: see `decoding.read_label_values`.
      coding: see `decoding.read_label_values`.

    Returns:
      The header of each.

    Raises:
      DataError: files cannot be read; or were compressed with loss; or are coded in another way
        than `channel` and `coding` say. The error counts and lists them.
    """

    def fault(path: pathlib.Path, image: Image.Image) -> FileFault | None:
        if channel is not None:
            return None if decoding.is_deep_png(path) else _SHALLOW
        return decoding.label_fault(image, coding)

    return _check(paths, what, fault, turned=False)


def check_decoding(read: Callable[[int], np.ndarray], count: int) -> None:
    """Calls `read(0)` to `read(count - 1)` in threads; re-raises the first error."""
    # `is None`, so that no result keeps an array in memory.
    threads.map_in_threads(lambda i: read(i) is None, range(count))


def _check(
    paths: Sequence[pathlib.Path],
    what: str,
    fault: Callable[[pathlib.Path, Image.Image], FileFault | None],
    turned: bool = True,
) -> list[Header]:
    def read(path: pathlib.Path) -> Header | DataError | tuple[FileFault, str]:
        """Returns the header, why the file is unreadable, or what is wrong with it."""
        try:
            with decoding.naming_file(path):
                decoding.check_regular(path)
                with Image.open(path) as image:
                    found = fault(path, image)
                    if found:
                        return found, f"{path} (mode {image.mode})"
                    orientation = exif.orientation(image, path) if turned else 1
                    size = exif.turned_size(image, orientation)
                    if not has_end(path, image.format):
                        image.load()
                    return Header(size, orientation, image.mode)
        except decoding.TooLargeError:
            return decoding.TOO_LARGE, str(path)
        except DataError as error:
            return error

    Image.init()  # loads Pillow's readers, which is not safe from several threads at once
    found = threads.map_in_threads(read, paths)
    messages.raise_if_any(
        f"{what} cannot be read",
        [str(error) for error in found if isinstance(error, DataError)],
        "Copy or download them again, or remove them.",
    )
    faults = collections.defaultdict(list)
    for each in found:
        if not isinstance(each, Header):
            faults[each[0]].append(each[1])
    for kind, files in faults.items():
        messages.raise_if_any(f"{what} {kind.several}", files, kind.remedy)
    return found


def has_end(path: pathlib.Path, image_format: str | None) -> bool:
    """Whether a file ends with its format's end marker. False for formats without one."""
    marker = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}.get(image_format)
    if marker is None:
        return False
    with path.open("rb") as file:
        file.seek(-len(marker), os.SEEK_END)
        return file.read() == marker
