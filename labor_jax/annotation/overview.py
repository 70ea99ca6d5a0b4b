"""How far a round is: its items and their states, who works on it, how far annotators agree."""

import collections
import math
import statistics
import threading
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from labor_jax.annotation.items import Item, Items

ItemState = Literal["open", "leased", "done", "skipped"]

# With so few images left that others' answers would matter.
_COUNTED_ANEW = 20


class ItemRow(NamedTuple):
    """An item in the overview.

    Attributes:
      item: The item.
      state: "done" once its answer is there, "leased" while somebody holds it, "skipped" if nobody
        has worked on it since it was skipped, otherwise "open".
      pixels: Asked pixels.
      remaining: Those without a label.
      annotator: Who holds it or did the last of its events, or None.
      seconds: Active time so far.
    """

    item: Item
    state: ItemState
    pixels: int
    remaining: int
    annotator: str | None
    seconds: float


class Agreement(NamedTuple):
    """How far two annotators agree.

    Attributes:
      items: Items that have both opinions.
      pixels: Their pixels, by the label of opinion 1, `int64[256]`; 255 is void.
      equal: Those of them with the same label in opinion 2, `int64[256]`.
    """

    items: int
    pixels: np.ndarray
    equal: np.ndarray


class Annotator(NamedTuple):
    """Somebody who works or worked on a round.

    Attributes:
      name: The name that they gave.
      items: How many items they finished.
      seconds_per_item: The mean active time of these, or None.
      active: Whether they hold an item now.
    """

    name: str
    items: int
    seconds_per_item: float | None
    active: bool


class Progress(NamedTuple):
    """How far a round is.

    Attributes:
      round: The round.
      items: Its items, of both opinions.
      done: The answered ones.
      leased: Those that somebody holds now.
      pixels: Asked pixels of all items.
      pixels_done: Those that have a label.
      seconds_per_item: The median active time of the answered items, or None before the first.
      seconds_left: Estimate of the active time that is left, or None.
      annotators: Who worked on it.
      agreement: Of the items with two opinions.
      missing: Images that are still to be asked, or answered for the first time.
    """

    round: int
    items: int
    done: int
    leased: int
    pixels: int
    pixels_done: int
    seconds_per_item: float | None
    seconds_left: float | None
    annotators: tuple[Annotator, ...]
    agreement: Agreement
    missing: int

    @property
    def complete(self) -> bool:
        """Whether training can go on: all images are asked, and answered once."""
        return self.missing == 0


