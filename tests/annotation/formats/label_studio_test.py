"""Label Studio's tasks and its run lengths."""

import dataclasses
import itertools
import json
from xml.etree import ElementTree

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation.formats import label_studio
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedImage,
    ExportedRound,
)
from labor_jax.annotation.formats.label_studio import decode_mask, encode_mask
from labor_jax.data import DataError
from tests.annotation.formats.exported_rounds import (
    CLASSES,
    IMAGE,
    LARGE_ROUND,
    ROUND,
    pasted,
    peak_of_memory,
    random_images,
    round_of,
)


def decode_twin(rle, size):
    """The stream bit by bit, as its description says."""
    stream = iter("".join(f"{byte:08b}" for byte in rle))
    take = lambda count: int("".join(next(stream) for _ in range(count)), 2)  # noqa: E731
    total, value_bits = take(32), take(5) + 1
    length_bits = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        repeated = take(1)
        length = take(length_bits[take(2)]) + 1
        if repeated:
            values += [take(value_bits)] * length
        else:
            values += [take(value_bits) for _ in range(length)]
    return np.array(values).reshape(*size, 4)


def encode_otherwise(values, repeats, length_bits=(1, 2, 3, 5)):
    """RGBA values with other length fields than ours, in runs that end within a pixel, too.

    Each of `repeats` chooses the next chunk: equal values as a run, or values one by one.
    """
    bits = f"{values.size:032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in length_bits)
    flat, start = values.ravel().tolist(), 0
    for repeated in itertools.cycle(repeats):
        if start == len(flat):
            break
        chunk = flat[start : start + 8]
        if repeated:
            chunk = list(itertools.takewhile(lambda value, first=chunk[0]: value == first, chunk))
        bits += f"{repeated:b}{2:02b}{len(chunk) - 1:03b}"
        bits += "".join(f"{value:08b}" for value in (chunk[:1] if repeated else chunk))
        start += len(chunk)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def encoded(mask):
    return encode_mask(np.flatnonzero(mask), mask.size)


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30))


@hypothesis.settings(deadline=None)
@hypothesis.given(masks)
def test_masks_are_encoded_as_the_format_says(mask):
    rle = encoded(mask)
    values = decode_twin(rle, mask.shape)
    np.testing.assert_array_equal(values, np.repeat(255 * mask[..., None], 4, axis=2))
    np.testing.assert_array_equal(decode_mask(rle, mask.size), np.flatnonzero(mask))


def test_runs_longer_than_a_length_field():
    mask = np.zeros((300, 200), bool)  # 240,000 values; a run has 65,536 at most
    mask[150:] = True
    np.testing.assert_array_equal(decode_mask(encoded(mask), mask.size), np.flatnonzero(mask))
    assert encoded(mask)[:8] == [0, 3, 0xA9, 0x80, 0b00111001, 0b00011011, 0b11111111, 0xFF]


