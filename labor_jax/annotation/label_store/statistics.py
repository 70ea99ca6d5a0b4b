"""Numbers about a round's queries and answers."""

import hashlib
import struct
import zlib
from typing import NamedTuple

import numpy as np

from labor_jax.annotation.label_store.blobs import BlobReader
from labor_jax.annotation.label_store.database import Database
from labor_jax.annotation.label_store.existing import EXISTING_ROUND
from labor_jax.annotation.label_store.queries import last_round


class RoundStatistics(NamedTuple):
    """Progress of a round, and what was asked up to its end.

    Attributes:
      round: The round's number.
      images: The number of images that the round asks.
      asked_images: How many of them have their query.
      answered_images: How many of them have a query that is answered or empty.
      asked_pixels: The pixels asked in this round; all of them are charged.
      void_pixels: How many of these were answered as void.
      labelled_pixels: The pixels asked in this and all earlier rounds. Labels that existed before
        the first round are not among them, because they cost nothing.
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


def round_statistics(database: Database, round: int, images: int) -> RoundStatistics:
    """The statistics of a round that asks so many images."""
    # One statement, so that another process can't write between its numbers.
    (row,) = database.read(
        """SELECT
            COUNT(*) FILTER (WHERE q.round = :round),
            COUNT(*) FILTER (WHERE q.round = :round AND (q.pixels = 0 OR a.round NOT NULL)),
            IFNULL(SUM(q.pixels) FILTER (WHERE q.round = :round), 0),
            IFNULL(SUM(a.void_pixels) FILTER (WHERE q.round = :round), 0),
            IFNULL(SUM(q.pixels), 0),
            (SELECT IFNULL(SUM(height * width), 0) FROM (
                SELECT DISTINCT image, height, width FROM queries
                WHERE round BETWEEN :first AND :round)),
            COUNT(DISTINCT q.image)
        FROM queries q LEFT JOIN answers a USING (image, round)
        WHERE q.round BETWEEN :first AND :round""",
        {"first": min(round, EXISTING_ROUND + 1), "round": round},
    )
    return RoundStatistics(round, images, *row)


class AskedImage(NamedTuple):
    """What a round asked in an image.

    Attributes:
      image: The image's name.
      clicks: The points, regions or connected segments asked.
      pixels: The pixels asked, at least one.
      void_pixels: How many of these were answered as void.
    """

    image: str
    clicks: int
    pixels: int
    void_pixels: int


def asked_images(database: Database, round: int) -> list[AskedImage]:
    """The images in which a round asked anything, by name."""
    rows = database.read(
        "SELECT image, clicks, pixels, IFNULL(void_pixels, 0) "
        "FROM queries LEFT JOIN answers USING (image, round) "
        "WHERE round = ? AND pixels > 0 ORDER BY image",
        (round,),
    )
    return [AskedImage(*row) for row in rows]


def measured_seconds(database: Database, round: int, opinion: int) -> dict[str, float]:
    """People's time on each image of a round, in seconds: for its first or its second opinion."""
    if database.version < 3:  # open for reading only, and without the table
        return {}
    return dict(
        database.read(
            "SELECT image, seconds FROM items WHERE round = ? AND opinion = ? AND seconds > 0",
            (round, opinion),
        )
    )


def timed_images(database: Database, round: int) -> set[str]:
    """The images of a round on which people worked before they first answered, by their clock.

    Left out are images whose answers came from a file without times, also if they were corrected
    or people had begun with them.
    """
    if database.version < 3:  # open for reading only, and without the tables
        return set()
    rows = database.read(
        """
        WITH first AS (
            SELECT image, MIN(id) AS id, kind FROM events
            WHERE round = :round AND opinion = 1 AND kind IN ('submit', 'import') GROUP BY image)
        SELECT image FROM events JOIN first USING (image)
        WHERE round = :round AND opinion = 1 AND events.id <= first.id
        GROUP BY image HAVING SUM(events.seconds) FILTER (
            WHERE events.id = first.id OR first.kind = 'submit') > 0""",
        {"round": round},
    )
    return {image for (image,) in rows}


def digest(database: Database, up_to_round: int | None) -> str:
    """SHA-256 of all queries and answers up to a round, in an order of its own."""
    blobs = BlobReader(database.path)
    digest = hashlib.sha256()
    with database.explaining_errors():
        later = "parts, candidates" if database.version >= 4 else "NULL, NULL"
        for image, round, height, width, mask, labels, parts, held in database.connection().execute(
            f"SELECT image, round, height, width, mask, labels, {later} "
            "FROM queries LEFT JOIN answers USING (image, round) "
            "WHERE round <= ? ORDER BY round, image",
            (last_round(up_to_round),),
        ):
            query = blobs.mask(mask, (height, width), image, round)
            name = image.encode()
            # Lengths come first, so that different contents never give the same bytes.
            digest.update(struct.pack("<qqqq", round, height, width, len(name)))
            digest.update(name + np.packbits(query).tobytes())
            digest.update(b"\0" if labels is None else b"\1")
            if labels is not None:
                count = np.count_nonzero(query)
                digest.update(blobs.labels(labels, count, image, round).tobytes())
            if held is not None:  # it says nothing without the parts
                numbers = blobs.parts(parts, np.count_nonzero(query), image, round)
                digest.update(numbers.tobytes() + zlib.decompress(held))
    return digest.hexdigest()
