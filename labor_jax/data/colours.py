"""RGB colours as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

Colour = tuple[int, int, int]

_HEX = re.compile(r"#([0-9a-fA-F]{6})")
_NUMBERS = re.compile(r"(\d+)[ ,;/]+(\d+)[ ,;/]+(\d+)")


def parse(given: Any) -> Colour:
    """Reads a colour: "#804080", "128 64 128" or three numbers.

    Raises:
      ValueError: it is none of these, or a channel is not 0 to 255.
    """
    numbers = given
    if isinstance(given, str):
        text = given.strip().strip("()[]").strip()
        hexadecimal, decimal = _HEX.fullmatch(text), _NUMBERS.fullmatch(text)
        numbers = bytes.fromhex(hexadecimal[1]) if hexadecimal else decimal and decimal.groups()
    try:
        red, green, blue = (int(number) for number in numbers)
        if any(int(number) != float(number) for number in numbers):  # shares of 1, for example
            raise ValueError
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"{given!r} is no colour such as #804080 or 128 64 128") from None
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise ValueError(f"{given!r} is no colour: its three numbers must be 0 to 255")
    return red, green, blue


def parse_list(given: Any) -> tuple[Colour, ...]:
    """Reads a list of colours: "#804080,#4682b4", or a sequence of what `parse` reads.

    Raises:
      ValueError: see `parse`.
    """
    if isinstance(given, str):
        given = [part for part in given.split(",") if part.strip()]
    return tuple(parse(colour) for colour in given)


def text(colour: Iterable[int]) -> str:
    """Returns a colour as "#804080"."""
    return "#{:02x}{:02x}{:02x}".format(*(int(channel) for channel in colour))


def keys(pixels: np.ndarray) -> np.ndarray:
    """Packs colours into one number each, which differ exactly if the colours do.

    Args:
      pixels: uint8[H, W, 3] or uint8[H, W, 4]; the fourth channel does not count.

    Returns:
      uint32[H, W], below 2**24.
    """
    height, width, channels = pixels.shape
    # Four bytes from each colour on, the last of which doesn't count.
    content = np.empty(pixels.size + 4 - channels, np.uint8)
    content[: pixels.size] = pixels.reshape(-1)
    packed = np.ndarray((height, width), "<u4", content, strides=(channels * width, channels))
    return packed & np.uint32(0xFFFFFF)


def key(colour: Iterable[int]) -> int:
    """Returns the number that `keys` gives a colour."""
    red, green, blue = colour
    return red | green << 8 | blue << 16


def of_key(number: int) -> Colour:
    """Returns the colour to which `keys` gives a number."""
    return number & 255, number >> 8 & 255, number >> 16 & 255
