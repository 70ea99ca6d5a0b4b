"""What a label store's file holds: rounds, queries, answers, and what follows from them."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from labor_jax.annotation.cost import Kind
from labor_jax.annotation.label_store import asked_pixels, existing, schema, statistics
from labor_jax.annotation.label_store.answers import Answers
from labor_jax.annotation.label_store.asked_pixels import AskedPixels
from labor_jax.annotation.label_store.blobs import BlobReader
from labor_jax.annotation.label_store.checks import checked_round, shortened, size
from labor_jax.annotation.label_store.database import Database, LabelStoreError
from labor_jax.annotation.label_store.existing import ExistingLabels
from labor_jax.annotation.label_store.queries import AskedRow, Queries
from labor_jax.annotation.label_store.statistics import AskedImage, RoundStatistics
from labor_jax.data import label_sets
from labor_jax.data.base import IGNORE_LABEL, check_classes


def asks_anything(path: Path) -> bool:
    """Whether a label store has a round of questions; also where it is damaged, so perhaps."""
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        database = Database(
            path, version=schema.VERSION, schema=schema.TABLES, metadata={}, read_only=True
        )
    except LabelStoreError:
        return True
    with contextlib.closing(database):
        return any(round != existing.EXISTING_ROUND for round in Queries(database).rounds())


class LabelReader:
    """Reads a label store's file; `LabelStore`, which writes too, says how it may be shared."""

    def __init__(self, path: str | os.PathLike, *, classes: Sequence[str], read_only: bool = False):
        """Opens the file. Creates it if it is missing, and updates it if its version is older.

        Args:
          path: The file, `labels.sqlite` in a run's working directory.
          classes: Names of the classes 0 to C - 1. The file keeps them.
          read_only: Refuse to write, and to create the file.

        Raises:
          LabelStoreError: If the file is missing (and `read_only`), is damaged, is not a label
            store, is of another version or holds labels of other classes.
          ValueError: If `classes` is empty, too long or repeats a name (`data.base.check_classes`).
        """
        check_classes(classes)
        self._classes = tuple(classes)
        self._database = Database(
            path,
            version=schema.VERSION,
            schema=schema.TABLES,
            metadata={"classes": json.dumps(self._classes), "run": uuid.uuid4().hex},
            migrations=schema.MIGRATIONS,
            read_only=read_only,
        )
        self._queries = Queries(self._database)
        self._answers = Answers(self._database, self._queries)
        self._blobs = BlobReader(self._database.path)
        recorded = tuple(json.loads(self._database.metadata()["classes"]))
        if recorded != self._classes:
            self.close()
            raise LabelStoreError(
                f"label store {self.path} holds labels of {len(recorded)} classes "
                f"({shortened(recorded)}), this run has {len(self._classes)} "
                f"({shortened(self._classes)}); use another working directory for other classes"
            )

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def run(self) -> str:
        """The file's identity: random, given when it was made, and kept by its copies."""
        return self._database.metadata().get("run", "")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes 0 to C - 1."""
        return self._classes

    @property
    def database(self) -> Database:
        """Reads and writes the file, for `labor_jax.annotation.labelling_tool`."""
        return self._database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused_error) -> None:
        self.close()

    def close(self) -> None:
        """Closes this process's connections, of all threads; the store can't be used afterwards."""
        self._database.close()

    # Rounds.

    def rounds(self) -> list[int]:
        """The numbers of the rounds that were opened, ascending, without existing labels' 0."""
        return [round for round in self._queries.rounds() if round != existing.EXISTING_ROUND]

    def existing_images(self) -> list[str]:
        """The images that had labels before the first round."""
        opened = existing.EXISTING_ROUND in self._queries.rounds()
        return self._queries.images(existing.EXISTING_ROUND) if opened else []

    def existing(self) -> ExistingLabels:
        """How many labels existed before the first round, see `add_existing`."""
        return existing.count(self._database)

    def images(self, round: int) -> list[str]:
        """The images of a round, in the order it was opened with."""
        return self._queries.images(round)

    def unasked(self, round: int) -> list[str]:
        """The images of a round that have no query yet."""
        return self._queries.unasked(round)

    def pending(self, round: int) -> list[str]:
        """The images of a round whose query has no answer yet."""
        return self._queries.pending(round)

    def round_complete(self, round: int) -> bool:
        """Whether a round was opened and all its images are asked and answered."""
        if checked_round(round) not in self.rounds():
            return False
        progress = self.statistics(round)
        return progress.answered_images == progress.images

    def statistics(self, round: int) -> RoundStatistics:
        """Progress of a round and the pixels asked up to its end.

        Raises:
          ValueError: If the round isn't open.
        """
        return statistics.round_statistics(self._database, round, len(self.images(round)))

    def asked_images(self, round: int) -> list[AskedImage]:
        """The images in which a round asked anything, by name; round 0 are existing labels.

        Raises:
          ValueError: If the round isn't open.
        """
        self.images(round)
        return statistics.asked_images(self._database, round)

    def measured_seconds(self, round: int, *, opinion: int = 1) -> dict[str, float]:
        """The time that people worked on each image of a round, in seconds.

        Images that nobody worked on in the labelling tool, such as an oracle's, are left out.

        Args:
          round: The round's number.
          opinion: 1 for the answers, 2 for the second opinions.

        Raises:
          ValueError: If the round isn't open.
        """
        self.images(round)
        return statistics.measured_seconds(self._database, round, opinion)

    def timed_images(self, round: int) -> set[str]:
        """The images whose `measured_seconds` tell how long it took to answer them.

        Left out are those whose answers came from a file without times, also if they were corrected
        in the labelling tool.

        Raises:
          ValueError: If the round isn't open.
        """
        self.images(round)
        return statistics.timed_images(self._database, round)

    def asked_pixels(self) -> Iterator[AskedPixels]:
        """All queries of all rounds with their answers, but for existing labels.

        An image's come one after the other, ascending by round.
        """
        return asked_pixels.read(self._database, len(self._classes))

    def digest(self, up_to_round: int | None = None) -> str:
        """SHA-256 of all queries and answers: equal for two runs iff these are equal.

        It doesn't depend on the order in which they were recorded.
        """
        return statistics.digest(self._database, up_to_round)

    def rounds_of(self, image: str) -> list[int]:
        """The rounds that have a query of an image, ascending, without existing labels' 0."""
        return [each for each in self._queries.rounds_of(image) if each != existing.EXISTING_ROUND]

    # One query.

    def query(self, image: str, round: int) -> np.ndarray:
        """The pixels that a round asks of an image, `bool[H, W]`.

        Raises:
          ValueError: If there is no such query.
        """
        return self._queries.mask(image, round)

    def kind(self, image: str, round: int) -> Kind:
        """How a query is shown to a person and charged; "mask" in files of schema version 2.

        Raises:
          ValueError: If there is no such query.
        """
        return self._queries.kind(image, round)

    def clicks(self, image: str, round: int) -> int:
        """How many points, regions or connected segments a round asks of an image.

        Raises:
          ValueError: If there is no such query.
        """
        return self._queries.clicks(image, round)

    def guess(self, image: str, round: int) -> np.ndarray | None:
        """The model's labels at the pixels that a round asks of an image.

        Returns:
          The labels, `uint8[H, W]`, 255 at other pixels; None if the query has no guess.

        Raises:
          ValueError: If there is no such query.
        """
        blob = self._queries.guess(image, round)
        if blob is None:
            return None
        query = self._queries.mask(image, round)
        labels = np.full(query.shape, IGNORE_LABEL, np.uint8)
        labels[query] = self._blobs.labels(blob, np.count_nonzero(query), image, round)
        return labels

    def parts(self, image: str, round: int) -> np.ndarray | None:
        """Which part of its query each pixel that a round asks of an image is of.

        Returns:
          `int64[H, W]`, -1 at other pixels; None if the query was stored without parts.

        Raises:
          ValueError: If there is no such query.
        """
        numbers = self._part_numbers(image, round)
        if numbers is None:
            return None
        query = self._queries.mask(image, round)
        parts = np.full(query.shape, -1, np.int64)
        parts[query] = numbers
        return parts

    def _part_numbers(self, image: str, round: int) -> np.ndarray | None:
        blob = self._queries.parts(image, round)
        if blob is None:
            return None
        return self._blobs.parts(blob, self._queries.pixels(image, round), image, round)

    def candidates(self, image: str, round: int) -> np.ndarray | None:
        """The classes of each part of a query whose kind is "classes".

        Returns:
          `bool[parts, C]`; None for other kinds, and before the answer.

        Raises:
          ValueError: If there is no such query.
        """
        numbers, blob = self._part_numbers(image, round), self._answers.candidates(image, round)
        if numbers is None or blob is None:
            return None
        shape = (int(numbers.max()) + 1, len(self._classes))
        return self._blobs.candidates(blob, shape, image, round)

    def answered(self, image: str, round: int) -> bool:
        """Whether a round's query of an image is answered, or empty.

        Raises:
          ValueError: If there is no such query.
        """
        return self._answers.exists(image, round)

    def answer_of(self, image: str, round: int) -> np.ndarray:
        """The answer to one round's query: the labels of the asked pixels in raster order.

        Returns:
          The labels, `uint8[pixels]`, 255 where void.

        Raises:
          ValueError: If there is no such query, or no answer to it yet.
        """
        return self._answers.labels(image, round)

    # All rounds of an image.

    def asked(
        self, image: str, up_to_round: int | None = None, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """All pixels asked of an image.

        Args:
          image: Name of the image.
          up_to_round: The last round to include, or None for all.
          shape: The image's (H, W); needed if it may not have been asked yet.

        Returns:
          The union of its queries, `bool[H, W]`.

        Raises:
          ValueError: If `shape` differs from the size of its queries, or is None and there is none.
        """
        rows = self._queries.of_image(image, up_to_round)
        asked = np.zeros(self._image_shape(image, rows, shape), bool)
        for row in rows:
            asked |= self._mask(image, row)
        return asked

    def labels(
        self, image: str, up_to_round: int | None = None, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """All answered labels of an image, ready for training.

        Args:
          image: Name of the image.
          up_to_round: The last round to include, or None for all.
          shape: The image's (H, W); needed if it may not have been asked yet.

        Returns:
          The labels, `uint8[H, W]`; 255 where a pixel is not asked, not answered yet, or void.

        Raises:
          ValueError: If `shape` differs from the size of its queries, or is None and there is none.
        """
        rows = self._queries.of_image(image, up_to_round)
        labels = np.full(self._image_shape(image, rows, shape), IGNORE_LABEL, np.uint8)
        for row in rows:
            self._fill_in(labels, image, row)
        return labels

    def label_sets(
        self, image: str, up_to_round: int | None = None, shape: tuple[int, int] | None = None
    ) -> np.ndarray:
        """As `labels`, with the sets of classes of parts that hold several, and void told apart.

        Args:
          image: Name of the image.
          up_to_round: The last round to include, or None for all.
          shape: The image's (H, W); needed if it may not have been asked yet.

        Returns:
          The labels, `int32[H, W]`, see `labor_jax.data.label_sets`; 255 where a pixel is not asked
          or not answered yet.

        Raises:
          ValueError: As `labels`.
        """
        rows = self._queries.of_image(image, up_to_round)
        labels = np.full(self._image_shape(image, rows, shape), IGNORE_LABEL, np.int32)
        count = 0  # of parts with sets
        for row in rows:
            query = self._fill_in(labels, image, row)
            if row.labels is not None:
                labels[query & (labels == IGNORE_LABEL)] = label_sets.VOID
            if row.candidates is not None:
                numbers = self._blobs.parts(row.parts, np.count_nonzero(query), image, row.round)
                held = (int(numbers.max()) + 1, len(self._classes))
                candidates = self._blobs.candidates(row.candidates, held, image, row.round)
                labels[query] = label_sets.coded(labels[query], candidates, numbers, count)
                count += np.count_nonzero(label_sets.has_several(candidates))
        return labels

    def _fill_in(self, labels: np.ndarray, image: str, row: AskedRow) -> np.ndarray:
        """Writes a query's answer, if there is one, into a label map; returns the query."""
        query = self._mask(image, row)
        if row.labels is not None:
            count = np.count_nonzero(query)
            labels[query] = self._blobs.labels(row.labels, count, image, row.round)
        return query

    def _mask(self, image: str, row: AskedRow) -> np.ndarray:
        return self._blobs.mask(row.mask, (row.height, row.width), image, row.round)

    def _image_shape(
        self, image: str, rows: list[AskedRow], shape: tuple[int, int] | None
    ) -> tuple[int, int]:
        recorded = (rows[0].height, rows[0].width) if rows else None
        if shape is None and recorded is None:
            raise ValueError(
                f"image {image!r} has no query in {self.path}, so its size is unknown: pass its "
                "shape"
            )
        if shape is not None and recorded is not None and tuple(shape) != recorded:
            raise ValueError(
                f"image {image!r} was asked at {size(recorded)} and not at {size(shape)}"
            )
        return tuple(shape) if recorded is None else recorded
