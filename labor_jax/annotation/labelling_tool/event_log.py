"""The log of everything that annotators did: the tables `events` and `items`."""

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from labor_jax.annotation.labelling_tool import item_history
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.item_history import Event, EventKind, ItemState
from labor_jax.annotation.labelling_tool.item_reader import ItemReader


class Step(NamedTuple):
    """Something that an annotator does to an item, before it is recorded as an event.

    Attributes:
      kind: As in `Event`, and so are the others.
      label: Of a mark.
      content: Of a mark or an import.
      seconds: The annotator's active time since the step before.
      request: The step's unique name, or None.
    """

    kind: EventKind
    label: int | None = None
    content: bytes | None = None
    seconds: float = 0.0
    request: str | None = None


class EventLog:
    """Records events, each once. Its methods are called within a transaction."""

    def __init__(self, reader: ItemReader, clock: Callable[[], float]):
        """Records events of the items of `reader`; `clock` returns the seconds since 1970."""
        self._reader = reader
        self._clock = clock

    def record(
        self,
        connection: sqlite3.Connection,
        item: Item,
        state: ItemState,
        annotator: str,
        step: Step,
    ) -> ItemState:
        """Adds an event, and returns the item's state after it.

        Args:
          connection: The connection of the open transaction.
          item: The item.
          state: Its state before.
          annotator: Who takes the step.
          step: The step.

        Raises:
          ValueError: If there is nothing to undo or redo.
        """
        values = (
            annotator,
            self._clock(),
            step.kind,
            step.label,
            step.content,
            step.seconds,
            step.request,
        )
        added = connection.execute(
            "INSERT INTO events (round, image, opinion, annotator, time, kind, label, content, "
            "seconds, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*item, *values),
        ).lastrowid
        state = item_history.apply(state, Event(added, *values))
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
                step.kind,
                state.remaining,
                state.seconds,
                added if step.kind in ("submit", "import") else None,
            ),
        )
        return state

    def submitted_by(self, connection: sqlite3.Connection, item: Item) -> str | None:
        """Who answered an item last; None if no event says so."""
        row = connection.execute(
            "SELECT e.annotator FROM items i JOIN events e ON e.id = i.submitted "
            "WHERE (i.round, i.image, i.opinion) = (?, ?, ?)",
            item,
        ).fetchone()
        return None if row is None else row[0]

    def find_repeated(
        self, connection: sqlite3.Connection, item: Item, step: Step
    ) -> ItemState | None:
        """The item's state after this very step, if it was recorded already.

        Raises:
          ValueError: If the step's request names another step.
        """
        row = connection.execute(
            "SELECT id, round, image, opinion, kind, label, content FROM events WHERE request = ?",
            (step.request,),
        ).fetchone()
        if row is None:
            return None
        if row[1:] != (*item, step.kind, step.label, step.content):
            raise ValueError("this request's name was used for another step; choose a new one")
        return self._reader.replay(connection, item, last=row[0])
