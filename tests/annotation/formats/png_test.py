"""PNG label maps."""

import dataclasses
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
    assert manifest["void"] == {"number": 254, "name": "void_", "color": "#ffffff"}
    assert manifest["unanswered"] == {"number": 255, "name": "asked_", "color": "#202020"}
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
    for name in (".DS_Store", "._round2_000000.png", "Thumbs.db", "desktop.ini"):
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
    repaint(folder, np.zeros((2, 4)), OWN[UNANSWERED])  # nothing was answered
    (imported,) = read(folder)
    assert not imported.problems and (imported.labels == UNANSWERED).all()


BLACK_FIRST = np.append([(0, 0, 0)], default_palette(4), axis=0).astype(np.uint8)


def export_with(tmp_path, classes, *, is_old):
    """Exports with these colours of the classes; or as it was when two labels had black."""
    exported = dataclasses.replace(ROUND, palette=classes)
    png.write(tmp_path, exported, [IMAGE])
    documents.write_manifest(tmp_path, exported, "png")
    if is_old:
        file = tmp_path / "manifest.json"
        manifest = json.loads(file.read_text())
        del manifest["void"]["color"], manifest["unanswered"]["color"]
        file.write_text(json.dumps(manifest))
    return palettes.listed(classes) if is_old else palettes.exported(classes)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("count", [4, 255, 256])
def test_a_palette_without_its_unused_end_leaves_the_numbers(tmp_path, count, is_old):
    own = export_with(tmp_path, BLACK_FIRST, is_old=is_old)
    own[255] = (224, 224, 192)
    labels = [[0, 1, 2, 2], [0, 1, 2, 255 if count == 256 else 0]]
    repaint(tmp_path, labels, own[:count])
    (imported,) = read(tmp_path)
    assert not imported.problems
    np.testing.assert_array_equal(imported.labels, labels)


def test_a_white_end_of_the_palette_is_not_void(folder):
    repaint(folder, LABELS, [*OWN[:255], (255, 255, 255)])
    (imported,) = read(folder)
    np.testing.assert_array_equal(imported.labels, LABELS)


@pytest.mark.parametrize("other", [(0, 0, 0), (32, 32, 32), (255, 255, 255)])
def test_every_label_has_its_own_colour(tmp_path, other):
    classes = np.append([other], default_palette(4), axis=0).astype(np.uint8)
    own = export_with(tmp_path, classes, is_old=False)
    labels = [*range(5), VOID, UNANSWERED]
    assert len(np.unique(own[labels], axis=0)) == 7
    used = [UNANSWERED, 0, VOID, 2]  # reordered, without the unused
    repaint(tmp_path, [[0, 1, 2, 3]] * 2, own[used])
    (imported,) = read(tmp_path)
    assert not imported.problems and imported.labels.tolist() == [used] * 2
    repaint(tmp_path, [[0, 1, 2, 2]] * 2, own[:3])  # in order, without the unused
    (imported,) = read(tmp_path)
    assert not imported.problems and imported.labels.tolist() == [[0, 1, 2, 2]] * 2


def test_an_earlier_export_leaves_doubt_where_black_is_a_class_and_unanswered(tmp_path):
    own = export_with(tmp_path, BLACK_FIRST, is_old=True)
    repaint(tmp_path, [[0, 1, 1, 1]] * 2, own[[UNANSWERED, 1]])
    (imported,) = read(tmp_path)
    assert "the value 0 is #000000: the palette" in imported.problems[0].text


def test_an_earlier_export_without_an_answer_is_read_by_its_black(tmp_path):
    export_with(tmp_path, ROUND.palette, is_old=True)
    repaint(tmp_path, np.zeros((2, 4)), [0, 0, 0])
    (imported,) = read(tmp_path)
    assert not imported.problems and (imported.labels == UNANSWERED).all()


def test_padded_colours_of_voc_are_not_read_as_other_classes(folder):
    padded = np.where(np.arange(256)[:, None] < 5, np.append(BLACK_FIRST, [(0, 0, 0)] * 251, 0), 0)
    repaint(folder, [[1, 2, 2, 1]] * 2, padded)
    (imported,) = read(folder)
    assert imported.labels is None and "can't say which label" in imported.problems[0].text


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
    says("not as exported.*no colour", void={**manifest["void"], "color": None})
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
