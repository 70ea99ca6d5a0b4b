"""Writes the classes found as a class table file, for a person to put the names in."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator

from labor_jax.data import base, colours
from labor_jax.data.inspection.codings import COLOURS, Coding

_LABEL_IDS = range(34)  # Cityscapes'


def write(coding: Coding | None, path: pathlib.Path) -> None:
    """Writes a class table file, see `labor_jax.data.class_table.read_file`.

    Args:
      coding: how labels code classes.
      path: the new file.

    Raises:
      DataError: there are no labels, or none that can be read.
    """
    if coding is None or coding.problem or not coding.classes:
        why = "there are no labels that can be read."
        if coding is not None:
            why = coding.problem or "classes.csv holds them already."
        raise base.DataError(f"There are no classes to write to {path}: {why}")
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["number", "name", "colour", "void"])
        table.writerows(rows(coding))


def rows(coding: Coding) -> Iterator[tuple[int, str, str, str]]:
    """Yields number, name, colour and void of each class, then of what is void."""
    if coding.kind == COLOURS:
        for number, name in enumerate(coding.classes):
            yield number, name, colours.text(coding.colours[number]), ""
        for number, colour in enumerate(coding.void, len(coding.classes)):
            yield number, "void", colours.text(colour), "yes"
        return
    codes = coding.codes or {number: number for number in range(len(coding.classes))}
    values = sorted({*codes, *(_LABEL_IDS if coding.other_is_void else ())})
    for value in values:
        number = codes.get(value, base.IGNORE_LABEL)
        is_void = number == base.IGNORE_LABEL
        yield value, "void" if is_void else coding.classes[number], "", "yes" if is_void else ""
