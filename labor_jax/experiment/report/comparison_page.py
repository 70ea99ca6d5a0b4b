"""Runs compared for people: one page, with its table as markdown and CSV beside it."""

from __future__ import annotations

import collections
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from labor_jax import output_files
from labor_jax.atomic_files import write_atomically
from labor_jax.experiment import amounts
from labor_jax.experiment.report import (
    charts,
    comparable_runs,
    compared_questions,
    comparison,
    comparison_text,
    page,
    results,
)
from labor_jax.experiment.report.charts import Level, Line
from labor_jax.experiment.report.comparison import COLUMNS, CONFIDENCE, Row, Table
from labor_jax.experiment.report.page import Cell, Html
from labor_jax.experiment.report.results import Result, ResultsError, Stage

COLUMNS_SHOWN = (
    "labelled_fraction",
    "clicks_per_image",
    "seconds_per_image",
    "annotation_hours",
    "labor_hours",
)
"""What the command shows of what runs asked."""


class Written(NamedTuple):
    """A comparison's files.

    Attributes:
      page: the HTML.
      markdown: the table beside it, which `text` holds, too.
      csv: the table's numbers, a line a run.
      text: the table for the console.
      notes: sentences: which runs are left out and why, and what can't be said.
    """

    page: Path
    markdown: Path
    csv: Path
    text: str
    notes: tuple[str, ...]


def write(workdirs: Iterable[Path], output: Path) -> Written:
    """Compares runs, and writes a page, a markdown table and a CSV table.

    Args:
      workdirs: those of the runs; differences are to the first one's.
      output: the page; the tables get its name with their suffixes.

    Raises:
      ResultsError: the runs can't be compared.
      OutputError: one of the files is there, and the package did not write it as it is.
    """
    if output.suffix not in (".html", ".htm"):
        raise ResultsError(
            f"--output is {output}; name an .html file. The table is written beside it as .md and "
            ".csv, too."
        )
    beside = {suffix: output.with_suffix(suffix) for suffix in (".md", ".csv")}
    for path in (output, *beside.values()):
        output_files.check_file(path, overwrite=True)
    workdirs = list(workdirs)
    folders = collections.Counter(workdir.resolve() for workdir in workdirs)
    if len(folders) == 1:
        raise ResultsError(f"{workdirs[0]} is the only run named; name another one to compare.")
    told = [f"named more than once, counted once: {path}" for path, n in folders.items() if n > 1]
    left_out: list[str] = []
    found = results.read_finished(workdirs, left_out.append)
    found = comparable_runs.comparable(found, left_out.append)
    if len(found) < 2:
        kept = f"Only {found[0].workdir} is left" if found else "None of the runs is left"
        raise ResultsError(
            f"{kept}; a comparison needs two finished runs or more."
            + "".join(f"\n  {each}" for each in left_out)
        )
    told += left_out
    table = comparable_runs.compare(found)._replace(columns=COLUMNS_SHOWN)
    told += seed_notes(table)
    short = table.named()
    text = comparison_text.markdown(short)
    if len(table.rows) > 1:
        text += f"\n{comparison_text.differences_markdown(short)}"
    text += "".join(f"\n{note}\n" for note in measuring_notes(found))
    for path, written in ((beside[".md"], text), (beside[".csv"], comparison_text.as_csv(table))):
        with output_files.writing_file(path, overwrite=True) as temporary:
            temporary.write_text(written)
    with output_files.writing_file(output, overwrite=True) as temporary:
        write_page(table, temporary, told)
    return Written(output, beside[".md"], beside[".csv"], text, tuple(told))


def seed_notes(table: Table) -> list[str]:
    """What so few seeds can't say."""
    counts = [len(row.results) for row in table.rows if row.results]
    if max(counts, default=0) < 2:
        return ["One seed each: how much of a difference is chance is unknown. Run more seeds."]
    if min(counts) < 2:
        short = table.named()
        single = [short.name(row) for row in short.rows if len(row.results) == 1]
        return [f"A single seed, so without spread or interval: {'; '.join(single)}."]
    return []


def measuring_notes(found: Sequence[Result]) -> list[str]:
    """What has to be known of how comparable runs were measured and computed."""
    told = []
    if found[0].measured_on == "answers":
        told.append("mIoU is an estimate on answers that were held out, others in each run.")
    sources = sorted({each.annotation_source for each in found if each.annotation_source})
    if len(sources) > 1:
        told.append(
            f"Annotation times follow from different sources: {'; '.join(sources)}. Those of one "
            "source can be compared."
        )
    devices = sorted({each.device for each in found if each.device})
    if len(devices) > 1:
        told.append(f"The runs computed on different devices: {'; '.join(devices)}.")
    return told


