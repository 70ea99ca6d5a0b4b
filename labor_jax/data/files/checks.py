"""Checks image and label files before a run uses them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from labor_jax.data import messages, threads
from labor_jax.data.base import DataError
from labor_jax.data.files import decoding

# Modes whose conversion to RGB loses nothing but transparency; 16-bit and float images would clip.
COLOUR_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def check_images(paths: Sequence[pathlib.Path], what: str) -> list[tuple[int, int]]:
    """Reads the headers of images and finds files that are cut off.

    Only a file that does not end as its format demands, or whose format has no end marker, is
    decoded as a whole.

    Args:
      paths: the files.
      what: what they are, for errors ("source images").

    Returns:
      (height, width) of each.

    Raises:
      DataError: files cannot be read or are not 8-bit images. The error counts and lists them.
    """
    return _check(
        paths,
        what,
        lambda path, image: image.mode in COLOUR_MODES,
        "are not 8-bit colour or grey images",
        "Convert them to 8 bits per channel.",
    )


def check_labels(
    paths: Sequence[pathlib.Path], what: str, channel: int | None = None
) -> list[tuple[int, int]]:
    """Checks label maps as `check_images` checks images.

    Args:
      paths: the files.
      what: what they are, for errors.
      channel: see `decoding.read_label_values`.

    Returns:
      (height, width) of each.

    Raises:
      DataError: files cannot be read, are not single-channel images of whole numbers or, if
        `channel` is given, are not 16-bit PNGs. The error counts and lists them.
    """
    if channel is not None:
        return _check(
            paths,
            what,
            lambda path, image: decoding.is_deep_png(path),
            "are not 16-bit PNGs",
            "Take the original files.",
        )
    return _check(
        paths,
        what,
        lambda path, image: image.mode in decoding.LABEL_MODES,
        "are not single-channel images of class numbers",
        "Convert label maps in colours to class numbers.",
    )


def check_decoding(read: Callable[[int], np.ndarray], count: int) -> None:
    """Calls `read(0)` to `read(count - 1)` in threads; re-raises the first error."""
    # `is None`, so that no result keeps an array in memory.
    threads.map_in_threads(lambda i: read(i) is None, range(count))


def _check(
    paths: Sequence[pathlib.Path],
    what: str,
    is_right: Callable[[pathlib.Path, Image.Image], bool],
    wrong: str,
    remedy: str,
) -> list[tuple[int, int]]:
    def read(path: pathlib.Path) -> tuple[tuple[int, int], str, str]:
        """Returns the size, why the file is unreadable, and which file has the wrong mode."""
        try:
            with decoding.naming_file(path), Image.open(path) as image:
                if not is_right(path, image):
                    return (0, 0), "", f"{path} (mode {image.mode})"
                if not has_end(path, image.format):
                    image.load()
                return (image.height, image.width), "", ""
        except DataError as error:
            return (0, 0), str(error), ""

    Image.init()  # loads Pillow's readers, which is not safe from several threads at once
    found = threads.map_in_threads(read, paths)
    messages.raise_if_any(
        f"{what} cannot be read",
        [unreadable for _, unreadable, _ in found if unreadable],
        "Copy or download them again.",
    )
    messages.raise_if_any(
        f"{what} {wrong}", [wrong_mode for *_, wrong_mode in found if wrong_mode], remedy
    )
    return [size for size, *_ in found]


def has_end(path: pathlib.Path, image_format: str | None) -> bool:
    """Whether a file ends with its format's end marker. False for formats without one."""
    marker = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}.get(image_format)
    if marker is None:
        return False
    with path.open("rb") as file:
        file.seek(-len(marker), os.SEEK_END)
        return file.read() == marker
