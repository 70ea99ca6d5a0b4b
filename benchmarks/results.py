"""Tables of many runs, read from their workdirs: a row is runs that differ in their seed alone."""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from labor_jax.active import strategies
from labor_jax.experiment import amounts
from labor_jax.experiment.workdir import FREE_FIELDS, Workdir, differing_fields, write_atomically


class ResultsError(Exception):
    """Workdirs that no table can be made of; its message is for people."""


class Result(NamedTuple):
    """A finished run.

    Attributes:
      workdir: the run's.
      config: what its config.json holds.
      seed: its seed.
      labelled_fraction: share of the pool's pixels asked, over all rounds.
      pixels_per_image: pixels asked, a pool image.
      clicks_per_image: a pool image's: one for each part of one class that was asked, see
        `labor_jax.annotation.cost.Work`. None where whole images were asked.
      seconds_per_image: people's time by published rates, a pool image's.
      annotation_hours: what the answers cost people, of the whole pool: measured where people were
        timed, else by published rates.
      labor_hours: the same by LabOR's estimate.
      miou: after the last round, from 0 to 1.
      source_only_miou: after training on source alone; None where that was no phase.
      classes: their names, in the order of the labels.
      wall_seconds: what the phases took, those of the run that it started from included.
    """

    workdir: Path
    config: dict[str, Any]
    seed: int
    labelled_fraction: float
    pixels_per_image: float
    clicks_per_image: float | None
    seconds_per_image: float
    annotation_hours: float
    labor_hours: float
    miou: float
    source_only_miou: float | None
    classes: tuple[str, ...]
    wall_seconds: float

    def before_adaptation(self) -> Result:
        """The same run's result after training on source alone."""
        return self._replace(
            miou=self.source_only_miou,
            labelled_fraction=0.0,
            pixels_per_image=0.0,
            clicks_per_image=0.0,
            seconds_per_image=0.0,
            annotation_hours=0.0,
            labor_hours=0.0,
        )


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


class Table(NamedTuple):
    """Rows under the headings of their cells.

    Attributes:
      headings: one a cell.
      rows: at least one.
      supervised: the row that mIoU is also given relative to, or None.
      columns: which of `COLUMNS` people are shown; a file of numbers has them all.
    """

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    supervised: Row | None = None
    columns: tuple[str, ...] = USUAL_COLUMNS


def read(workdir: Path) -> Result | None:
    """Reads a run; None if it isn't finished.

    Raises:
      ResultsError: the folder holds no run, or its files are damaged.
    """
    folder = Workdir(workdir)
    if not folder.config.exists():
        raise ResultsError(f"{workdir} holds no run (no config.json in it).")
    if not folder.summary.exists():
        return None
    try:
        config, summary = (json.loads(path.read_text()) for path in (folder.config, folder.summary))
    except json.JSONDecodeError as error:
        raise ResultsError(f"{workdir}: config.json or summary.json is damaged: {error}") from error
    last = summary["rounds"][-1] if summary["rounds"] else None
    pixels = last["pixels_per_image"] if last else 0.0
    clicks, seconds = 0.0, 0.0
    if pixels:
        try:
            kind = strategies.method(config["acquisition"]["method"]).asks
        except ValueError as error:
            raise ResultsError(f"{workdir}: {error}") from error
        images = last["labelled_pixels"] / pixels
        clicks = None if kind == "full" else last["clicks"] / images
        seconds = last.get("published_seconds", last["annotation_seconds"]) / images
    return Result(
        workdir=Path(workdir),
        config=config,
        seed=summary["seed"],
        labelled_fraction=last["labelled_fraction"] if last else 0.0,
        pixels_per_image=pixels,
        clicks_per_image=clicks,
        seconds_per_image=seconds,
        annotation_hours=last["annotation_seconds"] / 3600 if last else 0.0,
        # Older runs have LabOR's estimate alone.
        labor_hours=last.get("labor_seconds", last["annotation_seconds"]) / 3600 if last else 0.0,
        miou=summary["final_miou"],
        source_only_miou=summary["source_only_miou"],
        classes=tuple(summary["per_class_iou"] or ()),
        wall_seconds=summary["wall_seconds"],
    )


def to_stderr(text: str) -> None:
    """Prints a line for people on stderr, where it doesn't mix with a table."""
    print(text, file=sys.stderr, flush=True)


