"""Maps the values and the colours in label files to class numbers."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from labor_jax.data import base, colours, messages
from labor_jax.data.blocks import row_blocks
from labor_jax.data.class_table import ClassTable
from labor_jax.data.colour_map import ColourMap

_UNKNOWN = 254  # never a class number, see `base.MAX_CLASSES`
_VALUES = 65536

CODINGS = ("auto", "numbers", "colours")
"""How label files may be coded. "auto": RGB and RGBA files are colours, all others numbers."""


class LabelMap:
    """The class number of each value or colour that a label file may hold.

    Attributes:
      coding: one of `CODINGS`.
      colours: the class number of each colour.
      table_path: the file of the class table; None if there is none.
    """

    def __init__(
        self,
        entries: str | Mapping[Any, int | str],
        num_classes: int,
        field: str,
        *,
        table: ClassTable | None = None,
        coding: str = "auto",
        advice: str = "",
    ):
        """Reads a label map.

        Args:
          entries: class number of each value, as a mapping or as text ("7:0, 8:1, other:255"). A
            class may be named instead ("7:road"), and "void" is 255. Colours are named as
            "#804080". "other" stands for every value and colour that is not named, except 255.
            Class number 255 is void, and so is the value 255 unless it is named. If a value gets a
            class, values that are not named are errors. If none does, the other values mean what
            they mean without entries: what `table` says, or class numbers.
          num_classes: number of classes C.
          field: the config field that `entries` came from, for errors.
          table: the classes' names and colours, and the values that stand for them if `entries`
            names no value; None if they have neither.
          coding: one of `CODINGS`.
          advice: what the error of an unknown value tells to do; empty for advice on the fields.

        Raises:
          ValueError: invalid entry or coding; the error names it. Or 0 is void and nothing says
            whether 1 is then the class 0 or 1.
        """
        if coding not in CODINGS:
            raise ValueError(
                f"data.label_coding must be one of {', '.join(CODINGS)}; got {coding!r}"
            )
        table = table or ClassTable(())
        named = _parse(entries, num_classes, table.classes, field)
        other = named.pop("other", None)
        by_colour = {code: number for code, number in named.items() if isinstance(code, tuple)}
        by_value = {code: number for code, number in named.items() if isinstance(code, int)}
        self.coding = coding
        self._advice = advice or (
            "Correct the file, name all classes in `classes`, or map the value in `label_map` "
            "(other:void makes all further values void)."
        )
        self.table_path = table.path
        self.colours = ColourMap(table, by_colour, other)
        self._table = np.full(_VALUES, _UNKNOWN if other is None else other, np.uint8)
        self._table[base.IGNORE_LABEL] = base.IGNORE_LABEL
        gives_classes = any(number != base.IGNORE_LABEL for number in by_value.values())
        if not gives_classes:
            if not table.numbers and 0 in by_value and other in (None, base.IGNORE_LABEL):
                raise ValueError(
                    f"{field} makes the value 0 void and says nothing of the others. Name the "
                    "class of each: 0:void,1:0,2:1,… if the classes begin with the value 1, or "
                    "0:void,1:1,2:2,… if 0 is a class that becomes void."
                )
            usual = table.numbers or {number: number for number in range(num_classes)}
            by_value = {**usual, **by_value}
        self._why_unknown = (
            f"that {field} does not name" if gives_classes else f"outside the {num_classes} classes"
        )
        for value, number in by_value.items():
            self._table[value] = number
        self._names_255 = base.IGNORE_LABEL in by_value
        if coding == "colours" and not self.colours:
            raise ValueError(
                "data.label_coding is colours, but no class has one: set data.palette "
                "('#804080,#4682b4'), or data.classes to a table with colours."
            )

    @property
    def file_coding(self) -> str:
        """`coding`, or "numbers" if no colour is known: see `decoding.read_label_values`."""
        return self.coding if self.colours else "numbers"

    @property
    def implies_void(self) -> bool:
        """Whether the value 255 is void only because nothing else is said of it."""
        return not self._names_255

    def key(self) -> str:
        """Returns a hash that is the same only for equal maps."""
        content = self._table.tobytes() + repr((self.coding, self.colours.key())).encode()
        return hashlib.sha256(content).hexdigest()

    def __call__(self, values: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Maps the values or colours of a label file.

        Args:
          values: integers [H, W]; or colours, uint8[H, W, 3] or uint8[H, W, 4], see `ColourMap`.
          path: the file, for errors.

        Returns:
          uint8[H, W], 0 to C - 1 or 255.

        Raises:
          DataError: a value or colour maps to no class. The error names the file and what is valid.
        """
        if values.ndim == 3:
            return self.colours(values, path)
        label = np.concatenate([self._numbers(block) for block in row_blocks(values)])
        unknown = label == _UNKNOWN
        if unknown.any():
            found = np.unique(values[unknown])
            row, column = np.argwhere(unknown)[0]
            problem = (
                f"{path}: label value{'s' if len(found) > 1 else ''} "
                f"{messages.listing(map(str, found))} in {np.count_nonzero(unknown)} pixels "
                f"(first at row {row}, column {column})"
            )
            if not 0 <= found.min() <= found.max() < _VALUES:
                raise base.DataError(
                    f"{problem}: label files may hold 0 to {_VALUES - 1}, and label_map names no "
                    "others. Save the file with such values."
                )
            raise base.DataError(
                f"{problem} {self._why_unknown}; "
                f"valid here: {_ranges(np.flatnonzero(self._table != _UNKNOWN))}"
                f"{' (255 is void)' if self.implies_void else ''}. {self._advice}"
            )
        return label

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        """The class number, or `_UNKNOWN`, of each value."""
        if values.dtype.itemsize <= 2:
            return self._table.take(values)
        outside = (values < 0) | (values >= _VALUES)
        return np.where(outside, np.uint8(_UNKNOWN), self._table[np.where(outside, 0, values)])


