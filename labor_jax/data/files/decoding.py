"""Decodes image and label files. Errors name the file."""

from __future__ import annotations

import contextlib
import io
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from labor_jax.data.base import DataError

LABEL_MODES = ("1", "L", "P", "I;16", "I;16L", "I;16B", "I;16N", "I")
"""Pillow's modes of single-channel images of whole numbers."""

_PNG_HEADER_BYTES = 26  # signature, length and name of IHDR, width, height, bit depth, colour type
_GREY, _RGB = 0, 2  # PNG colour types


def read_image(path: pathlib.Path, content: bytes | None = None) -> np.ndarray:
    """Reads an image.

    Args:
      path: the file.
      content: the file's bytes if they are in memory already; `path` then only names the image in
        errors.

    Returns:
      uint8[H, W, 3], RGB.

    Raises:
      DataError: the file cannot be decoded.
    """
    with naming_file(path):
        content = path.read_bytes() if content is None else content
        pixels = _decode_plain_png(content, _RGB)
        if pixels is not None:
            return pixels
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))


def image_size(path: pathlib.Path) -> tuple[int, int]:
    """Reads the (height, width) of what `read_image` returns, from the file's header.

    Raises:
      DataError: the file is not an image of a known format.
    """
    with naming_file(path), Image.open(path) as image:
        return image.height, image.width


def read_label_values(
    path: pathlib.Path, channel: int | None = None, content: bytes | None = None
) -> np.ndarray:
    """Reads the values of a label file, unchanged.

    Args:
      path: the file.
      channel: which channel of a 16-bit PNG holds the values; None for a single-channel file.
      content: see `read_image`. Ignored if `channel` is given.

    Returns:
      uint8, uint16 or int32[H, W].

    Raises:
      DataError: the file cannot be decoded, or it has several channels and `channel` is None.
    """
    if channel is not None:
        return _read_deep_channel(path, channel)
    with naming_file(path):
        content = path.read_bytes() if content is None else content
        values = _decode_plain_png(content, _GREY)
        if values is not None:
            return values
        with Image.open(io.BytesIO(content)) as image:
            if image.mode not in LABEL_MODES:
                raise DataError(
                    f"{path} is not a label map, a single-channel image of class numbers (convert "
                    f"colours to class numbers); its mode is {image.mode}."
                )
            values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == bool else values


@contextlib.contextmanager
def naming_file(path: pathlib.Path) -> Iterator[None]:
    """Turns any decoder's error inside the block into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, ... for bad bytes
        reason = str(error)
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        elif isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image of a known format"
        raise DataError(f"{path} cannot be read: {reason}") from error


def is_deep_png(path: pathlib.Path) -> bool:
    """Whether a file is a PNG of 16 bits per channel."""
    with path.open("rb") as file:
        return _png_format(file.read(_PNG_HEADER_BYTES))[0] == 16


def _png_format(header: bytes) -> tuple[int, int]:
    """Returns a PNG's bits per channel and colour type; (0, 0) for any other file."""
    if len(header) < _PNG_HEADER_BYTES or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        return 0, 0
    return header[24], header[25]


def _decode_plain_png(content: bytes, colour_type: int) -> np.ndarray | None:
    """Decodes a plain PNG to what Pillow gives, in about half the time.

    Args:
      content: the file's bytes.
      colour_type: `_RGB` or `_GREY`.

    Returns:
      uint8[H, W, 3] or uint8[H, W]. None for any other format, bit depth or colour type, for
      transparency, and for damaged files: then Pillow reads the file or explains what is wrong.
    """
    if _png_format(content) != (8, colour_type):
        return None
    import imagecodecs  # loads its libraries on first use

    try:
        pixels = imagecodecs.png_decode(content)
    except Exception:
        return None
    return pixels if pixels.shape[2:] == ((3,) if colour_type == _RGB else ()) else None


def _read_deep_channel(path: pathlib.Path, channel: int) -> np.ndarray:
    """Returns one channel of a 16-bit PNG, uint16[H, W]."""
    import imagecodecs  # Pillow would cut 16-bit colour to 8

    with naming_file(path):
        content = path.read_bytes()
        if _png_format(content)[0] != 16:
            raise DataError(f"{path} is not a 16-bit PNG.")
        values = np.atleast_3d(imagecodecs.png_decode(content))
    if channel >= values.shape[2]:
        raise DataError(f"{path} has {values.shape[2]} channels; number {channel} was asked for.")
    return np.ascontiguousarray(values[..., channel])
