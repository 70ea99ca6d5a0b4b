"""The items of a round: what each asks, and what its events come to, read from the store's file.

An item is the query of an image in a round, for one opinion. Opinion 1 is the answer that training
sees; a share of the items has an opinion 2, which another annotator gives without seeing the first
and which only measures agreement.
"""

import collections
import functools
import hashlib
import sqlite3
import threading
from typing import Any, NamedTuple

import numpy as np

from labor_jax.annotation import history, runs
from labor_jax.annotation.cost import Kind
from labor_jax.annotation.history import Event, State
from labor_jax.annotation.store import LabelStore

_CACHED_ITEMS = 256


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


class Items:
    """Reads the items of a label store.

    States are kept in memory; since events are only added, an old one is brought up to date by the
    events behind it.
    """

    def __init__(self, store: LabelStore, *, second_opinion: float):
        """Reads from a store.

        Args:
          store: The run's label store.
          second_opinion: The share of the items that have an opinion 2.

        Raises:
          ValueError: If the share can't be one.
        """
        if not 0 <= second_opinion <= 1:
            raise ValueError(f"second_opinion is {second_opinion}; it is a share from 0 to 1")
        self.store = store
        self._database = store.database
        self._share = second_opinion
        self._lock = threading.Lock()
        self._states: collections.OrderedDict[Item, State] = collections.OrderedDict()
        second = "second_opinion(r.round, r.image)" if second_opinion else "0"
        self.table = _ITEMS.format(second=second)
        self.question = functools.lru_cache(_CACHED_ITEMS)(self._question)

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
            state = self.replayed(self._database.connection(), item)
        return self.remember(item, state)

    def events(self, item: Item) -> list[Event]:
        """All that was ever done to an item, in order.

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

    def replayed(
        self, connection: sqlite3.Connection, item: Item, last: int | None = None
    ) -> State:
        """The state of an item, after all its events or up to one of them."""
        with self._lock:
            state = self._states.get(item)
        if state is None or (last is not None and state.last > last):
            state = history.fresh(self.question(item).asked.pixels)
        for event in _events(connection, item, state.last, last):
            state = history.after(state, event)
        return state

    def remember(self, item: Item, state: State) -> State:
        """Keeps a state that has been committed."""
        with self._lock:
            known = self._states.get(item)
            if known is None or known.last < state.last:
                self._states[item] = state
            self._states.move_to_end(item)
            while len(self._states) > _CACHED_ITEMS:
                self._states.popitem(last=False)
        return state

    def answer(self, item: Item) -> np.ndarray | None:
        """The answer that training sees, by rank."""
        if not self.store.answered(item.image, item.round):
            return None
        return self.store.answer_of(item.image, item.round)

    def standing(self, item: Item, state: State) -> np.ndarray | None:
        """The labels of an item that were submitted last, by rank; `state` is its state."""
        return self.answer(item) if item.opinion == 1 else state.submitted

    def read(self, statement: str, **values: Any) -> list[tuple]:
        """All rows of a query, which may read from `table`."""
        with self._database.explaining_errors():
            connection = self._database.connection()
            # Once a call: a connection is a thread's, and threads come and go.
            if self._share:
                connection.create_function(
                    "second_opinion", 2, self._wants_second, deterministic=True
                )
            return connection.execute(statement, values).fetchall()

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
        query = self.store.query(item.image, item.round)
        guess = self.store.guess(item.image, item.round)
        return Question(
            query.shape, rows[0][0], runs.asked_runs(query), None if guess is None else guess[query]
        )

    def _wants_second(self, round: int, image: str) -> bool:
        if not self._share:
            return False
        digest = hashlib.sha256(f"{round}/{image}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


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
