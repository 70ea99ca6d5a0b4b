"""What several runs asked, beside each other."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.experiment import amounts
from labor_jax.experiment.report import asked, charts, comparison, page, pictures
from labor_jax.experiment.report.comparison import Row, Table
from labor_jax.experiment.report.page import Cell, Html
from labor_jax.experiment.report.results import Result, ResultsError
from labor_jax.experiment.workdir import Workdir

_MAPS = 8  # more maps of places are not looked at


class _Described(NamedTuple):
    """A row's runs that asked something, and what each asked."""

    row: Row
    runs: list[tuple[Result, asked.Asked]]


_COLUMNS: tuple[tuple[str, Callable[[Result, asked.Asked], float | None], Callable], ...] = (
    ("pixels/image", lambda result, found: found.pixels_per_image, amounts.count),
    ("clicks/image", lambda result, found: result.clicks_per_image, amounts.count),
    (
        "pixels/click",
        lambda result, found: (
            found.pixels_per_image / result.clicks_per_image if result.clicks_per_image else None
        ),
        amounts.count,
    ),
    ("classes/image", lambda result, found: found.classes_per_image, lambda value: f"{value:.1f}"),
    (
        "effective classes",
        lambda result, found: found.effective_classes,
        lambda value: f"{value:.1f}",
    ),
    (
        "pixels of the rarest class",
        lambda result, found: int(found.class_pixels.min()),
        lambda value: f"{value:,.0f}",
    ),
    ("void", lambda result, found: found.void_fraction, lambda value: f"{100 * value:.1f}%"),
    ("lumps/image", lambda result, found: found.lumps_per_image, amounts.count),
    ("pixels/lump", lambda result, found: found.pixels_per_lump, amounts.count),
    (
        "in the largest lump",
        lambda result, found: found.share_in_largest,
        lambda value: f"{100 * value:.1f}%",
    ),
)


def section(table: Table) -> Html:
    """The section of the page; nothing if no run asked anything."""
    problems: list[str] = []
    described = [_describe(row, problems) for row in table.rows]
    described = [each for each in described if each.runs]
    return page.section(
        "What was asked",
        _table(table, described) if described else "",
        page.side_by_side([_class_chart(table, described), *_maps(table, described)]),
        page.items(problems),
        lead="Means over the seeds. Pixels of few classes, or in few lumps, teach less each. The "
        "effective classes are how many equally frequent classes the answers are worth. A lump is "
        "a connected piece of what was asked of an image, in all rounds together.",
    )


def _describe(row: Row, problems: list[str]) -> _Described:
    """Reads what a row's runs asked; tells of those whose answers can't be read."""
    runs = []
    for result in row.results:
        if result.pixels_per_image:
            try:
                runs.append((result, _read(result)))
            except (LabelStoreError, ResultsError) as error:
                problems.append(f"Left out of this table: {result.workdir}: {error}")
    return _Described(row, runs)


def _read(result: Result) -> asked.Asked:
    """What a run asked in all its rounds.

    Raises:
      LabelStoreError: the label store can't be read.
      ResultsError: it is of another run.
    """
    path = Workdir(result.workdir).labels
    with LabelStore(path, classes=result.classes, read_only=True) as store:
        total = asked.statistics(store).total
    if not total.pixels:
        raise ResultsError(
            f"{path} holds no query, but the run's summary.json counts some; copy the "
            "labels.sqlite of the same run."
        )
    return total


def _table(table: Table, described: list[_Described]) -> Html:
    lines = []
    for each in described:
        line: list[str | Cell] = [table.name(each.row)]
        for _, number, text in _COLUMNS:
            values = [number(result, found) for result, found in each.runs]
            mean = None if None in values else statistics.mean(values)
            line.append(Cell("-" if mean is None else text(mean), mean))
        lines.append(line)
    header = ["runs", *(heading for heading, _, _ in _COLUMNS)]
    return page.table(header, lines, sortable=True)


def _class_chart(table: Table, described: list[_Described]) -> str:
    """LabOR's figure of diversity: of which classes the answers are."""
    shares, drawn = {}, table.drawn()
    for each in sorted(described, key=lambda each: drawn.index(each.row)):
        pixels = sum(found.class_pixels for _, found in each.runs)
        if pixels.sum():
            shares[table.name(each.row)] = pixels / pixels.sum()
    if not shares or len(shares) > comparison.BARS:
        return ""
    names = described[0].runs[0][0].classes
    order = np.argsort(-sum(shares.values()), kind="stable")
    return charts.bar_chart(
        "Classes of the answers",
        [names[number] for number in order],
        {name: values[order] for name, values in shares.items()},
        x_label="share of the pixels",
        percent=True,
    )


def _maps(table: Table, described: list[_Described]) -> list[Html]:
    """Where each row asked, of rows that didn't ask everywhere alike."""
    maps = []
    for each in described[:_MAPS]:
        places = sum(found.places for _, found in each.runs) / len(each.runs)
        if np.allclose(places, 1):
            continue
        name = table.name(each.row)
        words = f"{name}: the brightest place, {places.max():.1f} times as often as the mean."
        maps.append(pictures.places(words, places))
    return maps
