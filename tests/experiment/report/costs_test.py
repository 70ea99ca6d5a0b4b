"""What a run cost, beside others; who gave the labels."""

import json

import numpy as np

from labor_jax.annotation.labelling_tool.progress import (
    SEVERAL,
    Agreement,
    Annotator,
    Progress,
)
from labor_jax.data import DataError
from labor_jax.experiment.report import costs, run_files
from labor_jax.experiment.summary import people_entry
from tests.evaluation.scenes import CLASSES
from tests.experiment.report.pages import cells_of


class Unlabelled:
    def __init__(self, count):
        self.names = tuple(map(str, range(count)))

    def __len__(self):
        return len(self.names)

    def size(self, number):
        return 4, 2

    def label(self, number):
        raise DataError("no labels")


class Labelled(Unlabelled):
    def label(self, number):
        return np.arange(2, dtype=np.uint8)[None].repeat(4, 0)  # two objects


def rows_of(run, count, kind=Unlabelled):
    run = run._replace(pool=kind(count))
    cells = cells_of(costs.section(run, costs.compare(run, run_files.sampled_truths(run))))[
        len(costs.HEADER) :
    ]
    return list(zip(*[iter(cells)] * len(costs.HEADER), strict=True))


def test_an_older_runs_cost_is_labors_estimate(run):
    rows = rows_of(run, 10)
    assert [row[:2] for row in rows] == [
        ("this run", "LabOR's estimate"),
        ("full labels", "LabOR's estimate"),
        ("PPL on Cityscapes", "LabOR's estimate"),
        ("SPL on Cityscapes", "LabOR's estimate"),
        ("full labels on Cityscapes", "LabOR's estimate"),
    ]
    assert rows[0][2:] == ("10", "", "3,600.0", "10.0", "200")
    assert rows[1][2:] == ("10", "", "5,400.0", "15.0", "300")
    assert rows[2][2:5] == ("2,975", "", "75.0")
    run.summary.update(rounds=[])
    assert rows_of(run, 10) == rows[1:]


def test_cost_by_each_basis(run):
    last = run.summary["rounds"][-1]
    last.update(work={"points": 60}, clicks=60, annotation_seconds=90.0)
    last.update(published_seconds=7200.0, labor_seconds=36000.0)
    rows = rows_of(run, 10)
    assert [row[1] for row in rows[:3]] == ["published", *["LabOR's estimate"] * 2]
    assert rows[0] == ("this run", "published", "10", "120.0", "720.0", "2.00", "40.00")
    last.update(annotation_source="measured")
    rows = rows_of(run, 10)
    assert rows[0] == ("this run", "measured", "10", "1.5", "9.0", "0.03", "0.50")
    assert [row[1] for row in rows[:3]] == ["measured", "published", "LabOR's estimate"]
    last.update(second_opinion_seconds=0.0)
    assert rows_of(run, 10) == rows
    last.update(second_opinion_seconds=3600.0)
    second = rows_of(run, 10)[3]
    assert second == ("its second opinions", "measured", "10", "", "360.0", "1.00", "20.00")


def test_full_labels_of_a_labelled_pool_cost_their_outlines(run):
    rows = rows_of(run, 10, Labelled)
    assert rows[1][:5] == ("full labels", "published", "10", "", f"{2 * 79.2 + 1:,.1f}")
    assert rows[2][:2] == ("full labels", "LabOR's estimate")


def test_small_costs_are_not_shown_as_nothing(run):
    run.summary["rounds"] = [{**run.summary["rounds"][0], "annotation_seconds": 3.74}]
    assert rows_of(run, 1000)[0][3:] == ("", "0.004", "0.001", "0.02")


def progress_of(annotators=(), items=0, pixels=(), equal=()):
    counts = np.zeros((2, 256), np.int64)
    for row, pairs in zip(counts, (pixels, equal), strict=True):
        for label, count in pairs:
            row[label] = count
    return Progress(
        round=1,
        items=2,
        done=2,
        leased=0,
        pixels=9,
        pixels_done=9,
        seconds_per_item=None,
        seconds_left=None,
        annotators=annotators,
        agreement=Agreement(items, *counts),
        missing=0,
    )


def test_people_and_second_opinions(run):
    assert people_entry(progress_of(), CLASSES) == {"annotators": [], "agreement": None}
    people = people_entry(
        progress_of(
            (Annotator("Ann <i>", 2, 12.34, False), Annotator("Bo", 0, None, True)),
            items=1,
            pixels=[(0, 4), (SEVERAL, 4), (255, 2)],
            equal=[(0, 3), (SEVERAL, 3)],
        ),
        CLASSES,
    )
    assert people["agreement"] == {
        "items": 1,
        "pixels": 10,
        "share": 0.6,
        "classes": [
            {"name": CLASSES[0], "pixels": 4, "share": 0.75},
            {"name": "several classes", "pixels": 4, "share": 0.75},
            {"name": "void", "pixels": 2, "share": 0.0},
        ],
    }
    assert json.loads(json.dumps(people)) == people
    run.summary["rounds"][0].update(people)
    run.summary["rounds"][1].update(people_entry(progress_of(), CLASSES))
    cells = cells_of(costs.section(run, []))
    at = cells.index("Ann <i>")
    assert cells[at - 1 : at + 3] == ["round 1", "Ann <i>", "2", "12.3"]
    assert cells[cells.index("Bo") + 2] == "-"
    at = cells.index("all classes")
    assert cells[at : at + 3] == ["all classes", "10", "60.00%"]
