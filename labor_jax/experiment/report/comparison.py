"""Runs compared: a row is runs on the same data that differ in their seed alone.

Seeds are paired: the difference of two rows is the mean, over the seeds that both have, of the
difference of two runs of one seed. So what a seed does to both doesn't count. The interval is
Student's, of 95%.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import statistics
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scipy import stats

from labor_jax.data import ROLES
from labor_jax.experiment import amounts, data_identity
from labor_jax.experiment.report.results import Result, ResultsError
from labor_jax.experiment.workdir import (
    NAMED_CHOICES,
    UNCOMPARED_FIELDS,
    differing_fields,
    effective_fields,
    write_atomically,
)

CONFIDENCE = 0.95
"""Of the intervals."""


class Column(NamedTuple):
    """A number of a run, as people read it.

    Attributes:
      heading: of the column.
      number: takes it from the result; None where there is no such number.
      text: writes the mean over the seeds.
    """

    heading: str
    number: Callable[[Result], float | None]
    text: Callable[[float], str]


COLUMNS = {
    "labelled_fraction": Column(
        "labelled",
        lambda result: 100 * result.labelled_fraction,
        lambda percent: amounts.share(percent / 100),
    ),
    "pixels_per_image": Column(
        "pixels/image", lambda result: result.pixels_per_image, amounts.count
    ),
    "clicks_per_image": Column(
        "clicks/image", lambda result: result.clicks_per_image, amounts.count
    ),
    "seconds_per_image": Column(
        "seconds/image", lambda result: result.seconds_per_image, amounts.count
    ),
    "annotation_hours": Column(
        "annotation",
        lambda result: result.annotation_hours,
        lambda hours: amounts.duration(3600 * hours),
    ),
    "labor_hours": Column(
        "LabOR's estimate",
        lambda result: result.labor_hours,
        lambda hours: amounts.duration(3600 * hours),
    ),
}
"""What a run asked, by the name of the `Result`'s field."""

USUAL_COLUMNS = tuple(name for name in COLUMNS if name != "seconds_per_image")
"""Those that people are shown unless a table chooses others."""


BARS = 4
"""More rows than these are not drawn as bars: a class would take too much space."""

_FEW = 2
"""Columns that are few enough to call a row by."""


class Row(NamedTuple):
    """A row of a table.

    Attributes:
      cells: what tells the row from the others, one value a heading.
      results: one a seed; seeds may lack.
    """

    cells: tuple[Any, ...]
    results: tuple[Result, ...]

    def by_seed(self) -> dict[int, Result]:
        """The results by their seeds."""
        return {result.seed: result for result in self.results}

    @property
    def asks(self) -> bool:
        """Whether its runs ask anything."""
        return any(result.labelled_fraction for result in self.results)

    @property
    def asks_all(self) -> bool:
        """Whether its runs ask for all labels."""
        return any(result.labelled_fraction >= 1 for result in self.results)

    def mious(self) -> dict[int, float]:
        """The measured mIoU by the seeds, from 0 to 1."""
        return {each.seed: each.miou for each in self.results if each.miou is not None}


