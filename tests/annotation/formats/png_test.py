"""PNG label maps."""

import json
import os

import hypothesis
import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation.formats import documents, palettes, png
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID
from labor_jax.data import DataError
from labor_jax.data.base import default_palette
from tests.annotation.formats.exported_rounds import IMAGE, ROUND, random_images, round_of


@pytest.fixture
def folder(tmp_path):
    png.write(tmp_path, ROUND, [IMAGE])
    documents.write_manifest(tmp_path, ROUND, "png")
    return tmp_path


def read(folder):
    return list(png.read(folder, ROUND))


@hypothesis.settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(images=random_images())
def test_round_trip(tmp_path_factory, images):
    folder, exported = tmp_path_factory.mktemp("export"), round_of(images)
    png.write(folder, exported, images)
    documents.write_manifest(folder, exported, "png")
    found = {each.number: each for each in png.read(folder, exported)}
    assert found.keys() == {image.number for image in images}
    for image in images:
        assert not found[image.number].problems
        np.testing.assert_array_equal(found[image.number].labels, image.labels)
        with Image.open(folder / "asked" / exported.file_name(image.number)) as asked:
            np.testing.assert_array_equal(np.asarray(asked), np.where(image.asked, 255, 0))


def test_files_are_what_the_issue_says(folder):
    with Image.open(folder / "labels" / "round2_000000.png") as labels:
        assert np.asarray(labels).tolist() == [[0, 255, 254, 255], [255, 1, 2, 255]]
        colours = np.asarray(labels.convert("RGB"))
    np.testing.assert_array_equal(colours[1, 2], ROUND.palette[2])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["round"] == 2
    assert [each["name"] for each in manifest["classes"]] == list(ROUND.classes)
    assert (manifest["void"]["number"], manifest["unanswered"]["number"]) == (254, 255)
    assert manifest["images"] == [
        {"file": "round2_000000.png", "name": ROUND.names[0], "width": 4, "height": 2}
    ]


def test_grey_label_maps_are_read(folder):
    labels = np.array([[0, 1, VOID, UNANSWERED], [255, 1, 2, 255]], np.uint8)
    Image.fromarray(labels).save(folder / "labels" / "round2_000000.png")
    (imported,) = read(folder)
    assert imported.where == "labels/round2_000000.png" and not imported.problems
    np.testing.assert_array_equal(imported.labels, labels)


def test_hidden_files_beside_label_maps_are_not_read(folder):
    # As macOS puts them: one of its folder, and one for each file, which comes first.
    for name in (".DS_Store", "._round2_000000.png"):
        (folder / "labels" / name).write_bytes(b"Mac OS X")
    (imported,) = read(folder)
    assert imported.where == "labels/round2_000000.png" and not imported.problems
    (folder / "labels" / "round2_000000.png").unlink()
    with pytest.raises(DataError, match="holds no label maps"):
        read(folder)


def repaint(folder, values, colours):
    """Saves other numbers and another palette in place of the label map."""
    image = Image.fromarray(np.asarray(values, np.uint8))
    image.putpalette(np.asarray(colours, np.uint8).tobytes())
    image.save(folder / "labels" / "round2_000000.png")


LABELS = np.array([[0, 1, VOID, UNANSWERED], [UNANSWERED, 1, 2, UNANSWERED]], np.uint8)
OWN = palettes.exported(ROUND.palette)


def test_a_label_map_with_a_reordered_palette_is_read_by_its_colours(folder):
    used, counts = np.unique(LABELS, return_counts=True)
    order = used[
        np.argsort(-counts, kind="stable")
    ]  # the commonest first, as programs do that compress it
    repaint(folder, np.argsort(order)[np.searchsorted(np.sort(order), LABELS)], OWN[order])
    (imported,) = read(folder)
    assert not imported.problems
    np.testing.assert_array_equal(imported.labels, LABELS)


def test_palettes_that_say_nothing_else_leave_the_numbers(folder):
    changed = OWN.copy()
    changed[100] = (1, 2, 3)  # of no label
    for palette in (changed, np.repeat(np.arange(256), 3)):
        repaint(folder, LABELS, palette)
        (imported,) = read(folder)
        assert not imported.problems
        np.testing.assert_array_equal(imported.labels, LABELS)
    repaint(folder, np.zeros((2, 4)), [0, 0, 0])  # nothing was answered
    (imported,) = read(folder)
    assert not imported.problems and (imported.labels == UNANSWERED).all()


@pytest.mark.parametrize(
    ("values", "palette"),
    [
        ([[0] * 4] * 2, [(1, 2, 3)]),  # of no label
        ([[25] * 4] * 2, OWN[:20]),  # without a colour
        ([[1] * 4] * 2, np.append([(0, 0, 0)], default_palette(20), axis=0)),  # another tool's
    ],
)
def test_a_palette_that_leaves_doubt_is_refused(folder, values, palette):
    repaint(folder, values, palette)
    (imported,) = read(folder)
    (problem,) = imported.problems
    assert imported.labels is None and problem.pixels == 8
    assert "the palette is not the exported one" in problem.text and "as grey" in problem.text


def test_two_labels_of_one_colour_are_not_told_by_it(folder):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["classes"][1]["color"] = "#ffffff"  # as void
    file.write_text(json.dumps(manifest))
    repaint(folder, [[0] * 4] * 2, [(255, 255, 255), OWN[2]])
    (imported,) = read(folder)
    assert "can't say which label" in imported.problems[0].text


def test_what_is_wrong_is_told(folder):
    labels = folder / "labels" / "round2_000000.png"

    def problem():
        (imported,) = read(folder)
        ((text, pixels, *_),) = imported.problems
        return text, pixels

    Image.fromarray(np.full((2, 4), 7, np.uint8)).save(labels)
    assert problem() == ("the value 7 is not one of the classes", 8)
    Image.fromarray(np.zeros((4, 2), np.uint8)).save(labels)
    assert problem() == ("the label map is 2x4, the image 4x2", 0)
    Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(labels)
    assert "of mode RGB" in problem()[0]
    labels.write_bytes(labels.read_bytes()[:40])
    assert "can't be read as PNG" in problem()[0]
    labels.write_text("GIF89a")
    assert "can't be read as PNG" in problem()[0]
    labels.rename(labels.with_name("holiday.png"))
    assert "not the name of an exported file" in problem()[0]


def test_a_manifest_of_another_round_or_other_classes_is_refused(folder):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())

    def says(words, **changed):
        file.write_text(json.dumps({**manifest, **changed}))
        with pytest.raises(DataError, match=words):
            read(folder)

    says("of round 3, not of round 2", round=3)
    says("has the classes road, ", classes=manifest["classes"][:-1])
    says("not as exported", classes=None)
    says("not as exported.*no colour", classes=[{**manifest["classes"][0], "color": "red"}])
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
