"""Leases: an annotator who works on an item holds its lease, so nobody else works on it.

A lease that isn't renewed expires, and the next annotator continues where the last one stopped.
"""

import secrets
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from labor_jax.annotation.labelling_tool.item import Item

KNOWS_OTHER_OPINION = """(
    EXISTS (SELECT 1 FROM events e WHERE e.round = :round AND e.image = {image}
        AND e.opinion = 3 - {opinion} AND e.annotator = :annotator AND e.kind <> 'skip')
    OR EXISTS (SELECT 1 FROM leases h WHERE h.round = :round AND h.image = {image}
        AND h.opinion = 3 - {opinion} AND h.annotator = :annotator AND h.expires > :now)
)"""
"""SQL: whether `:annotator` worked on the item's other opinion, or holds it at the time `:now`.

Reopening it is work, too, because that shows its labels. Skipping is none, or soon nobody would be
left for the images that are hard to answer.
"""


class LeaseLostError(Exception):
    """The annotator doesn't hold the item: somebody else works on it, or it was given back."""


class Lease(NamedTuple):
    """An annotator's right to work on an item.

    Attributes:
      item: The item.
      token: Identifies the lease; its holder sends it with every step.
    """

    item: Item
    token: str


class _LeaseRow(NamedTuple):
    annotator: str
    token: str
    expires: float


class Leases:
    """Grants, renews and ends leases. Its methods are called within a transaction."""

    def __init__(self, seconds: float, clock: Callable[[], float]):
        """Grants leases of so many seconds; `clock` returns the seconds since 1970."""
        self._seconds = seconds
        self._clock = clock

    def grant(self, connection: sqlite3.Connection, item: Item, annotator: str) -> Lease:
        """Gives an item's lease to an annotator, even if somebody else had it."""
        token = secrets.token_urlsafe(16)
        connection.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)",
            (*item, annotator, token, self._clock() + self._seconds),
        )
        return Lease(item, token)

    def renew(self, connection: sqlite3.Connection, item: Item, token: str) -> str:
        """Renews the lease with this token, and returns its annotator.

        Raises:
          LeaseLostError: If the token isn't that of the item's lease, or the lease expired and
            somebody else took the item, or the annotator worked on its other opinion.
        """
        row = _row(connection, item)
        if row is None or not isinstance(token, str) or row.token != token:
            raise LeaseLostError(
                "The item isn't yours any more: it was given back, or someone took it over after "
                "your time ran out. Everything that was acknowledged is kept."
            )
        if row.expires <= self._clock():
            obstacle = self.obstacle(connection, item, row.annotator)
            if obstacle is not None:
                raise LeaseLostError(obstacle)
        connection.execute(
            "UPDATE leases SET expires = ? WHERE round = ? AND image = ? AND opinion = ?",
            (self._clock() + self._seconds, *item),
        )
        return row.annotator

    def outlast(self, connection: sqlite3.Connection) -> bool:
        """Whether a lease runs longer than any can be granted: the clock was set back."""
        latest = self._clock() + self._seconds
        found = connection.execute("SELECT 1 FROM leases WHERE expires > ? LIMIT 1", (latest,))
        return found.fetchone() is not None

    def shorten(self, connection: sqlite3.Connection) -> None:
        """Lets leases that were granted before the clock was set back run out in time."""
        latest = self._clock() + self._seconds
        connection.execute("UPDATE leases SET expires = ? WHERE expires > ?", (latest, latest))

    def end(self, connection: sqlite3.Connection, item: Item) -> None:
        """Ends an item's lease."""
        connection.execute("DELETE FROM leases WHERE round = ? AND image = ? AND opinion = ?", item)

    def granted_to(self, connection: sqlite3.Connection, item: Item, annotator: str) -> Lease:
        """The lease that an annotator was granted before.

        Raises:
          LeaseLostError: If it was ended or granted to somebody else since.
        """
        row = _row(connection, item)
        if row is None or row.annotator != annotator:
            raise LeaseLostError("The item was given back or taken over since.")
        return Lease(item, row.token)

    def obstacle(self, connection: sqlite3.Connection, item: Item, annotator: str) -> str | None:
        """Why an annotator can't take an item, as a sentence; None if they can."""
        holder = self.holder(connection, item)
        if holder not in (None, annotator):
            return f"{holder} works on this item now."
        (knows,) = connection.execute(
            f"SELECT {KNOWS_OTHER_OPINION.format(image=':image', opinion=':opinion')}",
            {**item._asdict(), "annotator": annotator, "now": self._clock()},
        ).fetchone()
        if knows:
            return (
                "You worked on the other opinion of this image; somebody else has to give this one."
            )
        return None

    def holder(self, connection: sqlite3.Connection, item: Item) -> str | None:
        """Who holds an item's lease now, or None."""
        row = _row(connection, item)
        return row.annotator if row and row.expires > self._clock() else None


def _row(connection: sqlite3.Connection, item: Item) -> _LeaseRow | None:
    row = connection.execute(
        "SELECT annotator, token, expires FROM leases "
        "WHERE round = ? AND image = ? AND opinion = ?",
        item,
    ).fetchone()
    return row and _LeaseRow(*row)
