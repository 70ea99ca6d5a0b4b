"""CVAT's XML."""

import json
import zipfile
from xml.etree import ElementTree

import hypothesis
import numpy as np
import pytest

from labor_jax.annotation.formats import cvat
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID, ExportedRound
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


def shapes_in(element, exported, width):
    """Label and pixels of each shape of an image, by a reader of its own."""
    for shape in element:
        label = exported.label_values[shape.get("label")]
        if shape.tag == "points":
            ((x, y),) = [map(float, point.split(",")) for point in shape.get("points").split(";")]
            assert x % 1 == y % 1 == 0.5
            yield label, [int(y) * width + int(x)]
        else:
            pixels = []
            for number, length in enumerate(shape.get("rle").split(", ")):
                pixels += [number % 2 == 1] * int(length)
            box = [int(shape.get(name)) for name in ("left", "top", "width", "height")]
            mask = np.array(pixels).reshape(box[3], box[2])
            assert mask.any(axis=0)[[0, -1]].all() and mask.any(axis=1)[[0, -1]].all()
            rows, columns = np.nonzero(mask)
            yield label, (rows + box[1]) * width + columns + box[0]


@hypothesis.settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(images=random_images())
def test_round_trip(tmp_path, images):
    exported = round_of(images)
    cvat.write(tmp_path, exported, images)
    found = {each.number: each for each in cvat.read(tmp_path, exported)}
    elements = ElementTree.parse(tmp_path / "annotations.xml").getroot().findall("image")
    for image, element in zip(images, elements, strict=True):
        assert not found[image.number].problems
        np.testing.assert_array_equal(found[image.number].labels, image.labels)
        labels, asked = pasted(
            shapes_in(element, exported, image.asked.shape[1]), image.asked.shape
        )
        np.testing.assert_array_equal(labels, image.labels)
        np.testing.assert_array_equal(asked, image.asked)
        assert element.get("name") == exported.file_name(image.number)


