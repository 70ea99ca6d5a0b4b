"""The label store: every query and every answer of a run, in one SQLite file.

It is the only way by which target labels reach training. Queries (what was asked) and answers (what
the annotator said) are separate rows, so that the process which selects and the labelling tool
which collects the answers can be two, or the same one days apart. How people come to their answers
is in the same file: see `labor_jax.annotation.work`.

An answer that was acknowledged is never lost: each call is one transaction, which has reached the
disk when the call returns. While the file is open, or after its process was killed,
`labels.sqlite-wal` beside it belongs to it: copy both.
"""

import collections
import contextlib
import hashlib
import json
import operator
import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from labor_jax.annotation.cost import Kind, segments
from labor_jax.annotation.database import Database, LabelStoreError
from labor_jax.data.base import IGNORE_LABEL, check_classes

# What version 3 has over version 2: what people need to answer, and what they do.
_WORK_SCHEMA = (
    # Without the masks, for what looks at all queries of a round.
    "CREATE INDEX queries_of_round ON queries (round, image, pixels)",
    # Who works on an item now; `opinion` 2 is a second annotator's. expires: seconds since 1970.
    """CREATE TABLE leases (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        token TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (round, image, opinion),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    ) WITHOUT ROWID""",
    # All that was ever done, in order; rows are only added. time: seconds since 1970. content: of a
    # mark the runs of asked pixels, of an import the labels, both deflated. seconds: the
    # annotator's time since the event before. request: names the event, so that none comes twice.
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        label INTEGER,
        content BLOB,
        seconds REAL NOT NULL,
        request TEXT UNIQUE,
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    )""",
    "CREATE INDEX events_of_item ON events (round, image, opinion, id)",
    # What the events of an item come to. annotator: who did the last. remaining: asked pixels
    # without a label. submitted: id of the last submit or import.
    """CREATE TABLE items (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        opinion INTEGER NOT NULL,
        annotator TEXT NOT NULL,
        kind TEXT NOT NULL,
        remaining INTEGER NOT NULL,
        seconds REAL NOT NULL,
        submitted INTEGER,
        PRIMARY KEY (round, image, opinion),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    ) WITHOUT ROWID""",
)

_SCHEMA_VERSION = 3
_SCHEMA = (
    """CREATE TABLE round_images (
        round INTEGER NOT NULL,
        image TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (round, image)
    ) WITHOUT ROWID""",
    # clicks: how many it takes to answer. mask: the query's bits in raster order (numpy.packbits),
    # deflated. kind: how it is answered (cost.Kind). guess: the model's labels, as in answers.
    """CREATE TABLE queries (
        image TEXT NOT NULL,
        round INTEGER NOT NULL,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        pixels INTEGER NOT NULL,
        clicks INTEGER NOT NULL,
        mask BLOB NOT NULL,
        kind TEXT NOT NULL DEFAULT 'mask',
        guess BLOB,
        PRIMARY KEY (image, round),
        FOREIGN KEY (round, image) REFERENCES round_images (round, image)
    )""",
    # labels: one byte for each asked pixel in raster order, deflated: there is no room for others.
    """CREATE TABLE answers (
        image TEXT NOT NULL,
        round INTEGER NOT NULL,
        void_pixels INTEGER NOT NULL,
        labels BLOB NOT NULL,
        PRIMARY KEY (image, round),
        FOREIGN KEY (image, round) REFERENCES queries (image, round)
    )""",
    *_WORK_SCHEMA,
)
_MIGRATIONS = {
    2: (
        "ALTER TABLE queries ADD COLUMN kind TEXT NOT NULL DEFAULT 'mask'",
        "ALTER TABLE queries ADD COLUMN guess BLOB",
        *_WORK_SCHEMA,
    )
}

_EVERY_ROUND = 2**62


class RoundStatistics(NamedTuple):
    """Progress of a round, and what was asked up to its end.

    Attributes:
      round: The round's number.
      images: The images that the round asks.
      asked_images: Those that have their query.
      answered_images: Those whose query is answered or empty.
      asked_pixels: The pixels asked in this round; all are charged.
      void_pixels: Those of them that were answered as void.
      labelled_pixels: The pixels asked in this and all earlier rounds.
      total_pixels: The pixels of all images that have a query up to this round.
      total_images: The number of these images.
    """

    round: int
    images: int
    asked_images: int
    answered_images: int
    asked_pixels: int
    void_pixels: int
    labelled_pixels: int
    total_pixels: int
    total_images: int

    @property
    def labelled_fraction(self) -> float:
        """Share of all pixels that were asked up to this round."""
        return self.labelled_pixels / max(self.total_pixels, 1)

    @property
    def pixels_per_image(self) -> float:
        """Pixels asked up to this round, per image."""
        return self.labelled_pixels / max(self.total_images, 1)


class LabelStore:
    """Queries and answers of all images and rounds, in one file.

    Any number of threads and processes may use one file at a time: readers never wait, writers wait
    for each other. A store can be pickled and used after a fork; each thread of each process opens
    a connection of its own.

    A caller's mistake (an unknown image, pixels asked twice, labels out of range) raises
    `ValueError`, the file's trouble `LabelStoreError`; either leaves the file as it was.
    """

    def __init__(self, path: str | os.PathLike, *, classes: Sequence[str], read_only: bool = False):
        """Opens the file, creates it if there is none, and brings an older version's up to date.

        Args:
          path: The file, `labels.sqlite` in a run's working directory.
          classes: Names of the classes 0 to C - 1. The file keeps them.
          read_only: Refuse to write, and to create the file.

        Raises:
          LabelStoreError: If the file is missing (and `read_only`), is damaged, is no label store,
            is of another version or holds labels of other classes.
          ValueError: If `classes` is empty, too long or repeats a name (`data.base.check_classes`).
        """
        check_classes(classes)
        self._classes = tuple(classes)
        self._database = Database(
            path,
            version=_SCHEMA_VERSION,
            schema=_SCHEMA,
            metadata={"classes": json.dumps(self._classes)},
            migrations=_MIGRATIONS,
            read_only=read_only,
        )
        recorded = tuple(json.loads(self._database.metadata()["classes"]))
        if recorded != self._classes:
            self.close()
            raise LabelStoreError(
                f"label store {self.path} holds labels of {len(recorded)} classes "
                f"({_shortened(recorded)}), this run has {len(self._classes)} "
                f"({_shortened(self._classes)}); use another working directory for other classes"
            )

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes 0 to C - 1."""
        return self._classes

    @property
    def database(self) -> Database:
        """What the file is read and written through, for `labor_jax.annotation.work`."""
        return self._database

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *unused_error) -> None:
        self.close()

    def close(self) -> None:
        """Closes this process's connections, of all threads; the store can't be used any more."""
        self._database.close()

    # Writing.

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Makes the calls of this thread inside the `with` block one transaction: all or none.

        Other writers wait meanwhile, so compute queries and answers before entering it.
        """
        with self._database.transaction():
            yield

    def open_round(self, round: int, images: Sequence[str]) -> None:
        """Records which images a round asks. Doing it again is no change.

        Args:
          round: The round's number, 0 or more.
          images: Names of the images, each once. `pending` and `unasked` keep their order.

        Raises:
          ValueError: If `images` is empty, repeats a name, or is another set than was recorded.
        """
        round = _checked_round(round)
        images = [_checked_image(image) for image in images]
        if not images:
            raise ValueError(f"round {round} has no images to ask")
        if len(set(images)) < len(images):
            counts = collections.Counter(images)
            repeated = [image for image, count in counts.items() if count > 1]
            raise ValueError(f"round {round} lists images more than once: {_shortened(repeated)}")
        with self._database.transaction() as connection:
            recorded = self._round_images(connection, round)
            if not recorded:
                connection.executemany(
                    "INSERT INTO round_images (round, image, position) VALUES (?, ?, ?)",
                    [(round, image, position) for position, image in enumerate(images)],
                )
            elif set(recorded) != set(images):
                missing = sorted(set(recorded) - set(images))
                added = sorted(set(images) - set(recorded))
                raise ValueError(
                    f"round {round} was opened in {self.path} with other images: "
                    f"{len(missing)} of its {len(recorded)} are missing now "
                    f"({_shortened(missing)}) and {len(added)} are new ({_shortened(added)}). "
                    "Resume with the data it was started with, or use another working directory"
                )

    def ask(
        self,
        image: str,
        round: int,
        query: np.ndarray,
        *,
        clicks: int | None = None,
        kind: Kind = "mask",
        guess: np.ndarray | None = None,
    ) -> None:
        """Records the query of an image in a round; asking the same pixels again is no change.

        Args:
          image: Name of the image, one of the round's.
          round: The round's number; it must be open.
          query: The pixels to ask, `bool[H, W]`. One without any pixel needs no answer.
          clicks: How many clicks answer it; None for one each connected segment.
          kind: How it is shown to a person and charged, see `annotation_seconds`.
          guess: The model's labels, `integer[H, W]`: at the asked pixels 0 to C - 1, or 255 for
            none. A person may be shown them; training never sees them.

        Raises:
          ValueError: If the round isn't open or doesn't have the image, if it asked something else
            there already, if another round asked some of the pixels, if the size is not the one of
            the image's other queries, or if `kind` or `guess` can't be.
        """
        image, round, query = _checked_image(image), _checked_round(round), _checked_query(query)
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind {kind!r}; valid are {', '.join(get_args(Kind))}")
        if guess is not None:
            guess = self._asked_labels(guess, query, f"guesses of image {image!r} in round {round}")
        with self._database.transaction() as connection:
            self._check_in_round(connection, image, round)
            for other_round, height, width, blob in connection.execute(
                "SELECT round, height, width, mask FROM queries WHERE image = ? ORDER BY round",
                (image,),
            ):
                if (height, width) != query.shape:
                    raise ValueError(
                        f"query of image {image!r} in round {round} is {_size(query.shape)}, but "
                        f"round {other_round} asked it at {_size((height, width))}"
                    )
                other = self._unpacked_mask(blob, (height, width), image, other_round)
                if other_round == round:
                    if not np.array_equal(other, query):
                        raise ValueError(
                            f"round {round} asked image {image!r} already, {other.sum()} pixels, "
                            f"and not the same {query.sum()} pixels as now"
                        )
                    return
                overlap = int(np.count_nonzero(other & query))
                if overlap:
                    raise ValueError(
                        f"{overlap} of the {query.sum()} pixels that round {round} asks of image "
                        f"{image!r} were asked in round {other_round} already; a pixel is asked "
                        "once: leave out `asked(image)`"
                    )
            connection.execute(
                "INSERT INTO queries "
                "(image, round, height, width, pixels, clicks, mask, kind, guess) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    image,
                    round,
                    *query.shape,
                    int(query.sum()),
                    segments(query) if clicks is None else operator.index(clicks),
                    _packed_mask(query),
                    kind,
                    None if guess is None else zlib.compress(guess.tobytes(), 1),
                ),
            )

    def ask_many(
        self,
        round: int,
        items: Iterable[tuple[str, np.ndarray, int | None, np.ndarray | None]],
        *,
        kind: Kind = "mask",
    ) -> None:
        """Records queries in one transaction, for people to answer.

        Args:
          round: The round's number; it must be open.
          items: (image, query, clicks, guess) of each image, as `ask` takes them.
          kind: How all of them are answered.

        Raises:
          ValueError: As `ask`; then nothing of the items is stored.
        """
        items = list(items)
        with self.transaction():
            for image, query, clicks, guess in items:
                self.ask(image, round, query, clicks=clicks, kind=kind, guess=guess)

    def answer(self, image: str, round: int, labels: np.ndarray, *, replace: bool = False) -> None:
        """Records the annotator's answer to a query; the same answer again is no change.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: Classes, `integer[H, W]`: at the asked pixels 0 to C - 1, or 255 for void, which
            is charged too. What other pixels hold is neither looked at nor stored.
          replace: Allow another answer than the one recorded, as an annotator's correction.

        Raises:
          ValueError: If the round didn't ask the image, if the size or a value at an asked pixel is
            wrong, or if it is answered differently already and `replace` is false.
        """
        image, round = _checked_image(image), _checked_round(round)
        with self._database.transaction() as connection:
            query = self._query(connection, image, round)
            asked = self._asked_labels(labels, query, f"labels of image {image!r} in round {round}")
            self._record_answer(connection, image, round, asked, replace)

    def answer_asked(
        self, image: str, round: int, labels: np.ndarray, *, replace: bool = False
    ) -> None:
        """The same as `answer`, given the labels of the asked pixels alone.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: Classes, `integer[pixels]`, of the asked pixels in raster order.
          replace: Allow another answer than the one recorded.

        Raises:
          ValueError: As `answer`.
        """
        image, round, labels = _checked_image(image), _checked_round(round), np.asarray(labels)
        pixels = self._query_detail(image, round, "pixels")
        if labels.shape != (pixels,):
            raise ValueError(
                f"labels of image {image!r} in round {round} are {labels.size}; its query has "
                f"{pixels} pixels"
            )
        labels = self._checked_labels(labels, f"labels of image {image!r} in round {round}")
        with self._database.transaction() as connection:
            self._record_answer(connection, image, round, labels, replace)

    def ask_and_answer_many(
        self,
        round: int,
        items: Iterable[tuple[str, np.ndarray, np.ndarray, int | None]],
        *,
        kind: Kind = "mask",
    ) -> None:
        """Records queries with their answers in one transaction, as an oracle gives them.

        A process that is killed leaves all of these images or none, and one sync of the disk serves
        them all.

        Args:
          round: The round's number; it must be open.
          items: (image, query, labels, clicks) of each image, as `ask` and `answer` take them.
          kind: How a person would answer them.

        Raises:
          ValueError: As `ask` and `answer`; then nothing of the items is stored.
        """
        items = list(items)
        with self.transaction():
            for image, query, labels, clicks in items:
                self.ask(image, round, query, clicks=clicks, kind=kind)
                self.answer(image, round, labels)

    def merge(self, path: str | os.PathLike) -> None:
        """Takes over the rounds, queries and answers of another store, all of them or none.

        What both have stays as it is, so that merging again is no change.

        Args:
          path: The other store, of the same classes.

        Raises:
          LabelStoreError: If it is no such store, or contradicts this one.
        """
        LabelStore(path, classes=self._classes).close()  # its checks
        self._database.absorb(Path(path), ("round_images", "queries", "answers"))

    def write_copy(self, path: str | os.PathLike) -> None:
        """Writes a copy of the store, which replaces what is at `path`; for readers elsewhere."""
        self._database.write_copy(Path(path))

    # Reading.

    def rounds(self) -> list[int]:
        """The numbers of the rounds that were opened, in order."""
        rows = self._database.read("SELECT DISTINCT round FROM round_images ORDER BY round")
        return [round for (round,) in rows]

    def images(self, round: int) -> list[str]:
        """The images of a round, in the order it was opened with."""
        return self._opened_images(round)

    def unasked(self, round: int) -> list[str]:
        """The images of a round that have no query yet."""
        self._opened_images(round)
        rows = self._database.read(
            "SELECT r.image FROM round_images r LEFT JOIN queries q USING (image, round) "
            "WHERE r.round = ? AND q.image IS NULL ORDER BY r.position",
            (round,),
        )
        return [image for (image,) in rows]

    def pending(self, round: int) -> list[str]:
        """The images of a round whose query waits for an answer."""
        self._opened_images(round)
        rows = self._database.read(
            "SELECT r.image FROM round_images r JOIN queries q USING (image, round) "
            "LEFT JOIN answers a USING (image, round) "
            "WHERE r.round = ? AND q.pixels > 0 AND a.image IS NULL ORDER BY r.position",
            (round,),
        )
        return [image for (image,) in rows]

    def round_complete(self, round: int) -> bool:
        """Whether a round was opened and all its images are asked and answered."""
        if _checked_round(round) not in self.rounds():
            return False
        progress = self.statistics(round)
        return progress.answered_images == progress.images

    def query(self, image: str, round: int) -> np.ndarray:
        """The pixels that a round asks of an image, `bool[H, W]`.

        Raises:
          ValueError: If there is no such query.
        """
        return self._query(
            self._database.connection(), _checked_image(image), _checked_round(round)
        )

    def kind(self, image: str, round: int) -> Kind:
        """How a query is shown to a person and charged; "mask" in files of schema version 2.

        Raises:
          ValueError: If there is no such query.
        """
        return self._query_detail(image, round, "kind") or "mask"

    def guess(self, image: str, round: int) -> np.ndarray | None:
        """The model's labels at the pixels that a round asks of an image.

        Returns:
          The labels, `uint8[H, W]`, 255 at other pixels; None if the query came without.

        Raises:
          ValueError: If there is no such query.
        """
        blob = self._query_detail(image, round, "guess")
        if blob is None:
            return None
        query = self.query(image, round)
        labels = np.full(query.shape, IGNORE_LABEL, np.uint8)
        labels[query] = self._inflated(blob, np.count_nonzero(query), image, round)
        return labels

    def answered(self, image: str, round: int) -> bool:
        """Whether a round's query of an image is answered, or empty.

        Raises:
          ValueError: If there is no such query.
        """
        rows = self._database.read(
            "SELECT q.pixels = 0 OR a.image IS NOT NULL "
            "FROM queries q LEFT JOIN answers a USING (image, round) "
            "WHERE q.image = ? AND q.round = ?",
            (_checked_image(image), _checked_round(round)),
        )
        if not rows:
            raise self._no_query(image, round)
        return bool(rows[0][0])

    def asked(
        self, image: str, up_to_round: int | None = None, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """All pixels asked of an image.

        Args:
          image: Name of the image.
          up_to_round: The last round to take, or None for all.
          shape: The image's (H, W); needed where it may not have been asked yet.

        Returns:
          The union of its queries, `bool[H, W]`.

        Raises:
          ValueError: If `shape` is not the size of its queries, or None and there is none.
        """
        rows = self._asked_rows(image, up_to_round)
        asked = np.zeros(self._image_shape(image, rows, shape), bool)
        for round, height, width, mask, _ in rows:
            asked |= self._unpacked_mask(mask, (height, width), image, round)
        return asked

    def labels(
        self, image: str, up_to_round: int | None = None, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """All labels of an image that were answered, ready for training.

        Args:
          image: Name of the image.
          up_to_round: The last round to take, or None for all.
          shape: The image's (H, W); needed where it may not have been asked yet.

        Returns:
          The labels, `uint8[H, W]`; 255 where a pixel is not asked, not answered yet, or void.

        Raises:
          ValueError: If `shape` is not the size of its queries, or None and there is none.
        """
        rows = self._asked_rows(image, up_to_round)
        labels = np.full(self._image_shape(image, rows, shape), IGNORE_LABEL, np.uint8)
        for round, height, width, mask, answer in rows:
            if answer is not None:
                query = self._unpacked_mask(mask, (height, width), image, round)
                count = np.count_nonzero(query)
                labels[query] = self._inflated(answer, count, image, round)
        return labels

    def answer_of(self, image: str, round: int) -> np.ndarray:
        """The answer to one round's query: the labels of the asked pixels in raster order.

        Returns:
          The labels, `uint8[pixels]`, 255 where void.

        Raises:
          ValueError: If there is no such query, or no answer to it yet.
        """
        pixels = self._query_detail(image, round, "pixels")
        rows = self._database.read(
            "SELECT labels FROM answers WHERE image = ? AND round = ?", (image, round)
        )
        if pixels and not rows:
            raise ValueError(f"image {image!r} is not answered yet in round {round}")
        return self._inflated(rows[0][0], pixels, image, round) if pixels else np.empty(0, np.uint8)

    def statistics(self, round: int) -> RoundStatistics:
        """Progress of a round and the pixels asked up to its end.

        Raises:
          ValueError: If the round isn't open.
        """
        images = self._opened_images(round)
        # One statement, so that another process can't write between its numbers.
        (row,) = self._database.read(
            """SELECT
                COUNT(*) FILTER (WHERE q.round = :round),
                COUNT(*) FILTER (WHERE q.round = :round AND (q.pixels = 0 OR a.round NOT NULL)),
                IFNULL(SUM(q.pixels) FILTER (WHERE q.round = :round), 0),
                IFNULL(SUM(a.void_pixels) FILTER (WHERE q.round = :round), 0),
                IFNULL(SUM(q.pixels), 0),
                (SELECT IFNULL(SUM(height * width), 0) FROM (
                    SELECT DISTINCT image, height, width FROM queries WHERE round <= :round)),
                COUNT(DISTINCT q.image)
            FROM queries q LEFT JOIN answers a USING (image, round) WHERE q.round <= :round""",
            {"round": round},
        )
        return RoundStatistics(round, len(images), *row)

    def query_sizes(self, round: int) -> list[tuple[int, float]]:
        """Clicks, and share of the image, of each query of a round.

        Raises:
          ValueError: If the round isn't open.
        """
        self._opened_images(round)
        return self._database.read(
            "SELECT clicks, pixels * 1.0 / (height * width) FROM queries WHERE round = ? "
            "ORDER BY image",
            (round,),
        )

    def measured_seconds(self, round: int) -> dict[str, float]:
        """The time that people worked on each image of a round, of all opinions together.

        Images that nobody worked on in the labelling tool, such as an oracle's, are left out.

        Raises:
          ValueError: If the round isn't open.
        """
        self._opened_images(round)
        if self._database.version < 3:  # opened for reading only
            return {}
        return dict(
            self._database.read(
                "SELECT image, SUM(seconds) FROM items WHERE round = ? GROUP BY image "
                "HAVING SUM(seconds) > 0",
                (round,),
            )
        )

    def class_counts(self, round: int) -> np.ndarray:
        """How many pixels of each class a round's answers hold, `int64[C]`; void ones left out.

        Raises:
          ValueError: If the round isn't open.
        """
        self._opened_images(round)
        counts = np.zeros(256, np.int64)
        for image, pixels, labels in self._database.read(
            "SELECT q.image, q.pixels, a.labels FROM queries q JOIN answers a USING (image, round) "
            "WHERE q.round = ?",
            (round,),
        ):
            labels = self._inflated(labels, pixels, image, round)
            counts += np.bincount(labels, minlength=256)
        return counts[: len(self._classes)]

    def digest(self, up_to_round: int | None = None) -> str:
        """SHA-256 of all queries and answers: equal for two runs iff these are.

        It doesn't depend on the order in which they were recorded.
        """
        digest = hashlib.sha256()
        with self._database.explaining_errors():
            for image, round, height, width, mask, labels in self._database.connection().execute(
                "SELECT image, round, height, width, mask, labels "
                "FROM queries LEFT JOIN answers USING (image, round) "
                "WHERE round <= ? ORDER BY round, image",
                (_last_round(up_to_round),),
            ):
                query = self._unpacked_mask(mask, (height, width), image, round)
                name = image.encode()
                # Lengths first, so that no two contents are the same bytes.
                digest.update(struct.pack("<qqqq", round, height, width, len(name)))
                digest.update(name + np.packbits(query).tobytes())
                digest.update(b"\0" if labels is None else b"\1")
                if labels is not None:
                    count = np.count_nonzero(query)
                    digest.update(self._inflated(labels, count, image, round).tobytes())
        return digest.hexdigest()

    # What the rows hold.

    def _round_images(self, connection: sqlite3.Connection, round: int) -> list[str]:
        rows = connection.execute(
            "SELECT image FROM round_images WHERE round = ? ORDER BY position", (round,)
        )
        return [image for (image,) in rows]

    def _opened_images(self, round: int) -> list[str]:
        round = _checked_round(round)
        with self._database.explaining_errors():
            images = self._round_images(self._database.connection(), round)
        if not images:
            raise self._not_open(round)
        return images

    def _check_in_round(self, connection: sqlite3.Connection, image: str, round: int) -> None:
        found = connection.execute(
            "SELECT 1 FROM round_images WHERE round = ? AND image = ?", (round, image)
        ).fetchone()
        if not found:
            images = self._round_images(connection, round)
            if not images:
                raise self._not_open(round)
            raise ValueError(
                f"image {image!r} is not one of the {len(images)} images of round {round} "
                f"({_shortened(images)})"
            )

    def _not_open(self, round: int) -> ValueError:
        return ValueError(
            f"round {round} is not open in {self.path} (open: {self.rounds() or 'none'}); call "
            "open_round first"
        )

    def _no_query(self, image: str, round: int) -> ValueError:
        return ValueError(f"round {round} has not asked image {image!r} in {self.path}")

    def _query(self, connection: sqlite3.Connection, image: str, round: int) -> np.ndarray:
        with self._database.explaining_errors():
            row = connection.execute(
                "SELECT height, width, mask FROM queries WHERE image = ? AND round = ?",
                (image, round),
            ).fetchone()
        if row is None:
            raise self._no_query(image, round)
        height, width, mask = row
        return self._unpacked_mask(mask, (height, width), image, round)

    def _query_detail(self, image: str, round: int, column: str) -> str | bytes | int | None:
        if self._database.version < 3 and column in ("kind", "guess"):  # opened for reading only
            column = "NULL"
        rows = self._database.read(
            f"SELECT {column} FROM queries WHERE image = ? AND round = ?",
            (_checked_image(image), _checked_round(round)),
        )
        if not rows:
            raise self._no_query(image, round)
        return rows[0][0]

    def _record_answer(
        self,
        connection: sqlite3.Connection,
        image: str,
        round: int,
        asked: np.ndarray,
        replace: bool,
    ) -> None:
        """Stores the checked labels of the asked pixels, `uint8[pixels]`."""
        if not asked.size:
            return
        recorded = connection.execute(
            "SELECT labels FROM answers WHERE image = ? AND round = ?", (image, round)
        ).fetchone()
        if recorded and not replace:
            before = self._inflated(recorded[0], asked.size, image, round)
            if not np.array_equal(before, asked):
                raise ValueError(
                    f"image {image!r} was answered in round {round} already, and "
                    f"{np.count_nonzero(before != asked)} of its {asked.size} labels differ; "
                    "pass replace=True to correct them"
                )
            return
        connection.execute(
            "INSERT OR REPLACE INTO answers (image, round, void_pixels, labels) "
            "VALUES (?, ?, ?, ?)",
            (
                image,
                round,
                int(np.count_nonzero(asked == IGNORE_LABEL)),
                zlib.compress(asked.tobytes(), 1),
            ),
        )

    def _asked_labels(self, labels: np.ndarray, query: np.ndarray, what: str) -> np.ndarray:
        """The labels of asked pixels in raster order, `uint8[pixels]`, checked."""
        labels = np.asarray(labels)
        if labels.shape != query.shape:
            raise ValueError(f"{what} are {_size(labels.shape)}; its query is {_size(query.shape)}")
        return self._checked_labels(labels[query], what)

    def _checked_labels(self, asked: np.ndarray, what: str) -> np.ndarray:
        if not np.issubdtype(asked.dtype, np.integer):
            raise ValueError(f"{what} have dtype {asked.dtype}, not integer")
        is_class = (asked >= 0) & (asked < len(self._classes))
        wrong = np.unique(asked[~is_class & (asked != IGNORE_LABEL)])
        if wrong.size:
            raise ValueError(
                f"{what} hold {_shortened(wrong.tolist())} at asked pixels; allowed are the "
                f"classes 0 to {len(self._classes) - 1} and {IGNORE_LABEL} (void)"
            )
        return asked.astype(np.uint8)

    def _asked_rows(self, image: str, up_to_round: int | None) -> list[tuple]:
        return self._database.read(
            "SELECT q.round, q.height, q.width, q.mask, a.labels "
            "FROM queries q LEFT JOIN answers a USING (image, round) "
            "WHERE q.image = ? AND q.round <= ?",
            (_checked_image(image), _last_round(up_to_round)),
        )

    def _image_shape(
        self, image: str, rows: list[tuple], shape: tuple[int, int] | None
    ) -> tuple[int, int]:
        recorded = rows[0][1:3] if rows else None
        if shape is None and recorded is None:
            raise ValueError(
                f"image {image!r} has no query in {self.path}, so that its size is unknown: pass "
                "its shape"
            )
        if shape is not None and recorded is not None and tuple(shape) != recorded:
            raise ValueError(
                f"image {image!r} was asked at {_size(recorded)} and not at {_size(shape)}"
            )
        return tuple(shape) if recorded is None else recorded

    def _unpacked_mask(
        self, blob: bytes, shape: tuple[int, int], image: str, round: int
    ) -> np.ndarray:
        pixels = shape[0] * shape[1]
        packed = self._inflated(blob, -(-pixels // 8), image, round)
        return np.unpackbits(packed, count=pixels).view(bool).reshape(shape)

    def _inflated(self, blob: bytes, size: int, image: str, round: int) -> np.ndarray:
        try:
            content = zlib.decompress(blob)
        except (zlib.error, TypeError) as error:
            raise self._damaged(image, round, str(error)) from error
        if len(content) != size:
            raise self._damaged(image, round, f"{len(content)} bytes instead of {size}")
        return np.frombuffer(content, np.uint8)

    def _damaged(self, image: str, round: int, what: str) -> LabelStoreError:
        return LabelStoreError(
            f"label store {self.path} is damaged at image {image!r}, round {round}: {what}; "
            "restore it from a copy (with its -wal file)"
        )


def _packed_mask(mask: np.ndarray) -> bytes:
    # Level 1: masks are nearly empty, and higher levels take longer to save little.
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _checked_image(image: str) -> str:
    if not isinstance(image, str) or not image:
        raise ValueError(f"an image's name is a string that isn't empty, not {image!r}")
    return image


def _checked_round(round: int) -> int:
    round = operator.index(round)
    if round < 0:
        raise ValueError(f"rounds are numbered from 0, not {round}")
    return round


def _last_round(up_to_round: int | None) -> int:
    return _EVERY_ROUND if up_to_round is None else operator.index(up_to_round)


def _checked_query(query: np.ndarray) -> np.ndarray:
    query = np.asarray(query)
    if query.dtype != bool or query.ndim != 2 or not query.size:
        raise ValueError(f"a query is bool[H, W], not {query.dtype} of shape {query.shape}")
    return query


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def _shortened(values: Sequence, limit: int = 8) -> str:
    text = ", ".join(map(str, values[:limit])) or "none"
    return text if len(values) <= limit else f"{text}, and {len(values) - limit} more"