class Overview:
    """Counts the items of a label store's rounds."""

    def __init__(self, items: Items, clock: Callable[[], float]):
        """Counts items; `clock` tells the seconds since 1970."""
        self._items = items
        self._clock = clock
        self._lock = threading.Lock()
        self._progress: dict[int, tuple[float, Progress]] = {}
        self._pairs: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}

    def items(
        self,
        round: int,
        state: ItemState | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[ItemRow]:
        """The items of a round, opinions 1 first, in the order in which they are given out.

        Args:
          round: The round.
          state: Only those in this state.
          offset: How many to leave out.
          limit: How many to tell at most.
        """
        rows = [
            ItemRow(
                Item(round, image, opinion),
                _state_name(done, holder, last_kind),
                pixels,
                remaining,
                holder or annotator,
                seconds,
            )
            for image, opinion, pixels, done, holder, annotator, last_kind, seconds, remaining in (
                self._items.read(
                    "SELECT image, opinion, pixels, done, holder, annotator, last_kind, seconds, "
                    f"remaining FROM ({self._items.table}) ORDER BY opinion, position",
                    round=round,
                    now=self._clock(),
                )
            )
        ]
        if state is not None:
            rows = [row for row in rows if row.state == state]
        return rows[offset : None if limit is None else offset + limit]

    def progress(self, round: int, *, max_age: float = 0.0) -> Progress:
        """How far a round is.

        Args:
          round: The round.
          max_age: Seconds that it may be old; answers of this process count at once.
        """
        with self._lock:
            at, progress = self._progress.get(round, (-math.inf, None))
        if progress is None or not 0 <= self._clock() - at <= max_age:
            at, progress = self._clock(), self._computed_progress(round)
            with self._lock:
                self._progress[round] = (at, progress)
        return progress

    def agreement(self, round: int) -> Agreement:
        """How far the two opinions of a round's items agree."""
        pixels, equal, count = np.zeros(256, np.int64), np.zeros(256, np.int64), 0
        for image, first, second in self._items.read(
            "SELECT a.image, MAX(0, IFNULL(one.submitted, 0)), two.submitted "
            "FROM answers a "
            "JOIN items two ON two.round = a.round AND two.image = a.image AND two.opinion = 2 "
            "LEFT JOIN items one "
            "ON one.round = a.round AND one.image = a.image AND one.opinion = 1 "
            "WHERE a.round = :round AND two.submitted IS NOT NULL",
            round=round,
        ):
            counts = self._pairs.get((round, image, first, second))
            if counts is None:
                counts = self._compared(round, image)
                if first:  # otherwise the answer didn't come by an event, and may change unseen
                    self._pairs[round, image, first, second] = counts
            pixels, equal, count = pixels + counts[0], equal + counts[1], count + 1
        return Agreement(count, pixels, equal)

    def count_answer(self, item: Item) -> None:
        """Brings a known progress up to date; near its end it is counted anew."""
        with self._lock:
            at, progress = self._progress.pop(item.round, (0.0, None))
            if progress is not None and progress.missing > _COUNTED_ANEW:
                self._progress[item.round] = (
                    at,
                    progress._replace(
                        done=progress.done + 1,
                        leased=max(0, progress.leased - 1),
                        missing=progress.missing - (item.opinion == 1),
                    ),
                )

    def forget(self) -> None:
        """Counts everything anew next time."""
        with self._lock:
            self._progress.clear()

    def _computed_progress(self, round: int) -> Progress:
        rows = self._items.read(
            "SELECT opinion, pixels, done, holder, annotator, seconds, remaining "
            f"FROM ({self._items.table})",
            round=round,
            now=self._clock(),
        )
        ((unasked,),) = self._items.read(
            "SELECT COUNT(*) FROM round_images r LEFT JOIN queries q USING (image, round) "
            "WHERE r.round = :round AND q.image IS NULL",
            round=round,
        )
        finished, seconds, holders = collections.Counter(), collections.defaultdict(list), set()
        for _, _, done, holder, annotator, spent, _ in rows:
            if holder is not None:
                holders.add(holder)
            if done and annotator is not None:
                finished[annotator] += 1
                if spent > 0:
                    seconds[annotator].append(spent)
        measured = [spent for each in seconds.values() for spent in each]
        median = statistics.median(measured) if measured else None
        done = sum(row[2] for row in rows)
        names = sorted(finished.keys() | holders)
        return Progress(
            round=round,
            items=len(rows),
            done=done,
            leased=sum(row[3] is not None for row in rows),
            pixels=sum(row[1] for row in rows),
            pixels_done=sum(row[1] - row[6] for row in rows),
            seconds_per_item=median,
            seconds_left=None if median is None else median * (len(rows) - done),
            annotators=tuple(
                Annotator(
                    name,
                    finished[name],
                    statistics.fmean(seconds[name]) if seconds[name] else None,
                    name in holders,
                )
                for name in names
            ),
            agreement=self.agreement(round),
            missing=unasked + sum(row[0] == 1 and not row[2] for row in rows),
        )

    def _compared(self, round: int, image: str) -> tuple[np.ndarray, np.ndarray]:
        """Pixels by label of opinion 1, and those with the same in opinion 2; `int64[256]` each."""
        first = self._items.store.answer_of(image, round)
        second = self._items.state(Item(round, image, 2)).submitted
        return (
            np.bincount(first, minlength=256),
            np.bincount(first[first == second], minlength=256),
        )


def _state_name(done: int, holder: str | None, last_kind: str | None) -> ItemState:
    if holder is not None:
        return "leased"
    if done:
        return "done"
    return "skipped" if last_kind == "skip" else "open"
