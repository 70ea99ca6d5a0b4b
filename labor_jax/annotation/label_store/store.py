"""The label store: every query and every answer of a run, in one SQLite file.

Target labels reach training only through it. Queries (what was asked) and answers (what the
annotator said) are separate rows. So one process may select while the labelling tool collects the
answers in another, or the same process may do both, days apart. The file also holds how people
arrive at their answers: see `labor_jax.annotation.labelling_tool`.

An acknowledged answer is never lost: each call is one transaction, which has reached the disk when
the call returns. While the file is open, or after its process was killed, `labels.sqlite-wal`
beside it belongs to it: copy both.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from labor_jax.annotation.cost import KINDS_OF_PARTS, Kind
from labor_jax.annotation.label_store import existing
from labor_jax.annotation.label_store.checks import (
    checked_image,
    checked_labels,
    checked_query,
    checked_round,
    labels_at_query,
    parts_at_query,
)
from labor_jax.annotation.label_store.existing import PreparedLabels, Recorded
from labor_jax.annotation.label_store.questions import AnsweredQuestion, Question
from labor_jax.annotation.label_store.reader import LabelReader
from labor_jax.data.base import IGNORE_LABEL


class LabelStore(LabelReader):
    """Queries and answers of all images and rounds, in one file.

    Any number of threads and processes may use one file at a time: readers never wait, writers wait
    for each other. A store can be pickled and used after a fork; each thread of each process opens
    a connection of its own.

    A caller's mistake (an unknown image, pixels asked twice, labels out of range) raises
    `ValueError`; a problem with the file raises `LabelStoreError`. Both leave the file unchanged.
    """

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Makes this thread's calls inside the `with` block one transaction: all or nothing.

        Other writers wait meanwhile, so compute queries and answers before entering it.
        """
        with self._database.transaction():
            yield

    def open_round(self, round: int, images: Sequence[str]) -> None:
        """Records which images a round asks; doing it again has no effect.

        Args:
          round: The round's number, 0 or more.
          images: Names of the images, each once. `pending` and `unasked` keep their order.

        Raises:
          ValueError: If `images` is empty, repeats a name, or differs from the recorded set.
        """
        self._queries.open_round(round, images)

    def ask(
        self,
        image: str,
        round: int,
        query: np.ndarray,
        *,
        clicks: int | None = None,
        kind: Kind = "mask",
        guess: np.ndarray | None = None,
        parts: np.ndarray | None = None,
    ) -> None:
        """Records the query of an image in a round; asking the same pixels again has no effect.

        Args:
          image: Name of the image, one of the round's.
          round: The round's number; it must be open.
          query: The pixels to ask, `bool[H, W]`. An empty query needs no answer.
          clicks: How many clicks answer it; None for one per connected segment.
          kind: How it is shown to a person and charged, see `cost.Kind`.
          guess: The model's labels, `integer[H, W]`: at the asked pixels 0 to C - 1, or 255 for
            none. People may be shown them; training never sees them. "corrections" need them.
          parts: Which part of the query each asked pixel is of, `integer[H, W]`, there
            from 0. "superpixels", "classes" and "corrections" need them.

        Raises:
          ValueError: If the round isn't open or doesn't have the image, if it already asked other
            pixels of it, if another round asked some of the pixels, if the size differs from that
            of the image's other queries, or if `kind`, `guess` or `parts` is invalid or missing.
        """
        image, round, query = checked_image(image), checked_round(round), checked_query(query)
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind {kind!r}; valid are {', '.join(get_args(Kind))}")
        if guess is not None:
            what = f"guesses of image {image!r} in round {round}"
            guess = labels_at_query(guess, query, len(self._classes), what)
        elif kind == "corrections":
            raise ValueError(f"image {image!r}, round {round}: corrections need guesses")
        if parts is not None:
            parts = parts_at_query(parts, query, f"parts of image {image!r} in round {round}")
        elif kind in KINDS_OF_PARTS:
            raise ValueError(f"image {image!r}, round {round}: {kind} need the query's parts")
        self._queries.add(image, round, query, clicks=clicks, kind=kind, guess=guess, parts=parts)

    def ask_many(
        self,
        round: int,
        items: Iterable[tuple],
        *,
        kind: Kind = "mask",
    ) -> None:
        """Records queries in one transaction, for people to answer.

        Args:
          round: The round's number; it must be open.
          items: The fields of a `Question` for each image.
          kind: How all of them are answered.

        Raises:
          ValueError: As `ask`; then none of them is stored.
        """
        items = list(items)
        with self.transaction():
            for item in items:
                self._ask(round, Question(*item), kind)

    def _ask(self, round: int, asked: Question | AnsweredQuestion, kind: Kind) -> None:
        self.ask(
            asked.image,
            round,
            asked.query,
            clicks=asked.clicks,
            kind=kind,
            guess=asked.guess,
            parts=asked.parts,
        )

    def answer(
        self,
        image: str,
        round: int,
        labels: np.ndarray,
        *,
        candidates: np.ndarray | None = None,
        replace: bool = False,
    ) -> None:
        """Records the annotator's answer to a query; the same answer again has no effect.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: Classes, `integer[H, W]`: at the asked pixels 0 to C - 1, or 255 for void, which
            is charged too. Values at other pixels are ignored.
          candidates: Of "classes": whether each part holds each class, `bool[parts, C]`, by the
            order of the parts' numbers. The labels of a part of several classes are 255.
          replace: Overwrite a different answer, as an annotator's correction.

        Raises:
          ValueError: If the round didn't ask the image, if the size or a value at an asked pixel is
            wrong, if `candidates` are missing or have another shape, or if there is a different
            answer and `replace` is false.
        """
        image, round = checked_image(image), checked_round(round)
        with self._database.transaction() as connection:
            query = self._queries.mask(image, round)
            what = f"labels of image {image!r} in round {round}"
            asked = labels_at_query(labels, query, len(self._classes), what)
            self._record(connection, image, round, asked, candidates, replace)

    def _record(
        self,
        connection: sqlite3.Connection,
        image: str,
        round: int,
        labels: np.ndarray,
        candidates: np.ndarray | None,
        replace: bool,
    ) -> None:
        """Records checked labels of the asked pixels, after checking the candidates."""
        expected = None
        if labels.size and self._queries.kind(image, round) == "classes":
            expected = (int(self._part_numbers(image, round).max()) + 1, len(self._classes))
        if candidates is not None:
            candidates = np.asarray(candidates)
        found = None if candidates is None else candidates.shape
        if labels.size and (found != expected or (found and candidates.dtype != bool)):
            raise ValueError(
                f"the classes of the parts of image {image!r} in round {round} are "
                f"{'missing' if found is None else f'{candidates.dtype}{list(found)}'}; "
                f"its query needs {'none' if expected is None else f'bool{list(expected)}'}"
            )
        self._answers.record(
            connection, image, round, labels, candidates=candidates, replace=replace
        )

    def answer_asked(
        self,
        image: str,
        round: int,
        labels: np.ndarray,
        *,
        candidates: np.ndarray | None = None,
        replace: bool = False,
    ) -> None:
        """Does the same as `answer`, given the labels of the asked pixels alone.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: Classes, `integer[pixels]`, of the asked pixels in raster order.
          candidates: See `answer`.
          replace: Overwrite a different answer.

        Raises:
          ValueError: As `answer`.
        """
        image, round, labels = checked_image(image), checked_round(round), np.asarray(labels)
        what = f"labels of image {image!r} in round {round}"
        pixels = self._queries.pixels(image, round)
        if labels.shape != (pixels,):
            raise ValueError(f"{what} are {labels.size}; its query has {pixels} pixels")
        labels = checked_labels(labels, len(self._classes), what)
        with self._database.transaction() as connection:
            self._record(connection, image, round, labels, candidates, replace)

    def ask_and_answer_many(
        self,
        round: int,
        items: Iterable[tuple],
        *,
        kind: Kind = "mask",
    ) -> None:
        """Records queries with their answers in one transaction, as an oracle gives them.

        A killed process leaves all of these images or none. The disk is synced once for all.

        Args:
          round: The round's number; it must be open.
          items: The fields of an `AnsweredQuestion` for each image.
          kind: How a person would answer them.

        Raises:
          ValueError: As `ask` and `answer`; then none of them is stored.
        """
        items = list(items)
        with self.transaction():
            for item in items:
                answered = AnsweredQuestion(*item)
                self._ask(round, answered, kind)
                self.answer(answered.image, round, answered.labels, candidates=answered.candidates)

    def add_existing(
        self, image: str, labels: np.ndarray, known: np.ndarray, *, replace: bool = False
    ) -> Recorded:
        """Stores labels that an image had before any round asked it, as round 0.

        They train like answers, no round asks their pixels, and `statistics` doesn't count them.
        Pixels that a round asks already are left out: they belong to its question.

        Args:
          image: Name of the image.
          labels: Classes, `integer[H, W]`: at the known pixels 0 to C - 1, or 255 for void.
          known: The pixels that have a label, `bool[H, W]`.
          replace: Overwrite other labels that were stored before.

        Returns:
          What was stored. The same labels again have no effect.

        Raises:
          OtherLabelsError: If other labels are stored and `replace` is false.
          ValueError: If the size differs from that of the image's queries, or if a value at a known
            pixel is wrong.
        """
        with self._database.transaction():
            prepared = self.prepare_existing(image, labels, known, replace=replace)
            self.add_prepared(prepared)
        return prepared.recorded

    def prepare_existing(
        self, image: str, labels: np.ndarray, known: np.ndarray, *, replace: bool = False
    ) -> PreparedLabels:
        """Checks and packs existing labels, for `add_prepared`; stores nothing.

        Of many images this takes long, which a transaction must not.

        Args:
          image: See `add_existing`, as the following.
          labels: Classes, `integer[H, W]`.
          known: The pixels that have a label, `bool[H, W]`.
          replace: Overwrite other labels that were stored before.

        Raises:
          OtherLabelsError: As `add_existing`.
          ValueError: As `add_existing`.
        """
        image, known = checked_image(image), checked_query(known)
        what = f"existing labels of image {image!r}"
        checked = np.full(known.shape, IGNORE_LABEL, np.uint8)
        checked[known] = labels_at_query(labels, known, len(self._classes), what)
        rows = self._queries.of_image(image, None)
        self._image_shape(image, rows, known.shape)
        return existing.prepare(rows, self._blobs, image, checked, known, replace=replace)

    def add_prepared(self, prepared: PreparedLabels) -> None:
        """Stores existing labels as `add_existing` does.

        Args:
          prepared: What `prepare_existing` returned.

        Raises:
          ChangedMeanwhileError: If the image's queries or existing labels changed since.
        """
        with self._database.transaction() as connection:
            existing.store(connection, self._queries, self._answers, prepared)

    def merge(self, path: str | os.PathLike) -> None:
        """Copies the rounds, queries and answers of another store: all of them or none.

        Rows that both stores have stay as they are, so merging again has no effect.

        Args:
          path: The other store, of the same classes.

        Raises:
          LabelStoreError: If it is no such store, or contradicts this one.
        """
        LabelStore(path, classes=self._classes).close()  # its checks
        self._database.absorb(Path(path), ("round_images", "queries", "answers"))

    def write_copy(self, path: str | os.PathLike) -> None:
        """Writes a copy of the store for readers elsewhere; it replaces the file at `path`."""
        self._database.write_copy(Path(path))
