"""Labels that existed before a run asked anything: round 0 of the label store.

They train like answers and their pixels are never asked, but no statistic counts them: they cost
nothing.
"""

import sqlite3
from typing import NamedTuple

import numpy as np

from labor_jax.annotation.label_store.answers import Answers
from labor_jax.annotation.label_store.database import Database
from labor_jax.annotation.label_store.queries import Queries
from labor_jax.data.base import IGNORE_LABEL

EXISTING_ROUND = 0
"""The number under which they are stored. Rounds that ask are numbered from 1."""


class OtherLabelsError(ValueError):
    """An image has other existing labels already.

    Attributes:
      pixels: How many pixels differ.
    """

    def __init__(self, image: str, pixels: int):
        super().__init__(
            f"image {image!r} has other existing labels already, at {pixels} pixels; pass "
            "replace=True to correct them"
        )
        self.pixels = pixels


class Recorded(NamedTuple):
    """The effect of storing an image's existing labels.

    Attributes:
      changed: Whether they were new.
      pixels: How many pixels are stored.
      asked: How many pixels were left out, because a round asks them.
    """

    changed: bool
    pixels: int
    asked: int


class ExistingLabels(NamedTuple):
    """How many labels existed.

    Attributes:
      images: The number of images that have some.
      pixels: The number of their labelled pixels, without void ones.
    """

    images: int
    pixels: int


def record(
    connection: sqlite3.Connection,
    queries: Queries,
    answers: Answers,
    image: str,
    labels: np.ndarray,
    known: np.ndarray,
    *,
    replace: bool,
) -> Recorded:
    """Stores an image's existing labels; see `LabelStore.add_existing`.

    Args:
      connection: The connection of the open transaction.
      queries: The store's queries.
      answers: The store's answers.
      image: Name of the image.
      labels: Its labels, `uint8[H, W]`, checked at the known pixels.
      known: The pixels that have a label, `bool[H, W]`.
      replace: Overwrite other labels.

    Raises:
      OtherLabelsError: If other labels are stored and `replace` is false.
    """
    rounds = queries.rounds_of(image)
    asked = np.zeros(known.shape, bool)
    for round in rounds:
        if round != EXISTING_ROUND:
            asked |= queries.mask(image, round)
    left_out = int(np.count_nonzero(known & asked))
    known = known & ~asked
    pixels = int(np.count_nonzero(known))
    if EXISTING_ROUND in rounds:
        before = queries.mask(image, EXISTING_ROUND)
        stored = np.full(known.shape, IGNORE_LABEL, np.uint8)
        stored[before] = answers.labels(image, EXISTING_ROUND)
        differing = (before != known) | (known & (stored != labels))
        if not differing.any():
            return Recorded(False, pixels, left_out)
        if not replace:
            raise OtherLabelsError(image, int(np.count_nonzero(differing)))
        for table in ("answers", "queries", "round_images"):
            connection.execute(
                f"DELETE FROM {table} WHERE image = ? AND round = ?", (image, EXISTING_ROUND)
            )
    if pixels:
        connection.execute(
            "INSERT INTO round_images (round, image, position) "
            "SELECT ?, ?, IFNULL(MAX(position), -1) + 1 FROM round_images WHERE round = ?",
            (EXISTING_ROUND, image, EXISTING_ROUND),
        )
        queries.add(image, EXISTING_ROUND, known, clicks=0, kind="mask", guess=None)
        answers.record(connection, image, EXISTING_ROUND, labels[known], replace=False)
    return Recorded(True, pixels, left_out)


def count(database: Database) -> ExistingLabels:
    """How many existing labels a store holds."""
    (row,) = database.read(
        "SELECT COUNT(*), IFNULL(SUM(q.pixels - a.void_pixels), 0) "
        "FROM queries q JOIN answers a USING (image, round) WHERE round = ?",
        (EXISTING_ROUND,),
    )
    return ExistingLabels(*row)