def test_labels_of_the_task(tmp_path):
    cvat.write(tmp_path, ROUND, [IMAGE])
    root = ElementTree.parse(tmp_path / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    names = [label.findtext("name") for label in root.iterfind("meta/task/labels/label")]
    constructor = json.loads((tmp_path / "labels.json").read_text())
    assert names == [each["name"] for each in constructor] == [*CLASSES, "void_", "asked_"]
    assert all(len(each["color"]) == 7 for each in constructor)


def test_a_class_that_xml_cannot_hold_is_told(tmp_path):
    exported = ExportedRound(0, ("\ud800",), np.zeros((1, 3), np.uint8), {0: "a"}, {0: (2, 4)})
    with pytest.raises(DataError, match="control character"):
        cvat.write(tmp_path, exported, [IMAGE])


def export(*shapes, image='id="0" name="round2_000000.png" width="4" height="2"'):
    """A file as CVAT exports it."""
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id><name>round 2</name><size>1</size><mode>annotation</mode><overlap>0</overlap>
      <subset>default</subset>
      <labels><label><name>road</name><color>#800000</color><type>any</type></label></labels>
      <segments><segment><id>1</id><start>0</start><stop>0</stop></segment></segments>
    </task>
    <dumped>2026-01-01 00:00:00.000000+00:00</dumped>
  </meta>
  <image {image}>{"".join(shapes)}</image>
</annotations>"""


def mask(label, rle, box='left="0" top="0" width="4" height="2"', z_order=0):
    common = f'source="manual" occluded="0" z_order="{z_order}"'
    return f'<mask label="{label}" {common} rle="{rle}" {box}></mask>'


@pytest.fixture
def read(tmp_path):
    """Reads a file; gives the labels of its only image and the problems."""

    def read(content):
        file = tmp_path / "annotations.xml"
        file.write_text(content, encoding="utf-8")
        (imported,) = cvat.read(file, ROUND)
        return imported.labels, [problem[:2] for problem in imported.problems]

    return read


def test_what_cvat_exports_is_read(read):
    labels, problems = read(
        export(
            mask("road", "0, 1, 2, 1", 'left="1" top="0" width="2" height="2"'),
            '<polygon label="void" source="manual" occluded="0" z_order="0" '
            'points="3.00,0.00;4.00,0.00;4.00,2.00;3.00,2.00">'
            '<attribute name="sure">yes</attribute></polygon>',
            '<points label="void_" source="manual" occluded="0" z_order="0" '
            'points="0.20,0.70;2.90,0.10"></points>',
            '<tag label="road" source="manual"></tag>',
        )
    )
    assert not problems
    assert labels.tolist() == [[VOID, 0, VOID, 2], [UNANSWERED, UNANSWERED, 0, 2]]


def test_the_shape_on_top_counts_and_asked_covers_nothing(read):
    whole = "0, 8"
    labels, problems = read(
        export(
            mask("öffentlich ☂", "0, 1, 7", z_order=2),
            mask("road", whole),
            mask("void", "1, 2, 5"),
            mask("asked_", whole, z_order=9),
        )
    )
    assert not problems
    assert labels.tolist() == [[3, 2, 2, 0], [0, 0, 0, 0]]


def test_shapes_that_cover_each_other_take_no_memory_each(tmp_path):
    whole = mask("road", "0, 100000", 'left="0" top="0" width="400" height="250"')
    image = 'id="0" name="round2_000000.png" width="400" height="250"'
    (tmp_path / "a.xml").write_text(export(*[whole] * 100, image=image), encoding="utf-8")
    assert peak_of_memory(lambda: list(cvat.read(tmp_path, LARGE_ROUND))) < 2e7


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (mask("sky", "0, 8"), "mask: 'sky' is not one of the classes"),
        (mask("road", "0, 7"), "don't cover the 8 pixels"),
        (mask("road", ""), "invalid literal"),
        (mask("road", "-1, 9"), "don't cover the 8 pixels"),
        (mask("road", "0, 8", 'left="1" top="0" width="4" height="2"'), "outside the image"),
        (mask("road", "0, 8", 'left="-1" top="0" width="4" height="2"'), "not a whole number"),
        (mask("road", "0, 8", 'left="0" width="4" height="2"'), "its top is ''"),
        (mask("road", "0, 8", z_order="x"), "invalid literal"),
        ('<points label="road" points="4.1,0"/>', "points: the point (4.1, 0) is outside"),
        ('<points label="road" points="1,nan"/>', "is outside"),
        ('<points label="road"/>', "could not convert"),
        (
            '<polygon label="road" points="1,1;2,2"/>',
            "polygon: its polygon needs at least three corners",
        ),
        ('<polygon label="road" points="1,1;2,2;3"/>', "inhomogeneous"),
        ('<box label="road" xtl="0" ytl="0" xbr="1" ybr="1"/>', "box: it is not supported"),
        ("<mask/>", "None is not one of the classes"),
    ],
)
def test_what_is_wrong_with_a_shape_is_told(read, shape, says):
    labels, [(text, _)] = read(export(shape))
    assert says in text
    assert (labels == UNANSWERED).all()


def test_images_that_do_not_fit_are_told(read):
    for image, says in (
        ('name="round2_000000.png" width="2" height="4"', "is 2x4 in the file and 4x2 in the run"),
        ('name="round2_000000.png" width="2"', "not numbers"),
        ('name="other.png" width="4" height="2"', "not the name of an exported file"),
        ('width="4" height="2"', "not the name of an exported file"),
    ):
        labels, [(text, _)] = read(export(image=image))
        assert labels is None and says in text


def test_cvats_archive_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("annotations.xml", export(mask("road", "0, 8")))
        archive.writestr("images/round2_000000.png", b"")
    (imported,) = cvat.read(tmp_path / "task.zip", ROUND)
    assert imported.where == "task.zip/annotations.xml: image 0"
    assert (imported.labels == 0).all()


BOMB = """<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a "xxxxxxxxxx">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><annotations><image name="&b;"/></annotations>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<annotations>&a;</annotations>"""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "document type definition"),
        (OUTSIDE, "document type definition"),
        ('<!DOCTYPE annotations SYSTEM "file:///etc/passwd"><annotations/>', "document type"),
        ("{}", "is not XML"),
        ("", "is not XML"),
        ("<annotations>", "is not XML"),
        ("<svg/>", "but <svg>"),
        ('<annotations><track id="0" label="road"/></annotations>', "CVAT for video"),
    ],
)
def test_other_files_are_refused(read, content, says):
    with pytest.raises(DataError, match=says):
        read(content)
