"""Names of files and labels, the canvas, and finding a document."""

import json
import os
import zipfile

import numpy as np
import pytest

from labor_jax.annotation.formats import base
from labor_jax.annotation.formats.base import UNANSWERED, VOID, Canvas
from labor_jax.data import DataError
from tests.annotation.formats.tasks import CLASSES, item_of, task_of

TASK = task_of([item_of(["??", ".."], number=number) for number in (0, 3, 123456789)])


@pytest.mark.parametrize(
    "name",
    [
        "round2_000003.png",
        "images/round2_000003.png",
        "C:\\data\\round2_000003.png",
        "/data/upload/7/1a2b3c4d-round2_000003.png",  # Label Studio's own prefix
        "/data/local-files/?d=images/round2_000003.png",
        "round2_000003.jpg",
        "round2_000003",
    ],
)
def test_images_are_found_by_the_end_of_their_names(name):
    assert base.identified(TASK, name, (2, 2)) == (3, ())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("round1_000003.png", "of round 1, not of round 2"),
        ("round2_000004.png", "none of the images that the round asks"),
        ("round2_99999999999999999999.png", "no file name of an export"),
        ("background2_000003.png", "no file name of an export"),
        ("../../etc/passwd", "no file name of an export"),
        (None, "no file name of an export"),
        (["x"] * 99, "no file name of an export"),
    ],
)
def test_other_images_are_unknown(name, says):
    number, (problem,) = base.identified(TASK, name, (2, 2))
    assert number is None
    assert says in problem.text and len(problem.text) < 150


def test_every_number_has_its_own_safe_file_name():
    names = [TASK.file_name(number) for number in TASK.names]
    assert names == ["round2_000000.png", "round2_000003.png", "round2_123456789.png"]
    for number, name in zip(TASK.names, names, strict=True):
        assert base.identified(TASK, name, None) == (number, ())


def test_another_size():
    number, (problem,) = base.identified(TASK, "round2_000003.png", (3, 2))
    assert (number, problem.text) == (3, "the image is 2x3 there and 2x2 here")


def test_void_and_asked_have_names_that_no_class_has():
    assert TASK.label_names[VOID] == "void_"  # CLASSES has a "void" and an "asked"
    assert TASK.label_names[UNANSWERED] == "asked_"
    assert [base.label_of(TASK, name) for name in CLASSES] == list(range(len(CLASSES)))
    for name in ("Road", None, 3, ["road"]):
        with pytest.raises(ValueError, match="none of the classes"):
            base.label_of(TASK, name)


def test_canvas_counts_contradictions():
    canvas = Canvas((2, 3))
    canvas.paint(1, np.array([0, 1]))
    canvas.paint(1, np.array([0, 3]))  # the same class again is none
    canvas.paint(UNANSWERED, np.arange(6))  # no answer covers none
    canvas.paint(VOID, np.array([1, 2, 4, 5]))
    delivered = canvas.delivered("f", 0)
    assert delivered.labels.tolist() == [[1, VOID, VOID], [1, VOID, VOID]]
    assert delivered.problems == (("pixels have two different classes", 1),)


def test_layered_canvas_has_the_last_shape_on_top():
    canvas = Canvas((1, 3), layered=True)
    canvas.paint(1, np.array([0, 1]))
    canvas.paint(2, np.array([1, 2]))
    assert canvas.delivered("f", 0).labels.tolist() == [[1, 2, 2]]
    assert not canvas.delivered("f", 0).problems


def test_pixels_of_points():
    assert base.pixel_at(0.0, 1.99, (2, 3)).tolist() == [3]
    assert base.pixel_at(3.0, 2.0, (2, 3)).tolist() == [5]  # the border is the last pixel's
    for x, y in ((-0.1, 0), (0, 2.1), (float("nan"), 0), (0, float("inf"))):
        with pytest.raises(ValueError, match="outside of the image"):
            base.pixel_at(x, y, (2, 3))


def test_a_document_is_a_file_or_the_only_one_of_a_folder_or_an_archive(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "tasks.json").write_text("[1]")
    assert base.read_json(tmp_path) == ("tasks.json", [1])
    assert base.read_json(tmp_path / "tasks.json") == ("tasks.json", [1])
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("annotations/instances_default.json", "[2]")
        archive.writestr("__MACOSX/annotations/._instances_default.json", "\0")
    where = "export.zip/annotations/instances_default.json"
    assert base.read_json(tmp_path / "export.zip") == (where, [2])


def test_documents_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    def says(*words):
        with pytest.raises(DataError) as raised:
            base.read_json(tmp_path)
        assert all(word in str(raised.value) for word in words)

    says("holds 0 files *.json")
    (tmp_path / "a.json").write_text("[" * 100_000)
    says("a.json is no JSON")
    (tmp_path / "a.json").write_bytes(b"\xff{}")
    says("a.json is no JSON")
    (tmp_path / "b.json").write_text("[]")
    says("holds 2 files *.json (a.json, b.json)")
    (tmp_path / "b.json").unlink()
    monkeypatch.setattr(base, "MAX_BYTES", 9)
    (tmp_path / "a.json").write_text(json.dumps("0123456789"))
    says("12 bytes", "the largest that is read has 9")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", " " * 1000)
    with pytest.raises(DataError, match="has 1,000 bytes"):
        base.read_json(tmp_path / "bomb")
    monkeypatch.setattr(base, "MAX_BYTES", 9999)
    damaged = bytearray((tmp_path / "bomb").read_bytes())
    damaged[40] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(damaged)
    for name in ("damaged.zip", "absent.json"):
        with pytest.raises(DataError, match="can't be read"):
            base.read_json(tmp_path / name)


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.json").write_text("[1]")
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.json", tmp_path / "in" / "a.json")
    with pytest.raises(DataError, match="leads out of"):
        base.read_json(tmp_path / "in")
