"""PNG label maps."""

import json
import os

import hypothesis
import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation.formats import base, png
from labor_jax.annotation.formats.base import UNANSWERED, VOID
from labor_jax.data import DataError
from tests.annotation.formats.tasks import ITEM, TASK, random_items, task_of


@pytest.fixture
def folder(tmp_path):
    png.write(tmp_path, TASK, [ITEM])
    base.write_manifest(tmp_path, TASK, "png")
    return tmp_path


def read(folder):
    return list(png.read(folder, TASK))


@hypothesis.settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(items=random_items())
def test_round_trip(tmp_path_factory, items):
    folder, task = tmp_path_factory.mktemp("export"), task_of(items)
    png.write(folder, task, items)
    base.write_manifest(folder, task, "png")
    found = {each.number: each for each in png.read(folder, task)}
    assert found.keys() == {item.number for item in items}
    for item in items:
        assert not found[item.number].problems
        np.testing.assert_array_equal(found[item.number].labels, item.labels)
        with Image.open(folder / "asked" / task.file_name(item.number)) as asked:
            np.testing.assert_array_equal(np.asarray(asked), np.where(item.asked, 255, 0))


def test_files_are_what_the_issue_says(folder):
    with Image.open(folder / "labels" / "round2_000000.png") as labels:
        assert np.asarray(labels).tolist() == [[0, 255, 254, 255], [255, 1, 2, 255]]
        colours = np.asarray(labels.convert("RGB"))
    np.testing.assert_array_equal(colours[1, 2], TASK.palette[2])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["round"] == 2
    assert [each["name"] for each in manifest["classes"]] == list(TASK.classes)
    assert (manifest["void"]["number"], manifest["unanswered"]["number"]) == (254, 255)
    assert manifest["images"] == [
        {"file": "round2_000000.png", "name": TASK.names[0], "width": 4, "height": 2}
    ]


def test_grey_label_maps_are_read(folder):
    labels = np.array([[0, 1, VOID, UNANSWERED], [255, 1, 2, 255]], np.uint8)
    Image.fromarray(labels).save(folder / "labels" / "round2_000000.png")
    (delivered,) = read(folder)
    assert delivered.where == "labels/round2_000000.png" and not delivered.problems
    np.testing.assert_array_equal(delivered.labels, labels)


def test_what_is_wrong_is_told(folder):
    labels = folder / "labels" / "round2_000000.png"

    def problem():
        (delivered,) = read(folder)
        ((text, pixels),) = delivered.problems
        return text, pixels

    Image.fromarray(np.full((2, 4), 7, np.uint8)).save(labels)
    assert problem() == ("the value 7 is none of the classes", 8)
    Image.fromarray(np.zeros((4, 2), np.uint8)).save(labels)
    assert problem() == ("the label map is 2x4, the image 4x2", 0)
    Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(labels)
    assert "of mode RGB" in problem()[0]
    labels.write_bytes(labels.read_bytes()[:40])
    assert "no PNG that can be read" in problem()[0]
    labels.write_text("GIF89a")
    assert "no PNG that can be read" in problem()[0]
    labels.rename(labels.with_name("holiday.png"))
    assert "no file name of an export" in problem()[0]


def test_a_manifest_of_another_round_or_other_classes_is_refused(folder):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())

    def says(words, **changed):
        file.write_text(json.dumps({**manifest, **changed}))
        with pytest.raises(DataError, match=words):
            read(folder)

    says("of round 3, not of round 2", round=3)
    says("has the classes road, ", classes=manifest["classes"][:-1])
    says("not as the export writes it", classes=None)
    says(r"numbers \(0, 255\)", void={"number": 0})
    file.unlink()
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        read(folder)


def test_a_folder_without_label_maps_is_refused(folder):
    (folder / "labels" / "round2_000000.png").unlink()
    with pytest.raises(DataError, match="holds no label maps"):
        read(folder)


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.png"
    labels = folder / "labels" / "round2_000000.png"
    labels.rename(outside)
    os.symlink(outside, labels)
    with pytest.raises(DataError, match="leads out of"):
        read(folder)
