"""A run's results for people: the table on the console and `report.html`."""

import base64
import contextlib
import html
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labor_jax.annotation import LabelStore, cost
from labor_jax.data import DataError, Pair
from labor_jax.experiment import amounts, notes
from labor_jax.experiment.outlines import mean_outlines
from labor_jax.experiment.picture_strip import draw_strip
from labor_jax.experiment.previews import preview_numbers
from labor_jax.experiment.workdir import ConfigError, Workdir, write_atomically

logger = logging.getLogger(__name__)


def table_rows(summary: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The run's stages: name, labelled share, pixels an image, annotation time, mIoU."""
    before = (
        ("source-only", "source_only_miou"),
        ("warm-up", "warmup_miou"),
        ("retraining", "retraining_miou"),
        ("before round 1", "before_rounds_miou"),
    )
    rows = [
        (name, "0", "0", "0", _percent(summary[key]))
        for name, key in before
        if summary.get(key) is not None or key in summary.get("unmeasured", ())
    ]
    for entry in summary["rounds"]:
        rows.append(
            (
                f"round {entry['round']}",
                amounts.share(entry["labelled_fraction"]),
                amounts.count(entry["pixels_per_image"]),
                _annotation(entry),
                _percent(entry["miou"]),
            )
        )
    return rows


def _annotation(entry: dict[str, Any]) -> str:
    """The time of a round's labels and those before; "1.5 h" alone is the published estimate."""
    time = amounts.duration(entry["annotation_seconds"])
    source = entry.get("annotation_source", "published")
    return time if source == "published" else f"{time}, {source}"


_HEADER = ("stage", "labelled", "pixels/image", "annotation", "mIoU")


def text_table(summary: dict[str, Any]) -> str:
    """The stages as an aligned text table."""
    rows = [_HEADER, *table_rows(summary)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    title = f"{summary['method']} on {summary['pair']}, seed {summary['seed']}"
    return "\n".join(["", title, *lines, *_subset_lines(summary), *notes.notes(summary)])


def _subset_lines(summary: dict[str, Any]) -> list[str]:
    """The last mIoU over each of the pair's subsets of classes."""
    return [
        f"mIoU of the {name} classes: {'none is labelled' if miou is None else _percent(miou)}"
        for name, miou in summary["subset_miou"].items()
    ]


def write_summary(folder: Workdir, summary: dict[str, Any]) -> None:
    """Writes `summary.json`."""
    write_atomically(folder.summary, json.dumps(summary, indent=2) + "\n")


def write_report(
    folder: Workdir,
    summary: dict[str, Any],
    pair: Pair,
    store: LabelStore,
    *,
    output: Path | None = None,
    note: str = "",
) -> None:
    """Writes `report.html`, one file without outside references.

    Args:
      folder: the run's.
      summary: what `summary.json` holds, or would.
      pair: its data, of which the pool is read.
      store: its label store.
      output: another file to write.
      note: a sentence to put first.
    """
    title = html.escape(f"{summary['method']} on {summary['pair']}, seed {summary['seed']}")
    stages = _html_table(_HEADER, table_rows(summary))
    sentences = [*_subset_lines(summary), *notes.notes(summary)]
    subsets = "".join(f"<p>{html.escape(line)}</p>" for line in sentences)
    classes = _html_table(
        ("class", "IoU"),
        [
            (name, "neither labelled nor predicted" if iou is None else _percent(iou))
            for name, iou in (summary["per_class_iou"] or {}).items()
        ],
    )
    first = f"<p>{html.escape(note)}</p>" if note else ""
    costs = _html_table(_COST_HEADER, cost_rows(folder, summary, pair))
    strips = "".join(
        f'<img alt="{html.escape(pair.pool.names[number])}" src="data:image/png;base64,{encoded}">'
        for number, encoded in _encoded_strips(folder, pair, store)
    )
    write_atomically(
        output or folder.report,
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{title}</title><style>body{{font:15px system-ui;margin:2em;max-width:72em}}"
        "td,th{padding:.2em 1em;text-align:right}td:first-child,th:first-child{text-align:left}"
        "img{display:block;max-width:100%;margin:.5em 0}</style>"
        f"<h1>{title}</h1>{first}{stages}{subsets}<h2>Annotation</h2>{costs}{_people(summary)}"
        f"<h2>Images of the pool</h2>{strips}"
        f"<h2>Classes</h2>{classes}\n",
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


_COST_HEADER = ("labelling", "time", "images", "seconds/click", "seconds/image", "hours", "$")


def cost_rows(folder: Workdir, summary: dict[str, Any], pair: Pair) -> list[tuple[str, ...]]:
    """What the run's labels cost, beside full labels and LabOR's cost table, all at one pay.

    Args:
      folder: the run's.
      summary: what `summary.json` holds.
      pair: its data, of which the pool is read: where it has labels, for the price of full ones.
    """
    config = folder.read_config()
    pay = (config.get("annotation") or {}).get("dollars_per_hour", cost.DOLLARS_PER_HOUR)
    images = len(pair.pool)
    times = [
        ("this run", basis, seconds, last.get("work") and last["clicks"])
        for last in summary["rounds"][-1:]
        for basis, seconds in run_seconds(last)
    ]
    if summary["rounds"] and config.get("annotator") != "human":  # an oracle has read the labels
        with contextlib.suppress(DataError):
            outlines = cost.Work(images=1, outlines=mean_outlines(pair.pool))
            each = cost.seconds(outlines, cost.PUBLISHED)
            times.append(("full labels", cost.PUBLISHED.name, each * images, None))
    times.append(("full labels", cost.LABOR.name, cost.FULL_SECONDS_PER_IMAGE * images, None))
    rows = [
        cost.cost_row(name, basis, seconds, images=images, clicks=clicks, dollars_per_hour=pay)
        for name, basis, seconds, clicks in times
    ]
    rows += [row._replace(name=f"{row.name} on Cityscapes") for row in cost.labor_table(pay)]
    return [
        (
            row.name,
            row.basis,
            f"{row.images:,}",
            "" if row.seconds_per_click is None else amounts.decimals(row.seconds_per_click, 1),
            amounts.decimals(row.seconds_per_image, 1),
            amounts.decimals(row.hours, 1 if row.hours >= 10 else 2),
            amounts.decimals(row.dollars, 0 if row.dollars >= 100 else 2),
        )
        for row in rows
    ]


def _people(summary: dict[str, Any]) -> str:
    """Annotators and agreement of each round, as HTML."""
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
                (name, each["name"], f"{each['pixels']:,}", _percent(each["share"]))
                for each in ({**agreement, "name": "all classes"}, *agreement["classes"])
            ]
    page = ""
    if annotators:
        page += _html_table(("round", "annotator", "items", "seconds/item"), annotators)
    if agreements:
        page += "<h3>Second opinions</h3>" + _html_table(
            ("round", "first opinion", "pixels", "equal in the second"), agreements
        )
    return page


def _encoded_strips(folder, pair, store):
    config = folder.read_config()
    for number in preview_numbers(len(pair.pool), config.preview_images):
        buffer = io.BytesIO()
        try:
            draw_strip(folder, pair, store, number).save(buffer, "PNG")
        except ConfigError as error:  # a picture less is no reason to lose the report
            logger.warning("The report leaves out an image: %s", error)
            continue
        yield number, base64.b64encode(buffer.getvalue()).decode()


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _percent(share: float | None) -> str:
    """A share as a percentage; a dash where nothing was measured."""
    return "\N{EN DASH}" if share is None else f"{100 * share:.2f}%"
