"""Classes as people list them: their names, their colours, and what codes them in label files."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labor_jax.data import base, colours
from labor_jax.data.base import DataError
from labor_jax.data.colours import Colour

FILE_ENDINGS = (".csv", ".txt")
"""How the names of class table files end."""

_TITLES = {
    "number": ("number", "id", "value", "index"),
    "name": ("name", "class", "label"),
    "colour": ("colour", "color", "rgb"),
    "void": ("void", "ignore"),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}
_COLUMNS = {title: column for column, titles in _TITLES.items() for title in titles}
_YES, _NO = ("yes", "1", "true"), ("no", "0", "false", "")
_MAX_NUMBER = 65535


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """Classes, and what codes them in label files.

    Attributes:
      classes: their names, in the order of the model's class numbers.
      colours: a colour for each class; empty if none are known.
      numbers: the class number, or 255 for void, of each value in label files; empty if the values
        are the class numbers.
      void_colours: colours in label files that mean void.
      path: the file that it was read from; None if it was read from none.
    """

    classes: tuple[str, ...]
    colours: tuple[Colour, ...] = ()
    numbers: Mapping[int, int] = dataclasses.field(default_factory=dict)
    void_colours: tuple[Colour, ...] = ()
    path: pathlib.Path | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row of a table file; `number` and `colour` are None where it has none."""

    where: str
    name: str
    number: int | None = None
    colour: Colour | None = None
    void: bool = False


def from_config(given: Any, root: str, field: str) -> ClassTable:
    """Reads what a config says about classes.

    Args:
      given: names in a tuple or list; or a text of names between commas ("road,sky"), those that
        hold a comma in double quotes; or the path of a table file, see `read_file`, below `root` or
        else below the current folder. A text that ends in one of `FILE_ENDINGS` is a path.
      root: the folder of the data set; may be empty.
      field: the config field, for errors.

    Raises:
      DataError: the table file is missing, or something is wrong in it.
      ValueError: `given` is none of these, or names a class as no class should be named.
    """
    if isinstance(given, list | tuple) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]  # flags of tuples give a text as its only element
    if isinstance(given, str):
        if given.lower().endswith(FILE_ENDINGS):
            return read_file(_find(given, root, field))
        given = _split(given, field)
    if given is None or not isinstance(given, list | tuple):
        raise ValueError(
            f"{field} must be names (road,sky,tree) or a class table file (classes.txt, "
            f"classes.csv), got {given!r}"
        )
    for name in filter(_means_void, given):
        raise ValueError(
            f"{field} lists {name!r}, which would be a class that is learnt. Leave it out: the "
            "value 255 is void, and label_map makes others void (7:void)."
        )
    return ClassTable(tuple(given))


def _split(text: str, field: str) -> list[str]:
    """The names in a text, between commas."""
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"{field} is {text!r}, which can't be read as names between commas ({error}). Put "
            "double quotes around each name that holds a comma, and around no part of a name."
        ) from error
    names = [name.strip() for name in rows[0]] if text.strip() else []
    for name in names:
        if name.lower().endswith(FILE_ENDINGS) or name.startswith("'"):
            raise ValueError(
                f"{field} is {text!r}, of which {name!r} can't be a class. Give either names "
                "(road,sky,tree), in double quotes if they hold a comma, or one table file."
            )
    return names


def _means_void(name: Any) -> bool:
    return isinstance(name, str) and name.strip().lower() in _TITLES["void"]


def as_csv(classes: Sequence[str], palette: Iterable[Iterable[int]]) -> str:
    """Returns a table file's content: number, name and colour of each class, in label order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("number", "name", "colour"))
    for number, (name, colour) in enumerate(zip(classes, palette, strict=True)):
        writer.writerow((number, name, colours.text(colour)))
    return text.getvalue()


def _find(name: str, root: str, field: str) -> pathlib.Path:
    path = pathlib.Path(name).expanduser()
    places = [pathlib.Path(root).expanduser() / path, path] if root else [path]
    for place in places:
        if place.is_file():
            return place
    looked = " nor ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise DataError(
        f"{field} names the class table {name!r}, but there is no file {looked}. Write one (a "
        "class name a line), or list the names: road,sky,tree."
    )


def read_file(path: pathlib.Path) -> ClassTable:
    """Reads a class table file.

    A `.txt` file has a class name a line; a line's place, from 0, is the class's number. Empty
    lines don't count.

    A `.csv` file has the columns number, name, colour and void, between commas, semicolons or tabs.
    Only name is needed. A first row of titles may give them in any order, and the colour as the
    columns r, g and b. The number is the value in label files; without the column it is the row's
    place, from 0. The colour is `#804080` or `128 64 128`. A class whose void is yes or 1 is none
    of the model's: its number and its colour mean void, 255. The model's class numbers are in the
    order of the numbers.

    Raises:
      DataError: the file cannot be read, or it is not as described. The error names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise DataError(f"{path} cannot be read: {reason}.") from error
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _text_rows(path, text)
    if not any(not row.void for row in rows):
        raise DataError(f"{path} names no class. Write a class name a line.")
    numbered = [
        dataclasses.replace(row, number=place if row.number is None else row.number)
        for place, row in enumerate(rows)
    ]
    for row in numbered:
        if not row.void and _means_void(row.name):
            raise DataError(
                f"{row.where}: {row.name!r} would be a class that is learnt. Put yes into its "
                "column void (of a .csv file), or give the class another name."
            )
    _check_rows(path, numbered)
    return _table(path, sorted(numbered, key=lambda row: row.number))


