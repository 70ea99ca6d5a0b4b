"""How EXIF data say that an image is to be turned or mirrored when it is shown."""

from __future__ import annotations

import os
import pathlib

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow calls such data of a PNG if they come before the pixels.
_PNG_KEYS = {"exif", "Raw profile type exif", "Raw profile type APP1", "XML:com.adobe.xmp", "xmp"}
# In a PNG, what the data begin with: as EXIF, as ImageMagick's text, as Adobe's text.
_PNG_MARKS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_TAIL_BYTES = 2**16


def turn(image: Image.Image) -> Image.Transpose | None:
    """Returns how to turn a loaded image as it is to be shown; None if it is right already.

    Pillow itself turns a TIFF.
    """
    if image.format == "TIFF":
        return None
    return _TURNS.get(_orientation(image))


def orientation(image: Image.Image, path: pathlib.Path) -> int:
    """Returns the EXIF orientation, 1 to 8, of an opened file: 1 if it is shown as it is stored.

    Of a PNG, whose pixels Pillow would load first, only the ends of the file are read.
    """
    if image.format == "PNG" and not _PNG_KEYS & image.info.keys():
        with path.open("rb") as file:
            file.seek(-min(_TAIL_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
            if not may_turn_png(file.read()):
                return 1
    return _orientation(image)


def may_turn_png(content: bytes) -> bool:
    """Whether the bytes of a PNG hold data that may turn it, before its pixels or near its end."""
    ends = content[: content.find(b"IDAT")] + content[-_TAIL_BYTES:]
    return any(mark in ends for mark in _PNG_MARKS)


def turned_size(image: Image.Image, orientation: int) -> tuple[int, int]:
    """Returns the (height, width) of an opened image of that orientation as it is shown."""
    if orientation >= 5 and image.format != "TIFF":
        return image.width, image.height
    return image.height, image.width


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF data: SyntaxError, struct.error, ...; pixels may be fine
        return 1
    return value if value in _TURNS else 1
