"""The whole page of a run, from a small run's files."""

import base64
import io
import json
import re

from PIL import Image

from labor_jax.experiment import report
from labor_jax.experiment.report import gallery
from tests.evaluation.scenes import CLASSES, SIZE
from tests.experiment.report.pages import Page

SECTIONS = (
    "What next",
    "How good it is",
    "Which classes fail",
    "What was asked",
    "Images of the pool",
    "What it cost",
    "How the training went",
    "How it was made",
)


def headings(page_text):
    return re.findall(r"<h2>(.*?)</h2>", page_text)


def test_a_report_has_all_sections_and_escapes_names(folder, pair, store, finished):
    report.write_report(folder, finished, pair, store)
    text = folder.report.read_text()
    page = Page(text)
    assert headings(text) == list(SECTIONS)
    for row in report.table_rows(finished):
        assert row[0] in page.cells and row[-1] in page.cells
    # Names come out as they went in: none became a tag.
    assert set(CLASSES) < set(page.cells) and pair.pool.names[0] in "".join(page.texts)
    assert not page.named("drive") and "car <b>" not in text
    assert "never" in page.cells and "no labels" in page.cells
    assert "No labels to measure on, so without a say in mIoU: never." in text
    for told in ("62.5%", "1 CPU, float32", "9.9", "±1.2", "31.2 points more"):
        assert told in text, told


def test_a_report_needs_nothing_from_outside(folder, pair, store, finished):
    report.write_report(folder, finished, pair, store)
    text = folder.report.read_text()
    page = Page(text)
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "xlink:href", "action", "data")
    ]
    assert addresses and all(each.startswith(("data:", "#")) for each in addresses)
    assert {each[0] for each in re.findall(r"url\((.{5})", text)} == {"d", "#"}  # data:, #id
    assert "http" not in text and "@import" not in text


def test_pictures_are_whole(folder, pair, store, finished):
    report.write_report(folder, finished, pair, store)
    sources = [image["src"] for image in Page(folder.report.read_text()).named("img")]
    photos = re.findall(r"--photo-\d+:url\((data:[^)]*)\)", folder.report.read_text())
    assert len(photos) == 1  # of the one previewed image, however many panels show it
    opened = [
        Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2])))
        for each in (*sources, *photos)
    ]
    sizes = [each.size for each in opened]
    assert sizes.count(SIZE[::-1]) >= 8
    assert opened[-1].format == "WEBP" and {each.format for each in opened[:-1]} == {"PNG"}


def test_large_pictures_shrink_until_they_fit(folder, pair, store, finished, monkeypatch):
    monkeypatch.setattr(gallery, "LARGEST", 4000)
    report.write_report(folder, finished, pair, store)
    text = folder.report.read_text()
    (by,) = re.findall(r"shown at 1/(\d+) of its size", text)
    assert int(by) > 1


def test_a_run_of_an_older_version_has_a_report(folder, pair, store, add_round, summary):
    """Neither confusion nor IoU by round, no uncertainty, no clicks, no metrics."""
    add_round(1, {})
    summary.update(final_miou=0.625, wall_seconds=1.0)
    report.write_report(folder, summary, pair, store)
    text = folder.report.read_text()
    assert "How good it is" in headings(text) and "How the training went" not in headings(text)
    assert "mIoU and labelled share" in text and "mIoU and clicks" not in text
    assert "50.0%" in Page(text).cells  # of the car, in the last stage


def test_a_run_without_rounds_previews_or_pool(folder, pair, store, summary):
    summary.update(rounds=[], per_class_iou=None, final_miou=None, wall_seconds=0.0)
    report.write_report(folder, summary, pair, store)
    assert "Images of the pool" not in headings(folder.report.read_text())
    bare = pair.__class__(pair.name, pair.classes, pair.palette, None, None, None)
    report.write_report(folder, summary, bare, store, note="There are <no> pictures.")
    assert "There are &lt;no&gt; pictures." in folder.report.read_text()


def test_a_report_is_the_same_each_time(folder, pair, store, finished, tmp_path):
    texts = []
    for name in ("a.html", "b.html"):
        report.write_report(folder, finished, pair, store, output=tmp_path / name)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]


def test_summary_file(folder, finished):
    report.write_summary(folder, finished)
    assert json.loads(folder.summary.read_text()) == finished
    assert "[70, 20, 10, 0]" in folder.summary.read_text()  # a row of a matrix is a line
