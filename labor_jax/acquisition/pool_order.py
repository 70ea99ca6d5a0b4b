"""The best picks of a whole pool, merged from the greedy sequences of its images.

A pick suppresses pixels of its own image alone. So the greedy selection over all images under one
budget takes each image's own greedy picks in their order, and which image comes next goes by score.
The scores of a sequence never increase, so the best picks of the pool hold a pick only with all
earlier ones of its image.

No image has to list all of its picks. Once the budget is spent, `PoolOrder.floor` is the score from
which a pick can still count, and an image stops there. One that stopped too early is found by
`PoolOrder.unfinished` and asked again. The result is exact either way. `best_picks` does all this.

NumPy alone. The memory grows with the budget and with the number of images, never with their size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

# A key below those of all scores, even NaN.
_LOWEST = np.iinfo(np.int32).min

# A guessed floor leaves room for this share more picks than the budget is expected to hold.
_MARGIN = 0.1


class PoolPicks(NamedTuple):
    """Picks of the pool, best first.

    Attributes:
      images: i32[n], numbers of the images.
      orders: i32[n], numbers of the picks in their images' sequences, from 0.
      rows: i32[n], of the pick's centre.
      columns: i32[n].
      scores: f32[n], never increasing; NaN comes last.
    """

    images: np.ndarray
    orders: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    scores: np.ndarray

    def by_image(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Rows and columns of each image that has a pick, in pick order."""
        places = np.lexsort((self.orders, self.images))
        images, starts = np.unique(self.images[places], return_index=True)
        ends = np.searchsorted(self.images[places], images, side="right")
        return {
            int(image): (self.rows[places[start:end]], self.columns[places[start:end]])
            for image, start, end in zip(images, starts, ends, strict=True)
        }


class Cut(NamedTuple):
    """The first pick that the budget no longer pays for; all that rank below it don't count.

    Attributes:
      key: its score as a `sort_keys` integer.
      image: its image.
    """

    key: int
    image: int


