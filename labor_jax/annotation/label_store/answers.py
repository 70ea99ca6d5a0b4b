"""The labels that annotators gave: the table `answers`."""

import sqlite3

import numpy as np

from labor_jax.annotation.label_store import blobs
from labor_jax.annotation.label_store.checks import checked_image, checked_round
from labor_jax.annotation.label_store.database import Database
from labor_jax.annotation.label_store.queries import Queries
from labor_jax.data.base import IGNORE_LABEL


class Answers:
    """Records and reads answers, as the labels of the asked pixels in raster order."""

    def __init__(self, database: Database, queries: Queries):
        """Uses the table of `database`, whose queries `queries` reads."""
        self._database = database
        self._queries = queries
        self._blobs = blobs.BlobReader(database.path)

    def record(
        self,
        connection: sqlite3.Connection,
        image: str,
        round: int,
        labels: np.ndarray,
        *,
        candidates: np.ndarray | None = None,
        replace: bool,
    ) -> None:
        """Records an answer; the same answer again has no effect.

        Args:
          connection: The connection of the open transaction.
          image: Name of the image.
          round: The round that asked it.
          labels: The checked labels, `uint8[pixels]`.
          candidates: The classes of each part, `bool[parts, C]`, where all of them were asked.
          replace: Overwrite a different answer.

        Raises:
          ValueError: If there is a different answer and `replace` is false.
        """
        if not labels.size:
            return
        packed = None if candidates is None else blobs.pack_mask(candidates)
        recorded = connection.execute(
            "SELECT labels, candidates FROM answers WHERE image = ? AND round = ?", (image, round)
        ).fetchone()
        if recorded and not replace:
            before = self._blobs.labels(recorded[0], labels.size, image, round)
            if not np.array_equal(before, labels):
                raise ValueError(
                    f"image {image!r} was already answered in round {round}, and "
                    f"{np.count_nonzero(before != labels)} of its {labels.size} labels differ; "
                    "pass replace=True to correct them"
                )
            if recorded[1] != packed:
                raise ValueError(
                    f"image {image!r} was already answered in round {round}, with other classes of "
                    "its parts; pass replace=True to correct them"
                )
            return
        void_pixels = int(np.count_nonzero(labels == IGNORE_LABEL))
        self.insert(connection, image, round, void_pixels, blobs.pack_labels(labels), packed)

    def insert(
        self,
        connection: sqlite3.Connection,
        image: str,
        round: int,
        void_pixels: int,
        labels: bytes,
        candidates: bytes | None = None,
    ) -> None:
        """Adds a row within a transaction, or replaces it: packed labels and candidates."""
        connection.execute(
            "INSERT OR REPLACE INTO answers (image, round, void_pixels, labels, candidates) "
            "VALUES (?, ?, ?, ?, ?)",
            (image, round, void_pixels, labels, candidates),
        )

    def exists(self, image: str, round: int) -> bool:
        """Whether a query is answered, or empty.

        Raises:
          ValueError: If there is no such query.
        """
        rows = self._database.read(
            "SELECT q.pixels = 0 OR a.image IS NOT NULL "
            "FROM queries q LEFT JOIN answers a USING (image, round) "
            "WHERE q.image = ? AND q.round = ?",
            (checked_image(image), checked_round(round)),
        )
        if not rows:
            raise self._queries.missing(image, round)
        return bool(rows[0][0])

    def labels(self, image: str, round: int) -> np.ndarray:
        """The labels of the asked pixels, `uint8[pixels]`.

        Raises:
          ValueError: If there is no such query, or no answer to it yet.
        """
        pixels = self._queries.pixels(image, round)
        rows = self._database.read(
            "SELECT labels FROM answers WHERE image = ? AND round = ?", (image, round)
        )
        if not pixels:
            return np.empty(0, np.uint8)
        if not rows:
            raise ValueError(f"image {image!r} is not answered yet in round {round}")
        return self._blobs.labels(rows[0][0], pixels, image, round)

    def candidates(self, image: str, round: int) -> bytes | None:
        """The packed classes of each part, or None; `ValueError` as `labels`."""
        if self._database.version < 4:  # open for reading only, and without the column
            return None
        rows = self._database.read(
            "SELECT candidates FROM answers WHERE image = ? AND round = ?", (image, round)
        )
        return rows[0][0] if rows else None
