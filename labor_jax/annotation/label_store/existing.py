"""Labels that existed before a run asked anything: round 0 of the label store.

They train like answers and their pixels are never asked, but no statistic counts them: they cost
nothing.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labor_jax.annotation.label_store import blobs
from labor_jax.annotation.label_store.answers import Answers
from labor_jax.annotation.label_store.blobs import BlobReader
from labor_jax.annotation.label_store.database import Database
from labor_jax.annotation.label_store.queries import AskedRow, Queries
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


class ChangedMeanwhileError(ValueError):
    """The store's rows of an image changed after its existing labels were prepared."""

    def __init__(self, image: str):
        super().__init__(
            f"image {image!r} was asked, or got other existing labels, while its labels were read; "
            "read them again"
        )


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


class PreparedLabels(NamedTuple):
    """An image's existing labels, checked and packed, so that storing them takes little time.

    Attributes:
      image: Name of the image.
      shape: Its (H, W).
      mask: The pixels to store, packed.
      labels: Their labels, packed.
      void_pixels: How many of these are void.
      recorded: The effect of storing them.
      basis: Identifies the queries and existing labels of the image that this follows from.
    """

    image: str
    shape: tuple[int, int]
    mask: bytes
    labels: bytes
    void_pixels: int
    recorded: Recorded
    basis: bytes


class ExistingLabels(NamedTuple):
    """How many labels existed.

    Attributes:
      images: The number of images that have some.
      pixels: The number of their labelled pixels, without void ones.
    """

    images: int
    pixels: int


def prepare(
    rows: Sequence[AskedRow],
    reader: BlobReader,
    image: str,
    labels: np.ndarray,
    known: np.ndarray,
    *,
    replace: bool,
) -> PreparedLabels:
    """Prepares an image's existing labels; see `LabelStore.prepare_existing`.

    Args:
      rows: The store's queries of the image.
      reader: Unpacks them.
      image: Name of the image.
      labels: Its labels, `uint8[H, W]`, checked at the known pixels.
      known: The pixels that have a label, `bool[H, W]`.
      replace: Overwrite other labels.

    Raises:
      OtherLabelsError: If other labels are stored and `replace` is false.
    """
    asked, before = np.zeros(known.shape, bool), np.zeros(known.shape, bool)
    stored, is_stored = np.full(known.shape, IGNORE_LABEL, np.uint8), False
    for row in rows:
        mask = reader.mask(row.mask, (row.height, row.width), image, row.round)
        if row.round == EXISTING_ROUND:
            before, is_stored = mask, True
            stored[mask] = reader.labels(row.labels, np.count_nonzero(mask), image, row.round)
        else:
            asked |= mask
    left_out = int(np.count_nonzero(known & asked))
    known = known & ~asked
    changed = True
    if is_stored:
        differing = int(np.count_nonzero((before != known) | (known & (stored != labels))))
        changed = differing > 0
        if changed and not replace:
            raise OtherLabelsError(image, differing)
    labels = labels[known]
    return PreparedLabels(
        image,
        known.shape,
        blobs.pack_mask(known),
        blobs.pack_labels(labels),
        int(np.count_nonzero(labels == IGNORE_LABEL)),
        Recorded(changed, labels.size, left_out),
        _basis(rows),
    )


def store(
    connection: sqlite3.Connection, queries: Queries, answers: Answers, prepared: PreparedLabels
) -> None:
    """Stores an image's existing labels; see `LabelStore.add_prepared`.

    Args:
      connection: The connection of the open transaction.
      queries: The store's queries.
      answers: The store's answers.
      prepared: The labels.

    Raises:
      ChangedMeanwhileError: If the image's queries or existing labels changed since.
    """
    image, pixels = prepared.image, prepared.recorded.pixels
    if _basis(queries.of_image(image, None)) != prepared.basis:
        raise ChangedMeanwhileError(image)
    if not prepared.recorded.changed:
        return
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
        queries.insert(
            connection, image, EXISTING_ROUND, prepared.shape, pixels, 0, prepared.mask, "mask"
        )
        answers.insert(connection, image, EXISTING_ROUND, prepared.void_pixels, prepared.labels)


def _basis(rows: Sequence[AskedRow]) -> bytes:
    """A digest of an image's queries and existing labels; answers to rounds don't matter."""
    digest = hashlib.sha256()
    for row in rows:
        labels = row.labels or b"" if row.round == EXISTING_ROUND else b""
        digest.update(
            struct.pack("<qqqqq", row.round, row.height, row.width, len(row.mask), len(labels))
        )
        digest.update(row.mask + labels)
    return digest.digest()


def count(database: Database) -> ExistingLabels:
    """How many existing labels a store holds."""
    (row,) = database.read(
        "SELECT COUNT(*), IFNULL(SUM(q.pixels - a.void_pixels), 0) "
        "FROM queries q JOIN answers a USING (image, round) WHERE round = ?",
        (EXISTING_ROUND,),
    )
    return ExistingLabels(*row)
