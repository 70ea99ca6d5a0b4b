"""How good the model is: mIoU against what the labels cost, IoU by class, and what is mixed up."""

import glob
import json
import math
from typing import Any

import numpy as np

from labor_jax.experiment import data_identity
from labor_jax.experiment.report import charts, page, stages
from labor_jax.experiment.report.charts import Level, Line
from labor_jax.experiment.report.page import Cell, Html
from labor_jax.experiment.report.run_files import RunFiles
from labor_jax.experiment.workdir import (
    MEMORY_FIELDS,
    WITHOUT_EFFECT,
    Workdir,
    differing_fields,
    effective_fields,
)

_MATRIX_CLASSES = 24  # a larger matrix is unreadable: it shows the classes with most mistakes

_OF_THE_QUESTIONS = (
    "acquisition",
    "annotation",
    "annotator",
    "evaluation_batch_size",
    "method",
    "preview_images",
    "selector",
)
"""Sections and fields that a run with all labels need not share with the run that it measures."""

_ALL_LABELS = ("supervised", "all")
"""Methods that ask for all labels: in LabOR's rounds, and in joint training."""


def section(run: RunFiles) -> Html:
    """The section of the page; nothing while no stage is over."""
    rows = stages.table_rows(run.summary)
    if not rows:
        return Html("")
    return page.section(
        "How good it is",
        _curves(run),
        page.table(stages.HEADER, rows),
        page.items(stages.sentences(run.summary)),
        lead="mIoU is the mean over classes of the share of pixels on which label and prediction "
        "agree, among those that either gives to the class.",
    )


def classes_section(run: RunFiles, answers: np.ndarray) -> Html:
    """The section about classes.

    Args:
      run: the run.
      answers: pixels that were answered as each class, int64[C].
    """
    return page.section(
        "Which classes fail",
        page.halves(_class_table(run, answers), _confusion(run)),
        lead="IoU of each class, the worst first; click on a column's name to sort by it. The bar "
        "is the last stage, and the line across it the first, if there are several.",
    )


def supervised_beside(run: RunFiles) -> float | None:
    """The mIoU of a run beside this one that had all labels, and differs in nothing else.

    Returns:
      None if there is no `supervised_PAIR_seedN` or `supervised_…_PAIR_seedN`, such as
      `supervised_short_street_seed0` (of joint training `all_…`), that is over, asked for all
      labels, and shares the data, the training and the way of measuring.
    """
    summary = run.summary
    if summary["method"] in _ALL_LABELS:
        return None
    name = glob.escape(f"_{summary['pair']}_seed{summary['seed']}")
    beside = run.folder.path.resolve().parent
    for folder in sorted(
        each for method in _ALL_LABELS for each in beside.glob(method + "*" + name)
    ):
        theirs = Workdir(folder)
        try:
            found, config = (
                json.loads(each.read_text()) for each in (theirs.summary, theirs.config)
            )
            miou = found["final_miou"] if _asked_all(found) else None
            alike = miou is not None and _trained_alike(run.config, config)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of another version, or damaged
        if alike and not data_identity.differences(
            data_identity.read(run.folder), data_identity.read(theirs)
        ):
            return miou
    return None


def _asked_all(summary: dict[str, Any]) -> bool:
    rounds = summary["rounds"]
    asked = bool(rounds) and rounds[-1]["labelled_fraction"] >= 1
    return summary["method"] in _ALL_LABELS and asked


