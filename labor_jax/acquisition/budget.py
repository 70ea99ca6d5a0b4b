"""How much a round may ask: pixels, regions or superpixels of an image, or of the whole pool.

A budget is a share of the pixels, a number of points as in RIPU, or people's time. For whole images
it is a share or a number of the pool's.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple


class Price(NamedTuple):
    """What a person's work costs.

    Attributes:
      pick: Seconds of a point or a region, above 0.
      image: Seconds of opening an image that is asked anything, 0 or more.
    """

    pick: float
    image: float


class PoolLimit(NamedTuple):
    """What a round may ask of the whole pool, as `PoolOrder` takes it.

    Attributes:
      limit: A number of picks (of pixels for "cap"), or of seconds.
      pick_cost: What a pick takes of it.
      image_cost: What an image that is asked anything takes of it besides.
    """

    limit: float
    pick_cost: float = 1.0
    image_cost: float = 0.0


class Budget(NamedTuple):
    """What all rounds together may ask of an image.

    Attributes:
      fraction: Share of the image's pixels, from 0 to 1; None if another budget is given, or for a
        method without one. Of the pool's images for the kind "images".
      points: Number of pixels, or of superpixels for that kind, or None. Of the pool's images for
        the kind "images".
      rounds: Number of rounds that share the budget.
      reference_size: (height, width) of the image that `points` refers to; in other images they
        grow with the area. None means the image's own size.
      seconds: People's time, or None. It is never exceeded: counts are rounded down.
      price: What `seconds` pay for.
    """

    fraction: float | None = None
    points: int | None = None
    rounds: int = 1
    reference_size: tuple[int, int] | None = None
    seconds: float | None = None
    price: Price | None = None

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
        if self.seconds is not None:
            return max(math.floor(self._paid_picks()), 0)
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

    def images(self, pool: int, round: int = 1) -> int:
        """Number of images to ask in a round under the kind "images".

        The rounds up to this one may ask their part of the budget; what earlier rounds asked is
        taken off. So all rounds together ask the budget, and a round may have no image. Shares and
        numbers are rounded up; seconds are rounded down, since they are never exceeded.

        Args:
          pool: Number of images in the pool.
          round: The round's number, from 1.

        Raises:
          ValueError: If the budget has no fraction, points or seconds.
        """
        if (self.fraction, self.points, self.seconds) == (None, None, None):
            raise ValueError("a budget of images needs a share, a number of them or seconds")
        return self._images_until(pool, round) - self._images_until(pool, round - 1)

    def holds_a_pick(self, kind: str, size: tuple[int, int], *, radius: int) -> bool:
        """Whether a round's part of the budget is at least one pick, or there is no limit.

        Where it isn't, `picks` is 1 (for "cap" 0): counts of points and regions are rounded up.

        Args:
          kind: `Method.budget`, see `picks`.
          size: (height, width) of the image.
          radius: Radius of a region.
        """
        unlimited = (self.fraction, self.points, self.seconds) == (None, None, None)
        if kind in ("own", "images") or unlimited:
            return True
        if self.seconds is not None:
            return self._paid_picks() >= 1
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
          A number of points or seconds if the budget is one. Otherwise a share of the pixels,
          rounded up to three digits. Seconds are rounded up to hundredths.
        """
        if self.seconds is not None:
            return math.ceil(100 * self.rounds * sum(map(_exact, self.price))) / 100
        pixels = size[0] * size[1]
        if self.fraction is None:
            height, width = self.reference_size or size
            return math.ceil(Fraction(self.rounds * height * width, pixels))
        pick = (2 * radius + 1) ** 2 if kind == "regions" else 1
        exact = Fraction(pick * self.rounds, pixels)
        digits = 2 - math.floor(math.log10(exact))
        return math.ceil(exact * 10**digits) / 10**digits

    def pool(self, kind: str, sizes: Iterable[tuple[int, int]], *, radius: int) -> PoolLimit | None:
        """What a round may ask of all images together: what it may ask of each, added up.

        Counts are rounded once for the pool, up as for an image, or down for "cap".

        Args:
          kind: `Method.budget`, see `picks`.
          sizes: (height, width) of each image.
          radius: Radius of a region.

        Returns:
          The limit; None if there is none.
        """
        if kind == "own" or (self.fraction, self.points, self.seconds) == (None, None, None):
            return None
        sizes = collections.Counter(sizes)
        if self.seconds is not None:
            return PoolLimit(self.seconds * sizes.total() / self.rounds, *self.price)
        exact = sum(count * self._exact_picks(kind, size, radius) for size, count in sizes.items())
        return PoolLimit(math.floor(exact) if kind == "cap" else math.ceil(exact))

    def _exact_picks(self, kind: str, size: tuple[int, int], radius: int) -> Fraction:
        """`picks` of a share or of points before they are rounded."""
        if self.fraction is None:
            height, width = self.reference_size or size
            return Fraction(self.points * size[0] * size[1], self.rounds * height * width)
        pick = (2 * radius + 1) ** 2 if kind == "regions" else 1
        return _share(*size, self.fraction, self.rounds) / pick

    def _images_until(self, pool: int, round: int) -> int:
        """How many whole images the rounds up to this one may ask."""
        if self.seconds is not None:
            seconds = _exact(self.seconds) * pool * round / self.rounds + Fraction(1, 10**9)
            count = math.floor(seconds / (_exact(self.price.image) + _exact(self.price.pick)))
        elif self.fraction is not None:
            count = math.ceil(_share(pool, 1, self.fraction, self.rounds) * round)
        else:
            count = math.ceil(Fraction(self.points * round, self.rounds))
        return min(count, pool)

    def _paid_picks(self) -> Fraction:
        """How many picks a round's seconds pay for, after opening the image."""
        seconds = _exact(self.seconds) / self.rounds - _exact(self.price.image)
        # A division of the seconds before, by images, may have lost the last digit.
        return seconds / _exact(self.price.pick) + Fraction(1, 10**9)


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
    return _exact(fraction) * height * width / rounds


def _exact(number: float) -> Fraction:
    """The fraction that a decimal number means."""
    return Fraction(str(float(number)))