def _table(path: pathlib.Path, rows: Sequence[_Row]) -> ClassTable:
    """Makes the table of rows in the order of their numbers."""
    classes = [row for row in rows if not row.void]
    without = [row for row in classes if row.colour is None]
    if without and len(without) < len(classes):
        raise DataError(f"{without[0].where}: {without[0].name!r} has no colour, but others do.")
    if len(classes) > base.MAX_CLASSES:
        raise DataError(f"{path} names {len(classes)} classes; at most {base.MAX_CLASSES} can be.")
    numbers = {row.number: base.IGNORE_LABEL for row in rows if row.void}
    numbers |= {row.number: number for number, row in enumerate(classes)}
    return ClassTable(
        classes=tuple(row.name for row in classes),
        colours=() if without else tuple(row.colour for row in classes),
        numbers=numbers,
        void_colours=tuple(row.colour for row in rows if row.void and row.colour is not None),
        path=path,
    )


def _check_rows(path: pathlib.Path, rows: Sequence[_Row]) -> None:
    """Raises DataError if rows share a number, a name or a colour; rows of void share the last."""
    for what in ("number", "name", "colour"):
        first: dict[Any, _Row] = {}
        for row in sorted(rows, key=lambda row: row.void):  # classes before void
            value = getattr(row, what)
            if value is None or (what == "name" and row.void):
                continue
            other = first.setdefault(value, row)
            if other is row or (what == "colour" and row.void and other.void):
                continue
            shown = colours.text(value) if what == "colour" else repr(value)
            raise DataError(
                f"{row.where}: the {what} {shown} is that of {other.name!r} too "
                f"({other.where.removeprefix(f'{path}, ')}). Give each its own."
            )


def _text_rows(path: pathlib.Path, text: str) -> list[_Row]:
    rows = [
        _Row(f"{path}, line {number}", line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    for row in rows:
        if any(sign in row.name for sign in ",;\t"):
            raise DataError(
                f"{row.where} has several columns: {row.name!r}. A .txt file has a class name a "
                "line; name a table with columns .csv."
            )
    return rows


def _csv_rows(path: pathlib.Path, text: str) -> list[_Row]:
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = max("\t;,", key=first.count)
    try:
        read = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from error
    rows = [
        (f"{path}, line {number}", [cell.strip() for cell in cells])
        for number, cells in enumerate(read, 1)
        if any(cell.strip() for cell in cells)
    ]
    if not rows:
        return []
    columns = _titled(path, rows[0][1])
    if columns is not None:
        rows = rows[1:]
    else:
        titles, *below = [cells for _, cells in rows]
        if below and not titles[0].isdecimal() and all(cells[0].isdecimal() for cells in below):
            raise DataError(
                f"{rows[0][0]}: the titles {', '.join(titles)} are not known. Use number, name, "
                "colour and void, or leave the row of titles out."
            )
        columns = _untitled([titles, *below])
    return [_row(where, cells, columns) for where, cells in rows]


def _titled(path: pathlib.Path, cells: Sequence[str]) -> list[str] | None:
    """Returns the columns that a row of titles names; None if it is no such row."""
    columns = [_COLUMNS.get(cell.lower(), "") for cell in cells]
    if "name" not in columns or not all(columns):
        if sum(map(bool, columns)) < 2:
            return None
        raise DataError(
            f"{path}, line 1: the titles {', '.join(cells)} are not known, or none is name. Use "
            "number, name, colour and void."
        )
    for column in columns:
        if columns.count(column) > 1:
            same = [cell for cell, each in zip(cells, columns, strict=True) if each == column]
            raise DataError(
                f"{path}, line 1: the titles {', '.join(same)} mean the same, the {column}. Keep "
                "one of these columns."
            )
    return columns


def _untitled(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the columns of rows without titles: those of number, name, colour, void there are."""
    width = max(map(len, rows))
    columns = ["number"] if width > 1 and all(cells[0].isdecimal() for cells in rows) else []
    columns.append("name")
    for place in range(len(columns), width):
        cells = [cells[place].lower() for cells in rows if len(cells) > place and cells[place]]
        is_void = all(cell in _YES + _NO for cell in cells)
        columns.append("void" if is_void or "colour" in columns else "colour")
    return columns


def _row(where: str, cells: Sequence[str], columns: Sequence[str]) -> _Row:
    if len(cells) > len(columns):
        raise DataError(
            f"{where} has {len(cells)} columns instead of {len(columns)}: {', '.join(cells)}. Put "
            "a name that holds the separator in quotes."
        )
    values = dict(zip(columns, cells, strict=False))
    name, number, void = (values.get(column, "") for column in ("name", "number", "void"))
    if not name:
        raise DataError(f"{where} has no name: {', '.join(cells)}.")
    if number and not (number.isdecimal() and int(number) <= _MAX_NUMBER):
        raise DataError(f"{where}: the number {number!r} must be 0 to {_MAX_NUMBER}.")
    if "number" in columns and not number:
        raise DataError(f"{where}: {name!r} has no number, but others do.")
    if void.lower() not in _YES + _NO:
        raise DataError(f"{where}: void is {void!r}; write yes or no.")
    given = values.get("colour") or [values[channel] for channel in "rgb" if values.get(channel)]
    try:
        colour = colours.parse(given) if given else None
    except ValueError as error:
        raise DataError(f"{where}: {error}.") from None
    return _Row(where, name, int(number) if number else None, colour, void.lower() in _YES)
