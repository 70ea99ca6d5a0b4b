"""The pool's images, which the page knows by number: their names, addresses and PNGs."""

import hashlib
import io
import json
import re
from typing import Any, NamedTuple

from PIL import Image

from labor_jax.annotation.label_store import LabelStoreError
from labor_jax.annotation.labelling_tool.bounded_cache import BoundedCache
from labor_jax.annotation.labelling_tool.item import Item, UnknownItemError
from labor_jax.data import transforms
from labor_jax.data.base import Split

_CACHED_BYTES = 2**28
_ITEM_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([12])")


class Png(NamedTuple):
    """An encoded image.

    Attributes:
      content: The file.
      tag: Its HTTP entity tag.
    """

    content: bytes
    tag: str


class PoolImages:
    """Numbers the pool's images, so that no name of an image appears in an address."""

    def __init__(self, pool: Split, run: str):
        """Serves the images of `pool`; `run` identifies the run and its data."""
        self._pool = pool
        self._versions = [_version(pool, number, run) for number in range(len(pool.names))]
        self._numbers = {name: number for number, name in enumerate(pool.names)}
        self._pngs: BoundedCache[int, Png] = BoundedCache(
            _CACHED_BYTES, lambda png: len(png.content)
        )

    def __len__(self) -> int:
        """The number of images."""
        return len(self._numbers)

    def __contains__(self, name: str) -> bool:
        """Whether an image has this name."""
        return name in self._numbers

    def number(self, name: str) -> int:
        """An image's number.

        Raises:
          LabelStoreError: If the pool doesn't have it, though the label store does.
        """
        try:
            return self._numbers[name]
        except KeyError:
            raise LabelStoreError(
                f"the label store asks image {name!r}, which the run's data no longer has; "
                "restore the data, or correct its folder in config.json"
            ) from None

    def item(self, text: Any, what: str = "item") -> Item:
        """The item with an id like "1-0-1": round, image, opinion.

        Raises:
          ValueError: If the text is not an id; the error calls it `what`.
          UnknownItemError: If the pool has no such image.
        """
        found = _ITEM_ID.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"{what} is not an item's id, like 1-0-1")
        round, number, opinion = map(int, found.groups())
        if number >= len(self._pool.names):
            raise UnknownItemError(f"There is no item {text}.")
        return Item(round, self._pool.names[number], opinion)

    def item_id(self, item: Item) -> str:
        """An item's id; `LabelStoreError` as `number`."""
        return f"{item.round}-{self.number(item.image)}-{item.opinion}"

    def version(self, number: int) -> str:
        """A text that differs in other runs, and after the image's file was replaced."""
        return self._versions[number]

    def address(self, number: int) -> str:
        """The address of an image's PNG."""
        # Browsers keep what an address gave, so it has to change with the image.
        return f"/api/images/{number}.png?v={self._versions[number]}"

    def png(self, number: int) -> Png:
        """An image at the size of its label map.

        Raises:
          DataError, OSError: If it can't be read.
        """
        return self._pngs.get_or_compute(number, self._encode)

    def _encode(self, number: int) -> Png:
        image = transforms.resize_image(self._pool.image(number), self._pool.size(number))
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", compress_level=1)
        content = file.getvalue()
        return Png(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _version(pool: Split, number: int, run: str) -> str:
    described = [run, pool.names[number]]
    if hasattr(pool, "files"):
        image, _ = pool.files(number)
        status = image.stat()
        described += [status.st_size, status.st_mtime_ns]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]