def _trained_alike(config: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configs differ at most in what they ask."""
    kept = [
        effective_fields(
            {name: value for name, value in each.items() if name not in _OF_THE_QUESTIONS}
        )
        for each in (config, other)
    ]
    without_effect = {*WITHOUT_EFFECT, *MEMORY_FIELDS}
    if config.get("evaluation_window") is None:
        without_effect.add("evaluation_overlap")
    return differing_fields(*kept).keys() <= without_effect


def class_iou_by_stage(run: RunFiles) -> dict[str, dict[str, float | None]]:
    """IoU of each class by stage, in their order: the last stage before the rounds, and the rounds.

    What `summary.json` of an older version lacks comes from `metrics.jsonl`.
    """
    evaluated = {
        record["phase"]: record["per_class_iou"]
        for record in run.metrics
        if isinstance(record.get("per_class_iou"), dict)
    }
    found = {}
    before = stages.before_rounds(run.summary)
    phases = [phase for phase in evaluated if not phase.startswith("round_")]
    if before and phases:
        found[before[0]] = evaluated[phases[-1]]
    for entry in run.summary["rounds"]:
        values = entry.get("per_class_iou") or evaluated.get(f"round_{entry['round']}/train")
        if values:
            found[f"round {entry['round']}"] = values
    last = run.summary.get("per_class_iou")
    if last and not found:
        found["last"] = last
    return found


def _curves(run: RunFiles) -> Html:
    rounds = run.summary["rounds"]
    if all(entry["miou"] is None for entry in rounds):
        return Html("")
    before = stages.before_rounds(run.summary)
    first = before[1] if before else None
    miou = [first, *(entry["miou"] for entry in rounds)]
    levels = [
        Level(name, run.summary[key])
        for name, key in stages.BEFORE
        if run.summary.get(key) is not None
    ]
    supervised = supervised_beside(run)
    if supervised is not None:
        levels.append(Level("supervised, all labels", supervised))
    hours = [0.0, *(entry["annotation_seconds"] / 3600 for entry in rounds)]
    unit, factor = ("hours", 1) if hours[-1] >= 1 else ("minutes", 60)
    axes = [
        (f"people's {unit}", [factor * each for each in hours]),
        ("clicks", [0, *(entry.get("clicks") for entry in rounds)]),
        ("labelled share in %", [0.0, *(100 * entry["labelled_fraction"] for entry in rounds)]),
    ]
    return page.side_by_side(
        charts.line_chart(
            f"mIoU and {label.removesuffix(' in %')}",
            [Line("mIoU", values, miou)],
            x_label=label,
            levels=levels,
            percent=True,
        )
        for label, values in axes
        if None not in values
    )


def _class_table(run: RunFiles, answers: np.ndarray) -> Html:
    by_stage = class_iou_by_stage(run)
    if not by_stage:
        return Html("")
    names = list(by_stage)
    last = by_stage[names[-1]]
    several, answered = len(names) > 1, bool(answers.any())
    header = ["class", "", *names, *["change"] * several, *["answers"] * answered]
    rows = []
    worst_first = sorted(
        range(len(run.classes)),
        key=lambda number: math.inf if (iou := last.get(run.classes[number])) is None else iou,
    )
    for number in worst_first:
        name = run.classes[number]
        values = [by_stage[stage].get(name) for stage in names]
        row = [
            page.swatch(run.palette[number], name),
            page.bar(values[-1] or 0.0, values[0] if several else None),
            *(Cell(_iou(value), value) for value in values),
        ]
        if several:
            both = values[0] is not None and values[-1] is not None
            change = 100 * (values[-1] - values[0]) if both else None
            row.append(Cell("" if change is None else f"{change:+.1f}", change))
        if answered:
            row.append(Cell(f"{answers[number]:,}", int(answers[number])))
        rows.append(row)
    absent = [name for name in run.classes if last.get(name) is None]
    note = (
        f"No labels to measure on, so without a say in mIoU: {', '.join(absent)}." if absent else ""
    )
    return page.joined(
        [
            page.table(header, rows, sortable=True, words=(0, 1)),
            page.paragraph(note, kind="muted") if note else "",
        ]
    )


def _iou(value: float | None) -> str:
    return "no labels" if value is None else f"{100 * value:.1f}%"


def mixed_up(run: RunFiles) -> list[tuple[str, str, float]]:
    """Which class is taken for which: label, prediction, and share of the label's pixels.

    Returns:
      The mistakes, the largest shares first; none without a confusion matrix.
    """
    confusion = _matrix(run)
    if confusion is None:
        return []
    shares = _row_shares(confusion)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-np.nan_to_num(shares), axis=None)
    found = []
    for place in order:
        row, column = divmod(int(place), len(shares))
        if not shares[row, column] > 0:
            break
        found.append((run.classes[row], run.classes[column], float(shares[row, column])))
    return found


def _matrix(run: RunFiles) -> np.ndarray | None:
    confusion = run.summary.get("confusion")
    if confusion is None or len(confusion) != len(run.classes):
        return None
    return np.array(confusion, np.int64)


def _row_shares(confusion: np.ndarray) -> np.ndarray:
    totals = confusion.sum(axis=1, keepdims=True)
    return np.divide(confusion, totals, out=np.full(confusion.shape, math.nan), where=totals > 0)


def _confusion(run: RunFiles) -> Html:
    confusion = _matrix(run)
    if confusion is None:
        return Html("")
    wrong = confusion.sum(axis=0) + confusion.sum(axis=1) - 2 * np.diag(confusion)
    shown = np.sort(np.argsort(-wrong, kind="stable")[:_MATRIX_CLASSES])
    shares = _row_shares(confusion)[np.ix_(shown, shown)]
    names = [run.classes[number] for number in shown]
    words = (
        "Each row is a class of the labels: of its pixels, the percentage that is predicted as "
        "each class. The diagonal is right."
    )
    if len(shown) < len(run.classes):
        words += f" These are the {len(shown)} classes with the most wrong pixels."
    return page.joined(
        [
            page.heading("What is taken for what"),
            page.paragraph(words, kind="muted"),
            charts.matrix_chart(
                "Confusion matrix, % of each row",
                shares,
                names,
                names,
                row_label="label",
                column_label="prediction",
            ),
        ]
    )