class Table(NamedTuple):
    """Rows under the headings of their cells.

    Attributes:
      headings: one a cell.
      rows: at least one.
      supervised: the row that mIoU is also given relative to, or None.
      columns: which of `COLUMNS` people are shown; a file of numbers has them all.
      compared_with: the row that differences are to; None for the first that has results.
    """

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    supervised: Row | None = None
    columns: tuple[str, ...] = USUAL_COLUMNS
    compared_with: Row | None = None

    @property
    def reference(self) -> Row:
        """The row that differences are to."""
        return self.compared_with or next((row for row in self.rows if row.results), self.rows[0])

    def named(self) -> Table:
        """The same rows under few headings, for people: configs may differ in many fields.

        One or two columns that tell all rows apart; the names of the workdirs if it takes more, or
        if such columns would hide a difference.
        """
        if len(self.headings) <= _FEW:
            return self
        chosen: tuple[int, ...] = ()
        every = tuple(range(len(self.headings)))
        while not chosen or self._kinds(chosen) < self._kinds(every):
            left = [number for number in every if number not in chosen]
            chosen += (max(left, key=lambda number: self._kinds((*chosen, number))),)
        stems = [_stem(row.results) for row in self.rows]
        headings = tuple(self.headings[number] for number in sorted(chosen))
        cells = [tuple(row.cells[number] for number in sorted(chosen)) for row in self.rows]
        many = len(chosen) > _FEW or self._hide(chosen)
        if many and "" not in stems and len(set(stems)) == len(stems):
            headings, cells = ("runs",), [(stem,) for stem in stems]
        rows = {id(row): Row(own, row.results) for row, own in zip(self.rows, cells, strict=True)}
        return self._replace(
            headings=headings,
            rows=tuple(rows.values()),
            supervised=rows.get(id(self.supervised)),
            compared_with=rows.get(id(self.compared_with)),
        )

    def drawn(self) -> list[Row]:
        """The rows in the order in which charts give colours: those that asked all are later.

        Those that asked nothing are last. So a row has one colour in charts that leave out some.
        """
        return sorted(self.rows, key=lambda row: (not row.asks, row.asks_all))

    def _hide(self, columns: Sequence[int]) -> bool:
        """Whether two rows differ in other columns, too; a method stands for all its settings."""
        shown = {self.headings[number] for number in columns}
        for one, other in itertools.combinations(self.rows, 2):
            cells = zip(self.headings, one.cells, other.cells, strict=True)
            differing = {heading for heading, ours, theirs in cells if str(ours) != str(theirs)}
            if differing - shown and "method" not in differing & shown:
                return True
        return False

    def _kinds(self, columns: Sequence[int]) -> int:
        return len({tuple(str(row.cells[number]) for number in columns) for row in self.rows})

    def name(self, row: Row) -> str:
        """What tells a row from the others, in a line: "ppl, radius=2"; "spl" of the only spl."""
        alone = sum(other.cells[0] == row.cells[0] for other in self.rows) == 1
        named = list(map(_named, self.headings, row.cells))
        return named[0] if alone else ", ".join(named)


class Difference(NamedTuple):
    """How much better one row is than another, seed by seed.

    Attributes:
      seeds: how many seeds both have.
      mean: of the differences, in mIoU from 0 to 1.
      interval: the mean's confidence interval; None of a single seed.
    """

    seeds: int
    mean: float
    interval: tuple[float, float] | None


def compare(results: Sequence[Result]) -> Table:
    """The table of some runs, with a column for each field that differs, and for other data.

    Args:
      results: at least one.

    Raises:
      ResultsError: there are none, or two runs of the same config and seed.
    """
    if not results:
        raise ResultsError("None of the runs is finished, so there is nothing to compare.")
    by_data = _grouped(results, lambda one, other: _same_data(one, other, ROLES))
    groups = [
        (on_data[0].workdir, group)
        for on_data in by_data
        for group in _grouped(
            on_data, lambda one, other: not _differences(one.config, other.config)
        )
    ]
    for _, group in groups:
        seen: dict[int, Result] = {}
        for result in group:
            other = seen.setdefault(result.seed, result)
            if other is not result:
                raise ResultsError(
                    f"{other.workdir} and {result.workdir} are runs of the same config and seed; "
                    "give one of them."
                )
    fields = _varied_fields([group[0].config for _, group in groups])
    several = len(by_data) > 1
    rows = [
        Row(
            (
                *(_value(group[0].config, field) for field in fields),
                *([f"data of {workdir}"] if several else []),
            ),
            tuple(group),
        )
        for workdir, group in groups
    ]
    return Table((*fields, *(["data"] if several else [])), tuple(rows))


def _grouped(
    results: Sequence[Result], same: Callable[[Result, Result], bool]
) -> list[list[Result]]:
    """The results in groups of those that are the same as the group's first."""
    groups: list[list[Result]] = []
    for result in results:
        group = next((each for each in groups if same(each[0], result)), None)
        if group is None:
            groups.append([result])
        else:
            group.append(result)
    return groups


def _same_data(one: Result, other: Result, roles: Collection[str]) -> bool:
    """Whether no image or label of these splits is known to differ."""
    return data_identity.differences(one.data, other.data).keys().isdisjoint(roles)


