"""What a label store asked, image by image, without a mask of every image in memory."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from labor_jax.annotation.label_store.blobs import BlobReader
from labor_jax.annotation.label_store.database import Database
from labor_jax.annotation.label_store.existing import EXISTING_ROUND


class AskedPixels(NamedTuple):
    """A query and its answer.

    Attributes:
      image: Name of the image.
      round: The round that asked.
      shape: The image's (H, W).
      places: Where the asked pixels are in raster order, `int64[pixels]`, ascending.
      labels: Their labels, `uint8[pixels]`, 255 for void; None before the answer.
      parts: Where all classes of a part were answered, which part each pixel is of,
        `int64[pixels]`; None elsewhere.
      candidates: Which classes each of these parts holds, `bool[parts, C]`; the labels of a part of
        several classes are 255. None where `parts` is.
    """

    image: str
    round: int
    shape: tuple[int, int]
    places: np.ndarray
    labels: np.ndarray | None
    parts: np.ndarray | None
    candidates: np.ndarray | None


def read(database: Database, num_classes: int) -> Iterator[AskedPixels]:
    """All queries of all rounds, an image's one after the other, ascending by round."""
    blobs = BlobReader(database.path)
    # An older file that is open for reading only lacks the last columns.
    last = "q.parts, a.candidates" if database.version >= 4 else "NULL, NULL"
    with database.explaining_errors():
        for (
            image,
            round,
            height,
            width,
            mask,
            labels,
            parts,
            candidates,
        ) in database.connection().execute(
            f"SELECT q.image, q.round, q.height, q.width, q.mask, a.labels, {last} "
            "FROM queries q LEFT JOIN answers a USING (image, round) "
            "WHERE q.round > ? ORDER BY q.image, q.round",
            (EXISTING_ROUND,),
        ):
            places = blobs.places(mask, height * width, image, round)
            if labels is not None:
                labels = blobs.labels(labels, places.size, image, round)
            elif not places.size:  # then there is nothing to answer
                labels = np.empty(0, np.uint8)
            if candidates is None:
                parts = None
            else:
                parts = blobs.parts(parts, places.size, image, round)
                held = (int(parts.max()) + 1, num_classes)
                candidates = blobs.candidates(candidates, held, image, round)
            yield AskedPixels(image, round, (height, width), places, labels, parts, candidates)
