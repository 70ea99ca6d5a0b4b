"""People's work on a round: who answers what, their marks, and the answers that come of them.

An item is the query of an image in a round, for one opinion. Opinion 1 is the answer that training
sees; a share of the items has an opinion 2, which another annotator gives without seeing the first
and which only measures agreement. Whoever works on an item holds its lease, so that nobody else
does. A lease that isn't renewed runs out, and the next annotator goes on where the last stopped.

Everything is in the label store's file, every step is one transaction, and what was returned has
reached the disk. Nothing is ever deleted: events are only added, and the labels of an item are what
its events come to (`history.after`). So any number of processes may work on one file.
"""

import collections
import functools
import hashlib
import math
import secrets
import sqlite3
import statistics
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from labor_jax.annotation import history, runs
from labor_jax.annotation.cost import Kind
from labor_jax.annotation.history import Event, EventKind, State
from labor_jax.annotation.store import LabelStore
from labor_jax.data.base import IGNORE_LABEL

ItemState = Literal["open", "leased", "done", "skipped"]

_MAX_NAME = 100
_MAX_SECONDS = 86_400.0
_CACHED_ITEMS = 256
# With so few images left that others' answers would matter.
_COUNTED_ANEW = 20


class LeaseLostError(Exception):
    """The annotator doesn't hold the item: somebody else works on it, or it was given back."""


class UnknownItemError(LookupError):
    """There is no such item."""


class Item(NamedTuple):
    """Names an item.

    Attributes:
      round: The round that asks.
      image: The image's name.
      opinion: 1 or 2.
    """

    round: int
    image: str
    opinion: int = 1


class Question(NamedTuple):
    """What an item asks; it never changes.

    Attributes:
      shape: The image's (H, W).
      kind: How it is answered.
      asked: The asked pixels.
      guess: The model's labels by rank, `uint8[pixels]`, or None.
    """

    shape: tuple[int, int]
    kind: Kind
    asked: runs.AskedRuns
    guess: np.ndarray | None


class Lease(NamedTuple):
    """An annotator's hold on an item.

    Attributes:
      item: The item.
      token: What the holder names it by.
    """

    item: Item
    token: str


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


# The items of a round with their state; `second` tells whether opinion 2 is wanted.
_ITEMS = """
    SELECT
        r.image AS image, o.opinion AS opinion, r.position AS position, q.pixels AS pixels,
        CASE o.opinion WHEN 1 THEN a.image IS NOT NULL ELSE i.submitted IS NOT NULL END AS done,
        l.annotator AS holder, i.annotator AS annotator, i.kind AS last_kind,
        IFNULL(i.seconds, 0) AS seconds,
        CASE WHEN o.opinion = 1 AND a.image IS NOT NULL AND i.submitted IS NULL THEN 0
            ELSE IFNULL(i.remaining, q.pixels) END AS remaining
    FROM round_images r
    JOIN queries q USING (image, round)
    JOIN (SELECT 1 AS opinion UNION ALL SELECT 2) o
        ON o.opinion = 1 OR {second}
    LEFT JOIN answers a ON a.image = r.image AND a.round = r.round
    LEFT JOIN items i
        ON i.round = r.round AND i.image = r.image AND i.opinion = o.opinion
    LEFT JOIN leases l
        ON l.round = r.round AND l.image = r.image AND l.opinion = o.opinion AND l.expires > :now
    WHERE r.round = :round AND q.pixels > 0
"""
# Has an annotator worked on, or do they hold, an item's other opinion?
_KNOWS_OTHER = """(
    EXISTS (SELECT 1 FROM events e WHERE e.round = :round AND e.image = {image}
        AND e.opinion = 3 - {opinion} AND e.annotator = :annotator
        AND e.kind IN ('mark', 'submit', 'import'))
    OR EXISTS (SELECT 1 FROM leases h WHERE h.round = :round AND h.image = {image}
        AND h.opinion = 3 - {opinion} AND h.annotator = :annotator AND h.expires > :now)
)"""
_NEXT = f"""
    SELECT image, opinion FROM ({{items}}) t
    WHERE NOT done AND (holder IS NULL OR holder = :annotator)
        AND NOT {_KNOWS_OTHER.format(image="t.image", opinion="t.opinion")}
    ORDER BY
        CASE WHEN :after = '' THEN holder IS NULL ELSE holder IS NOT NULL END,
        image <> :prefer OR opinion <> :prefer_opinion,
        CASE WHEN last_kind IS NULL THEN 0 ELSE (
            SELECT COUNT(*) FROM events e WHERE e.round = :round AND e.image = t.image
            AND e.opinion = t.opinion AND e.kind = 'skip' AND e.annotator = :annotator) END,
        opinion,
        position <= IFNULL((SELECT position FROM round_images
            WHERE round = :round AND image = :after), -1),
        position
    LIMIT :limit
"""


