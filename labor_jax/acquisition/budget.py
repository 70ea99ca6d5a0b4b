"""How much a round may ask: pixels, regions or superpixels of an image, or of the whole pool.

A budget is a share of the pixels, a number of points as in RIPU, or people's time. For whole images
it is a share or a number of the pool's.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

BudgetKind = Literal["points", "regions", "superpixels", "images", "cap", "own"]
"""What limits a query, see `register`."""

_SHARE = {"fraction": "the share of an image's pixels"}
_NUMBER = {"points": "the number of them"}
_SECONDS = {"seconds": "people's seconds"}
BUDGETS: dict[BudgetKind, dict[str, str]] = {
    "points": _SHARE | _NUMBER | _SECONDS,
    "regions": _SHARE | _SECONDS,
    "superpixels": _NUMBER | _SECONDS,
    "images": {"fraction": "the share of the pool's images"} | _NUMBER | _SECONDS,
    "cap": {"fraction": "the largest share of an image's pixels"},
    "own": {},
}
"""The budgets that each kind takes, under the names of `Budget`, with what they mean.

One of them must be given; "cap" may go without.
"""


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

    It is one of `fraction`, `points` and `seconds`. The kinds "points" and "images" take any of
    them, "regions" no `points`, "superpixels" no `fraction`, "cap" a `fraction` or nothing, and
    "own" nothing.

    Attributes:
      fraction: Share of the image's pixels, from 0 to 1; None if another budget is given, or for a
        method without one. Of the pool's images for the kind "images".
      points: Number of pixels, or of superpixels for that kind, or None. Of the pool's images for
        the kind "images".
      rounds: Number of rounds that share the budget.
      reference_size: (height, width) of the image that `points` refers to; in other images they
        grow with the area. None means the image's own size.
      seconds: People's time, or None. What is planned never exceeds it: counts are rounded down.
      price: What `seconds` pay for.
    """

    fraction: float | None = None
    points: int | None = None
    rounds: int = 1
    reference_size: tuple[int, int] | None = None
    seconds: float | None = None
    price: Price | None = None

    def picks(self, kind: BudgetKind, size: tuple[int, int], *, radius: int) -> int | None:
        """Number of picks per round in an image.

        Args:
          kind: `Method.budget`.
          size: (height, width) of the image.
          radius: Radius of a region.

        Returns:
          The number of points, regions or superpixels to ask, or the largest number of pixels for
          "cap". None if there is no limit within an image, as for "images".

        Raises:
          ValueError: If the budget is not of the kind, or its seconds have no price.
        """
        limited_by = self._limited_by(kind)
        if limited_by is None:
            return None
        if limited_by == "seconds":
            return max(math.floor(self._paid_picks()), 0)
        if limited_by == "points":
            return point_count(
                *size, pixels=self.points, rounds=self.rounds, reference_size=self.reference_size
            )
        if kind == "regions":
            return region_count(*size, ratio=self.fraction, rounds=self.rounds, radius=radius)
        count = pixel_cap if kind == "cap" else pixel_count
        return count(*size, fraction=self.fraction, rounds=self.rounds)

    def images(self, pool: int, round: int = 1) -> int:
        """Number of images to ask in a round under the kind "images".

        The rounds up to this one may ask their part of the budget; what earlier rounds asked is
        taken off. So all rounds together ask the budget, and a round may have no image. Shares and
        numbers are rounded up; seconds are rounded down, since they are never exceeded.

        Args:
          pool: Number of images in the pool.
          round: The round's number, from 1.

        Raises:
          ValueError: If the budget is not of the kind, or its seconds have no price.
        """
        self._given("images")
        return self._images_until(pool, round) - self._images_until(pool, round - 1)

    def holds_a_pick(self, kind: BudgetKind, size: tuple[int, int], *, radius: int) -> bool:
        """Whether a round's part of the budget is at least one pick, or there is no limit.

        Where it isn't, `picks` is 1 (for "cap" 0): counts of points and regions are rounded up.

        Args:
          kind: `Method.budget`, see `picks`.
          size: (height, width) of the image.
          radius: Radius of a region.

        Raises:
          ValueError: As `picks`.
        """
        return self.pool_holds_a_pick(kind, [size], radius=radius)

    def least(self, kind: BudgetKind, size: tuple[int, int], *, radius: int) -> float:
        """The smallest budget of an image with a pick in every round.

        Args:
          kind: `Method.budget`, see `picks`.
          size: (height, width) of the image.
          radius: Radius of a region.

        Returns:
          A number of points or seconds if the budget is one. Otherwise a share of the pixels,
          rounded up to three digits. Seconds are rounded up to hundredths. 0 if there is no limit
          within an image.

        Raises:
          ValueError: As `picks`.
        """
        return self.least_of_pool(kind, [size], radius=radius)

    def pool(
        self, kind: BudgetKind, sizes: Iterable[tuple[int, int]], *, radius: int
    ) -> PoolLimit | None:
        """What a round may ask of all images together: what it may ask of each, added up.

        Counts are rounded once for the pool, up as for an image, or down for "cap".

        Args:
          kind: `Method.budget`, see `picks`.
          sizes: (height, width) of each image.
          radius: Radius of a region.

        Returns:
          The limit; None if there is none, and for "images", which `images` counts.

        Raises:
          ValueError: As `picks`.
        """
        limited_by = self._limited_by(kind)
        if limited_by is None:
            return None
        sizes = collections.Counter(sizes)
        if limited_by == "seconds":
            return PoolLimit(self.seconds * sizes.total() / self.rounds, *self.price)
        picks = self._exact_pool_picks(kind, sizes, radius)
        return PoolLimit(math.floor(picks) if kind == "cap" else math.ceil(picks))

    def pool_holds_a_pick(
        self, kind: BudgetKind, sizes: Iterable[tuple[int, int]], *, radius: int
    ) -> bool:
        """`holds_a_pick` of all images of these sizes together, as `pool` limits them."""
        if self._limited_by(kind) is None:
            return True
        return self._exact_pool_picks(kind, collections.Counter(sizes), radius) >= 1

    def least_of_pool(
        self, kind: BudgetKind, sizes: Iterable[tuple[int, int]], *, radius: int
    ) -> float:
        """`least` of all images of these sizes together; seconds are those of the whole pool."""
        limited_by = self._limited_by(kind)
        if limited_by is None:
            return 0
        if limited_by == "seconds":
            return math.ceil(100 * self.rounds * sum(map(exact, self.price))) / 100
        unit = self._replace(**{limited_by: 1})
        least = 1 / unit._exact_pool_picks(kind, collections.Counter(sizes), radius)
        if limited_by == "points":
            return math.ceil(least)
        digits = 2 - math.floor(math.log10(least))
        return math.ceil(least * 10**digits) / 10**digits

    def _limited_by(self, kind: BudgetKind) -> str | None:
        """The field that limits what is asked within an image; None if none does."""
        return None if kind == "images" else self._given(kind)

    def _given(self, kind: BudgetKind) -> str | None:
        """The field that holds the budget, after checking that the kind takes it."""
        fields = {"fraction": self.fraction, "points": self.points, "seconds": self.seconds}
        given = given_budget(kind, fields, who=f"a Budget of the kind {kind!r}")
        if given == "seconds" and self.price is None:
            raise ValueError("Budget.seconds buy nothing without Budget.price; give it, too")
        return given

    def _exact_picks(self, kind: BudgetKind, size: tuple[int, int], radius: int) -> Fraction:
        """`picks` of a share or of points before they are rounded."""
        if self.fraction is None:
            height, width = self.reference_size or size
            return Fraction(self.points * size[0] * size[1], self.rounds * height * width)
        pick = (2 * radius + 1) ** 2 if kind == "regions" else 1
        return _share(*size, self.fraction, self.rounds) / pick

    def _exact_pool_picks(
        self, kind: BudgetKind, sizes: Mapping[tuple[int, int], int], radius: int
    ) -> Fraction:
        """The picks of a round of all images, by the number of images of each size."""
        if self.seconds is not None:
            return self._paid_picks(sum(sizes.values()))
        return sum(count * self._exact_picks(kind, size, radius) for size, count in sizes.items())

    def _images_until(self, pool: int, round: int) -> int:
        """How many whole images the rounds up to this one may ask."""
        if self.seconds is not None:
            seconds = exact(self.seconds) * pool * round / self.rounds + Fraction(1, 10**9)
            count = math.floor(seconds / (exact(self.price.image) + exact(self.price.pick)))
        elif self.fraction is not None:
            count = math.ceil(_share(pool, 1, self.fraction, self.rounds) * round)
        else:
            count = math.ceil(Fraction(self.points * round, self.rounds))
        return min(count, pool)

    def _paid_picks(self, images: int = 1) -> Fraction:
        """How many picks a round's seconds of some images pay for, after opening one of them."""
        seconds = images * exact(self.seconds) / self.rounds - exact(self.price.image)
        # A division of the seconds before, by images, may have lost the last digit.
        return seconds / exact(self.price.pick) + Fraction(1, 10**9)