def read_row(
    cells: tuple[str, ...], output: Path, name: str, names: Iterable[str], problems: dict[str, str]
) -> Row:
    """The row of the runs `NAME_seedN` that are finished.

    Args:
      cells: the row's.
      output: the folder of the workdirs.
      name: of the runs, before the seed.
      names: of all runs of the table.
      problems: of `runner.run_all`.
    """
    finished = [
        output / run for run in names if run.rpartition("_seed")[0] == name and run not in problems
    ]
    return Row(cells, tuple(read(workdir) for workdir in finished))


def read_finished(workdirs: Iterable[Path], tell: Callable[[str], None]) -> list[Result]:
    """Reads the finished runs among some workdirs, and tells of each other one why it is left out.

    Args:
      workdirs: folders; one that is named twice is read once.
      tell: gets a line for each folder that is left out.
    """
    results = []
    for workdir in {Path(path).resolve(): Path(path) for path in workdirs}.values():
        try:
            result = read(workdir)
        except ResultsError as error:
            tell(f"left out: {error}")
            continue
        if result is None:
            tell(f"unfinished, left out: {workdir} (no summary.json)")
        else:
            results.append(result)
    return results


def compare(results: Sequence[Result]) -> Table:
    """The table of some runs, with a column for each field that differs.

    Args:
      results: at least one.

    Raises:
      ResultsError: there are none, or two runs of the same config and seed.
    """
    if not results:
        raise ResultsError("None of the runs is finished, so there is nothing to compare.")
    groups: list[list[Result]] = []
    for result in results:
        for group in groups:
            if not _differences(group[0].config, result.config):
                group.append(result)
                break
        else:
            groups.append([result])
    for group in groups:
        seen: dict[int, Result] = {}
        for result in group:
            other = seen.setdefault(result.seed, result)
            if other is not result:
                raise ResultsError(
                    f"{other.workdir} and {result.workdir} are runs of the same config and seed; "
                    "give one of them."
                )
    fields = _varied_fields([group[0].config for group in groups])
    rows = [
        Row(tuple(_value(group[0].config, field) for field in fields), tuple(group))
        for group in groups
    ]
    return Table(tuple(fields), tuple(rows))


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
        by_seed = row.by_seed()
        mious = [100 * result.miou for result in row.results]
        line = [*row.cells, *(_mean(row, column) for column in columns)]
        line += [f"{100 * by_seed[seed].miou:.1f}" if seed in by_seed else "-" for seed in seeds]
        line.append(f"{statistics.mean(mious):.1f}" if mious else "-")
        if len(seeds) > 1:
            line.append(f"{statistics.stdev(mious):.1f}" if len(mious) > 1 else "-")
        if table.supervised:
            full = table.supervised.by_seed()
            ratios = [by_seed[seed].miou / full[seed].miou for seed in by_seed if seed in full]
            line.append(f"{100 * statistics.mean(ratios):.1f}%" if ratios else "-")
        lines.append(line)
    return markdown_lines(header, lines, text_columns=len(table.headings))


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


def publish(table: Table, folder: Path) -> None:
    """Prints a table, and writes table.md and table.csv."""
    print(markdown(table), end="")
    for suffix in FORMATS:
        write(table, folder / f"table{suffix}")


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The fields that tell two configs apart, but for the seed and what changes no result."""
    return [name for name in differing_fields(one, other) if name not in ("seed", *FREE_FIELDS)]


def _varied_fields(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The fields in which some configs differ, the method first; the method if there are none."""
    fields = {name for config in configs for name in _differences(configs[0], config)}
    if {"method", "acquisition.method"} <= fields:
        pairs = {
            (_value(config, "method"), _value(config, "acquisition.method")) for config in configs
        }
        if len(pairs) == len({method for method, _ in pairs}):  # then the method says both
            fields.remove("acquisition.method")
    return sorted(fields, key=lambda name: (name != "method", name)) or ["method"]


def _value(config: dict[str, Any], field: str) -> Any:
    """The value of a dotted field, None where there is no such field."""
    value: Any = config
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mean(row: Row, column: Column) -> str:
    numbers = [column.number(result) for result in row.results]
    return "-" if not numbers or None in numbers else column.text(statistics.mean(numbers))