@hypothesis.settings(deadline=None)
@hypothesis.given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4)),
        elements=st.sampled_from([0, 255, 9]),
    ),
    st.lists(st.booleans(), min_size=1),
)
def test_other_writers_values_are_read_and_alpha_counts(values, repeats):
    rle = encode_otherwise(values, repeats)
    np.testing.assert_array_equal(decode_twin(rle, values.shape[:2]), values)
    decoded = decode_mask(rle, values.size // 4)
    np.testing.assert_array_equal(decoded, np.flatnonzero(values[..., 3]))


@hypothesis.settings(deadline=None)
@hypothesis.given(masks, st.data())
def test_damaged_run_lengths_raise_nothing_else(mask, data):
    rle = encoded(mask)
    where = data.draw(st.integers(0, len(rle) - 1))
    rle[where] = data.draw(st.integers(0, 255))
    rle = rle[: data.draw(st.integers(0, len(rle)))]
    try:
        assert set(decode_mask(rle, mask.size).tolist()) <= set(range(mask.size))
    except ValueError as error:
        assert str(error).startswith(("its run lengths", "its mask", "its values"))


def shapes_in(entry, exported, size):
    """Label and pixels of each region of a exported, by a reader of its own."""
    ((annotation,),) = (entry.get("annotations") or entry["predictions"],)
    for region in annotation["result"]:
        kind, value = region["type"], region["value"]
        assert (region["original_height"], region["original_width"]) == size
        (name,) = value[kind]
        label = exported.label_values[name]
        if kind == "keypointlabels":
            row, column = value["y"] / 100 * size[0] - 0.5, value["x"] / 100 * size[1] - 0.5
            assert abs(row - round(row)) < 1e-9 and abs(column - round(column)) < 1e-9
            yield label, [round(row) * size[1] + round(column)]
        else:
            yield label, np.flatnonzero(decode_twin(value["rle"], size)[..., 3] == 255)


@hypothesis.settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(images=random_images())
def test_round_trip(tmp_path, images):
    exported = round_of(images)
    label_studio.write(tmp_path, exported, images)
    found = {each.number: each for each in label_studio.read(tmp_path, exported)}
    entries = json.loads((tmp_path / "tasks.json").read_text())
    for image, entry in zip(images, entries, strict=True):
        assert not found[image.number].problems
        np.testing.assert_array_equal(found[image.number].labels, image.labels)
        labels, asked = pasted(shapes_in(entry, exported, image.asked.shape), image.asked.shape)
        np.testing.assert_array_equal(labels, image.labels)
        np.testing.assert_array_equal(asked, image.asked)
        assert entry["data"]["name"] == exported.names[image.number]


@pytest.mark.parametrize(("kind", "tag"), [("points", "KeyPointLabels"), ("mask", "BrushLabels")])
def test_labelling_interface(tmp_path, kind, tag):
    label_studio.write(tmp_path, ROUND, [IMAGE._replace(kind=kind)])
    view = ElementTree.parse(tmp_path / "label_config.xml").getroot()
    assert view.tag == "View" and view.find("Image").get("value") == "$image"
    labels = view.find(tag)
    assert labels.get("toName") == view.find("Image").get("name")
    assert [label.get("value") for label in labels] == [*CLASSES, "void_", "asked_"]
    (entry,) = json.loads((tmp_path / "tasks.json").read_text())
    (annotation,) = entry["annotations"]
    assert {region["from_name"] for region in annotation["result"]} == {labels.get("name")}


def test_whole_images_may_be_drawn_by_polygons(tmp_path):
    image = IMAGE._replace(kind="full")
    label_studio.write(tmp_path, dataclasses.replace(ROUND, kind="full"), [image])
    view = ElementTree.parse(tmp_path / "label_config.xml").getroot()
    names = [*CLASSES, "void_", "asked_"]
    for tag in ("BrushLabels", "PolygonLabels"):
        assert [label.get("value") for label in view.find(tag)] == names


@pytest.mark.parametrize("order", [1, -1])
def test_corrections_of_single_pixels_and_of_larger_parts_have_a_tag_each(tmp_path, order):
    asked = np.ones((2, 4), bool)
    labels = np.full((2, 4), UNANSWERED, np.uint8)
    parts = (np.arange(8).reshape(2, 4), np.zeros((2, 4), int))
    images = [
        ExportedImage(number, "corrections", asked, labels, each, np.zeros((2, 4), np.uint8))
        for number, each in enumerate(parts)
    ]
    label_studio.write(tmp_path, round_of(images), images[::order])
    view = ElementTree.parse(tmp_path / "label_config.xml").getroot()
    tags = {tag.get("name"): tag.tag.lower() for tag in view if tag.tag != "Image"}
    regions = [
        region
        for task in json.loads((tmp_path / "tasks.json").read_text())
        for region in task["predictions"][0]["result"]
    ]
    assert len(regions) == 9 and len(tags) == 2
    assert all(tags[region["from_name"]] == region["type"] for region in regions)


def test_a_class_that_xml_cannot_hold_is_told(tmp_path):
    exported = ExportedRound(0, ("road\x07",), np.zeros((1, 3), np.uint8), {0: "a"}, {0: (2, 4)})
    with pytest.raises(DataError, match="control character"):
        label_studio.write(tmp_path, exported, [IMAGE])


def region(label="road", kind="brushlabels", **value):
    mask = np.zeros((2, 4), bool)
    mask[:, 1] = True
    if kind == "brushlabels":
        value = {"format": "rle", "rle": encoded(mask), **value}
    return {
        "original_width": 4,
        "original_height": 2,
        "image_rotation": 0,
        "value": {kind: [label], **value},
        "id": "Dx_aB91ISN",
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "prediction",
    }


def export(*regions, image="/data/upload/1/5d2a1b0c-round2_000000.png", **annotation):
    """A task as Label Studio exports it."""
    return {
        "id": 9,
        "annotations": [
            {
                "id": 4,
                "completed_by": 1,
                "result": list(regions),
                "was_cancelled": False,
                "ground_truth": False,
                "created_at": "2026-01-01T00:00:00.000000Z",
                "lead_time": 12.5,
                "prediction": {},
                **annotation,
            }
        ],
        "file_upload": "5d2a1b0c-round2_000000.png",
        "drafts": [],
        "predictions": [2],
        "data": {"image": image},
        "meta": {},
        "project": 1,
    }


@pytest.fixture
def read(tmp_path):
    """Reads tasks; gives what is said of the first."""

    def read(*entries):
        file = tmp_path / "project-1-at-2026-01-01.json"
        file.write_text(json.dumps(entries))
        return next(label_studio.read(file, ROUND))

    return read


def test_what_label_studio_exports_is_read(read):
    imported = read(
        export(
            region("road"),
            region("void_", "keypointlabels", x=99.0, y=10.0, width=0.4),
            region("asked_", "keypointlabels", x=10.0, y=10.0, width=0.4),
            region("void", "polygonlabels", points=[[50, 0], [75, 0], [75, 100], [50, 100]]),
            {"type": "choices", "value": {"choices": ["hard"]}, "from_name": "c"},
            {"type": "relation", "from_id": "a", "to_id": "b"},
        )
    )
    assert not imported.problems
    assert imported.labels.tolist() == [[UNANSWERED, 0, 2, VOID], [UNANSWERED, 0, 2, UNANSWERED]]
    assert (imported.number, imported.seconds) == (0, 12.5)
    assert imported.where == "project-1-at-2026-01-01.json: task 9"


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (region("sky"), "'sky' is not one of the classes"),
        ({**region(), "value": {"format": "rle", "rle": []}}, "0 labels instead of one"),
        ({**region(), "original_width": 5}, "an image of 5x2 pixels"),
        ({**region(), "image_rotation": 90}, "rotated"),
        (region(rle=[1, 2]), "cut off"),
        (region(rle=[256]), "not bytes"),
        (region(rle=encoded(np.ones((3, 3), bool))), "its mask has 36 values"),
        (region(kind="rectanglelabels", x=1, y=1, width=1, height=1), "is not supported"),
        (region(kind="keypointlabels", x=101, y=1), "outside the image"),
        (region(kind="keypointlabels", x="1", y=1), "unsupported operand"),
        (region(kind="polygonlabels", points=[[0, 0]]), "three corners"),
    ],
)
def test_what_is_wrong_with_a_region_is_told(read, shape, says):
    imported = read(export(shape))
    ((text, *_),) = imported.problems
    assert text.startswith("region Dx_aB91ISN: ") and says in text
    assert (imported.labels == UNANSWERED).all()


