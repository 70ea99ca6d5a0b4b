"""Tables of runs as markdown and as CSV."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labor_jax.annotation import cost
from labor_jax.atomic_files import write_atomically
from labor_jax.experiment.report.comparison import (
    COLUMNS,
    CONFIDENCE,
    Column,
    Difference,
    Row,
    Table,
    difference,
)


def mean_and_spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and the sample's standard deviation, as "47.4 ± 1.0"; a hyphen without values."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def mean(row: Row, column: Column) -> str:
    """The mean of a column's number over a row's seeds, for people.

    Runs of different sources have a mean each. A source is named unless it is the published rates,
    and these too beside another.
    """
    by_source: dict[str, list[float | None]] = {}
    for result in row.results:
        by_source.setdefault(column.source(result), []).append(column.number(result))
    if not by_source or any(None in numbers for numbers in by_source.values()):
        return "-"
    unnamed = ("", *([cost.PUBLISHED.name] if len(by_source) == 1 else []))
    return "; ".join(
        column.text(statistics.mean(numbers)) + (f", {source}" if source not in unnamed else "")
        for source, numbers in sorted(by_source.items())
    )


def sorting_key(row: Row, column: Column) -> float | None:
    """The number that `mean` writes; None where it writes none, or several."""
    numbers = [column.number(result) for result in row.results]
    several = len({column.source(result) for result in row.results}) > 1
    return None if not numbers or None in numbers or several else statistics.mean(numbers)


def markdown(table: Table) -> str:
    """The table with a column a seed; mIoU in %.

    Budgets are means over the seeds, the standard deviation is the sample's.
    """
    seeds = sorted({result.seed for row in table.rows for result in row.results})
    columns = [COLUMNS[name] for name in table.columns]
    header = [*table.headings, *(column.heading for column in columns)]
    header += [*(f"seed {seed}" for seed in seeds), "mean", *(["std"] if len(seeds) > 1 else [])]
    header += ["of supervised"] if table.supervised else []
    lines = []
    for row in table.rows:
        mious = row.mious()
        percents = [100 * miou for miou in mious.values()]
        line = [*row.cells, *(mean(row, column) for column in columns)]
        line += [f"{100 * mious[seed]:.1f}" if seed in mious else "-" for seed in seeds]
        line.append(f"{statistics.mean(percents):.1f}" if percents else "-")
        if len(seeds) > 1:
            line.append(f"{statistics.stdev(percents):.1f}" if len(percents) > 1 else "-")
        if table.supervised:
            full = table.supervised.mious()
            ratios = [mious[seed] / full[seed] for seed in mious if full.get(seed)]
            line.append(f"{100 * statistics.mean(ratios):.1f}%" if ratios else "-")
        lines.append(line)
    return markdown_lines(header, lines, text_columns=len(table.headings))


def differences_markdown(table: Table) -> str:
    """The paired differences of the rows to the table's reference, in points of mIoU."""
    reference = table.reference
    header = (
        *table.headings,
        "common seeds",
        f"to {table.name(reference)}",
        f"{100 * CONFIDENCE:.0f}% interval",
    )
    lines = [
        [*row.cells, *difference_cells(difference(row, reference))]
        for row in table.rows
        if row is not reference
    ]
    return markdown_lines(header, lines, text_columns=len(table.headings))


def difference_cells(found: Difference | None) -> tuple[str, str, str]:
    """A difference for people: seeds, points of mIoU, their interval."""
    if found is None:
        return "0", "-", "-"
    reach = "-" if found.interval is None else _range(found.interval)
    return str(found.seeds), f"{100 * found.mean:+.1f}", reach


def _range(ends: tuple[float, float]) -> str:
    low, high = (f"{100 * end:+.1f}" for end in ends)
    return f"{low} to {high}"


def markdown_lines(
    header: Sequence[str], lines: Sequence[Sequence[Any]], *, text_columns: int
) -> str:
    """A markdown table; the columns after the first `text_columns` hold numbers."""
    rule = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    escaped = [[str(cell).replace("|", "\\|") for cell in line] for line in (header, *lines)]
    escaped.insert(1, rule)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


_FIELDS = (
    "seed",
    *COLUMNS,
    "annotation_source",
    "miou",
    "wall_seconds",
    "measured_on",
    "device",
)


def as_csv(table: Table) -> str:
    """The table with a line a run, numbers unrounded, mIoU from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.headings, *_FIELDS, "workdir"])
    for row in table.rows:
        for result in row.results:
            values = (getattr(result, name) for name in _FIELDS)
            writer.writerow([*row.cells, *values, result.workdir])
    return text.getvalue()


FORMATS: dict[str, Callable[[Table], str]] = {".md": markdown, ".csv": as_csv}
"""How a table is written, by the file's suffix."""


def write(table: Table, path: Path) -> None:
    """Writes a table in the format that the file's suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, FORMATS[path.suffix](table))
