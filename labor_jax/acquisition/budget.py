"""How many picks an image gets: the budgets of RIPU and of plain shares."""

import math
from fractions import Fraction


def region_count(height: int, width: int, *, ratio: float, rounds: int, radius: int) -> int:
    """Regions an image and round under RIPU's region budget.

    `ceil(H W (ratio / rounds) / (2 radius + 1)^2)`: 1026 for 1024x2048, 2.2% and 5 rounds.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      ratio: Share of the pixels asked over all rounds, such as 0.022.
      rounds: Number of rounds.
      radius: Radius of a region.

    Returns:
      The count.
    """
    return math.ceil(_share(height, width, ratio, rounds) / (2 * radius + 1) ** 2)


def point_count(
    height: int,
    width: int,
    *,
    pixels: int,
    rounds: int,
    reference_size: tuple[int, int] | None = (640, 1280),
) -> int:
    """Points an image and round under RIPU's pixel budget.

    `pixels` are meant at the size that the network sees and grow with the area:
    `ceil(pixels / rounds / (640 * 1280) * H W)` is 21 for 40 pixels, 5 rounds and 1024x2048. All
    rounds ask the same, so that together they can ask up to `rounds - 1` more than the budget.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      pixels: Pixels asked over all rounds in an image of `reference_size`.
      rounds: Number of rounds.
      reference_size: (height, width) that `pixels` refers to; None: the image's own.

    Returns:
      The count.
    """
    reference_height, reference_width = reference_size or (height, width)
    return -(-pixels * height * width // (rounds * reference_height * reference_width))


def pixel_count(height: int, width: int, *, fraction: float, rounds: int) -> int:
    """Pixels an image and round when a share of it is asked over all rounds, rounded up.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      fraction: Share of the pixels, from 0 to 1.
      rounds: Number of rounds.

    Returns:
      The count.
    """
    return math.ceil(_share(height, width, fraction, rounds))


def pixel_cap(height: int, width: int, *, fraction: float, rounds: int) -> int:
    """`pixel_count` rounded down: the most pixels a round with which a share is not exceeded."""
    return math.floor(_share(height, width, fraction, rounds))


def _share(height: int, width: int, fraction: float, rounds: int) -> Fraction:
    """Pixels a round, exactly: rounding errors must not lift a whole number to the next one."""
    return Fraction(str(float(fraction))) * height * width / rounds
