"""How much a round may ask: pixels, regions or superpixels of an image, or images of the pool."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple


class Budget(NamedTuple):
    """What all rounds together may ask of an image.

    Attributes:
      fraction: Share of the image's pixels, from 0 to 1; None if `points` is given, or for a method
        without a budget. Of the pool's images for the kind "images".
      points: Number of pixels, or of superpixels for that kind, or None. Of the pool's images for
        the kind "images".
      rounds: Number of rounds that share the budget.
      reference_size: (height, width) of the image that `points` refers to; in other images they
        grow with the area. None means the image's own size.
    """

    fraction: float | None = None
    points: int | None = None
    rounds: int = 1
    reference_size: tuple[int, int] | None = None

    def picks(self, kind: str, size: tuple[int, int], *, radius: int) -> int | None:
        """Number of picks per round in an image.

        Args:
          kind: `Method.budget`: "points", "regions", "superpixels", "images", "cap" or "own".
          size: (height, width) of the image.
          radius: Radius of a region.

        Returns:
          The number of points, regions or superpixels to ask, or the largest number of pixels for
          "cap". None if there is no limit within an image.

        Raises:
          ValueError: If the budget is not of the kind.
        """
        if kind in ("own", "images"):
            return None
        if kind == "superpixels" and self.points is None:
            raise ValueError("superpixels need a number of them, Budget.points")
        if kind == "regions":
            return region_count(*size, ratio=self.fraction, rounds=self.rounds, radius=radius)
        if kind == "cap":
            if self.fraction is None:
                return None
            return pixel_cap(*size, fraction=self.fraction, rounds=self.rounds)
        if self.fraction is not None:
            return pixel_count(*size, fraction=self.fraction, rounds=self.rounds)
        return point_count(
            *size, pixels=self.points, rounds=self.rounds, reference_size=self.reference_size
        )

    def images(self, pool: int) -> int:
        """Number of images to ask per round under the kind "images", rounded up.

        Args:
          pool: Number of images in the pool.

        Raises:
          ValueError: If the budget has neither a fraction nor points.
        """
        if self.fraction is None and self.points is None:
            raise ValueError("a budget of images needs a share or a number of them")
        if self.fraction is None:
            return min(-(-self.points // self.rounds), pool)
        return pixel_count(pool, 1, fraction=self.fraction, rounds=self.rounds)

    def holds_a_pick(self, kind: str, size: tuple[int, int], *, radius: int) -> bool:
        """Whether a round's part of the budget is at least one pick, or there is no limit.

        Where it isn't, `picks` is 1 (for "cap" 0): counts of points and regions are rounded up.

        Args:
          kind: `Method.budget`, see `picks`.
          size: (height, width) of the image.
          radius: Radius of a region.
        """
        if kind in ("own", "images") or (self.fraction is None and self.points is None):
            return True
        if self.fraction is None:
            return self.points >= self.least(kind, size, radius=radius)
        pick = (2 * radius + 1) ** 2 if kind == "regions" else 1
        return _share(*size, self.fraction, self.rounds) >= pick

    def least(self, kind: str, size: tuple[int, int], *, radius: int) -> float:
        """The smallest budget of an image with a pick in every round.

        Args:
          kind: `Method.budget`, see `picks`.
          size: (height, width) of the image.
          radius: Radius of a region.

        Returns:
          A number of points if the budget is one. Otherwise a share of the pixels, rounded up to
          three digits.
        """
        pixels = size[0] * size[1]
        if self.fraction is None:
            height, width = self.reference_size or size
            return math.ceil(Fraction(self.rounds * height * width, pixels))
        pick = (2 * radius + 1) ** 2 if kind == "regions" else 1
        exact = Fraction(pick * self.rounds, pixels)
        digits = 2 - math.floor(math.log10(exact))
        return math.ceil(exact * 10**digits) / 10**digits


def region_count(height: int, width: int, *, ratio: float, rounds: int, radius: int) -> int:
    """Number of regions per image and round under RIPU's region budget.

    `ceil(H W (ratio / rounds) / (2 radius + 1)^2)`: 1026 for 1024x2048, 2.2% and 5 rounds.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      ratio: Share of the pixels that all rounds ask together, such as 0.022.
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
    """Number of pixels per image and round under RIPU's pixel budget.

    RIPU states the budget for the size that the network sees, and scales it by the area:
    `ceil(pixels / rounds / (640 * 1280) * H W)` is 21 for 40 pixels, 5 rounds and 1024x2048. Each
    round asks the same number, so all rounds together may exceed the budget by `rounds - 1`.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      pixels: Number of pixels over all rounds in an image of `reference_size`.
      rounds: Number of rounds.
      reference_size: (height, width) that `pixels` refers to. None means the image's own size.

    Returns:
      The count.
    """
    reference_height, reference_width = reference_size or (height, width)
    return -(-pixels * height * width // (rounds * reference_height * reference_width))


def pixel_count(height: int, width: int, *, fraction: float, rounds: int) -> int:
    """Number of pixels per image and round when all rounds ask a share of it, rounded up.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      fraction: Share of the pixels that all rounds ask together, from 0 to 1.
      rounds: Number of rounds.

    Returns:
      The count.
    """
    return math.ceil(_share(height, width, fraction, rounds))


def pixel_cap(height: int, width: int, *, fraction: float, rounds: int) -> int:
    """`pixel_count` rounded down: the most pixels per round that never exceed the share."""
    return math.floor(_share(height, width, fraction, rounds))


def _share(height: int, width: int, fraction: float, rounds: int) -> Fraction:
    """Pixels per round as an exact fraction, so that rounding errors cannot add a pixel."""
    return Fraction(str(float(fraction))) * height * width / rounds