class Work:
    """The work of all annotators on a label store's rounds.

    Threads and processes may share it, as they may the store. A caller's mistake raises
    `ValueError`, `UnknownItemError` or `LeaseLostError`, the file's trouble `LabelStoreError`;
    either leaves the file as it was.
    """

    def __init__(
        self,
        store: LabelStore,
        *,
        lease_seconds: float = 120.0,
        second_opinion: float = 0.0,
        clock: Callable[[], float] = time.time,
    ):
        """Works on a store that is open for writing.

        Args:
          store: The run's label store.
          lease_seconds: How long an annotator keeps an item without a sign of life.
          second_opinion: The share of the items that a second annotator answers, too. Which ones is
            a matter of their names, so that a larger share holds those of a smaller one.
          clock: Tells the seconds since 1970, the same in all processes.

        Raises:
          ValueError: If a setting can't be.
        """
        if not (math.isfinite(lease_seconds) and lease_seconds > 0):
            raise ValueError(f"lease_seconds is {lease_seconds}; it is a number above 0")
        if not 0 <= second_opinion <= 1:
            raise ValueError(f"second_opinion is {second_opinion}; it is a share from 0 to 1")
        self._store = store
        self._database = store.database
        self._lease_seconds = lease_seconds
        self._share = second_opinion
        self._clock = clock
        self._choosing = threading.Lock()
        self._reserved: set[Item] = set()
        self._lock = threading.Lock()
        self._states: collections.OrderedDict[Item, State] = collections.OrderedDict()
        self._progress: dict[int, tuple[float, Progress]] = {}
        self._pairs: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}
        second = "second_opinion(r.round, r.image)" if second_opinion else "0"
        self._items_of_round = _ITEMS.format(second=second)
        self._next = _NEXT.format(items=self._items_of_round)
        self.question = functools.lru_cache(_CACHED_ITEMS)(self._question)
        store.database.set_metadata("second_opinion", repr(float(second_opinion)))

    # Reading.

    def current_round(self) -> int | None:
        """The newest round that was opened, or None."""
        return self._database.read("SELECT MAX(round) FROM round_images")[0][0]

    def kind(self, round: int) -> Kind | None:
        """How a round's queries are answered; None if it has none yet."""
        rows = self._database.read("SELECT kind FROM queries WHERE round = ? LIMIT 1", (round,))
        return rows[0][0] if rows else None

    def state(self, item: Item) -> State:
        """What the events of an item come to.

        Raises:
          UnknownItemError: If there is no such item.
        """
        self.question(item)
        with self._database.explaining_errors():
            state = self._replayed(self._database.connection(), item)
        return self._remember(item, state)

    def events(self, item: Item) -> list[Event]:
        """All that was ever done to an item, in order.

        Raises:
          UnknownItemError: If there is no such item.
        """
        self.question(item)
        with self._database.explaining_errors():
            return self._events(self._database.connection(), item, 0)

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
                self._read(
                    "SELECT image, opinion, pixels, done, holder, annotator, last_kind, seconds, "
                    f"remaining FROM ({self._items_of_round}) ORDER BY opinion, position",
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
        for image, first, second in self._read(
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

    # An annotator's steps.

    def next(
        self, annotator: str, *, prefer: Item | None = None, after: Item | None = None
    ) -> Lease | None:
        """Gives an annotator an item of the newest round, and its lease.

        The item that the annotator holds already comes first, with a new token, unless `after` is
        given. Then the others in their order, opinions 1 first, those last that the annotator
        skipped. Nobody is given both opinions of an image.

        Args:
          annotator: Their name, see `checked_name`.
          prefer: An item to give if it is open.
          after: The item that the annotator comes from: those behind it are before the others.

        Returns:
          The lease, or None if nothing is open for them.

        Raises:
          ValueError: If the name can't be one.
        """
        annotator = checked_name(annotator)
        round = self.current_round()
        wishes = {
            "annotator": annotator,
            "prefer": prefer.image if prefer and prefer.round == round else "",
            "prefer_opinion": prefer.opinion if prefer else 0,
            "after": after.image if after and after.round == round else "",
        }
        while item := self._reserved_next(round, wishes):
            try:
                lease = self._database.grouped(
                    functools.partial(self._take_if_free, item=item, annotator=annotator)
                )
            finally:
                with self._lock:
                    self._reserved.discard(item)
            if lease is not None:  # else another process was faster
                return lease
        return None

    def reopen(self, item: Item, annotator: str, request: str, seconds: float = 0.0) -> Lease:
        """Gives an annotator the item that they ask for, answered or not, and its lease.

        The answer that is there stays until it is submitted again; the labels start from it.

        Args:
          item: An item of any round.
          annotator: Their name.
          request: A new name for this step; with the same one again nothing is done twice.
          seconds: The annotator's active time.

        Raises:
          UnknownItemError: If there is no such item.
          LeaseLostError: If somebody else holds it, if the annotator gave its other opinion, or if
            the lease of a repeated request was lost since.
          ValueError: If an argument can't be.
        """
        annotator = checked_name(annotator)
        request, seconds = _checked_request(request), _checked_seconds(seconds)
        self._check_item(item)

        def take(connection: sqlite3.Connection) -> tuple[Lease, State | None]:
            if self._repeated(connection, item, request, "reopen") is not None:
                row = self._lease_row(connection, item)
                if row is None or row[0] != annotator:
                    raise LeaseLostError("The item was given back or taken over since.")
                return Lease(item, row[1]), None
            obstacle = self._obstacle(connection, item, annotator)
            if obstacle is not None:
                raise LeaseLostError(obstacle)
            state = self._replayed(connection, item)
            standing = self._standing(connection, item, state)
            if standing is not None and not np.array_equal(standing, state.labels):
                content = history.packed_labels(standing)
                state = self._record(connection, item, state, annotator, "import", content=content)
            state = self._record(
                connection, item, state, annotator, "reopen", seconds=seconds, request=request
            )
            return self._take(connection, item, annotator), state

        lease, state = self._database.grouped(take)
        if state is not None:
            self._remember(item, state)
        return lease

    def mark(
        self,
        item: Item,
        token: str,
        request: str,
        label: int,
        pixels: list[int],
        seconds: float = 0.0,
    ) -> State:
        """Labels some of an item's pixels.

        Args:
          item: The item.
          token: Its lease's.
          request: A new name for this step; with the same one again nothing is done twice, and the
            state after the first time is returned.
          label: A class, or 255 for void: not to be told.
          pixels: Runs of asked pixels, see `labor_jax.annotation.runs`.
          seconds: The annotator's active time since the step before.

        Returns:
          The item's state.

        Raises:
          UnknownItemError: If there is no such item.
          LeaseLostError: If the token isn't of the lease that holds the item.
          ValueError: If the label is no class, if a pixel isn't asked, or if another argument can't
            be.
        """
        if type(label) is not int or not (
            0 <= label < len(self._store.classes) or label == IGNORE_LABEL
        ):
            raise ValueError(
                f"label is {label!r:.40}; a label is a class from 0 to "
                f"{len(self._store.classes) - 1}, or {IGNORE_LABEL} for void"
            )
        self._check_item(item)
        ranks = runs.to_ranks(self.question(item).asked, pixels)
        content = history.packed_runs(ranks)
        return self._step(item, token, request, "mark", seconds, label=label, content=content)

    def undo(self, item: Item, token: str, request: str, seconds: float = 0.0) -> State:
        """Takes the last mark back; see `mark`. `ValueError` if there is none."""
        return self._step(item, token, request, "undo", seconds)

    def redo(self, item: Item, token: str, request: str, seconds: float = 0.0) -> State:
        """Brings back what `undo` took; see `mark`. `ValueError` if there is nothing."""
        return self._step(item, token, request, "redo", seconds)

    def submit(self, item: Item, token: str, request: str, seconds: float = 0.0) -> State:
        """Makes an item's labels its answer, and gives it back; see `mark`.

        `ValueError` if an asked pixel has no label yet.
        """
        return self._step(item, token, request, "submit", seconds)

    def skip(self, item: Item, token: str, request: str, seconds: float = 0.0) -> State:
        """Gives an item back unanswered, with its marks; see `mark`."""
        return self._step(item, token, request, "skip", seconds)

    def renew(self, item: Item, token: str) -> State:
        """Tells that the annotator is still there; see `mark`."""
        self._check_item(item)

        def hold(connection: sqlite3.Connection) -> State:
            self._hold(connection, item, token)
            return self._replayed(connection, item)

        return self._remember(item, self._database.grouped(hold))

    def import_answer(
        self,
        image: str,
        round: int,
        labels: np.ndarray,
        *,
        annotator: str,
        seconds: float = 0.0,
        replace: bool = False,
    ) -> None:
        """Records an answer that was given elsewhere, with its place in the history.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: As `LabelStore.answer` takes them.
          annotator: Who answered.
          seconds: How long it took.
          replace: Allow another answer than the one recorded.

        Raises:
          UnknownItemError: If the round doesn't ask the image.
          LeaseLostError: If somebody works on it now.
          ValueError: As `LabelStore.answer`, or if the name can't be one.
        """
        item, annotator, seconds = (
            Item(round, image),
            checked_name(annotator),
            _checked_seconds(seconds),
        )
        self._check_item(item)
        with self._database.transaction() as connection:
            holder = self._live_holder(connection, item)
            if holder is not None:
                raise LeaseLostError(f"{holder} works on image {image!r} of round {round} now.")
            state = self._replayed(connection, item)
            before = self._answer(connection, item)
            self._store.answer(image, round, labels, replace=replace)
            told = self._answer(connection, item)
            if before is not None and np.array_equal(before, told):
                return
            content = history.packed_labels(told)
            state = self._record(
                connection, item, state, annotator, "import", content=content, seconds=seconds
            )
        self._remember(item, state)
        with self._lock:
            self._progress.clear()

    # How a step is taken.

    def _reserved_next(self, round: int | None, wishes: dict[str, Any]) -> Item | None:
        """The first item of the queue that no thread is just about to take; it is reserved."""
        # One at a time: all would find the same item.
        with self._choosing:
            with self._lock:
                reserved = set(self._reserved)
            rows = self._read(
                self._next,
                round=-1 if round is None else round,
                now=self._clock(),
                limit=len(reserved) + 1,
                **wishes,
            )
            for image, opinion in rows:
                item = Item(round, image, opinion)
                if item not in reserved:
                    with self._lock:
                        self._reserved.add(item)
                    return item
        return None

    def _take_if_free(
        self, connection: sqlite3.Connection, item: Item, annotator: str
    ) -> Lease | None:
        if self._is_done(connection, item) or self._obstacle(connection, item, annotator):
            return None
        return self._take(connection, item, annotator)

    def _step(
        self,
        item: Item,
        token: str,
        request: str,
        kind: EventKind,
        seconds: float,
        *,
        label: int | None = None,
        content: bytes | None = None,
    ) -> State:
        request, seconds = _checked_request(request), _checked_seconds(seconds)
        self._check_item(item)

        def take(connection: sqlite3.Connection) -> tuple[State, bool]:
            first = self._repeated(connection, item, request, kind, label, content)
            if first is not None:
                return first, False
            annotator = self._hold(connection, item, token)
            before = self._replayed(connection, item)
            is_new = kind == "submit" and self._standing(connection, item, before) is None
            state = self._record(
                connection,
                item,
                before,
                annotator,
                kind,
                label=label,
                content=content,
                seconds=seconds,
                request=request,
            )
            if kind == "submit":
                self._submit(item, state)
            if kind in ("submit", "skip"):
                connection.execute(
                    "DELETE FROM leases WHERE round = ? AND image = ? AND opinion = ?", item
                )
            return state, is_new

        state, is_new = self._database.grouped(take)
        self._remember(item, state)
        if is_new:
            self._count_answer(item)
        return state

    def _submit(self, item: Item, state: State) -> None:
        if state.remaining:
            raise ValueError(
                f"{state.remaining} of the {state.labels.size} asked pixels have no label yet; "
                "label them, or mark them as void"
            )
        if item.opinion == 1:
            self._store.answer_asked(item.image, item.round, state.labels, replace=True)

    def _record(
        self,
        connection: sqlite3.Connection,
        item: Item,
        state: State,
        annotator: str,
        kind: EventKind,
        *,
        label: int | None = None,
        content: bytes | None = None,
        seconds: float = 0.0,
        request: str | None = None,
    ) -> State:
        """Adds an event, and what the item comes to by it."""
        now = self._clock()
        values = (annotator, now, kind, label, content, seconds, request)
        added = connection.execute(
            "INSERT INTO events (round, image, opinion, annotator, time, kind, label, content, "
            "seconds, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*item, *values),
        ).lastrowid
        state = history.after(state, Event(added, *values))
        connection.execute(
            "INSERT INTO items "
            "(round, image, opinion, annotator, kind, remaining, seconds, submitted) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "annotator = excluded.annotator, kind = excluded.kind, "
            "remaining = excluded.remaining, seconds = excluded.seconds, "
            "submitted = IFNULL(excluded.submitted, submitted)",
            (
                *item,
                annotator,
                kind,
                state.remaining,
                state.seconds,
                added if kind in ("submit", "import") else None,
            ),
        )
        return state

    def _repeated(
        self,
        connection: sqlite3.Connection,
        item: Item,
        request: str,
        kind: EventKind,
        label: int | None = None,
        content: bytes | None = None,
    ) -> State | None:
        """The state after an earlier event of this request, if there is one."""
        row = connection.execute(
            "SELECT id, round, image, opinion, kind, label, content FROM events WHERE request = ?",
            (request,),
        ).fetchone()
        if row is None:
            return None
        if row[1:] != (*item, kind, label, content):
            raise ValueError("this request's name was used for another step; choose a new one")
        return self._replayed(connection, item, last=row[0])

    # Leases.

    def _take(self, connection: sqlite3.Connection, item: Item, annotator: str) -> Lease:
        token = secrets.token_urlsafe(16)
        connection.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)",
            (*item, annotator, token, self._clock() + self._lease_seconds),
        )
        return Lease(item, token)

    def _hold(self, connection: sqlite3.Connection, item: Item, token: str) -> str:
        """Renews the lease that a token is of, and tells its annotator."""
        row = self._lease_row(connection, item)
        if row is None or not isinstance(token, str) or row[1] != token:
            raise LeaseLostError(
                "The item isn't yours any more: it was given back, or someone took it over after "
                "your time ran out. All that was acknowledged is kept."
            )
        annotator, _, expires = row
        if expires <= self._clock():
            obstacle = self._obstacle(connection, item, annotator)
            if obstacle is not None:
                raise LeaseLostError(obstacle)
        connection.execute(
            "UPDATE leases SET expires = ? WHERE round = ? AND image = ? AND opinion = ?",
            (self._clock() + self._lease_seconds, *item),
        )
        return annotator

    def _obstacle(self, connection: sqlite3.Connection, item: Item, annotator: str) -> str | None:
        """What keeps an annotator from taking an item, in words, or None."""
        holder = self._live_holder(connection, item)
        if holder not in (None, annotator):
            return f"{holder} works on this item now."
        (knows,) = connection.execute(
            f"SELECT {_KNOWS_OTHER.format(image=':image', opinion=':opinion')}",
            {**item._asdict(), "annotator": annotator, "now": self._clock()},
        ).fetchone()
        if knows:
            return "You gave the other opinion of this image; somebody else has to give this one."
        return None

    def _live_holder(self, connection: sqlite3.Connection, item: Item) -> str | None:
        row = self._lease_row(connection, item)
        return row[0] if row and row[2] > self._clock() else None

    @staticmethod
    def _lease_row(connection: sqlite3.Connection, item: Item) -> tuple[str, str, float] | None:
        return connection.execute(
            "SELECT annotator, token, expires FROM leases "
            "WHERE round = ? AND image = ? AND opinion = ?",
            item,
        ).fetchone()

    # States.

    def _question(self, item: Item) -> Question:
        """What an item asks.

        Raises:
          UnknownItemError: If there is no such item.
        """
        rows = self._database.read(
            "SELECT kind, pixels FROM queries WHERE image = ? AND round = ?",
            (item.image, item.round),
        )
        if not rows or not rows[0][1] or item.opinion not in (1, 2):
            raise UnknownItemError(f"There is no item {tuple(item)}.")
        query = self._store.query(item.image, item.round)
        guess = self._store.guess(item.image, item.round)
        return Question(
            query.shape, rows[0][0], runs.asked_runs(query), None if guess is None else guess[query]
        )

    def _check_item(self, item: Item) -> None:
        self.question(item)
        if item.opinion == 2 and not (
            self._wants_second(item.round, item.image) or self.state(item).last
        ):
            raise UnknownItemError(f"There is no item {tuple(item)}.")

    def _replayed(
        self, connection: sqlite3.Connection, item: Item, last: int | None = None
    ) -> State:
        """The state of an item, after all its events or up to one of them."""
        with self._lock:
            state = self._states.get(item)
        if state is None or (last is not None and state.last > last):
            state = history.fresh(self.question(item).asked.pixels)
        for event in self._events(connection, item, state.last, last):
            state = history.after(state, event)
        return state

    @staticmethod
    def _events(
        connection: sqlite3.Connection, item: Item, above: int, last: int | None = None
    ) -> list[Event]:
        return [
            Event(*row)
            for row in connection.execute(
                "SELECT id, annotator, time, kind, label, content, seconds, request FROM events "
                "WHERE round = ? AND image = ? AND opinion = ? AND id > ? AND id <= ? ORDER BY id",
                (*item, above, 2**62 if last is None else last),
            )
        ]

    def _remember(self, item: Item, state: State) -> State:
        """Keeps a state that has been committed."""
        with self._lock:
            known = self._states.get(item)
            if known is None or known.last < state.last:
                self._states[item] = state
            self._states.move_to_end(item)
            while len(self._states) > _CACHED_ITEMS:
                self._states.popitem(last=False)
        return state

    def _answer(self, connection: sqlite3.Connection, item: Item) -> np.ndarray | None:
        """The answer that training sees, by rank."""
        del connection  # the thread's, which the store uses, too
        if not self._store.answered(item.image, item.round):
            return None
        return self._store.answer_of(item.image, item.round)

    def _standing(
        self, connection: sqlite3.Connection, item: Item, state: State
    ) -> np.ndarray | None:
        return self._answer(connection, item) if item.opinion == 1 else state.submitted

    def _is_done(self, connection: sqlite3.Connection, item: Item) -> bool:
        if item.opinion == 1:
            return self._store.answered(item.image, item.round)
        return self._replayed(connection, item).submitted is not None

    # Progress.

    def _computed_progress(self, round: int) -> Progress:
        rows = self._read(
            "SELECT opinion, pixels, done, holder, annotator, seconds, remaining "
            f"FROM ({self._items_of_round})",
            round=round,
            now=self._clock(),
        )
        ((unasked,),) = self._read(
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
        first = self._store.answer_of(image, round)
        second = self.state(Item(round, image, 2)).submitted
        return (
            np.bincount(first, minlength=256),
            np.bincount(first[first == second], minlength=256),
        )

    def _count_answer(self, item: Item) -> None:
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

    def _read(self, statement: str, **values: Any) -> list[tuple]:
        with self._database.explaining_errors():
            connection = self._database.connection()
            # Once a call: a connection is a thread's, and threads come and go.
            if self._share:
                connection.create_function(
                    "second_opinion", 2, self._wants_second, deterministic=True
                )
            return connection.execute(statement, values).fetchall()

    def _wants_second(self, round: int, image: str) -> bool:
        if not self._share:
            return False
        digest = hashlib.sha256(f"{round}/{image}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


def checked_name(name: Any) -> str:
    """An annotator's name as it is stored: without spaces around it, composed Unicode.

    Raises:
      ValueError: If it is no text of 1 to 100 characters, or has a control character.
    """
    if not isinstance(name, str):
        raise ValueError("an annotator's name is a text")
    name = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(name) <= _MAX_NAME:
        raise ValueError(f"an annotator's name has 1 to {_MAX_NAME} characters, not {len(name)}")
    # Cc: control, Cs: half of a surrogate pair, which is no text.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError("an annotator's name has no control characters")
    return name


def _checked_request(request: Any) -> str:
    if not isinstance(request, str) or not 1 <= len(request) <= _MAX_NAME:
        raise ValueError(f"a request has a name of its own, of 1 to {_MAX_NAME} characters")
    if not request.isprintable():  # neither is a lone surrogate
        raise ValueError("a request's name has printable characters only")
    return request


def _checked_seconds(seconds: Any) -> float:
    if type(seconds) not in (int, float) or not 0 <= seconds <= _MAX_SECONDS:
        raise ValueError(f"seconds are a number from 0 to {_MAX_SECONDS:.0f}")
    return float(seconds)


def _state_name(done: int, holder: str | None, last_kind: str | None) -> ItemState:
    if holder is not None:
        return "leased"
    if done:
        return "done"
    return "skipped" if last_kind == "skip" else "open"
