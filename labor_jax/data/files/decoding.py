"""Decodes image and label files. Errors name the file."""

from __future__ import annotations

import contextlib
import io
import pathlib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from labor_jax.data.base import DataError
from labor_jax.data.files import exif

# Pillow warns of images from half the size on that it refuses, see `TOO_LARGE`.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

LABEL_MODES = ("1", "L", "P", "I;16", "I;16L", "I;16B", "I;16N", "I")
"""Pillow's modes of single-channel images of whole numbers."""

LABEL_COLOUR_MODES = ("RGB", "RGBA")
"""Pillow's modes of labels in colours."""

_FORCED_COLOUR_MODES = ("1", "L", "LA", "P", "PA", *LABEL_COLOUR_MODES)


class FileFault(NamedTuple):
    """Why files can't be used: what one of them, or several, are; and what to do."""

    one: str
    several: str
    remedy: str


class TooLargeError(DataError):
    """An image has more pixels than Pillow reads; see `TOO_LARGE`."""


TOO_LARGE = FileFault(
    "has more than 179 million pixels, the most that can be read",
    "have more than 179 million pixels, the most that can be read",
    "Cut them into tiles, or shrink them.",
)
_LOSS = FileFault(
    "was compressed with loss (as JPEG does), which changes its values",
    "were compressed with loss (as JPEG does), which changes their values",
    "Export them anew, as PNG.",
)
_SCALE = FileFault(
    "has another largest value than 255 and 65535, which its header gives",
    "have another largest value than 255 and 65535, which their headers give",
    "Save them as PNG.",
)
_COLOURS = FileFault(
    "is in colours, and nothing says which class a colour is",
    "are in colours, and nothing says which class a colour is",
    "Give the classes' colours (--config.data.palette='#804080,#4682b4', or a class table as "
    "data.classes) and leave data.label_coding at auto, or convert the files to class numbers.",
)
_NUMBERS = FileFault(
    "is not a single-channel image of class numbers",
    "are not single-channel images of class numbers",
    "Convert them to 8-bit PNGs of one channel.",
)
_DEPTH = FileFault(
    "is not an image in 8-bit colours, which data.label_coding = colours needs",
    "are not images in 8-bit colours, which data.label_coding = colours needs",
    "Leave data.label_coding at auto.",
)

_DEEP_COLOURS = FileFault(
    "is in colours of 16 bits, which 8 bits can't hold",
    "are in colours of 16 bits, which 8 bits can't hold",
    "If one channel holds class numbers, save it as a PNG of that channel alone; if the colours "
    "stand for classes, save them with 8 bits per channel.",
)

_PNG_HEADER_BYTES = 26  # signature, length and name of IHDR, width, height, bit depth, colour type
_GREY, _RGB, _RGBA = 0, 2, 6  # PNG colour types
_CHANNELS = {_GREY: (), _RGB: (3,), _RGBA: (4,)}


def read_image(path: pathlib.Path, content: bytes | None = None) -> np.ndarray:
    """Reads an image, turned as its EXIF data say that it is to be shown.

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
        content = _bytes(path) if content is None else content
        if _png_format(content)[1] == _RGB and not exif.may_turn_png(content):
            pixels = _decode_plain_png(content, _RGB)
            if pixels is not None:
                return pixels
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # `turn` would hide its errors
            turn = exif.turn(image)
            pixels = image.convert("RGB")
            return np.asarray(pixels.transpose(turn) if turn is not None else pixels)


def image_size(path: pathlib.Path) -> tuple[int, int]:
    """Reads the (height, width) of what `read_image` returns, from the file's header.

    Raises:
      DataError: the file is not an image of a known format.
    """
    with naming_file(path):
        check_regular(path)
        with Image.open(path) as image:
            return exif.turned_size(image, exif.orientation(image, path))


def read_label_values(
    path: pathlib.Path,
    channel: int | None = None,
    content: bytes | None = None,
    coding: str = "numbers",
) -> np.ndarray:
    """Reads the values or colours of a label file, unchanged.

    Its EXIF data don't count. The orientation of a TIFF does: it says how the file's rows lie.

    Args:
      path: the file.
      channel: which channel of a 16-bit PNG holds the values; None for a single-channel file.
      content: see `read_image`. Ignored if `channel` is given.
      coding: "numbers" for single-channel files alone; "auto" for colours from RGB and RGBA files
        too; "colours" for colours from every file, of palette images those of the palette.

    Returns:
      Numbers, uint8, uint16 or int32[H, W]; or colours, uint8[H, W, 3], or uint8[H, W, 4] with
      opacity.

    Raises:
      DataError: the file cannot be decoded, compression has changed its values, or it is coded in
        another way than `coding` and `channel` say.
    """
    if channel is not None:
        return _read_deep_channel(path, channel)
    with naming_file(path):
        content = _bytes(path) if content is None else content
        colour_type = _png_format(content)[1]
        if coding != "colours" if colour_type == _GREY else coding != "numbers":
            pixels = _decode_plain_png(content, colour_type)
            if pixels is not None:
                return pixels
        with Image.open(io.BytesIO(content)) as image:
            fault = label_fault(image, coding)
            if fault:
                raise DataError(
                    f"{path} is no label map: it {fault.one} (mode {image.mode}). {fault.remedy}"
                )
            if coding == "colours" or image.mode in LABEL_COLOUR_MODES:
                return _colours(image)
            values = np.asarray(image)
            return (values.astype(np.uint8) if values.dtype == bool else values) // _scale(
                image, content
            )


def label_fault(image: Image.Image, coding: str) -> FileFault | None:
    """Returns why an opened label file can't be read; None if it can.

    Args:
      image: the file, before its pixels are loaded.
      coding: see `read_label_values`.
    """
    if _is_lossy(image):
        return _LOSS
    if image.format == "PPM" and image.tile and image.tile[0][0] != "raw":
        return _SCALE  # Pillow has scaled the values
    if image.mode in _FORCED_COLOUR_MODES and _loses_bits(image):
        return _DEEP_COLOURS
    if coding == "colours":
        return None if image.mode in _FORCED_COLOUR_MODES else _DEPTH
    if image.mode in LABEL_COLOUR_MODES:
        return _COLOURS if coding == "numbers" else None
    return None if image.mode in LABEL_MODES else _NUMBERS


@contextlib.contextmanager
def naming_file(path: pathlib.Path) -> Iterator[None]:
    """Turns any decoder's error inside the block into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{path} {TOO_LARGE.one}: cut it into tiles, or shrink it") from error
    except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, ... for bad bytes
        reason = str(error).rstrip(".")
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        elif isinstance(error, Image.UnidentifiedImageError):
            is_empty = path.is_file() and not path.stat().st_size
            reason = "the file is empty" if is_empty else "not an image of a known format"
        raise DataError(f"{path} cannot be read: {reason}") from error


