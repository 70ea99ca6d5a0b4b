"""Masks and labels as the compressed bytes that the label store's file holds."""

import zlib
from pathlib import Path

import numpy as np

from labor_jax.annotation.label_store.database import LabelStoreError

# Masks are nearly empty: higher levels take longer and save little.
_COMPRESSION_LEVEL = 1


class DamagedItemError(LabelStoreError):
    """What the file holds of one image and round is damaged; the rest can be read."""


def pack_mask(mask: np.ndarray) -> bytes:
    """Compresses a mask, `bool[H, W]`."""
    return zlib.compress(np.packbits(mask).tobytes(), _COMPRESSION_LEVEL)


def pack_labels(labels: np.ndarray) -> bytes:
    """Compresses the labels of asked pixels, `uint8[pixels]`."""
    return zlib.compress(labels.tobytes(), _COMPRESSION_LEVEL)


def pack_parts(parts: np.ndarray) -> bytes:
    """Compresses the numbers of asked pixels' parts, `uint16[pixels]` or `uint32[pixels]`."""
    little_endian = parts.astype(parts.dtype.newbyteorder("<"))
    return zlib.compress(little_endian.tobytes(), _COMPRESSION_LEVEL)


class BlobReader:
    """Reads masks and labels. An error names the file, the image and the round."""

    def __init__(self, path: Path):
        """Reads the blobs of the file at `path`, which only errors mention."""
        self._path = path

    def mask(self, blob: bytes, shape: tuple[int, int], image: str, round: int) -> np.ndarray:
        """The query of an image in a round, `bool[H, W]`.

        Raises:
          DamagedItemError: If the blob is damaged.
        """
        pixels = shape[0] * shape[1]
        packed = self.labels(blob, -(-pixels // 8), image, round)
        return np.unpackbits(packed, count=pixels).view(bool).reshape(shape)

    def places(self, blob: bytes, pixels: int, image: str, round: int) -> np.ndarray:
        """Where the query of an image of `pixels` pixels asks, in raster order, `int64[asked]`.

        Of a nearly empty mask this is many times faster than `mask`.

        Raises:
          DamagedItemError: If the blob is damaged.
        """
        packed = self.labels(blob, -(-pixels // 8), image, round)
        held = np.flatnonzero(packed)
        if 2 * held.size > packed.size:
            return np.flatnonzero(np.unpackbits(packed, count=pixels))
        found = np.flatnonzero(np.unpackbits(packed[held]))
        return held[found // 8] * 8 + found % 8

    def labels(self, blob: bytes, count: int, image: str, round: int) -> np.ndarray:
        """The `count` labels of an image in a round, `uint8[count]`.

        Raises:
          DamagedItemError: If the blob is damaged.
        """
        return np.frombuffer(self._bytes(blob, (count,), image, round), np.uint8)

    def parts(self, blob: bytes, count: int, image: str, round: int) -> np.ndarray:
        """The numbers of the parts of `count` asked pixels, `int64[count]`.

        Raises:
          DamagedItemError: If the blob is damaged.
        """
        content = self._bytes(blob, (2 * count, 4 * count), image, round)
        return np.frombuffer(content, f"<u{len(content) // max(count, 1) or 2}").astype(np.int64)

    def candidates(self, blob: bytes, shape: tuple[int, int], image: str, round: int) -> np.ndarray:
        """Which classes each part holds, `bool[parts, C]`.

        Raises:
          DamagedItemError: If the blob is damaged.
        """
        return self.mask(blob, shape, image, round)

    def _bytes(self, blob: bytes, lengths: tuple[int, ...], image: str, round: int) -> bytes:
        try:
            content = zlib.decompress(blob)
        except (zlib.error, TypeError) as error:
            raise self._damaged(image, round, str(error)) from error
        if len(content) not in lengths:
            wanted = " or ".join(map(str, lengths))
            raise self._damaged(image, round, f"{len(content)} bytes instead of {wanted}")
        return content

    def _damaged(self, image: str, round: int, what: str) -> DamagedItemError:
        return DamagedItemError(
            f"label store {self._path} is damaged at image {image!r}, round {round}: {what}; "
            "restore it from a copy (with its -wal file)"
        )