class PoolOrder:
    """The best picks of a pool under one budget.

    Picks are ranked by score, then by the number of the image, then by their order in the image.
    They are bought in this order until one no longer fits the budget. NaN ranks below -inf, as in
    `select_regions`.
    """

    def __init__(
        self, limit: float, *, pick_cost: float = 1.0, image_cost: float = 0.0, images: int = 1
    ):
        """Starts with no picks.

        Args:
          limit: The budget: a number of picks or, with their price, of seconds.
          pick_cost: Price of a pick, above 0.
          image_cost: Price of an image's first pick on top of that, 0 or more.
          images: How many images the pool has, in all processes; `floor` guesses from it.

        Raises:
          ValueError: If a number is negative or not finite, or a pick costs nothing.
        """
        if not (0 <= limit < math.inf and 0 < pick_cost < math.inf and 0 <= image_cost < math.inf):
            raise ValueError(
                "a limit and the price of an image are 0 or more, and the price of a pick is above "
                f"0; got {limit}, {image_cost} and {pick_cost}"
            )
        # Rounding errors of sums must not cost a pick.
        self._limit = limit + 1e-9 * (limit + pick_cost)
        self._pick_cost, self._image_cost = pick_cost, image_cost
        # No more picks than these fit, whatever their images cost.
        self._most = math.floor(self._limit / pick_cost)
        self._images = images
        self._kept = _Columns(*np.zeros((5, 0), np.int32))
        self._new: list[_Columns] = []
        self._new_count = 0
        self._cut: Cut | None = None
        # Bounds of the keys that the images whose sequences go on may still offer.
        self._bounds: dict[int, int] = {}
        self._seen = 0
        self._guess, self._next_guess = _LOWEST, 1

    def add(
        self,
        image: int,
        scores: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        *,
        ended: bool = True,
        floor: float = math.nan,
    ) -> None:
        """Adds an image's picks.

        Args:
          image: Its number in the pool, each once.
          scores: f32[k] in pick order, never increasing.
          rows: int[k], of the picks' centres.
          columns: int[k].
          ended: Whether there is no further pick with a score of `floor` or more. False for a
            sequence that was cut off at its length.
          floor: The image has listed no picks of lower scores; NaN if it has listed all.

        Raises:
          ValueError: If the arrays have different lengths, or the scores increase.
        """
        keys = sort_keys(np.asarray(scores))
        if not keys.shape == np.shape(rows) == np.shape(columns) or keys.ndim != 1:
            raise ValueError(
                f"image {image} has scores {list(keys.shape)}, rows {list(np.shape(rows))} and "
                f"columns {list(np.shape(columns))}; they must be of one length"
            )
        if (keys[1:] > keys[:-1]).any():
            raise ValueError(f"the scores of image {image} increase; give its picks in pick order")
        if not ended:
            self._bounds[image] = int(keys[-1]) if keys.size else np.iinfo(np.int32).max
        elif not math.isnan(floor):
            self._bounds[image] = int(sort_keys(np.float32(floor))) - 1
        self._seen += 1
        orders = np.arange(keys.size, dtype=np.int32)
        places = (np.array(each, np.int32) for each in (rows, columns))
        self._add(_Columns(keys, np.full_like(orders, image), orders, *places))
        self._guess_floor()

    def take(self, picks: PoolPicks) -> None:
        """Adds what other processes found for their images: their `candidates`."""
        keys = sort_keys(picks.scores)
        self._add(_Columns(keys, picks.images, picks.orders, picks.rows, picks.columns))

    @property
    def cut(self) -> Cut | None:
        """The first pick so far that does not fit the budget; None while all of them do."""
        self._compact()
        return self._cut

    @property
    def threshold(self) -> float:
        """The score of `cut`; picks of lower scores can't count. NaN while all picks fit."""
        cut = self.cut
        return math.nan if cut is None else float(_scores(np.int32(cut.key)))

    def floor(self) -> float:
        """The score at which the next new image may stop, NaN for nowhere.

        This is a guess, no lower than `threshold`: the score that the last pick would have if the
        remaining images were like those added, with some room. It saves most of the picks that
        would be dropped later. Where it was too high, the images are `unfinished`.
        """
        key = self._guess if self._cut is None else max(self._guess, self._cut.key)
        return math.nan if key == _LOWEST else float(_scores(np.int32(key)))

    def unfinished(self, cut: Cut | None = None) -> list[int]:
        """Images with picks that are not listed yet and may count, ascending.

        Args:
          cut: That of all processes together; None for this order's own.
        """
        cut = self.cut if cut is None else cut
        if cut is None:
            return sorted(self._bounds)
        rank = (-cut.key, cut.image)
        return sorted(image for image, bound in self._bounds.items() if (-bound, image) < rank)

    def picks(self) -> PoolPicks:
        """The picks that the budget pays for, best first."""
        self._compact()
        fitting = self._kept.keys.size - (self._cut is not None)
        return self._kept.at(slice(fitting)).picks()

    def candidates(self) -> PoolPicks:
        """The picks and, if there is one, the first that does not fit: what `take` needs."""
        self._compact()
        return self._kept.picks()

    def _add(self, picks: _Columns) -> None:
        self._new.append(picks)
        self._new_count += picks.keys.size
        if self._new_count > max(self._most // 2, 4096):
            self._compact()

    def _compact(self) -> None:
        """Sorts everything, and drops what follows the first pick that does not fit."""
        if not self._new_count:
            return
        picks = _Columns.joined([self._kept, *self._new])
        self._new, self._new_count = [], 0
        if self._cut is not None:
            picks = picks.at(picks.keys >= self._cut.key)
        ranking = _ranking(picks)
        # A pick of order 0 comes before all others of its image, and so opens it.
        opened = np.cumsum(picks.orders[ranking] == 0)
        cost = np.arange(1, ranking.size + 1) * self._pick_cost + opened * self._image_cost
        fitting = int(np.searchsorted(cost, self._limit, side="right"))
        self._kept = picks.at(ranking[: fitting + 1])
        if fitting < ranking.size:
            self._cut = Cut(int(self._kept.keys[-1]), int(self._kept.images[-1]))

    def _guess_floor(self) -> None:
        if self._seen < self._next_guess:
            return
        self._next_guess = math.ceil(1.02 * self._seen) + 1
        share = self._most * min(self._seen / self._images, 1.0)
        # The fewer images were seen, the less are they like the others.
        room = 1 + _MARGIN + 1 / math.sqrt(self._seen)
        keys = np.concatenate([each.keys for each in (self._kept, *self._new)])
        place = keys.size - max(math.ceil(room * share), 1)
        if place > 0:
            self._guess = int(np.partition(keys, place)[place])
        elif keys.size < (1 + _MARGIN / 2) * share and self._cut is None:
            # Too high: go down among the picks of images that went further.
            lower = keys[keys < self._guess]
            self._guess = int(np.median(lower)) if lower.size else _LOWEST
            self._next_guess = self._seen + 1


def region_parts(
    rows: np.ndarray, columns: np.ndarray, *, radius: int, size: tuple[int, int]
) -> np.ndarray:
    """Numbers the square windows around some pixels, clipped to the image.

    Args:
      rows: int[k].
      columns: int[k].
      radius: Radius of the windows, >= 0; 0 numbers the pixels alone.
      size: (height, width) of the image.

    Returns:
      i32[H, W], the number of the window of each pixel, -1 for none. A pixel of several windows
      belongs to one of them.
    """
    numbers = np.arange(len(rows), dtype=np.int32)
    padded = np.full([side + 2 * radius for side in size], -1, np.int32)
    for down in range(2 * radius + 1):
        for right in range(2 * radius + 1):
            padded[rows + down, columns + right] = numbers
    return padded[radius : radius + size[0], radius : radius + size[1]]


class Listed(NamedTuple):
    """An image's list of picks, with the arguments of `PoolOrder.add`."""

    image: int
    scores: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    ended: bool = True
    floor: float = math.nan


Lister = Callable[[Sequence[int], int, Callable[[], float]], Iterable[Listed]]
"""`lister(images, length, floor)`: lists at most `length` picks of each image.

Before it asks an image it calls `floor()`; the image lists no picks of a lower score (NaN: all).
"""


def best_picks(
    limit: float,
    images: int,
    lister: Lister,
    *,
    pick_cost: float = 1.0,
    image_cost: float = 0.0,
    gathered: Callable[[Any], Any] = lambda tree: tree,
) -> PoolPicks:
    """Finds the best picks of a pool, asking few images more than once.

    At first an image lists a few times as many picks as it gets in the mean, or stops at the
    floor. While some of its picks that are not listed yet may count, it is asked again for twice as
    many.

    Args:
      limit: See `PoolOrder`.
      images: How many images the pool has.
      lister: Asks images. Of several processes each may list a share of those it is given, in each
        call another.
      pick_cost: See `PoolOrder`.
      image_cost: See `PoolOrder`.
      gathered: Joins the rows of a tree of arrays over all processes, which may hold different
        numbers of rows. All processes call it at the same places.

    Returns:
      The picks, the same in all processes.
    """

    def order() -> PoolOrder:
        return PoolOrder(limit, pick_cost=pick_cost, image_cost=image_cost, images=images)

    length = first_length(limit / pick_cost, images)
    asked, known, threshold = list(range(images)), None, None
    while True:
        own, whole = order(), order()
        floor = own.floor if threshold is None else functools.partial(float, threshold)
        for listed in lister(asked, length, floor):
            own.add(
                listed.image,
                listed.scores,
                listed.rows,
                listed.columns,
                ended=listed.ended,
                floor=listed.floor,
            )
        if known is not None:
            whole.take(known)
        whole.take(PoolPicks(*gathered(own.candidates())))
        asked = np.unique(gathered(np.array(own.unfinished(whole.cut), np.int32))).tolist()
        if not asked:
            return whole.picks()
        known = whole.candidates()
        finished = ~np.isin(known.images, asked)
        known = PoolPicks(*(column[finished] for column in known))
        length, threshold = 2 * length, whole.threshold


def first_length(picks: float, images: int) -> int:
    """How many picks an image lists at first: eight times the mean, and at least 8."""
    return max(8 * math.ceil(picks / max(images, 1)), 8)


class _Columns(NamedTuple):
    """Picks as i32[n] columns: those of `PoolPicks`, with `sort_keys` in place of the scores."""

    keys: np.ndarray
    images: np.ndarray
    orders: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def joined(cls, all_picks: Sequence[_Columns]) -> _Columns:
        return cls(*map(np.concatenate, zip(*all_picks, strict=True)))

    def at(self, places: np.ndarray | slice) -> _Columns:
        return _Columns(*(column[places] for column in self))

    def picks(self) -> PoolPicks:
        return PoolPicks(self.images, self.orders, self.rows, self.columns, _scores(self.keys))


def _ranking(picks: _Columns) -> np.ndarray:
    """Places of the picks by score, image and order.

    An image's picks were added in their order, which a stable sort keeps. One sort of 64 bits is
    several times as fast as three of 32.
    """
    return np.argsort((-picks.keys.astype(np.int64) << 32) | picks.images, kind="stable")


def sort_keys(scores: np.ndarray) -> np.ndarray:
    """Turns scores into integers of the same order; `pixel_order.sort_key` in NumPy.

    Args:
      scores: f32[...]. -0.0 equals 0.0, and NaN ranks below -inf.

    Returns:
      i32[...], above the smallest int32.
    """
    bits = np.asarray(scores, np.float32)[...].view(np.int32)
    magnitude = bits & np.int32(0x7FFFFFFF)
    keys = np.where(bits < 0, ~magnitude, magnitude)
    keys = np.where(magnitude == 0, np.int32(0), keys)
    return np.where(magnitude > np.int32(0x7F800000), np.int32(_LOWEST + 1), keys)


def _scores(keys: np.ndarray) -> np.ndarray:
    """The scores f32[...] of `sort_keys`."""
    bits = np.where(keys < 0, ~keys | np.int32(_LOWEST), keys).astype(np.int32)
    return np.where(keys == _LOWEST + 1, np.float32(np.nan), bits.view(np.float32))
