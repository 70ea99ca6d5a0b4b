"""The report's page: its skeleton, tables and other pieces of HTML.

Every piece is `Html`; plain strings are escaped where they enter one. So a class or a file may be
called anything.
"""

import html
import importlib.resources
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Html(str):
    """Text that is HTML already, and is not escaped again."""


class Tile(NamedTuple):
    """A number that stands out: what it is, the number, and a line about it."""

    name: str
    value: str
    note: str = ""


class Cell(NamedTuple):
    """A cell of a sortable table that is not sorted by its text."""

    text: str
    key: float | None


def escaped(text: str) -> Html:
    """The text as HTML; what is `Html` already stays."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def with_code(text: str) -> Html:
    """The text with what stands between backticks as code; a lone backtick stays.

    The page breaks no line after the dashes of a flag.
    """

    def code(found: re.Match) -> str:
        flags = re.sub("--[^ ]+", lambda flag: f"<span>{flag[0]}</span>", found[1])
        return f"<code>{flags}</code>"

    return Html(re.sub(r"`([^`]+)`", code, escaped(text)))


def joined(pieces: Iterable[str], separator: str = "") -> Html:
    """Pieces of HTML as one."""
    return Html(separator.join(pieces))


def page(title: str, body: Sequence[Html], *, heading: str | None = None) -> str:
    """A whole page, which refers to nothing outside itself.

    Args:
      title: of the browser's tab.
      body: what stands below the heading.
      heading: the heading; the title if None.
    """
    files = importlib.resources.files(__package__)
    style, script = ((files / name).read_text() for name in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escaped(heading or title)}</h1>\n" + "\n".join(body) + f"\n</main>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def section(title: str, *pieces: str, lead: str = "") -> Html:
    """A section with a heading, and a sentence that says what it shows; nothing without pieces."""
    kept = [escaped(each) for each in pieces if each]
    if not kept:
        return Html("")
    words = paragraph(lead, kind="lead") if lead else ""
    return Html(f"<section>\n<h2>{escaped(title)}</h2>\n{words}{joined(kept)}\n</section>")


def paragraph(text: str, *, kind: str = "") -> Html:
    """A paragraph; `kind` is a class of the style sheet, such as "lead" or "muted"."""
    return Html(f"<p{_kind(kind)}>{escaped(text)}</p>\n")


def heading(text: str) -> Html:
    """A heading within a section."""
    return Html(f"<h3>{escaped(text)}</h3>\n")


def items(texts: Iterable[str]) -> Html:
    """A list of sentences; nothing if there is none."""
    listed = joined(f"<li>{escaped(text)}</li>" for text in texts)
    return Html(f"<ul>{listed}</ul>\n" if listed else "")


def side_by_side(pieces: Iterable[str]) -> Html:
    """Charts or tables beside each other where the window is wide enough, else below."""
    kept = [each for each in pieces if each]
    return Html(f'<div class="columns">{joined(kept)}</div>\n' if kept else "")


def stacked(*pieces: str) -> Html:
    """Pieces below each other that keep together."""
    return Html(f"<div>{joined(pieces)}</div>\n" if any(pieces) else "")


def halves(*pieces: str) -> Html:
    """Wide pieces beside each other if the window is wide enough for both, else below."""
    kept = [f"<div>{each}</div>" for each in pieces if each]
    return Html(f'<div class="halves">{joined(kept)}</div>\n' if kept else "")


def folded(title: str, *pieces: str) -> Html:
    """What opens on a click, and in print."""
    return Html(
        f"<details><summary>{escaped(title)}</summary>\n{joined(map(escaped, pieces))}</details>\n"
    )


def tiles(listed: Iterable[Tile]) -> Html:
    """The numbers that are read first."""
    entries = joined(
        f"<div><dt>{escaped(tile.name)}</dt><dd><b>{escaped(tile.value)}</b>"
        f"<span>{escaped(tile.note)}</span></dd></div>"
        for tile in listed
    )
    return Html(f'<dl class="tiles">{entries}</dl>\n')


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    sortable: bool = False,
    words: Sequence[int] = (0,),
) -> Html:
    """A table, which scrolls by itself where it is wider than the window.

    Args:
      header: the columns' names.
      rows: a cell a column.
      sortable: whether a click on a column's name sorts by it.
      words: the columns that hold words, which are set left; numbers are set right.
    """
    kinds = ["" if number in words else ' class="number"' for number in range(len(header))]
    head = joined(
        f'<th{kind} scope="col">'
        + (
            f'<button type="button">{escaped(name)}</button>'
            if sortable and name
            else escaped(name)
        )
        + "</th>"
        for name, kind in zip(header, kinds, strict=True)
    )
    body = joined(
        "<tr>"
        + joined(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return Html(
        f'<div class="scroll"><table{_kind("sortable" if sortable else "")}>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def bar(share: float, mark: float | None = None) -> Html:
    """A bar in a table's cell, as long as the share is large (0 to 1).

    Args:
      share: the bar's length.
      mark: where a line across the bar stands; None for no line.
    """
    line = "" if mark is None else f'<b style="left:{_width(mark)}"></b>'
    return Html(f'<span class="bar"><i style="width:{_width(share)}"></i>{line}</span>')


def _width(share: float) -> str:
    return f"{100 * min(max(share, 0), 1):.1f}%"


def swatch(colour: Sequence[int], name: str) -> Html:
    """A class's name with its colour, RGB of 0 to 255."""
    red, green, blue = (int(each) for each in colour)
    return Html(f'<i class="swatch" style="background:#{red:02x}{green:02x}{blue:02x}"></i>'
                f"{escaped(name)}")  # fmt: skip


def _cell(cell: str | Cell, kind: str) -> str:
    if isinstance(cell, Cell):
        key = "" if cell.key is None else f"{cell.key:.6g}"
        return f'<td{kind} data-key="{key}">{escaped(cell.text)}</td>'
    return f"<td{kind}>{escaped(cell)}</td>"


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
