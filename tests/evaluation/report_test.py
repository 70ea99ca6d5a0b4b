"""The table and the page."""

import base64
import html.parser
import io
import json

import numpy as np
import pytest
from PIL import Image

from labor_jax.evaluation import report
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
        "round 1         1.07%            88       1.5 h  50.00%",
        "round 2         2.20%           180      10.0 h  62.50%",
    ]


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
