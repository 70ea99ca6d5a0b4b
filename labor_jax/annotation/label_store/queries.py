"""Which images a round asks, and which of their pixels: the tables `round_images` and `queries`."""

import collections
import operator
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labor_jax.annotation.cost import Kind, segments
from labor_jax.annotation.label_store import blobs
from labor_jax.annotation.label_store.checks import checked_image, checked_round, shortened, size
from labor_jax.annotation.label_store.database import Database

_EVERY_ROUND = 2**62


class AskedRow(NamedTuple):
    """A query with its answer, as the file holds them.

    Attributes:
      round: The round that asked.
      height: The image's height.
      width: Its width.
      mask: The query, packed.
      labels: The answer, packed; None if there is none yet.
      parts: Which part each asked pixel is of, packed; None if it was stored without parts.
      candidates: The classes of each part, packed; None unless all of them were answered.
    """

    round: int
    height: int
    width: int
    mask: bytes
    labels: bytes | None
    parts: bytes | None
    candidates: bytes | None


class Queries:
    """Records and reads the rounds and their queries."""

    def __init__(self, database: Database):
        """Uses the tables of `database`."""
        self._database = database
        self._blobs = blobs.BlobReader(database.path)

    # Rounds.

    def rounds(self) -> list[int]:
        """The numbers of the rounds that were opened, ascending."""
        rows = self._database.read("SELECT DISTINCT round FROM round_images ORDER BY round")
        return [round for (round,) in rows]

    def images(self, round: int) -> list[str]:
        """The images of an open round, in its order.

        Raises:
          ValueError: If the round is not open.
        """
        round = checked_round(round)
        with self._database.explaining_errors():
            images = _round_images(self._database.connection(), round)
        if not images:
            raise self._not_open(round)
        return images

    def unasked(self, round: int) -> list[str]:
        """The images of an open round that have no query yet."""
        self.images(round)
        rows = self._database.read(
            "SELECT r.image FROM round_images r LEFT JOIN queries q USING (image, round) "
            "WHERE r.round = ? AND q.image IS NULL ORDER BY r.position",
            (round,),
        )
        return [image for (image,) in rows]

    def pending(self, round: int) -> list[str]:
        """The images of an open round whose query has no answer yet."""
        self.images(round)
        rows = self._database.read(
            "SELECT r.image FROM round_images r JOIN queries q USING (image, round) "
            "LEFT JOIN answers a USING (image, round) "
            "WHERE r.round = ? AND q.pixels > 0 AND a.image IS NULL ORDER BY r.position",
            (round,),
        )
        return [image for (image,) in rows]

    def open_round(self, round: int, images: Sequence[str]) -> None:
        """Records which images a round asks; see `LabelStore.open_round`."""
        round = checked_round(round)
        images = [checked_image(image) for image in images]
        if not images:
            raise ValueError(f"round {round} has no images to ask")
        if len(set(images)) < len(images):
            counts = collections.Counter(images)
            repeated = [image for image, count in counts.items() if count > 1]
            raise ValueError(f"round {round} lists images more than once: {shortened(repeated)}")
        with self._database.transaction() as connection:
            recorded = _round_images(connection, round)
            if not recorded:
                connection.executemany(
                    "INSERT INTO round_images (round, image, position) VALUES (?, ?, ?)",
                    [(round, image, position) for position, image in enumerate(images)],
                )
            elif set(recorded) != set(images):
                missing = sorted(set(recorded) - set(images))
                added = sorted(set(images) - set(recorded))
                raise ValueError(
                    f"round {round} was opened in {self._database.path} with other images: "
                    f"{len(missing)} of its {len(recorded)} are missing now "
                    f"({shortened(missing)}) and {len(added)} are new ({shortened(added)}). "
                    "Resume with the data it was started with, or use another working directory"
                )

    # Queries.

    def add(
        self,
        image: str,
        round: int,
        query: np.ndarray,
        *,
        clicks: int | None,
        kind: Kind,
        guess: np.ndarray | None,
        parts: np.ndarray | None = None,
    ) -> None:
        """Records a query; see `LabelStore.ask`. All arguments but the round are checked before.

        Args:
          image: Name of the image.
          round: The round's number.
          query: The asked pixels, `bool[H, W]`.
          clicks: How many clicks answer it; None for one per connected segment.
          kind: How it is answered.
          guess: The model's labels of the asked pixels, `uint8[pixels]`, or None.
          parts: Which part each asked pixel is of, see `checks.parts_at_query`, or None.
        """
        with self._database.transaction() as connection:
            self._check_in_round(connection, image, round)
            if self._is_recorded(connection, image, round, query):
                return
            self.insert(
                connection,
                image,
                round,
                query.shape,
                int(query.sum()),
                segments(query) if clicks is None else operator.index(clicks),
                blobs.pack_mask(query),
                kind,
                None if guess is None else blobs.pack_labels(guess),
                None if parts is None else blobs.pack_parts(parts),
            )

    def insert(
        self,
        connection: sqlite3.Connection,
        image: str,
        round: int,
        shape: tuple[int, int],
        pixels: int,
        clicks: int,
        mask: bytes,
        kind: Kind,
        guess: bytes | None = None,
        parts: bytes | None = None,
    ) -> None:
        """Adds a row within a transaction: of a query that contradicts nothing, packed."""
        connection.execute(
            "INSERT INTO queries "
            "(image, round, height, width, pixels, clicks, mask, kind, guess, parts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (image, round, *shape, pixels, clicks, mask, kind, guess, parts),
        )

    def mask(self, image: str, round: int) -> np.ndarray:
        """The pixels that a round asks of an image, `bool[H, W]`.

        Raises:
          ValueError: If there is no such query.
        """
        rows = self._database.read(
            "SELECT height, width, mask FROM queries WHERE image = ? AND round = ?",
            (checked_image(image), checked_round(round)),
        )
        if not rows:
            raise self.missing(image, round)
        height, width, mask = rows[0]
        return self._blobs.mask(mask, (height, width), image, round)

    def pixels(self, image: str, round: int) -> int:
        """How many pixels a round asks of an image; `ValueError` as `mask`."""
        return self._column(image, round, "pixels")

    def clicks(self, image: str, round: int) -> int:
        """How many points, regions or segments a query asks; `ValueError` as `mask`."""
        return self._column(image, round, "clicks")

    def kind(self, image: str, round: int) -> Kind:
        """How a query is answered; `ValueError` as `mask`."""
        return self._column(image, round, "kind") or "mask"

    def guess(self, image: str, round: int) -> bytes | None:
        """The model's packed labels, or None; `ValueError` as `mask`."""
        return self._column(image, round, "guess")

    def parts(self, image: str, round: int) -> bytes | None:
        """The packed numbers of the asked pixels' parts, or None; `ValueError` as `mask`."""
        return self._column(image, round, "parts")

    def of_image(self, image: str, up_to_round: int | None) -> list[AskedRow]:
        """All queries of an image up to a round, or of all rounds if it is None."""
        # An older file that is open for reading only lacks the last columns.
        last = "q.parts, a.candidates" if self._database.version >= 4 else "NULL, NULL"
        rows = self._database.read(
            f"SELECT q.round, q.height, q.width, q.mask, a.labels, {last} "
            "FROM queries q LEFT JOIN answers a USING (image, round) "
            "WHERE q.image = ? AND q.round <= ? ORDER BY q.round",
            (checked_image(image), last_round(up_to_round)),
        )
        return [AskedRow(*row) for row in rows]

    def rounds_of(self, image: str) -> list[int]:
        """The rounds that have a query of an image, ascending."""
        rows = self._database.read(
            "SELECT round FROM queries WHERE image = ? ORDER BY round", (checked_image(image),)
        )
        return [round for (round,) in rows]

    def missing(self, image: str, round: int) -> ValueError:
        """The error of a query that does not exist."""
        return ValueError(f"round {round} has not asked image {image!r} in {self._database.path}")

    def _column(self, image: str, round: int, column: str) -> str | bytes | int | None:
        # An older file that is open for reading only lacks these columns.
        since = {"kind": 3, "guess": 3, "parts": 4}
        if self._database.version < since.get(column, 0):
            column = "NULL"
        rows = self._database.read(
            f"SELECT {column} FROM queries WHERE image = ? AND round = ?",
            (checked_image(image), checked_round(round)),
        )
        if not rows:
            raise self.missing(image, round)
        return rows[0][0]

    def _check_in_round(self, connection: sqlite3.Connection, image: str, round: int) -> None:
        found = connection.execute(
            "SELECT 1 FROM round_images WHERE round = ? AND image = ?", (round, image)
        ).fetchone()
        if not found:
            images = _round_images(connection, round)
            if not images:
                raise self._not_open(round)
            raise ValueError(
                f"image {image!r} is not one of the {len(images)} images of round {round} "
                f"({shortened(images)})"
            )

    def _is_recorded(
        self, connection: sqlite3.Connection, image: str, round: int, query: np.ndarray
    ) -> bool:
        """Whether this query is in the file already; `ValueError` if it contradicts the file."""
        for other_round, height, width, blob in connection.execute(
            "SELECT round, height, width, mask FROM queries WHERE image = ? ORDER BY round",
            (image,),
        ):
            if (height, width) != query.shape:
                raise ValueError(
                    f"query of image {image!r} in round {round} is {size(query.shape)}, but "
                    f"round {other_round} asked it at {size((height, width))}"
                )
            other = self._blobs.mask(blob, (height, width), image, other_round)
            if other_round == round:
                if not np.array_equal(other, query):
                    raise ValueError(
                        f"round {round} already asked {other.sum()} pixels of image {image!r}, "
                        f"which are not the same as the {query.sum()} pixels asked now"
                    )
                return True
            overlap = int(np.count_nonzero(other & query))
            if overlap:
                raise ValueError(
                    f"{overlap} of the {query.sum()} pixels that round {round} asks of image "
                    f"{image!r} were already asked in round {other_round}; a pixel is asked only "
                    "once: leave out `asked(image)`"
                )
        return False

    def _not_open(self, round: int) -> ValueError:
        return ValueError(
            f"round {round} is not open in {self._database.path} (open: "
            f"{self.rounds() or 'none'}); call open_round first"
        )


def last_round(up_to_round: int | None) -> int:
    """The number of the last round to read; None means all rounds."""
    return _EVERY_ROUND if up_to_round is None else operator.index(up_to_round)


def _round_images(connection: sqlite3.Connection, round: int) -> list[str]:
    rows = connection.execute(
        "SELECT image FROM round_images WHERE round = ? ORDER BY position", (round,)
    )
    return [image for (image,) in rows]