def check_regular(path: pathlib.Path) -> None:
    """Raises DataError for a pipe, a device or a socket, which would be waited for without end."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} cannot be read: it is no file, but a pipe or a device")


def is_deep_png(path: pathlib.Path) -> bool:
    """Whether a file is a PNG of 16 bits per channel."""
    with path.open("rb") as file:
        return _png_format(file.read(_PNG_HEADER_BYTES))[0] == 16


def _bytes(path: pathlib.Path) -> bytes:
    check_regular(path)
    return path.read_bytes()


def _png_format(header: bytes) -> tuple[int, int]:
    """Returns a PNG's bits per channel and colour type; (0, -1) for any other file."""
    if len(header) < _PNG_HEADER_BYTES or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        return 0, -1
    return header[24], header[25]


def _decode_plain_png(content: bytes, colour_type: int) -> np.ndarray | None:
    """Decodes a plain PNG to what Pillow gives, in about half the time.

    Args:
      content: the file's bytes.
      colour_type: `_RGB`, `_RGBA` or `_GREY`.

    Returns:
      uint8[H, W, 3], uint8[H, W, 4] or uint8[H, W]. None for any other format, bit depth or colour
      type, for transparency by one colour, and for damaged files: then Pillow reads the file or
      explains what is wrong.
    """
    if colour_type not in _CHANNELS or _png_format(content) != (8, colour_type):
        return None
    import imagecodecs  # loads its libraries on first use

    try:
        pixels = imagecodecs.png_decode(content)
    except Exception:
        return None
    return pixels if pixels.shape[2:] == _CHANNELS[colour_type] else None


def _is_lossy(image: Image.Image) -> bool:
    """Whether an opened file's compression loses values."""
    if image.format == "WEBP":
        image.fp.seek(12)
        chunk = image.fp.read(4)
        return chunk == b"VP8 " or (chunk == b"VP8X" and b"VP8L" not in image.fp.read())
    return image.format in ("JPEG", "MPO", "AVIF") or image.info.get("compression") == "jpeg"


def _loses_bits(image: Image.Image) -> bool:
    """Whether an opened file has colours of 16 bits, of which Pillow reads the high bytes alone.

    A PNG of 8-bit colours times 257, whose bytes are the same, loses nothing.
    """
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (8,))) > 8
    if image.format != "PNG":
        return False
    place = image.fp.tell()
    try:
        image.fp.seek(0)
        header = image.fp.read(_PNG_HEADER_BYTES)
        if _png_format(header)[0] != 16:
            return False
        import imagecodecs

        values = imagecodecs.png_decode(header + image.fp.read())
    finally:
        image.fp.seek(place)
    return bool((values >> 8 != values & 255).any())


def _colours(image: Image.Image) -> np.ndarray:
    """Returns the colours of an opened label file, with opacity if it has any."""
    if image.mode == "RGB":
        return np.asarray(image)
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _scale(image: Image.Image, content: bytes) -> int:
    """Returns by how much Pillow has multiplied the grey values of 2 or 4 bits of a label file."""
    bits = 8
    if image.format == "PNG":
        bits, colour_type = _png_format(content)
        bits = bits if colour_type == _GREY else 8
    elif image.format == "TIFF" and image.mode == "L":
        bits = image.tag_v2.get(258, (8,))[0]
    return {2: 85, 4: 17}.get(bits, 1)


def _read_deep_channel(path: pathlib.Path, channel: int) -> np.ndarray:
    """Returns one channel of a 16-bit PNG, uint16[H, W]."""
    import imagecodecs  # Pillow would cut 16-bit colour to 8

    with naming_file(path):
        content = _bytes(path)
        if _png_format(content)[0] != 16:
            raise DataError(f"{path} is not a 16-bit PNG.")
        values = np.atleast_3d(imagecodecs.png_decode(content))
    if channel >= values.shape[2]:
        raise DataError(f"{path} has {values.shape[2]} channels; number {channel} was asked for.")
    return np.ascontiguousarray(values[..., channel])
