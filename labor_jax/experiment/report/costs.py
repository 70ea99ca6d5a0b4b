"""What a run's labels cost: beside full labels and LabOR's table, and who gave them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labor_jax.annotation import cost
from labor_jax.experiment import amounts
from labor_jax.experiment.report import page
from labor_jax.experiment.report.page import Html
from labor_jax.experiment.report.run_files import RunFiles
from labor_jax.experiment.report.stages import percent

THIS_RUN, SECOND, FULL = "this run", "its second opinions", "full labels"
"""Names of rows."""

HEADER = ("labelling", "time", "images", "seconds/click", "seconds/image", "hours", "$")


def section(run: RunFiles, compared: Sequence[cost.CostRow]) -> Html:
    """The section of the page; `compared` is from `compare`."""
    return page.section(
        "What it cost",
        page.table(HEADER, map(_cells, compared), words=(0, 1)),
        _people(run.summary),
        lead="People's time for this run's labels, and at the same pay for others: full labels of "
        "this pool, and LabOR's cost table for Cityscapes. Published rates are those of studies "
        "that timed people; measured times are the labelling tool's, and those of second "
        "opinions, which train nothing, stand by themselves.",
    )


def run_seconds(entry: dict[str, Any]) -> list[tuple[str, float]]:
    """The time of a round's labels and those before by each basis: measured first, then rates.

    Args:
      entry: the round's in `summary.json`. One of an older version has LabOR's estimate alone,
        which it calls published.
    """
    source = entry.get("annotation_source", "published")
    times = [(source, entry["annotation_seconds"])] if source != "published" else []
    if "work" not in entry:
        before = entry.get("published_seconds", entry["annotation_seconds"])
        return [*times, (cost.LABOR.name, before)]
    return [
        *times,
        (cost.PUBLISHED.name, entry["published_seconds"]),
        (cost.LABOR.name, entry["labor_seconds"]),
    ]


def compare(run: RunFiles, truths: Sequence[np.ndarray]) -> list[cost.CostRow]:
    """What the run's labels cost, then full labels and LabOR's cost table, all at one pay.

    Args:
      run: the run.
      truths: labels uint8[H, W] of some images of the pool, for the price of full labels by
        published rates; none where they are unknown.
    """
    pay = (run.config.get("annotation") or {}).get("dollars_per_hour", cost.DOLLARS_PER_HOUR)
    rounds = run.summary["rounds"]
    images = pool_images(run)
    rows = []
    if images:
        times = [
            (THIS_RUN, basis, seconds, last.get("work") and last["clicks"])
            for last in rounds[-1:]
            for basis, seconds in run_seconds(last)
        ]
        seconds = rounds[-1].get("second_opinion_seconds") if rounds else None
        if seconds:
            times.append((SECOND, "measured", seconds, None))
        if rounds and truths:
            outlines = cost.Work(images=1, outlines=cost.mean_outlines(truths))
            each = cost.seconds(outlines, cost.PUBLISHED)
            times.append((FULL, cost.PUBLISHED.name, each * images, None))
        times.append((FULL, cost.LABOR.name, cost.FULL_SECONDS_PER_IMAGE * images, None))
        rows = [
            cost.cost_row(name, basis, seconds, images=images, clicks=clicks, dollars_per_hour=pay)
            for name, basis, seconds, clicks in times
        ]
    rows += [row._replace(name=f"{row.name} on Cityscapes") for row in cost.labor_table(pay)]
    return rows


def _cells(row: cost.CostRow) -> tuple[str, ...]:
    return (
        row.name,
        row.basis,
        f"{row.images:,}",
        "" if row.seconds_per_click is None else amounts.decimals(row.seconds_per_click, 1),
        amounts.decimals(row.seconds_per_image, 1),
        amounts.decimals(row.hours, 1 if row.hours >= 10 else 2),
        amounts.decimals(row.dollars, 0 if row.dollars >= 100 else 2),
    )


def pool_images(run: RunFiles) -> int:
    """How many images the pool has; of one that can't be read, those that were asked about."""
    if run.pool is not None:
        return len(run.pool)
    return max((run.store.statistics(number).images for number in run.store.rounds()), default=0)


def _people(summary: dict[str, Any]) -> Html:
    """Annotators and agreement of each round."""
    annotators, agreements = [], []
    for entry in summary["rounds"]:
        name = f"round {entry['round']}"
        for each in entry.get("annotators") or ():
            seconds = each["seconds_per_item"]
            time = "-" if seconds is None else f"{seconds:.1f}"
            annotators.append((name, each["name"], str(each["items"]), time))
        agreement = entry.get("agreement")
        if agreement:
            agreements += [
                (name, each["name"], f"{each['pixels']:,}", percent(each["share"]))
                for each in ({**agreement, "name": "all classes"}, *agreement["classes"])
            ]
    pieces = []
    if annotators:
        pieces += [
            page.heading("Who answered"),
            page.table(("round", "annotator", "items", "seconds/item"), annotators, words=(0, 1)),
        ]
    if agreements:
        header = ("round", "first opinion", "pixels", "equal in the second")
        pieces += [
            page.heading("Second opinions"),
            page.table(header, agreements, words=(0, 1)),
        ]
    return page.joined(pieces)
