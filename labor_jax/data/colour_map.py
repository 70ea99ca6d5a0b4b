"""Maps the colours in label files to class numbers."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from labor_jax.data import base, colours, messages
from labor_jax.data.blocks import row_blocks
from labor_jax.data.class_table import ClassTable
from labor_jax.data.colours import Colour

_UNKNOWN = 254
_MANY = 32  # more unknown colours than people add by hand: blends of the known ones


class ColourMap:
    """The class number of each colour that a label file may hold.

    It is true if it holds the colour of a class.
    """

    def __init__(self, table: ClassTable, entries: Mapping[Colour, int], other: int | None):
        """Collects the colours.

        Args:
          table: the colours of classes and of void.
          entries: further colours, and those with another class.
          other: the class number of all further colours; None if they are errors.
        """
        self._names = table.classes
        self._other = other
        self._classes: dict[Colour, int] = dict.fromkeys(table.void_colours, base.IGNORE_LABEL)
        self._shared: list[str] = []
        for number, colour in enumerate(table.colours):
            if colour in self._classes and colour not in entries:
                pair = f"{self._name(self._classes[colour])} and {self._name(number)}"
                self._shared.append(f"{colours.text(colour)} ({pair})")
            self._classes[colour] = number
        self._classes.update(entries)

    def __bool__(self) -> bool:
        return any(number != base.IGNORE_LABEL for number in self._classes.values())

    def key(self) -> object:
        """Returns a value that is the same only for equal maps."""
        return sorted(self._classes.items()), self._other

    def check(self, field: str) -> None:
        """Raises ValueError if two classes share a colour.

        Args:
          field: the config field that the colours came from, for errors.
        """
        if self._shared:
            raise ValueError(
                f"labels are in colours, but classes share one: {messages.listing(self._shared)}. "
                f"Give each class a colour of its own in {field}."
            )

    @functools.cached_property
    def _table(self) -> np.ndarray:
        """uint8[2**24], the class number of each colour by its `colours.key`."""
        table = np.full(2**24, _UNKNOWN if self._other is None else self._other, np.uint8)
        for colour, number in self._classes.items():
            table[colours.key(colour)] = number
        return table

    def __call__(self, pixels: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Maps the colours of a label file.

        Args:
          pixels: uint8[H, W, 3] or, with a channel of opacity, uint8[H, W, 4]. A pixel of opacity 0
            is void, whatever its colour; other opacities don't count.
          path: the file, for errors.

        Returns:
          uint8[H, W], 0 to C - 1 or 255.

        Raises:
          DataError: a colour maps to no class, or all pixels have opacity 0.
        """
        label = np.concatenate(
            [self._table.take(colours.keys(block)) for block in row_blocks(pixels)]
        )
        if pixels.shape[2] == 4:
            transparent = pixels[..., 3] == 0
            if transparent.all():
                raise base.DataError(
                    f"{path} is transparent everywhere, so its colours say nothing. Save it "
                    "without transparency."
                )
            label[transparent] = base.IGNORE_LABEL
        unknown = label == _UNKNOWN
        if unknown.any():
            raise base.DataError(self._describe(colours.keys(pixels)[unknown], path))
        return label

    def _describe(self, keys: np.ndarray, path: pathlib.Path) -> str:
        """Says which colours are unknown, the most frequent first, and which known one is near."""
        found, counts = np.unique(keys, return_counts=True)
        most = np.argsort(-counts, kind="stable")[: 1 if len(found) > _MANY else messages.LISTED]
        listed = ", ".join(
            self._unknown(colours.of_key(int(found[i])), int(counts[i])) for i in most
        )
        more = f" and {len(found) - len(most)} more" if len(found) > len(most) else ""
        plural = "s" if len(found) > 1 else ""
        message = f"{path}: {len(found)} colour{plural} of no class: {listed}{more}. "
        if len(found) > _MANY:
            return message + (
                "So many come from smoothed edges, resizing or lossy compression: export the "
                "labels anew without these (other:void in data.label_map makes them void)."
            )
        first = colours.text(colours.of_key(int(found[most[0]])))
        return message + (
            f"Correct the file or the palette, or map the colour in data.label_map ({first}:void; "
            "other:void makes all further colours void)."
        )

    def _unknown(self, colour: Colour, count: int) -> str:
        known = list(self._classes)
        distance = ((np.array(known) - np.array(colour)) ** 2).sum(1)
        nearest = known[int(distance.argmin())]
        return (
            f"{colours.text(colour)} = RGB {colour} in {count} pixel{'s' if count > 1 else ''}, "
            f"nearest is {colours.text(nearest)} of {self._name(self._classes[nearest])}"
        )

    def _name(self, number: int) -> str:
        if number == base.IGNORE_LABEL:
            return "void"
        return self._names[number] if number < len(self._names) else f"class {number}"