def _parse(
    entries: str | Mapping[Any, int | str], num_classes: int, names: tuple[str, ...], field: str
) -> dict[Any, int]:
    """Returns the class number of each value (a number), colour (three numbers) and "other"."""
    if isinstance(entries, str):
        pairs = [part.split(":", 1) for part in entries.split(",") if part.strip()]
    else:
        pairs = list(entries.items())
    parse_class = functools.partial(_class, num_classes=num_classes, names=names, field=field)
    classes: dict[Any, int] = {}
    for pair in pairs:
        try:
            code, target = (str(part).strip() for part in pair)
            value = _code(code)
        except ValueError:
            raise ValueError(
                f'{field} must be entries such as "7:0, 8:road, #000000:void, other:255"; cannot '
                f"read {':'.join(map(str, pair))!r}"
            ) from None
        if isinstance(value, int) and not 0 <= value < _VALUES:
            raise ValueError(f"{field} names the value {value}; label files hold 0 to 65535")
        if value in classes:
            raise ValueError(f"{field} names the value {code} twice")
        classes[value] = parse_class(code, target)
    return classes


def _code(text: str) -> Any:
    if text == "other":
        return text
    return colours.parse(text) if text.startswith("#") else int(text)


def _class(code: str, target: str, *, num_classes: int, names: tuple[str, ...], field: str) -> int:
    if target in names:
        return names.index(target)
    if target == "void":
        return base.IGNORE_LABEL
    try:
        number = int(target)
    except ValueError:
        number = -1
    if not (0 <= number < num_classes or number == base.IGNORE_LABEL):
        listed = f": {messages.listing(names)}" if names else ""
        raise ValueError(
            f"{field} maps {code} to {target}, which is neither a class (0 to "
            f"{num_classes - 1}{listed}) nor 255 or void"
        )
    return number


def _ranges(values: np.ndarray) -> str:
    """Writes sorted numbers as ranges: 0-3, 7, 255."""
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 2) != 1)
    ends = np.append(starts[1:], len(values)) - 1
    return ", ".join(
        str(values[a]) if a == b else f"{values[a]}-{values[b]}"
        for a, b in zip(starts, ends, strict=True)
    )