def comparable(results: Sequence[Result], tell: Callable[[str], None]) -> list[Result]:
    """The runs whose mIoU can be compared with the first one's; tells why others are left out.

    Args:
      results: of finished runs.
      tell: gets a line for each run that is left out.
    """
    kept: list[Result] = []
    for result in results:
        if result.miou is None:
            tell(f"left out: {result.workdir} measured no mIoU (its pair has no labels for it)")
        elif kept and result.pair != kept[0].pair:
            tell(
                f"left out: {result.workdir} is a run on {result.pair}, {kept[0].workdir} one on "
                f"{kept[0].pair}; their mIoU can't be compared"
            )
        elif kept and result.classes != kept[0].classes:
            tell(
                f"left out: {result.workdir} has other classes ({len(result.classes)}) than "
                f"{kept[0].workdir} ({len(kept[0].classes)}); their mIoU can't be compared"
            )
        elif kept and result.measured_on != kept[0].measured_on:
            tell(
                f"left out: {result.workdir} measures mIoU on {result.measured_on}, "
                f"{kept[0].workdir} on {kept[0].measured_on}; they can't be compared"
            )
        elif kept and not _same_data(kept[0], result, [_measuring_role(result)]):
            tell(
                f"left out: {result.workdir} measures mIoU on other images or labels than "
                f"{kept[0].workdir}; they can't be compared"
            )
        else:
            kept.append(result)
    return kept


def _measuring_role(result: Result) -> str:
    """The split that a run's mIoU is measured on."""
    return "pool" if result.measured_on == "answers" else "evaluation"


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's confidence interval of a mean; None of fewer than two values."""
    if len(values) < 2:
        return None
    error = statistics.stdev(values) / len(values) ** 0.5
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return statistics.mean(values) - reach, statistics.mean(values) + reach


def difference(row: Row, reference: Row) -> Difference | None:
    """How much better a row is than another; None if no seed has both."""
    theirs = reference.mious()
    gains = [miou - theirs[seed] for seed, miou in row.mious().items() if seed in theirs]
    return Difference(len(gains), statistics.mean(gains), interval(gains)) if gains else None


def mean_and_spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and the sample's standard deviation, as "47.4 ± 1.0"; a hyphen without values."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def mean(row: Row, column: Column) -> str:
    """The mean of a column's number over a row's seeds, for people."""
    numbers = [column.number(result) for result in row.results]
    return "-" if not numbers or None in numbers else column.text(statistics.mean(numbers))


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
            ratios = [mious[seed] / full[seed] for seed in mious if seed in full]
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


_NUMBERS = ("seed", *COLUMNS, "miou", "wall_seconds")


def as_csv(table: Table) -> str:
    """The table with a line a run, numbers unrounded, mIoU from 0 to 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.headings, *_NUMBERS, "workdir"])
    for row in table.rows:
        for result in row.results:
            numbers = (getattr(result, name) for name in _NUMBERS)
            writer.writerow([*row.cells, *numbers, result.workdir])
    return text.getvalue()


FORMATS: dict[str, Callable[[Table], str]] = {".md": markdown, ".csv": as_csv}
"""How a table is written, by the file's suffix."""


def write(table: Table, path: Path) -> None:
    """Writes a table in the format that the file's suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, FORMATS[path.suffix](table))


def _stem(results: Sequence[Result]) -> str:
    """The name of a row's workdirs without the seed; "" if they have several."""
    stems = {re.sub(r"[_.-]?seed[_.=-]?\d+", "", result.workdir.name) for result in results}
    return stems.pop() if len(stems) == 1 else ""


def _named(heading: str, cell: Any) -> str:
    """A cell with its heading, unless it says by itself what it is."""
    words = isinstance(cell, str) and "." not in heading
    return cell if words else f"{heading.rpartition('.')[2]}={cell}"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The fields that tell two configs apart, but for the seed and what changes no result."""
    used = differing_fields(effective_fields(one), effective_fields(other))
    return [
        name
        for name in differing_fields(one, other)
        if name in used and name not in ("seed", *UNCOMPARED_FIELDS)
    ]


def _varied_fields(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The fields in which some configs differ, the method first; the method if there are none."""
    fields = {name for config in configs for name in _differences(configs[0], config)}
    fields |= {name for name in NAMED_CHOICES if len({config.get(name) for config in configs}) > 1}
    if {"method", "acquisition.method"} <= fields:
        pairs = {
            (_value(config, "method"), _value(config, "acquisition.method")) for config in configs
        }
        if len(pairs) == len({method for method, _ in pairs}):  # then the method says both
            fields.remove("acquisition.method")
    first = ("method", *NAMED_CHOICES)
    return sorted(fields, key=lambda name: (name not in first, name)) or ["method"]


def _value(config: dict[str, Any], field: str) -> Any:
    """The value of a dotted field, None where there is no such field."""
    value: Any = config
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
