"""The table and the page."""

import base64
import html.parser
import io
import json
import types

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation.labelling_tool.progress import Agreement, Annotator, Progress
from labor_jax.data import DataError
from labor_jax.experiment import report
from labor_jax.experiment.summary import people_entry
from tests.evaluation.scenes import CLASSES, SIZE


@pytest.fixture
def summary():
    return {
        "method": "spl",
        "pair": "street",
        "seed": 3,
        "source_only_miou": 0.25,
        "warmup_miou": 0.3125,
        "rounds": [
            {
                "round": 1,
                "miou": 0.5,
                "labelled_fraction": 0.0107,
                "pixels_per_image": 87.6,
                "annotation_seconds": 5400.0,
            },
            {
                "round": 2,
                "miou": 0.625,
                "labelled_fraction": 0.022,
                "pixels_per_image": 180.2,
                "annotation_seconds": 36000.0,
            },
        ],
        "subset_miou": {},
        "per_class_iou": {"road": 0.75, "car <b>": 0.5, "sky & co": 0.625, "never": None},
    }


def test_text_table(summary):
    assert report.text_table(summary).splitlines() == [
        "",
        "spl on street, seed 3",
        "stage        labelled  pixels/image  annotation    mIoU",
        "source-only         0             0           0  25.00%",
        "warm-up             0             0           0  31.25%",
        "round 1         1.07%          87.6       1.5 h  50.00%",
        "round 2         2.20%           180      10.0 h  62.50%",
    ]


def test_measured_times_say_so(summary):
    first, second = summary["rounds"]
    first.update(annotation_seconds=90.0, annotation_source="measured")
    second.update(annotation_source="partly measured")
    cells = [row[3] for row in report.table_rows(summary)[2:]]
    assert cells == ["1.5 min, measured", "10.0 h, partly measured"]
    first.update(annotation_source="published")
    assert report.table_rows(summary)[2][3] == "1.5 min"


def test_small_budgets_are_not_shown_as_nothing(folder, summary):
    summary["rounds"][0].update(
        labelled_fraction=1 / 20_480, pixels_per_image=0.25, annotation_seconds=3.74
    )
    assert report.table_rows(summary)[2][1:4] == ("0.0049%", "0.25", "3.7 s")
    summary["rounds"] = summary["rounds"][:1]
    assert report.cost_rows(folder, summary, pool_of(1000))[0][3:] == ("", "0.004", "0.001", "0.02")


def test_joint_training_is_not_called_a_warm_up(summary):
    summary.update(source_only_miou=None, warmup_miou=None, before_rounds_miou=0.375)
    assert report.table_rows(summary)[0] == ("before round 1", "0", "0", "0", "37.50%")
    del summary["before_rounds_miou"]  # an older run's
    assert report.table_rows(summary)[0][0] == "round 1"


class Unlabelled:
    def __init__(self, count):
        self.names = tuple(map(str, range(count)))

    def __len__(self):
        return len(self.names)

    def label(self, number):
        raise DataError("no labels")


class Labelled(Unlabelled):
    def label(self, number):
        return np.arange(2, dtype=np.uint8)[None].repeat(4, 0)  # two objects


def pool_of(count, kind=Unlabelled):
    return types.SimpleNamespace(pool=kind(count))


def test_an_older_runs_cost_is_labors_estimate(folder, summary):
    rows = report.cost_rows(folder, summary, pool_of(10))
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
    summary.update(rounds=[])
    assert report.cost_rows(folder, summary, pool_of(10)) == rows[1:]


def test_cost_by_each_basis(folder, summary):
    last = summary["rounds"][-1]
    last.update(work={"points": 60}, clicks=60, annotation_seconds=90.0)
    last.update(published_seconds=7200.0, labor_seconds=36000.0)
    rows = report.cost_rows(folder, summary, pool_of(10))
    assert [row[1] for row in rows[:3]] == ["published", *["LabOR's estimate"] * 2]
    assert rows[0] == ("this run", "published", "10", "120.0", "720.0", "2.00", "40.00")
    last.update(annotation_source="measured")
    rows = report.cost_rows(folder, summary, pool_of(10))
    assert rows[0] == ("this run", "measured", "10", "1.5", "9.0", "0.03", "0.50")
    assert [row[1] for row in rows[:3]] == ["measured", "published", "LabOR's estimate"]


