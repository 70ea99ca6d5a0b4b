"""People's work on a round: who answers what, their marks, and the answers that come of them.

Whoever works on an item holds its lease, so that nobody else does. A lease that isn't renewed runs
out, and the next annotator goes on where the last one stopped.

Everything is in the label store's file, every step is one transaction, and what was returned has
reached the disk. Nothing is ever deleted: events are only added, and the labels of an item are what
its events come to (`history.after`). So any number of processes may work on one file.
"""

import functools
import math
import secrets
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from labor_jax.annotation import history, runs
from labor_jax.annotation.history import Event, EventKind, State
from labor_jax.annotation.items import Item, Items
from labor_jax.annotation.overview import Overview
from labor_jax.annotation.store import LabelStore
from labor_jax.data.base import IGNORE_LABEL

_MAX_NAME = 100

MAX_SECONDS = 86_400.0
"""The longest active time that a step may have."""


class LeaseLostError(Exception):
    """The annotator doesn't hold the item: somebody else works on it, or it was given back."""


class Lease(NamedTuple):
    """An annotator's hold on an item.

    Attributes:
      item: The item.
      token: What the holder names it by.
    """

    item: Item
    token: str


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

    `current_round`, `kind`, `question`, `state` and `events` are those of `Items`, and `items`,
    `progress` and `agreement` those of `Overview`.
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
        self._store = store
        self._database = store.database
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._items = Items(store, second_opinion=second_opinion)
        self._overview = Overview(self._items, clock)
        self._next = _NEXT.format(items=self._items.table)
        self._choosing = threading.Lock()
        self._reserved: set[Item] = set()
        self.current_round = self._items.current_round
        self.kind = self._items.kind
        self.question = self._items.question
        self.state = self._items.state
        self.events = self._items.events
        self.items = self._overview.items
        self.progress = self._overview.progress
        self.agreement = self._overview.agreement
        store.database.set_metadata("second_opinion", repr(float(second_opinion)))

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
                with self._choosing:
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
        self._items.check(item)

        def take(connection: sqlite3.Connection) -> tuple[Lease, State | None]:
            if self._repeated(connection, item, request, "reopen") is not None:
                row = self._lease_row(connection, item)
                if row is None or row[0] != annotator:
                    raise LeaseLostError("The item was given back or taken over since.")
                return Lease(item, row[1]), None
            obstacle = self._obstacle(connection, item, annotator)
            if obstacle is not None:
                raise LeaseLostError(obstacle)
            state = self._items.replayed(connection, item)
            standing = self._items.standing(item, state)
            if standing is not None and not np.array_equal(standing, state.labels):
                content = history.packed_labels(standing)
                state = self._record(connection, item, state, annotator, "import", content=content)
            state = self._record(
                connection, item, state, annotator, "reopen", seconds=seconds, request=request
            )
            return self._take(connection, item, annotator), state

        lease, state = self._database.grouped(take)
        if state is not None:
            self._items.remember(item, state)
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
        self._items.check(item)
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
        self._items.check(item)

        def hold(connection: sqlite3.Connection) -> State:
            self._hold(connection, item, token)
            return self._items.replayed(connection, item)

        return self._items.remember(item, self._database.grouped(hold))

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
        self._items.check(item)
        with self._database.transaction() as connection:
            holder = self._live_holder(connection, item)
            if holder is not None:
                raise LeaseLostError(f"{holder} works on image {image!r} of round {round} now.")
            state = self._items.replayed(connection, item)
            before = self._items.answer(item)
            self._store.answer(image, round, labels, replace=replace)
            told = self._items.answer(item)
            if before is not None and np.array_equal(before, told):
                return
            content = history.packed_labels(told)
            state = self._record(
                connection, item, state, annotator, "import", content=content, seconds=seconds
            )
        self._items.remember(item, state)
        self._overview.forget()

    # How a step is taken.

    def _reserved_next(self, round: int | None, wishes: dict[str, Any]) -> Item | None:
        """The first item of the queue that no thread is just about to take; it is reserved."""
        # One at a time: all would find the same item.
        with self._choosing:
            rows = self._items.read(
                self._next,
                round=-1 if round is None else round,
                now=self._clock(),
                limit=len(self._reserved) + 1,
                **wishes,
            )
            for image, opinion in rows:
                item = Item(round, image, opinion)
                if item not in self._reserved:
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
        self._items.check(item)

        def take(connection: sqlite3.Connection) -> tuple[State, bool]:
            first = self._repeated(connection, item, request, kind, label, content)
            if first is not None:
                return first, False
            annotator = self._hold(connection, item, token)
            before = self._items.replayed(connection, item)
            is_new = kind == "submit" and self._items.standing(item, before) is None
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
        self._items.remember(item, state)
        if is_new:
            self._overview.count_answer(item)
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
        return self._items.replayed(connection, item, last=row[0])

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

    def _is_done(self, connection: sqlite3.Connection, item: Item) -> bool:
        if item.opinion == 1:
            return self._store.answered(item.image, item.round)
        return self._items.replayed(connection, item).submitted is not None


def checked_name(name: Any) -> str:
    """An annotator's name as it is stored: without spaces around it, composed Unicode.

    Raises:
      ValueError: If it is no text of 1 to 100 characters, or has a control character.
    """
    if not isinstance(name, str):
        raise ValueError("an annotator's name is a text")
    # Composing takes time in the square of the length, during which nobody else is served.
    if len(name) <= 10 * _MAX_NAME:
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
    if type(seconds) not in (int, float) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds are a number from 0 to {MAX_SECONDS:.0f}")
    return float(seconds)
