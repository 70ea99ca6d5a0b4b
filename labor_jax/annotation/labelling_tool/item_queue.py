"""The order in which a round's items are given to an annotator."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.item_reader import ItemReader
from labor_jax.annotation.labelling_tool.leases import KNOWS_OTHER_OPINION

# Opinion 2 of an image whose opinion 1 the annotator skipped and may still give: whoever gives it
# may not give opinion 1 any more, and nobody else may be there to do so.
_SKIPPED_FIRST = f"""(
    opinion = 2
    AND EXISTS (SELECT 1 FROM events e WHERE e.round = :round AND e.image = t.image
        AND e.opinion = 1 AND e.annotator = :annotator AND e.kind = 'skip')
    AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.round = :round AND a.image = t.image)
    AND NOT {KNOWS_OTHER_OPINION.format(image="t.image", opinion="1")}
)"""

# Items that the annotator holds come first, or last if they come from one (`:after`): another page
# of theirs may have the others open.
_NEXT_ITEMS = f"""
    SELECT image, opinion FROM ({{items}}) t
    WHERE NOT done AND (holder IS NULL OR holder = :annotator)
        AND NOT {KNOWS_OTHER_OPINION.format(image="t.image", opinion="t.opinion")}
        AND NOT {_SKIPPED_FIRST}
    ORDER BY
        image <> :prefer OR opinion <> :prefer_opinion,
        CASE WHEN :after = '' THEN holder IS NULL ELSE holder IS NOT NULL END,
        image = :after AND opinion = :after_opinion,
        CASE WHEN last_kind IS NULL THEN 0 ELSE (
            SELECT COUNT(*) FROM events e WHERE e.round = :round AND e.image = t.image
            AND e.opinion = t.opinion AND e.kind = 'skip' AND e.annotator = :annotator) END,
        opinion,
        position <= IFNULL((SELECT position FROM round_images
            WHERE round = :round AND image = :after), -1),
        position
    LIMIT :limit
"""

_NO_ITEM = Item(0, "", 0)


class ItemQueue:
    """Chooses the next item for an annotator, a different one for each waiting thread."""

    def __init__(self, reader: ItemReader, clock: Callable[[], float]):
        """Chooses among the items of `reader`; `clock` returns the seconds since 1970."""
        self._reader = reader
        self._clock = clock
        self._statement = _NEXT_ITEMS.format(items=reader.items_statement)
        self._choosing = threading.Lock()
        self._reserved: set[Item] = set()
        self._set_aside: set[Item] = set()

    def set_aside(self, item: Item) -> None:
        """Gives an item to nobody while this process runs: it can't be read."""
        with self._choosing:
            self._set_aside.add(item)

    @contextlib.contextmanager
    def reserved(
        self, annotator: str, *, prefer: Item | None, after: Item | None
    ) -> Iterator[Item | None]:
        """Reserves the next item of the newest round while the `with` block runs.

        Args:
          annotator: Their checked name.
          prefer: An item to choose if it is open.
          after: The item that the annotator comes from. What they hold is the last then, and items
            behind it precede those before it.

        Yields:
          The item, or None if nothing is open for the annotator.
        """
        item = self._reserve(annotator, prefer, after)
        try:
            yield item
        finally:
            with self._choosing:
                self._reserved.discard(item)

    def _reserve(self, annotator: str, prefer: Item | None, after: Item | None) -> Item | None:
        round = self._reader.current_round()
        # One thread at a time: otherwise all would find the same item.
        with self._choosing:
            wish = prefer if prefer and prefer.round == round else _NO_ITEM
            left = after if after and after.round == round else _NO_ITEM
            rows = self._reader.read(
                self._statement,
                round=-1 if round is None else round,
                now=self._clock(),
                limit=len(self._reserved | self._set_aside) + 1,
                annotator=annotator,
                prefer=wish.image,
                prefer_opinion=wish.opinion,
                after=left.image,
                after_opinion=left.opinion,
            )
            for image, opinion in rows:
                item = Item(round, image, opinion)
                if item not in self._reserved | self._set_aside:
                    self._reserved.add(item)
                    return item
        return None
