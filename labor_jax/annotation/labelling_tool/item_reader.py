"""Reads a round's items from the label store's file: what each asks, and its state."""

import hashlib
import sqlite3
import zlib
from typing import Any

import numpy as np

from labor_jax.annotation import pixel_runs
from labor_jax.annotation.cost import Kind
from labor_jax.annotation.label_store import EXISTING_ROUND, LabelStore
from labor_jax.annotation.label_store.blobs import DamagedItemError
from labor_jax.annotation.labelling_tool import item_history
from labor_jax.annotation.labelling_tool.bounded_cache import BoundedCache
from labor_jax.annotation.labelling_tool.item import Item, Question, UnknownItemError
from labor_jax.annotation.labelling_tool.item_history import Event, ItemState

# Of the states and of the questions: enough for a dozen people at images of 12 million pixels.
_CACHED_BYTES = 2**29
# What an item takes beside its arrays, about.
_ITEM_BYTES = 2**11


# The items of a round with their state. `{second}`: whether an item also has an opinion 2.
_ITEMS = """
    SELECT
        r.image AS image, o.opinion AS opinion, r.position AS position, q.pixels AS pixels,
        CASE o.opinion WHEN 1 THEN a.image IS NOT NULL ELSE i.submitted IS NOT NULL END AS done,
        l.annotator AS holder, i.annotator AS annotator, i.kind AS last_kind,
        i.submitted AS submitted, IFNULL(i.seconds, 0) AS seconds,
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
    WHERE r.round = :round AND r.round > {existing} AND q.pixels > 0
"""


class ItemReader:
    """Reads the items of a label store.

    It caches states. Events are only ever added, so an old state is updated by the events after it.

    Attributes:
      store: The label store.
      items_statement: SQL of a round's items with their state, for `read`.
    """

    def __init__(self, store: LabelStore, *, second_opinion: float):
        """Reads from a store.

        Args:
          store: The run's label store.
          second_opinion: The share of the items that have an opinion 2.

        Raises:
          ValueError: If the share is not from 0 to 1.
        """
        if not 0 <= second_opinion <= 1:
            raise ValueError(f"second_opinion is {second_opinion}; it must be a share from 0 to 1")
        self.store = store
        self._database = store.database
        self._share = second_opinion
        self._states: BoundedCache[Item, ItemState] = BoundedCache(_CACHED_BYTES, _size)
        self._questions: BoundedCache[Item, Question] = BoundedCache(_CACHED_BYTES, _size)
        second = "second_opinion(r.round, r.image)" if second_opinion else "0"
        self.items_statement = _ITEMS.format(second=second, existing=EXISTING_ROUND)

    def current_round(self) -> int | None:
        """The newest round that asks, or None; existing labels ask nothing."""
        rows = self._database.read(
            "SELECT MAX(round) FROM round_images WHERE round > ?", (EXISTING_ROUND,)
        )
        return rows[0][0]

    def kind(self, round: int) -> Kind | None:
        """How a round's queries are answered; None if it has none yet."""
        rows = self._database.read("SELECT kind FROM queries WHERE round = ? LIMIT 1", (round,))
        return rows[0][0] if rows else None

    def question(self, item: Item) -> Question:
        """What an item asks.

        Raises:
          UnknownItemError: If there is no such item.
        """
        return self._questions.get_or_compute(item, self._read_question)

    def state(self, item: Item) -> ItemState:
        """An item's state after all its events.

        Raises:
          UnknownItemError: If there is no such item.
        """
        self.question(item)
        with self._database.explaining_errors():
            state = self.replay(self._database.connection(), item)
        return self.remember(item, state)

    def events(self, item: Item) -> list[Event]:
        """All events of an item, in order.

        Raises:
          UnknownItemError: If there is no such item.
        """
        self.question(item)
        with self._database.explaining_errors():
            return _events(self._database.connection(), item, 0)

    def check(self, item: Item) -> None:
        """Raises `UnknownItemError` if there is no such item."""
        self.question(item)
        if item.opinion == 2 and not (
            self._wants_second(item.round, item.image) or self.state(item).last
        ):
            raise UnknownItemError(f"There is no item {tuple(item)}.")

    def replay(
        self, connection: sqlite3.Connection, item: Item, last: int | None = None
    ) -> ItemState:
        """The state of an item after all its events, or after the one with the id `last`.

        Raises:
          DamagedItemError: If an event can't be applied.
        """
        state = self._states.get(item)
        if state is None or (last is not None and state.last > last):
            question = self.question(item)
            parts = question.parts if question.kind == "classes" else None
            state = item_history.untouched(question.asked.pixels, parts, len(self.store.classes))
        for event in _events(connection, item, state.last, last):
            try:
                state = item_history.apply(state, event)
            except (zlib.error, IndexError, OverflowError, TypeError, ValueError) as error:
                raise DamagedItemError(
                    f"label store {self.store.path} is damaged at event {event.id}, of image "
                    f"{item.image!r} in round {item.round}: {error}; restore it from a copy (with "
                    "its -wal file)"
                ) from error
        return state

    def remember(self, item: Item, state: ItemState) -> ItemState:
        """Caches a committed state, unless a later one is cached; returns it."""
        self._states.put(item, state, replaces=lambda cached: cached.last < state.last)
        return state

    def answer(self, item: Item) -> np.ndarray | None:
        """The answer that training sees, by rank, `uint8[pixels]`; None if there is none yet."""
        if not self.store.answered(item.image, item.round):
            return None
        return self.store.answer_of(item.image, item.round)

    def submitted_candidates(self, item: Item, state: ItemState) -> np.ndarray | None:
        """The classes of each part that were last submitted, `bool[parts, C]`, or None."""
        if item.opinion == 1:
            return self.store.candidates(item.image, item.round)
        return state.submitted_candidates

    def submitted_labels(self, item: Item, state: ItemState) -> np.ndarray | None:
        """The labels that were last submitted for an item in `state`, by rank, or None."""
        return self.answer(item) if item.opinion == 1 else state.submitted

    def read(self, statement: str, **values: Any) -> list[tuple]:
        """All rows of a statement's result; it may contain `items_statement`."""
        with self._database.explaining_errors():
            connection = self._database.connection()
            # On every call: each thread has its own connection, and threads come and go.
            if self._share:
                connection.create_function(
                    "second_opinion", 2, self._wants_second, deterministic=True
                )
            return connection.execute(statement, values).fetchall()

    def _read_question(self, item: Item) -> Question:
        rows = self._database.read(
            "SELECT kind, pixels FROM queries WHERE image = ? AND round = ?",
            (item.image, item.round),
        )
        is_asked = rows and rows[0][1] and item.round != EXISTING_ROUND
        if not is_asked or item.opinion not in (1, 2):
            raise UnknownItemError(f"There is no item {tuple(item)}.")
        query = self.store.query(item.image, item.round)
        guess = self.store.guess(item.image, item.round)
        parts = self.store.parts(item.image, item.round)
        return Question(
            query.shape,
            rows[0][0],
            pixel_runs.asked_runs(query),
            None if guess is None else guess[query],
            None if parts is None else parts[query],
        )

    def _wants_second(self, round: int, image: str) -> bool:
        if not self._share:
            return False
        digest = hashlib.sha256(f"{round}/{image}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


def _size(value: ItemState | Question) -> int:
    return _ITEM_BYTES + value.nbytes


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