def write_page(table: Table, output: Path, notes: Sequence[str] = ()) -> None:
    """Writes the page of a table, one file without outside references.

    Args:
      table: at least one of its rows has results. Runs on another pair, or with other classes, than
        the first are left out, which the page says.
      output: the file.
      notes: sentences to put first.

    Raises:
      ResultsError: no run measured an mIoU.
    """
    told = list(notes)
    kept = comparable_runs.comparable(
        [each for row in table.rows for each in row.results], told.append
    )
    if not kept:
        raise ResultsError("None of the runs measured an mIoU, so there is nothing to compare.")
    told += measuring_notes(kept)
    full = _only(table, kept)
    short = full.named()
    pair, seeds = kept[0].pair, sorted({result.seed for result in kept})
    numbers = f"{_count(len(kept), 'run')} on {pair}, {_count(len(seeds), 'seed')}"
    body = [
        page.paragraph(_verdict(short), kind="headline"),
        page.items(told),
        page.section(
            "Results",
            _results_table(short),
            *([] if short.headings == full.headings else [_settings(full, short)]),
            lead=_results_lead(short),
        ),
        page.section(
            "mIoU against what was asked",
            page.side_by_side(_cost_charts(short)),
            lead="Lines are means over the seeds, bands are one standard deviation. Dashed: the "
            "best runs that have all labels, and the best that asked nothing. People's time is by "
            "published rates.",
        ),
        page.section(
            "Classes",
            _class_chart(short),
            _class_table(short),
            lead="IoU in % after the last round: mean ± standard deviation over the seeds.",
        ),
        compared_questions.section(short),
        page.section("Runs", page.folded("All runs", _runs_table(short))),
    ]
    title = f"Comparison: {numbers}"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, page.page(title, body, heading=numbers))


def _only(table: Table, kept: Sequence[Result]) -> Table:
    """The table with some of its results, and the rows that have any."""
    chosen = {id(result) for result in kept}
    rows = {
        id(row): row._replace(results=tuple(each for each in row.results if id(each) in chosen))
        for row in table.rows
    }
    rows = {key: row for key, row in rows.items() if row.results}
    return table._replace(
        rows=tuple(rows.values()),
        supervised=rows.get(id(table.supervised)),
        compared_with=rows.get(id(table.compared_with)),
    )


def _verdict(table: Table) -> str:
    """The best row, how far the next one is behind, and what all labels give."""
    ranked = sorted(table.rows, key=lambda row: -_mean_miou(row))
    if len(ranked) == 1:
        return f"{_scored(table, ranked[0])} mIoU (all runs differ in their seed alone)."
    full = [row for row in ranked if row.asks_all]
    others = [row for row in ranked if not row.asks_all]
    if len(others) < 2:
        return f"Best: {_scored(table, ranked[0])} mIoU. {_behind(table, *ranked[:2])}"
    beside = f" With all labels: {_scored(table, full[0])}." if full else ""
    return f"Best: {_scored(table, others[0])} mIoU. {_behind(table, *others[:2])}{beside}"


def _behind(table: Table, best: Row, other: Row) -> str:
    """How far a row is behind the best, and whether that may be chance."""
    found = comparison.difference(best, other)
    if found is None:
        return f"Next: {_scored(table, other)}; they have no common seed."
    _, _, reach = comparison_text.difference_cells(found)
    sure = "" if found.interval is None else f", {_percent(CONFIDENCE)} interval {reach}"
    than = "less" if found.mean >= 0 else "more"
    told = (
        f"Next: {table.name(other)}, {100 * abs(found.mean):.1f} points {than} "
        f"(n = {_count(found.seeds, 'common seed')}{sure})."
    )
    if found.interval and found.interval[0] <= 0 <= found.interval[1]:
        told += " The interval holds 0, so the two may be equally good."
    return told


def _scored(table: Table, row: Row) -> str:
    return f"{table.name(row)}, {_miou(row)}"


def _results_lead(table: Table) -> str:
    lead = "mIoU in %: mean ± standard deviation over the seeds."
    if len(table.rows) > 1:
        lead += (
            f" Differences are to {table.name(table.reference)}, in points: the mean over the "
            "seeds that both have (n), with Student's interval of "
            f"{_percent(CONFIDENCE)}. An interval that holds 0 shows no clear difference."
        )
    return lead


def _results_table(table: Table) -> Html:
    columns = [COLUMNS[name] for name in table.columns]
    compared = len(table.rows) > 1
    header = [*_short(table.headings), "seeds", *(column.heading for column in columns), "mIoU"]
    header += ["difference", "n", f"{_percent(CONFIDENCE)} interval"] if compared else []
    lines = []
    for row in table.rows:
        line = [*map(str, row.cells), str(len(row.results))]
        for column in columns:
            key = comparison_text.sorting_key(row, column)
            line.append(Cell(comparison_text.mean(row, column), key))
        line.append(Cell(_miou(row, unit=""), _mean_miou(row)))
        if compared:
            found = comparison.difference(row, table.reference)
            n, gain, reach = comparison_text.difference_cells(found)
            if row is table.reference:
                line += ["-", "-", "-"]
            else:
                line += [Cell(gain, found and found.mean), n, reach]
        lines.append(line)
    return page.table(header, lines, sortable=True, words=range(len(table.headings)))


def _short(headings: Sequence[str]) -> list[str]:
    """The headings without the sections of the fields, where they still differ then."""
    last = [heading.rpartition(".")[2] for heading in headings]
    return last if len(set(last)) == len(last) else list(headings)


