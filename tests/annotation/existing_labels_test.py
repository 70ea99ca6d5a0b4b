"""Labels from before the run, in every format: what is stored, and what is told."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from labor_jax.annotation import LabelStore
from labor_jax.annotation.existing_labels import check_complete, import_existing, pool_round
from labor_jax.annotation.formats import EXISTING_FORMATS, FORMATS
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID
from labor_jax.annotation.round_export import describe_round, export_round
from labor_jax.annotation.violations import by_cause
from labor_jax.data import DataError, Pair
from labor_jax.data.base import default_palette

CLASSES = ("road", "sky", "car")
NAMES = ("a/x", "b/x", "b/y", "z_left")
SIZE = (6, 8)
LABELS = np.random.default_rng(0).choice([0, 1, 2, 255], (len(NAMES), *SIZE)).astype(np.uint8)


class Pool:
    names = NAMES

    def __len__(self):
        return len(NAMES)

    def size(self, i):
        return SIZE


PAIR = Pair("mine", CLASSES, default_palette(3), None, Pool(), None)


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


def save(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(labels, np.uint8)).save(path)


def bring_in(store, folder, format="png", *, void=False, **options):
    existing = pool_round(PAIR, unknown_is_void=void)
    return import_existing(store, existing, format, folder, **options)


def test_label_maps_with_255_where_nothing_is_labelled(store, folder):
    save(folder / "a" / "x.png", LABELS[0])
    save(folder / "y.png", LABELS[2])  # the only y: its folder may be left out
    save(folder / "z_left.png", np.full(SIZE, 255))
    result = bring_in(store, folder)
    assert (result.imported, result.empty) == (["a/x", "b/y"], ["z_left"])
    assert result.pixels == np.count_nonzero(LABELS[[0, 2]] != 255) and not result.violations
    for number in (0, 2):
        np.testing.assert_array_equal(store.labels(NAMES[number]), LABELS[number])
        np.testing.assert_array_equal(store.asked(NAMES[number]), LABELS[number] != 255)
    assert bring_in(store, folder).unchanged == ["a/x", "b/y"]
    check_complete(result, folder)


def test_a_file_that_lists_an_image_without_a_label_leaves_its_labels(store, folder):
    save(folder / "a" / "x.png", LABELS[0])
    bring_in(store, folder)
    save(folder / "a" / "x.png", np.full(SIZE, 255))
    save(folder / "y.png", LABELS[2])
    for replace in (False, True):
        result = bring_in(store, folder, replace=replace)
        assert result.empty == ["a/x"] and result.imported + result.unchanged == ["b/y"]
        np.testing.assert_array_equal(store.labels("a/x"), LABELS[0])


def test_names_follow_the_pools_pattern(store, folder, caplog):
    existing = pool_round(PAIR, label_pattern="{stem}_gt.png")
    save(folder / "a" / "x.png", LABELS[0])
    assert import_existing(store, existing, "png", folder).imported == ["a/x"]
    save(folder / "a" / "x_gt.png", LABELS[1])
    save(folder / "b" / "x_gt.PNG", LABELS[1])
    save(folder / "b" / "x_colour.png", LABELS[1])  # another kind of the same labels
    save(folder / "b" / "x.jpg", LABELS[0])  # the photo
    assert not caplog.messages
    result = import_existing(store, existing, "png", folder, replace=True)
    assert result.imported == ["a/x", "b/x"] and not result.violations
    np.testing.assert_array_equal(store.labels("a/x"), LABELS[1])
    assert "3 images are not named {stem}_gt.png and are not read: a/x.png, b/x" in caplog.text
    save(folder / "photos" / "x.jpg", LABELS[0])
    with pytest.raises(DataError, match=r"no label maps \({stem}_gt\.png or .*images: x\.jpg"):
        import_existing(store, existing, "png", folder / "photos")


def test_what_is_wrong_is_told_by_cause_and_nothing_is_stored(store, folder):
    save(folder / "a" / "x.png", LABELS[0])
    save(folder / "x.png", LABELS[0])
    save(folder / "c" / "x.png", LABELS[0])  # of another folder than any image
    save(folder / "other.png", LABELS[0])
    save(folder / "more.png", LABELS[0])
    save(folder / "b" / "y.png", LABELS[0][:3])
    save(folder / "z_left.png", np.full(SIZE, 9))
    (folder / "b" / "x.png").write_bytes(b"no png")
    before = store.digest()
    result = bring_in(store, folder)
    lines = by_cause(result.violations)
    assert not result.imported and store.digest() == before
    assert len(lines) == 4
    assert "is not an image of the pool, in 3 images: c/x.png, more.png, other.png" in lines
    assert any("x' may be any of 2 images ('a/x', 'b/x')" in line for line in lines)
    assert any("the image is 8x3 in the file and 8x6 in the run" in line for line in lines)
    unusable = "the label map can't be used, in 2 images: b/x.png (image 'b/x'), z_left.png"
    (line,) = [line for line in lines if line.startswith(unusable)]
    assert "b/x.png cannot be read" in line
    texts = [violation.problem.text for violation in result.violations]
    assert any("z_left.png: label value 9 in 48 pixels" in text for text in texts)
    with pytest.raises(
        DataError,
        match=r"(?s)can't be used as they are.*not an image of the pool.*--skip_invalid",
    ):
        check_complete(result, folder)
    assert bring_in(store, folder, skip_invalid=True).imported == ["a/x"]


@pytest.mark.parametrize("format", EXISTING_FORMATS)
def test_a_path_that_does_not_exist(store, tmp_path, monkeypatch, format):
    monkeypatch.chdir(tmp_path)
    for name in ("labelled", "labels.json"):
        told = rf"there is no .* {tmp_path / name} \({name} is below the current folder, not data"
        path = tmp_path / name
        with pytest.raises(DataError, match=told):
            bring_in(store, path.relative_to(tmp_path), format)
        with pytest.raises(DataError, match=rf"there is no .* {path}$"):
            bring_in(store, path, format)


def test_an_image_twice_and_a_folder_without_labels(store, folder):
    with pytest.raises(DataError, match="holds no label maps"):
        bring_in(store, folder)
    with pytest.raises(DataError, match="holds no polygons"):
        bring_in(store, folder, "cityscapes")
    save(folder / "1" / "b" / "y.png", LABELS[2])
    save(folder / "2" / "b" / "y.png", LABELS[2])
    with pytest.raises(DataError, match="'b/y' twice"):
        bring_in(store, folder, skip_invalid=True)
    assert store.existing().images == 0


def test_other_labels_need_replace(store, folder):
    save(folder / "b" / "y.png", LABELS[2])
    bring_in(store, folder)
    save(folder / "b" / "y.png", LABELS[0])
    (violation,) = bring_in(store, folder).violations
    assert "--replace" in violation.problem.text
    assert violation.problem.pixels == np.count_nonzero(LABELS[0] != LABELS[2])
    assert bring_in(store, folder, replace=True).imported == ["b/y"]
    np.testing.assert_array_equal(store.labels("b/y"), LABELS[0])


@pytest.mark.parametrize("asks", ["other images", "an image that was read"])
def test_annotators_may_go_on_while_the_files_are_read(store, folder, asks):
    for name, labels in zip(NAMES[:2], LABELS, strict=False):
        save(folder / f"{name}.png", labels)
    existing, read = pool_round(PAIR), []

    def read_label(file):
        read.append(file)
        if len(read) == 2:  # as another process would
            with LabelStore(store.path, classes=CLASSES) as other:
                other.open_round(1, NAMES)
                other.ask("z_left" if asks == "other images" else "a/x", 1, LABELS[0] != 255)
        return existing.read_label(file)

    meanwhile = dataclasses.replace(existing, read_label=read_label)
    if asks == "other images":
        result = import_existing(store, meanwhile, "png", folder)
        assert result.imported == store.existing_images() == ["a/x", "b/x"]
    else:
        with pytest.raises(DataError, match="nothing was imported: image 'a/x' was asked"):
            import_existing(store, meanwhile, "png", folder)
        assert store.existing_images() == []


@pytest.mark.parametrize("format", list(FORMATS))
def test_the_round_that_another_run_exported(store, folder, tmp_path, format):
    with LabelStore(tmp_path / "theirs.sqlite", classes=CLASSES) as theirs:
        theirs.open_round(3, NAMES[1:3])
        query = np.zeros(SIZE, bool)
        query[1:4, 2:5] = True
        for name in NAMES[1:3]:
            theirs.ask(name, 3, query)
        theirs.answer("b/x", 3, LABELS[1])
        exported = describe_round(theirs, CLASSES, PAIR.palette, 3)
        export_round(theirs, exported, format, folder / "out", pool=None)
    result = bring_in(store, folder / "out", format)
    assert (result.imported, result.empty, result.violations) == (["b/x"], ["b/y"], [])
    np.testing.assert_array_equal(store.labels("b/x"), np.where(query, LABELS[1], 255))
    np.testing.assert_array_equal(store.asked("b/x"), query)  # void answers too


@pytest.mark.parametrize("format", ["coco", "cvat", "label_studio"])
def test_another_runs_round_may_ask_more_images(store, folder, tmp_path, format):
    with LabelStore(tmp_path / "theirs.sqlite", classes=CLASSES) as theirs:
        theirs.open_round(1, ["other", "z_left"])
        for name in ("other", "z_left"):
            theirs.ask(name, 1, np.ones(SIZE, bool))
        theirs.answer("z_left", 1, LABELS[3])
        exported = describe_round(theirs, CLASSES, PAIR.palette, 1)
        export_round(theirs, exported, format, folder / "open", pool=None)
        theirs.answer("other", 1, LABELS[0])
        export_round(theirs, exported, format, folder / "answered", pool=None)
    (violation,) = bring_in(store, folder / "answered", format).violations
    assert violation.problem.cause == "is not an image of the pool"
    assert bring_in(store, folder / "open", format).imported == ["z_left"]
    np.testing.assert_array_equal(store.labels("z_left"), LABELS[3])


def test_parts_of_several_classes_of_another_run_are_not_labelled(store, folder, tmp_path):
    parts = np.repeat([[0], [0], [1], [1], [2], [2]], SIZE[1], axis=1)
    candidates = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    with LabelStore(tmp_path / "theirs.sqlite", classes=CLASSES) as theirs:
        theirs.open_round(1, ["z_left"])
        theirs.ask("z_left", 1, np.ones(SIZE, bool), kind="classes", parts=parts)
        answer = np.where(parts == 0, 0, 255).astype(np.uint8)
        theirs.answer("z_left", 1, answer, candidates=candidates)
        exported = describe_round(theirs, CLASSES, PAIR.palette, 1)
        export_round(theirs, exported, "label_studio", folder / "out", pool=None)
    result = bring_in(store, folder / "out", "label_studio")
    assert (result.imported, result.violations) == (["z_left"], [])
    assert result.contradicting == np.count_nonzero(parts == 1)
    np.testing.assert_array_equal(store.labels("z_left"), answer)
    np.testing.assert_array_equal(store.asked("z_left"), parts != 1)  # the run may ask them


@pytest.fixture
def foreign(tmp_path, folder):
    """A function that exports a round of another run in a format, with other manifest entries."""

    def export(format, *, round=3, kind="mask", **image):
        with LabelStore(tmp_path / "theirs.sqlite", classes=CLASSES) as theirs:
            theirs.open_round(3, NAMES[1:2])
            theirs.ask("b/x", 3, np.ones(SIZE, bool))
            theirs.answer("b/x", 3, LABELS[1])
            exported = describe_round(theirs, CLASSES, PAIR.palette, 3)
            export_round(theirs, exported, format, folder / "out", pool=None)
        file = folder / "out" / "manifest.json"
        manifest = json.loads(file.read_text())
        manifest["images"][0].update(image)
        assert manifest["kind"] == "mask"
        manifest.update(round=round, kind=kind)
        file.write_text(json.dumps(manifest))
        return folder / "out"

    return export


@pytest.mark.parametrize("format", list(FORMATS))
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"height": "6"}, "image 1 has the height '6'"),
        ({"height": None}, "image 1 has the height None"),
        ({"width": 8.0}, r"image 1 has the width 8\.0"),
        ({"height": -6}, "image 1 has the height -6"),
        ({"width": True}, "image 1 has the width True"),
        ({"round": float("inf")}, "its round is inf"),
        ({"round": -1}, "its round is -1"),
        ({"kind": ["mask"]}, r"its kind is \['mask'\]"),
        ({"file": 5}, "TypeError"),
    ],
)
def test_a_damaged_manifest_is_a_sentence(store, foreign, format, changed, says):
    with pytest.raises(DataError, match=rf"manifest\.json is not as exported: .*{says}"):
        bring_in(store, foreign(format, **changed), format)


def test_a_manifest_that_names_a_file_twice_is_a_sentence(store, foreign):
    folder = foreign("png")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["images"] *= 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="image 2 has the file name of another one"):
        bring_in(store, folder)


@pytest.mark.parametrize("format", list(FORMATS))
def test_sizes_of_a_manifest_are_compared_before_anything_is_read(store, foreign, format):
    folder = foreign(format, height=10**9, width=10**9)
    (violation,) = bring_in(store, folder, format).violations
    assert violation.image == "b/x"
    assert "1000000000x1000000000 in the file and 8x6 in the run" in violation.problem.text


def coco(folder, file_name, annotations):
    names = [*CLASSES, "tarmac"]
    document = {
        "images": [{"id": 1, "file_name": file_name, "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": category, "segmentation": [polygon]}
            for number, (category, polygon) in enumerate(annotations)
        ],
    }
    (folder / "labels.json").write_text(json.dumps(document))


TOP, BOTTOM = [0, 0, 8, 0, 8, 3, 0, 3], [0, 2, 8, 2, 8, 6, 0, 6]  # they share a row


def test_coco_by_the_photos_names(store, folder):
    coco(folder, "/data/images/b/y.JPG", [(1, TOP), (0, BOTTOM)])
    result = bring_in(store, folder, "coco")
    assert (result.imported, result.contradicting) == (["b/y"], 8)
    labels = store.labels("b/y")
    assert (labels[:2] == 1).all() and (labels[2] == 255).all() and (labels[3:] == 0).all()
    assert not store.asked("b/y")[2].any()  # the run may ask what the file contradicts


def write_task(folder, format, photos):
    """Writes a task of photos, by name; each has a rectangle of each of its labels."""
    height, width = SIZE
    corners = [(0, 0), (width, 0), (width, 3), (0, 3)]
    if format == "coco":
        names = ["asked", "tarmac", *CLASSES]
        images = [
            {"id": number, "file_name": name, "height": height, "width": width}
            for number, name in enumerate(photos)
        ]
        annotations = [
            {"image_id": number, "category_id": names.index(label), "segmentation": [TOP]}
            for number, labels in enumerate(photos.values())
            for label in labels
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(names)]
        task = {"images": images, "categories": categories, "annotations": annotations}
        (folder / "task.json").write_text(json.dumps(task))
    elif format == "cvat":
        points = ";".join(f"{x},{y}" for x, y in corners)
        images = [
            f'<image name="{name}" width="{width}" height="{height}"><tag label="checked"/>'
            + "".join(f'<polygon label="{label}" points="{points}"/>' for label in labels)
            + "</image>"
            for name, labels in photos.items()
        ]
        (folder / "task.xml").write_text(f"<annotations>{''.join(images)}</annotations>")
    elif format == "label_studio":
        size = {"original_width": width, "original_height": height}
        points = [(100 * x / width, 100 * y / height) for x, y in corners]
        task = []
        for name, labels in photos.items():
            regions = [
                {"type": "polygonlabels", "value": {"points": points, "polygonlabels": [label]}}
                for label in labels
            ]
            checked = {"type": "choices", "value": {"choices": ["checked"]}}
            result = [checked, *({**region, **size} for region in regions)]
            annotations = [{"result": result}, {"result": [5], "was_cancelled": True}]
            task.append({"data": {"image": name}, "annotations": annotations})
        (folder / "task.json").write_text(json.dumps(task))
    else:
        for name, labels in photos.items():
            objects = [(label, corners) for label in labels if label != "asked"]
            polygons(folder / f"{name[:-4]}_gtFine_polygons.json", objects)


@pytest.mark.parametrize("format", ["coco", "cvat", "label_studio", "cityscapes"])
def test_photos_that_are_not_in_the_pool_matter_if_they_have_labels(store, folder, format):
    write_task(folder, format, {"z_left.jpg": ["car"], "other.jpg": [], "more.jpg": ["asked"]})
    result = bring_in(store, folder, format)
    assert (result.imported, result.empty, result.violations) == (["z_left"], [], [])
    assert (store.labels("z_left")[:3] == 2).all()
    for label in ("road", "tarmac"):
        write_task(folder, format, {"z_left.jpg": [], "other.jpg": ["asked", label]})
        (violation,) = bring_in(store, folder, format).violations
        assert violation.problem.cause == "is not an image of the pool"


def test_an_image_of_overlaps_alone_is_told(store, folder):
    coco(folder, "b/y.jpg", [(1, TOP), (0, TOP)])
    result = bring_in(store, folder, "coco")
    assert (result.empty, result.contradicting) == (["b/y"], 24)
    with pytest.raises(DataError, match="pool a label, and 24 pixels several classes"):
        check_complete(result, folder)


def test_unknown_names_are_an_error_or_void(store, folder):
    coco(folder, "b/y.jpg", [(1, [*TOP[:4], 8, 2, 0, 2]), (3, BOTTOM)])
    (violation,) = bring_in(store, folder, "coco").violations
    assert violation.problem.cause == "'tarmac' is not one of the classes"
    result = bring_in(store, folder, "coco", void=True)
    assert result.imported == ["b/y"] and store.existing().pixels == 16
    assert store.asked("b/y").all()  # void too is never asked


def polygons(path, objects, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    described = [{"label": label, "polygon": polygon} for label, polygon in objects]
    path.write_text(json.dumps({"imgHeight": size[0], "imgWidth": size[1], "objects": described}))


SQUARE = [[1, 1], [6, 1], [6, 4], [1, 4]]


def test_cityscapes_polygons_are_painted_in_order_as_their_scripts_do(store, folder):
    triangle = [[0, 0], [7, 0], [0, 5]]
    objects = [("road", SQUARE), ("ego vehicle", triangle), ("cargroup", [[2, 2], [4, 2], [4, 3]])]
    polygons(folder / "a" / "x_gtFine_polygons.json", objects)
    result = bring_in(store, folder, "cityscapes")
    assert result.imported == ["a/x"] and not result.violations
    drawn = Image.new("L", SIZE[::-1], UNANSWERED)
    for (_, polygon), value in zip(objects, (0, VOID, 2), strict=True):
        ImageDraw.Draw(drawn).polygon([tuple(corner) for corner in polygon], fill=value)
    drawn = np.array(drawn)
    assert set(np.unique(drawn)) == {0, 2, VOID, UNANSWERED}
    np.testing.assert_array_equal(store.asked("a/x"), drawn != UNANSWERED)
    np.testing.assert_array_equal(store.labels("a/x"), np.where(drawn == VOID, 255, drawn))


def test_cityscapes_licence_plates_leave_the_car_below(store, folder):
    plate = [[2, 2], [4, 2], [4, 3], [2, 3]]
    polygons(folder / "a" / "x_gtFine_polygons.json", [("car", SQUARE), ("license plate", plate)])
    bring_in(store, folder, "cityscapes")
    assert (store.labels("a/x")[2:4, 2:5] == 2).all()


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([("tarmac", SQUARE)], "object 1: 'tarmac' is not one of the classes"),
        ([("road", SQUARE[:2])], "at least three corners"),
        ([("road", [[0, 0], [1, 1], [1e300, 2]])], "not a place in an image"),
        ([("road", 5)], "not iterable"),
        ([(["road"], SQUARE)], "is not one of the classes"),
    ],
)
def test_what_is_wrong_with_a_polygon_is_told(store, folder, objects, says):
    polygons(folder / "a" / "x_gtFine_polygons.json", objects)
    (violation,) = bring_in(store, folder, "cityscapes").violations
    assert says in violation.problem.text and violation.image == "a/x"


def test_what_is_wrong_with_a_file_of_polygons_is_told(store, folder):
    polygons(folder / "a" / "x_gtFine_polygons.json", [], size=(3, 3))
    (folder / "y_gtFine_polygons.json").write_text("[")
    (folder / "b.json").write_text("{}")
    texts = [
        violation.problem.text for violation in bring_in(store, folder, "cityscapes").violations
    ]
    assert any("3x3 in the file and 8x6" in text for text in texts)
    assert any("is not JSON" in text for text in texts)
    assert any("not laid out as Cityscapes' polygons" in text for text in texts)


def test_they_go_out_again_as_round_0(store, folder):
    save(folder / "a" / "x.png", LABELS[0])
    bring_in(store, folder)
    exported = describe_round(store, CLASSES, PAIR.palette, 0)
    export_round(store, exported, "coco", folder / "out", pool=None)
    before = store.digest()
    assert bring_in(store, folder / "out", "coco").unchanged == ["a/x"]
    assert store.digest() == before