def test_full_labels_of_a_labelled_pool_cost_their_outlines(folder, summary):
    rows = report.cost_rows(folder, summary, pool_of(10, Labelled))
    assert rows[1][:5] == ("full labels", "published", "10", "", f"{2 * 79.2 + 1:,.1f}")
    assert rows[2][:2] == ("full labels", "LabOR's estimate")


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


def test_people_and_second_opinions(folder, pair, store, summary):
    assert people_entry(progress_of(), CLASSES) == {"annotators": [], "agreement": None}
    people = people_entry(
        progress_of(
            (Annotator("Ann <i>", 2, 12.34, False), Annotator("Bo", 0, None, True)),
            items=1,
            pixels=[(0, 8), (255, 2)],
            equal=[(0, 6)],
        ),
        CLASSES,
    )
    assert people["agreement"] == {
        "items": 1,
        "pixels": 10,
        "share": 0.6,
        "classes": [
            {"name": CLASSES[0], "pixels": 8, "share": 0.75},
            {"name": "void", "pixels": 2, "share": 0.0},
        ],
    }
    assert json.loads(json.dumps(people)) == people
    summary["rounds"][0].update(people)
    summary["rounds"][1].update(people_entry(progress_of(), CLASSES))
    report.write_report(folder, summary, pair, store)
    page = Page(folder.report.read_text())
    assert "i" not in page.tags
    at = page.cells.index("Ann <i>")
    assert page.cells[at - 1 : at + 3] == ["round 1", "Ann <i>", "2", "12.3"]
    assert page.cells[page.cells.index("Bo") + 2] == "-"
    at = page.cells.index("all classes")
    assert page.cells[at : at + 3] == ["all classes", "10", "60.00%"]


def test_subsets_of_classes_have_a_line_each(summary):
    summary["subset_miou"] = {"16": 0.5, "13": None}
    assert report.text_table(summary).splitlines()[-2:] == [
        "mIoU of the 16 classes: 50.00%",
        "mIoU of the 13 classes: none is labelled",
    ]


def test_stages_that_were_left_out_have_no_row(summary):
    summary.update(warmup_miou=None, rounds=[])
    assert [row[0] for row in report.table_rows(summary)] == ["source-only"]


def test_summary_file(folder, summary):
    report.write_summary(folder, summary)
    assert json.loads(folder.summary.read_text()) == summary


class Page(html.parser.HTMLParser):
    """Tags, images and cells of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.cells, self._in_cell = set(), [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self._in_cell = tag in ("td", "th")
        if self._in_cell:
            self.cells.append("")
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_endtag(self, tag):
        self._in_cell = False

    def handle_data(self, data):
        if self._in_cell:
            self.cells[-1] += data


def test_report(folder, pair, store, add_round, summary):
    config = folder.read_config()
    assert config.preview_images == 1
    mask = np.zeros(SIZE, bool)
    mask[:3] = True
    add_round(1, {0: mask})
    report.write_report(folder, summary, pair, store)
    text = folder.report.read_text()
    page = Page(text)
    for row in report.table_rows(summary):
        assert row[0] in page.cells and row[-1] in page.cells
    # Names come out as they went in: none became a tag.
    assert set(CLASSES) < set(page.cells) and "b" not in page.tags
    assert page.cells[page.cells.index("never") + 1] == "neither labelled nor predicted"
    assert page.cells[page.cells.index("car <b>") + 1] == "50.00%"
    [image] = page.images
    assert image["alt"] == pair.pool.names[0]
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).width == 4 * SIZE[1] + 3 * 4
    assert "http" not in text


def test_a_run_without_rounds_or_previews(folder, pair, store, summary):
    summary.update(rounds=[], per_class_iou=None)
    report.write_report(folder, summary, pair, store)
    assert folder.report.exists()