def test_two_classes_at_a_pixel_are_told(read):
    ((text, pixels, *_),) = read(export(region("road"), region("void"))).problems
    assert (text, pixels) == ("pixels have two different classes", 2)


def test_several_annotations_have_to_agree(read):
    entry = export(region("road"))
    entry["annotations"] *= 2
    assert not read(entry).problems
    entry["annotations"].append(export(region("void"))["annotations"][0])
    assert read(entry).problems[0][:2] == ("its 3 annotations differ; keep one of them", 2)
    entry["annotations"][2]["was_cancelled"] = True
    assert not read(entry).problems


def test_several_annotations_may_differ_where_nothing_is_asked(read):
    entry = export(region("road"))
    entry["annotations"] += export(region("void"))["annotations"]
    found = read(entry)
    (differing,) = found.places.values()
    assert differing.sum() == 2 and not found.clipped(~differing).problems
    first = np.arange(differing.size).reshape(differing.shape) == np.flatnonzero(differing)[0]
    ((_, pixels, *_),) = found.clipped(first).problems
    assert pixels == 1


def test_of_several_annotations_all_problems_are_told_and_all_times_count(read):
    entry = export(region("road"), region("void", "ellipselabels"), lead_time=50)
    entry["annotations"] += export(region("road"), lead_time=7)["annotations"]
    imported = read(entry)
    (problem,) = imported.problems
    assert "ellipselabels is not supported" in problem.text and imported.seconds == 57


@pytest.mark.parametrize("lead_time", [86_401, 1e300, -1, float("nan"), None, "12"])
def test_times_that_cannot_be_are_left_out(read, lead_time):
    imported = read(export(region(), lead_time=lead_time))
    assert (imported.seconds, imported.problems) == (None, ())


def test_annotations_that_agree_take_no_memory_each(tmp_path):
    entry = {**export(), "annotations": [{"result": []}] * 200}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    assert peak_of_memory(lambda: list(label_studio.read(tmp_path, LARGE_ROUND))) < 1e7


def test_cancelled_and_missing_annotations_answer_nothing(read):
    for entry in (export(region(), was_cancelled=True), {**export(), "annotations": []}):
        imported = read(entry)
        assert (imported.labels == UNANSWERED).all() and not imported.problems


def test_odd_tasks_are_told(read):
    assert "its annotations" in read({**export(), "annotations": [7]}).problems[0].text
    assert "its annotations" in read({**export(), "annotations": 7}).problems[0].text
    assert "not the name of an exported file" in read(export(image="cat.jpg")).problems[0].text
    assert "not the name of an exported file" in read(export(image=None)).problems[0].text
    for odd in ({"image": "round2_000000.png", "label": []}, 7, {"data": []}):
        with pytest.raises(DataError, match="JSON-MIN"):
            read(odd)