def _settings(full: Table, short: Table) -> Html:
    """All settings that differ, where the table names the rows without them."""
    header = ["setting", *(short.name(row) for row in short.rows)]
    lines = [
        [heading, *(str(row.cells[number]) for row in full.rows)]
        for number, heading in enumerate(full.headings)
    ]
    return page.folded(
        "The settings that differ", page.table(header, lines, words=range(len(header)))
    )


def _cost_charts(table: Table) -> list[Html]:
    axes: tuple[tuple[str, str, Callable[[Stage], float | None]], ...] = (
        ("mIoU and people's time", "seconds an image", lambda stage: stage.seconds_per_image),
        ("mIoU and clicks", "clicks an image", lambda stage: stage.clicks_per_image),
        (
            "mIoU and labelled share",
            "labelled share of the pixels, in %",
            lambda stage: 100 * stage.labelled_fraction,
        ),
    )
    lines: list[tuple[Row, list[Stage]]] = []
    full, unasked = [], []
    for row in table.drawn():
        if not row.asks:
            unasked.append(row)
        elif row.asks_all:  # the others would be a single point beside its cost
            full.append(row)
        else:
            lines.append((row, _mean_stages(row)))
    best = [max(rows, key=_mean_miou) for rows in (full, unasked) if rows]
    levels = [Level(table.name(row), _mean_miou(row)) for row in best]
    drawn = []
    for title, label, number in axes:
        shown = [
            _line(table.name(row), row, stages, number)
            for row, stages in lines
            if None not in map(number, stages)
        ]
        if shown:
            chart = charts.line_chart(title, shown, x_label=label, levels=levels, percent=True)
            drawn.append(chart)
    return drawn


def _line(
    name: str, row: Row, stages: Sequence[Stage], number: Callable[[Stage], float | None]
) -> Line:
    spread = None
    if len(row.results) > 1:
        spread = [statistics.stdev(_mious_after(row, stage.round)) for stage in stages]
    return Line(name, [number(stage) for stage in stages], [each.miou for each in stages], spread)


def _mean_stages(row: Row) -> list[Stage]:
    """The means over the seeds after each round that all of them measured."""
    by_round = [{stage.round: stage for stage in result.stages} for result in row.results]
    means = []
    for number in by_round[0]:
        stages = [each.get(number) for each in by_round]
        if any(stage is None or stage.miou is None for stage in stages):
            continue
        columns = list(zip(*stages, strict=True))
        means.append(
            Stage(*(None if None in column else statistics.mean(column) for column in columns))
        )
    return means


def _mious_after(row: Row, number: int) -> list[float]:
    return [
        stage.miou for result in row.results for stage in result.stages if stage.round == number
    ]


def _class_chart(table: Table) -> str:
    rows = [row for row in table.drawn() if _has_classes(row)]
    if not rows or len(rows) > comparison.BARS:
        return ""
    names = list(rows[0].results[0].per_class_iou)
    means, spreads = {}, {}
    for row in rows:
        values = [_class_values(row, name) for name in names]
        means[table.name(row)] = [statistics.mean(each) if each else None for each in values]
        spreads[table.name(row)] = [
            statistics.stdev(each) if len(each) > 1 else None for each in values
        ]
    return charts.bar_chart("IoU of each class", names, means, percent=True, spreads=spreads)


def _class_table(table: Table) -> str:
    rows = [row for row in table.rows if _has_classes(row)]
    if not rows:
        return ""
    lines = []
    for name in rows[0].results[0].per_class_iou:
        line: list[str | Cell] = [name]
        for row in rows:
            values = [100 * value for value in _class_values(row, name)]
            key = statistics.mean(values) if values else None
            line.append(
                Cell(comparison_text.mean_and_spread(values) if values else "no labels", key)
            )
        lines.append(line)
    header = ["class", *(table.name(row) for row in rows)]
    return page.table(header, lines, sortable=True)


def _has_classes(row: Row) -> bool:
    return all(result.per_class_iou for result in row.results)


def _class_values(row: Row, name: str) -> list[float]:
    values = [result.per_class_iou.get(name) for result in row.results]
    return [value for value in values if value is not None]


def _runs_table(table: Table) -> Html:
    lines = []
    for row in table.rows:
        for result in row.results:
            versions = [f"{name} {result.versions[name]}" for name in sorted(result.versions)]
            lines.append(
                (
                    table.name(row),
                    str(result.seed),
                    f"{100 * result.miou:.2f}",
                    _time(result.wall_seconds),
                    result.device or "unknown",
                    str(result.workdir),
                    ", ".join(versions),
                )
            )
    header = ("runs", "seed", "mIoU", "time", "device", "workdir", "versions")
    return page.table(header, lines, sortable=True, words=(0, 4, 5, 6))


def _time(seconds: float | None) -> Cell:
    return Cell("unknown" if seconds is None else amounts.duration(seconds), seconds)


def _mean_miou(row: Row) -> float:
    return statistics.mean(result.miou for result in row.results)


def _miou(row: Row, unit: str = "%") -> str:
    return comparison_text.mean_and_spread([100 * result.miou for result in row.results]) + unit


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
