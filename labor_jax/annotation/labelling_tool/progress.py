"""How far a round is: the status of its items, who works on it, how far annotators agree."""

import collections
import logging
import math
import statistics
import threading
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from labor_jax.annotation.label_store.blobs import DamagedItemError
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.item_reader import ItemReader
from labor_jax.data.base import IGNORE_LABEL

logger = logging.getLogger(__name__)

ItemStatus = Literal["open", "leased", "done", "skipped"]

SEVERAL = 254
"""In an `Agreement`, the label of a part that holds several classes."""

# With so few images left, the answers of other processes matter, so the round is recounted.
_RECOUNT_BELOW = 20


class ItemRow(NamedTuple):
    """An item in the list of all items.

    Attributes:
      item: The item.
      status: "leased" while somebody holds it, "done" once it is answered, "skipped" if skipping it
        was the last step, otherwise "open".
      pixels: How many pixels it asks.
      remaining: How many of them have no label.
      annotator: Who holds it, or else took the last step; None if nobody did.
      seconds: The active time so far.
    """

    item: Item
    status: ItemStatus
    pixels: int
    remaining: int
    annotator: str | None
    seconds: float


class Agreement(NamedTuple):
    """How far two annotators agree.

    Attributes:
      items: The number of items that have both opinions.
      pixels: How many of their pixels have each label in opinion 1, `int64[256]`; 255 is void, and
        `SEVERAL` a part of several classes.
      equal: How many of these have the same label in opinion 2, `int64[256]`: of several classes,
        all the same.
    """

    items: int
    pixels: np.ndarray
    equal: np.ndarray


class Annotator(NamedTuple):
    """Somebody who has worked on a round.

    Attributes:
      name: Their name.
      items: How many items they finished.
      seconds_per_item: The mean active time of these, or None.
      active: Whether they hold an item now.
    """

    name: str
    items: int
    seconds_per_item: float | None
    active: bool


def agreement_names(classes: Sequence[str]) -> dict[int, str]:
    """What the labels of an `Agreement` are called, by their numbers."""
    return {**dict(enumerate(classes)), SEVERAL: "several classes", IGNORE_LABEL: "void"}


