"""COCO's JSON."""

import contextlib
import io
import json

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from labor_jax.annotation.formats import coco
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID
from labor_jax.annotation.formats.run_lengths import compressed_run_lengths, run_lengths
from labor_jax.data import DataError
from tests.annotation.formats.exported_rounds import (
    CLASSES,
    LARGE_ROUND,
    ROUND,
    pasted,
    peak_of_memory,
    random_images,
    round_of,
    round_trip,
)


@hypothesis.settings(deadline=None, max_examples=25)
@hypothesis.given(images=random_images())
def test_round_trip(images):
    found = round_trip(coco, images)
    assert found.keys() == {image.number for image in images}
    for image in images:
        assert not found[image.number].problems
        np.testing.assert_array_equal(found[image.number].labels, image.labels)


@hypothesis.settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(images=random_images())
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_the_same_answers_and_what_is_asked(tmp_path, images):
    exported = round_of(images)
    coco.write(tmp_path, exported, images)
    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(tmp_path / "annotations.json")
    names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
    for image in images:
        (entry,) = [
            each for each in read.dataset["images"] if f"_{image.number:06}." in each["file_name"]
        ]
        annotations = read.loadAnns(read.getAnnIds(entry["id"]))
        masks = [read.annToMask(each) > 0 for each in annotations]
        values = [exported.label_values[names[each["category_id"]]] for each in annotations]
        shapes = [(v, np.flatnonzero(mask)) for v, mask in zip(values, masks, strict=True)]
        labels, asked = pasted(shapes, image.asked.shape)
        np.testing.assert_array_equal(labels, image.labels)
        np.testing.assert_array_equal(asked, image.asked)
        for each, mask in zip(annotations, masks, strict=True):
            assert each["area"] == mask.sum()
            assert each["bbox"] == coco_mask.toBbox(each["segmentation"]).tolist()


@hypothesis.given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_compressed_run_lengths(mask):
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    lengths = run_lengths(np.flatnonzero(mask.T), mask.size)
    assert compressed_run_lengths(text, mask.size) == lengths.tolist()


@hypothesis.given(st.text(st.characters(max_codepoint=200), max_size=12))
def test_damaged_compressed_run_lengths_raise_nothing_else(text):
    try:
        compressed_run_lengths(text, 99)
    except ValueError as error:
        assert "compressed run lengths" in str(error)


