"""How the training went: losses, learning rate and speed, from `metrics.jsonl`."""

from typing import Any

import numpy as np

from labor_jax.experiment.report import charts, page
from labor_jax.experiment.report.charts import Line
from labor_jax.experiment.report.page import Html
from labor_jax.experiment.report.run_files import RunFiles

_POINTS = 200  # of a line; of a longer series, means of neighbours
_CHARTS = 12
_FIRST = ("loss", "learning_rate", "images_per_second")
_TITLES = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "images_per_second": "Images per second",
}


def section(run: RunFiles) -> Html:
    """The section of the page; nothing for a run that trained without writing metrics."""
    records = [record for record in run.metrics if "loss" in record]
    values = sorted(
        {
            name
            for record in records
            for name, value in record.items()
            if isinstance(value, int | float) and name not in ("step", "time")
        }
    )
    ordered = [name for name in _FIRST if name in values]
    ordered += [name for name in values if name not in _FIRST]
    left_out = ordered[_CHARTS:]
    notes = [f"Not shown: {', '.join(left_out)}; metrics.jsonl has them."] if left_out else []
    return page.section(
        "How the training went",
        page.side_by_side(_chart(name, records) for name in ordered[:_CHARTS]),
        page.items(notes),
        lead="Each curve is a phase, and a vertical line begins a stage; those with a number begin "
        "a round. The pixel selector is a network of its own, trained before its round asks.",
    )


def _chart(name: str, records: list[dict[str, Any]]) -> Html:
    """A value over the run's steps: a line of the model's phases and one of the selector's."""
    kinds = {"model": [], "pixel selector": []}
    begins = {}
    for record in records:
        kind = "pixel selector" if record["phase"].endswith("/selector") else "model"
        begins.setdefault(_stage(record["phase"]), record["step"])
        if isinstance(record.get(name), int | float):
            kinds[kind].append(record)
    lines = [
        Line(kind, *_series(found, name), points=False) for kind, found in kinds.items() if found
    ]
    boundaries = [
        (step, stage.replace("round ", "") if number else "")
        for number, (stage, step) in enumerate(begins.items())
    ]
    return charts.line_chart(
        _TITLES.get(name, name.replace("_", " ")),
        lines,
        x_label="step",
        boundaries=boundaries if len(boundaries) > 1 else (),
        from_zero=name in _FIRST,
        x_range=(0, records[-1]["step"]),
    )


def _stage(phase: str) -> str:
    """ "round_1/train" is of "round 1"."""
    return {"warmup": "warm-up"}.get(phase, phase.partition("/")[0].replace("_", " "))


def _series(records: list[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values, with a gap between phases and no more points than a chart can show."""
    steps, values, phase = [], [], None
    width = max(1, -(-len(records) // _POINTS))
    start = 0
    while start < len(records):
        phase_now = records[start]["phase"]
        group = [records[start]]
        while len(group) < width and start + len(group) < len(records):
            following = records[start + len(group)]
            if following["phase"] != phase_now:
                break
            group.append(following)
        if phase not in (None, phase_now):
            steps.append(group[0]["step"])
            values.append(None)
        steps.append(float(np.mean([each["step"] for each in group])))
        values.append(float(np.mean([each[name] for each in group])))
        phase, start = phase_now, start + len(group)
    return steps, values