class Progress(NamedTuple):
    """How far a round is.

    Attributes:
      round: The round.
      items: The number of its items, of both opinions.
      done: How many of them are answered.
      leased: How many somebody holds now.
      pixels: The number of asked pixels of all items.
      pixels_done: How many of them have a label.
      seconds_per_item: The median active time of the answered items, or None before the first.
      seconds_left: Estimate of the active time that is left, or None.
      annotators: Who has worked on it.
      agreement: How far the opinions agree, for items with two.
      missing: The number of images without a query, or without a first answer.
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
        """Whether training can continue: all images are asked, and answered at least once."""
        return self.missing == 0


class ProgressReader:
    """Lists and counts the items of a label store's rounds."""

    def __init__(self, reader: ItemReader, clock: Callable[[], float]):
        """Counts the items of `reader`; `clock` returns the seconds since 1970."""
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._progress: dict[int, tuple[float, Progress]] = {}
        self._generation = 0
        self._compared: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        self._left_out: set[tuple[int, str]] = set()

    def items(
        self,
        round: int,
        status: ItemStatus | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[ItemRow]:
        """The items of a round in their order, first opinions before second ones.

        Args:
          round: The round.
          status: Only those with this status.
          offset: How many to skip.
          limit: How many to return at most.
        """
        rows = [
            ItemRow(
                Item(round, image, opinion),
                _status(done, holder, last_kind),
                pixels,
                remaining,
                holder or annotator,
                seconds,
            )
            for image, opinion, pixels, done, holder, annotator, last_kind, seconds, remaining in (
                self._reader.read(
                    "SELECT image, opinion, pixels, done, holder, annotator, last_kind, seconds, "
                    f"remaining FROM ({self._reader.items_statement}) ORDER BY opinion, position",
                    round=round,
                    now=self._clock(),
                )
            )
        ]
        if status is not None:
            rows = [row for row in rows if row.status == status]
        return rows[offset : None if limit is None else offset + limit]

    def of_round(self, round: int, *, max_age: float = 0.0) -> Progress:
        """How far a round is.

        Args:
          round: The round.
          max_age: How old it may be, in seconds; answers of this process count at once.
        """
        with self._lock:
            at, progress = self._progress.get(round, (-math.inf, None))
            generation = self._generation
        if progress is None or not 0 <= self._clock() - at <= max_age:
            at, progress = self._clock(), self._count_progress(round)
            with self._lock:
                # A count that began before an answer may lack it.
                if generation == self._generation:
                    self._progress[round] = (at, progress)
        return progress

    def agreement(self, round: int) -> Agreement:
        """How far the two opinions of a round's items agree, without items that are damaged."""
        pixels, equal, count = np.zeros(256, np.int64), np.zeros(256, np.int64), 0
        for image, first, second in self._reader.read(
            "SELECT a.image, MAX(0, IFNULL(one.submitted, 0)), two.submitted "
            "FROM answers a "
            "JOIN items two ON two.round = a.round AND two.image = a.image AND two.opinion = 2 "
            "LEFT JOIN items one "
            "ON one.round = a.round AND one.image = a.image AND one.opinion = 1 "
            "WHERE a.round = :round AND two.submitted IS NOT NULL",
            round=round,
        ):
            counts = self._compared.get((round, image, first, second))
            if counts is None:
                try:
                    counts = self._compare(round, image)
                except DamagedItemError as error:
                    if (round, image) not in self._left_out:
                        logger.error("An item is left out of the agreement: %s", error)
                        self._left_out.add((round, image))
                    continue
                if first:  # otherwise no event recorded the answer, so it may change unnoticed
                    self._compared[round, image, first, second] = counts
            pixels, equal, count = pixels + counts[0], equal + counts[1], count + 1
        return Agreement(count, pixels, equal)

    def count_answer(self, item: Item) -> None:
        """Updates the cached progress by one answer; near its end, drops it for a recount."""
        with self._lock:
            self._generation += 1
            at, progress = self._progress.pop(item.round, (0.0, None))
            if progress is not None and progress.missing > _RECOUNT_BELOW:
                self._progress[item.round] = (
                    at,
                    progress._replace(
                        done=progress.done + 1,
                        leased=max(0, progress.leased - 1),
                        missing=progress.missing - (item.opinion == 1),
                    ),
                )

    def forget(self) -> None:
        """Drops what is cached, so that everything is recounted."""
        with self._lock:
            self._generation += 1
            self._progress.clear()

    def _count_progress(self, round: int) -> Progress:
        rows = self._reader.read(
            "SELECT i.opinion, pixels, done, holder, e.annotator, i.seconds, remaining "
            f"FROM ({self._reader.items_statement}) i LEFT JOIN events e ON e.id = i.submitted",
            round=round,
            now=self._clock(),
        )
        ((unasked,),) = self._reader.read(
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

    def _compare(self, round: int, image: str) -> tuple[np.ndarray, np.ndarray]:
        """Pixels by label in opinion 1, and those with the same in opinion 2; `int64[256]` each."""
        store, item = self._reader.store, Item(round, image, 2)
        first, held = store.answer_of(image, round), store.candidates(image, round)
        second = self._reader.state(item)
        equal = first == second.submitted
        if held is not None:  # all parts of several classes have the label of void
            parts = self._reader.question(item).parts
            equal = (held == second.submitted_candidates).all(axis=1)[parts]
            first = np.where((np.count_nonzero(held, axis=1) > 1)[parts], np.uint8(SEVERAL), first)
        return np.bincount(first, minlength=256), np.bincount(first[equal], minlength=256)


def _status(done: int, holder: str | None, last_kind: str | None) -> ItemStatus:
    if holder is not None:
        return "leased"
    if done:
        return "done"
    return "skipped" if last_kind == "skip" else "open"