def document(annotations, categories=None, **image):
    """A file as other tools write it: their own numbers, names of images with a folder."""
    image = {"id": 71, "file_name": "default/round2_000000.png", "width": 4, "height": 2, **image}
    names = categories or [*CLASSES, "void_", "asked_"]
    return {
        "info": {"contributor": "", "date_created": "", "description": ""},
        "categories": [
            {"id": 10 * count, "name": name, "supercategory": ""}
            for count, name in enumerate(names, start=1)
        ],
        "images": [{"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0, **image}],
        "annotations": [
            {"id": count, "image_id": 71, "area": 1.0, "bbox": [0.0, 0.0, 1.0, 1.0], **each}
            for count, each in enumerate(annotations, start=1)
        ],
    }


@pytest.fixture
def read(tmp_path):
    """Reads a document; gives the labels of its only image and the problems."""

    def read(content):
        (tmp_path / "instances_default.json").write_text(json.dumps(content))
        (imported,) = coco.read(tmp_path, ROUND)
        return imported.labels, [problem[:2] for problem in imported.problems]

    return read


def test_run_lengths_as_lists_and_polygons_are_read(read):
    labels, problems = read(
        document(
            [
                {
                    "category_id": 20,
                    "iscrowd": 1,
                    "segmentation": {"size": [2, 4], "counts": [2, 3, 3]},
                },
                {"category_id": 10, "iscrowd": 0, "segmentation": [[3.0, 0.0, 4, 0, 4, 2, 3, 2]]},
                {
                    "category_id": 60,
                    "iscrowd": 0,
                    "attributes": {"occluded": False},
                    "segmentation": {"size": [2, 4], "counts": [0, 1, 7]},
                },
                {
                    "category_id": 70,
                    "iscrowd": 1,
                    "segmentation": {"size": [2, 4], "counts": [0, 8]},
                },
            ]
        )
    )
    assert not problems
    # Down the columns: [2, 3, 3] are both pixels of the second and the upper one of the third.
    assert labels.tolist() == [[VOID, 1, 1, 0], [UNANSWERED, 1, UNANSWERED, 0]]


WHOLE = {"size": [2, 4], "counts": [0, 8]}


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ({"category_id": 99, "segmentation": WHOLE}, "None is not one of the classes"),
        ({"category_id": 10}, "has no segmentation"),
        ({"category_id": 10, "segmentation": []}, "has no segmentation"),
        ({"category_id": 10, "segmentation": [[0, 0, 1, 1]]}, "three corners"),
        ({"category_id": 10, "segmentation": [[0, 0, 1, 1, 2]]}, "reshape"),
        ({"category_id": 10, "segmentation": {"size": [4, 2], "counts": [0, 8]}}, "size"),
        ({"category_id": 10, "segmentation": {"size": [2, 4], "counts": [0, 7]}}, "8 pixels"),
        ({"category_id": 10, "segmentation": {"size": [2, 4], "counts": "07"}}, "8 pixels"),
        ({"category_id": 10, "segmentation": {"size": [2, 4], "counts": "é"}}, "damaged"),
        ({"category_id": 10, "segmentation": {"size": [2, 4], "counts": "P"}}, "cut off"),
        ({"category_id": 10, "segmentation": {"size": [2, 4]}}, "counts"),
        ({"segmentation": WHOLE}, "category_id"),
        ({"category_id": [], "segmentation": WHOLE}, "unhashable"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_told(read, annotation, says):
    labels, [(text, _)] = read(document([annotation]))
    assert text.startswith("annotation 1: ") and says in text
    assert (labels == UNANSWERED).all()


def test_shapes_that_cover_each_other_take_no_memory_each(tmp_path):
    polygons = [[0, 0, 400, 0, 400, 250, 0, 250]] * 100
    content = document([{"category_id": 10, "segmentation": polygons}], width=400, height=250)
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert peak_of_memory(lambda: list(coco.read(tmp_path, LARGE_ROUND))) < 2e7


def test_a_pixel_of_two_classes_is_told(read):
    one, other = ({"category_id": category, "segmentation": WHOLE} for category in (10, 20))
    assert read(document([one, one]))[1] == []
    assert read(document([one, other]))[1] == [("pixels have two different classes", 8)]


def test_classes_are_told_by_name(read):
    names = ["asked_", "void_", *reversed(CLASSES)]
    labels, _ = read(
        document([{"category_id": 10 * len(names), "segmentation": WHOLE}], categories=names)
    )
    assert (labels == 0).all()


def test_images_that_do_not_fit_are_told(read, tmp_path):
    assert read(document([], width=5)) == (
        None,
        [("the image is 5x2 in the file and 4x2 in the run", 0)],
    )
    (text, _) = read(document([], file_name="x.png"))[1][0]
    assert "not the name of an exported file" in text
    stray = document([{"category_id": 10, "segmentation": WHOLE}])
    stray["annotations"][0]["image_id"] = 5
    (tmp_path / "instances_default.json").write_text(json.dumps(stray))
    known, unknown = coco.read(tmp_path, ROUND)
    assert not known.problems
    assert unknown.problems[0].text == "1 annotations of an image that isn't in the file"


@pytest.mark.parametrize("content", [[], 3, {}, {"images": 1}, {"images": [1]}, {"images": [{}]}])
def test_other_json_is_refused(read, content):
    if isinstance(content, dict) and content:
        content = {"annotations": [], "categories": [], **content}
    with pytest.raises(DataError, match="not laid out as COCO's JSON"):
        read(content)