def given_budget(
    kind: BudgetKind, named: Mapping[str, float | None], *, who: str
) -> Literal["fraction", "points", "seconds"] | None:
    """Checks that one budget is given, and that its kind takes it.

    Args:
      kind: `Method.budget`.
      named: The budgets to choose from by their names in `BUDGETS`, None for those not given.
      who: Whose budget it is, for the error.

    Returns:
      The name of the one that is given. None for none, which suits "cap" and "own" alone.

    Raises:
      ValueError: If the kind is unknown, or takes other budgets or another number of them.
    """
    if kind not in BUDGETS:
        raise ValueError(f"the budget's kind is {kind!r}; choose one of: {', '.join(BUDGETS)}.")
    takes = [name for name in named if name in BUDGETS[kind]]
    given = [name for name, value in named.items() if value is not None]
    if not given and (kind == "cap" or not takes):
        return None
    if len(given) != 1 or given[0] not in takes:
        choices = ["no budget"] if kind == "cap" or not takes else []
        got = [f"{name}={value}" for name, value in named.items()]
        raise ValueError(
            f"{who} needs {_listed([*choices, *takes], 'or')}; got {_listed(got, 'and')}."
        )
    return given[0]


def _listed(names: list[str], last: str) -> str:
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


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
    return exact(fraction) * height * width / rounds


def exact(number: float) -> Fraction:
    """The fraction that a decimal number means."""
    return Fraction(str(float(number)))
