"""Tables of runs: a row is runs on the same data that differ in their seed alone.

Seeds are paired: the difference of two rows is the mean, over the seeds that both have, of the
difference of two runs of one seed. So what a seed does to both doesn't count. The interval is
Student's, of 95%.
"""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from scipy import stats

from labor_jax.experiment import amounts
from labor_jax.experiment.report.results import Result

CONFIDENCE = 0.95
"""Of the intervals."""


class Column(NamedTuple):
    """A number of a run, as people read it.

    Attributes:
      heading: of the column.
      number: takes it from the result; None where there is no such number.
      text: writes the mean over the seeds.
      source: what the number follows from, where runs may differ in that; numbers of different
        sources have no mean.
    """

    heading: str
    number: Callable[[Result], float | None]
    text: Callable[[float], str]
    source: Callable[[Result], str] = lambda result: ""


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
        lambda result: result.annotation_source,
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


def _stem(results: Sequence[Result]) -> str:
    """The name of a row's workdirs without the seed; "" if they have several."""
    stems = {re.sub(r"[_.-]?seed[_.=-]?\d+", "", result.workdir.name) for result in results}
    return stems.pop() if len(stems) == 1 else ""


def _named(heading: str, cell: Any) -> str:
    """A cell with its heading, unless it says by itself what it is."""
    words = isinstance(cell, str) and "." not in heading
    return cell if words else f"{heading.rpartition('.')[2]}={cell}"
