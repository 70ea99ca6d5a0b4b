"""Maps the values in label files to class numbers."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from labor_jax.data import base, messages

_UNKNOWN = 254  # never a class number, see `base.MAX_CLASSES`
_VALUES = 65536


class LabelMap:
    """The class number of each value that a label file may hold."""

    def __init__(self, entries: str | Mapping[Any, int], num_classes: int, field: str):
        """Reads a label map.

        Args:
          entries: class number of each value, as a mapping or as text ("7:0, 8:1, other:255").
            "other" stands for every value that is not named, except 255. Class number 255 is
            void, and so is the value 255 unless it is named. Empty: values are class numbers.
          num_classes: number of classes C.
          field: the config field that `entries` came from, for errors.

        Raises:
          ValueError: invalid entry; the error names it.
        """
        self._num_classes = num_classes
        self._table = np.full(_VALUES, _UNKNOWN, np.uint8)
        self._table[base.IGNORE_LABEL] = base.IGNORE_LABEL
        if not entries:
            self._table[:num_classes] = np.arange(num_classes)
            return
        classes = _parse(entries, num_classes, field)
        if "other" in classes:
            self._table[np.arange(_VALUES) != base.IGNORE_LABEL] = classes.pop("other")
        for value, number in classes.items():
            self._table[value] = number

    def key(self) -> str:
        """Returns a hash that is the same only for equal maps."""
        return hashlib.sha256(self._table.tobytes()).hexdigest()

    def __call__(self, values: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Maps the values of a label file.

        Args:
          values: integers [H, W].
          path: the file, for errors.

        Returns:
          uint8[H, W], 0 to C - 1 or 255.

        Raises:
          DataError: a value maps to no class. The error names the file and the valid values.
        """
        if values.dtype.itemsize > 2:
            outside = (values < 0) | (values >= _VALUES)
            label = np.where(outside, _UNKNOWN, self._table[np.where(outside, 0, values)])
            label = label.astype(np.uint8)
        else:
            label = self._table.take(values)
        unknown = label == _UNKNOWN
        if unknown.any():
            found = np.unique(values[unknown])
            row, column = np.argwhere(unknown)[0]
            raise base.DataError(
                f"{path}: label value{'s' if len(found) > 1 else ''} "
                f"{messages.listing(map(str, found))} in {np.count_nonzero(unknown)} pixels "
                f"(first at row {row}, column {column}) outside the {self._num_classes} classes; "
                f"valid here: {_ranges(np.flatnonzero(self._table != _UNKNOWN))} (255 is void). "
                "Correct the file, name all classes in `classes`, or map the value in `label_map` "
                "(other:255 makes all further values void)."
            )
        return label


def _parse(entries: str | Mapping[Any, int], num_classes: int, field: str) -> dict[int | str, int]:
    if isinstance(entries, str):
        pairs = [part.split(":") for part in entries.split(",")]
    else:
        pairs = list(entries.items())
    classes: dict[int | str, int] = {}
    for pair in pairs:
        try:
            value, number = pair
            value, number = str(value).strip(), int(number)
            value = value if value == "other" else int(value)
        except ValueError:
            raise ValueError(
                f'{field} must be entries such as "7:0, 8:1, other:255"; cannot read '
                f"{':'.join(map(str, pair))!r}"
            ) from None
        if not (0 <= number < num_classes or number == base.IGNORE_LABEL):
            raise ValueError(
                f"{field} maps {value} to {number}, which is neither a class "
                f"(0 to {num_classes - 1}) nor 255"
            )
        if value != "other" and not 0 <= value < _VALUES:
            raise ValueError(f"{field} names the value {value}; label files hold 0 to 65535")
        if value in classes:
            raise ValueError(f"{field} names the value {value} twice")
        classes[value] = number
    return classes


def _ranges(values: np.ndarray) -> str:
    """Writes sorted numbers as ranges: 0-3, 7, 255."""
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 2) != 1)
    ends = np.append(starts[1:], len(values)) - 1
    return ", ".join(
        str(values[a]) if a == b else f"{values[a]}-{values[b]}"
        for a, b in zip(starts, ends, strict=True)
    )
