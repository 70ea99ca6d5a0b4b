"""The shapes of an exported image."""

import hypothesis
import numpy as np

from labor_jax.annotation import segments
from labor_jax.annotation.formats.exported_round import UNANSWERED, ExportedImage
from labor_jax.annotation.formats.shapes import MOST_SEGMENTS, has_answers, shapes
from tests.annotation.formats.exported_rounds import image_of, pasted, random_images


@hypothesis.settings(deadline=None)
@hypothesis.given(random_images(max_images=1))
def test_shapes_cover_what_is_asked_once_and_are_connected(images):
    (image,) = images
    found = list(shapes(image))
    labels, covered = pasted(found, image.asked.shape)
    np.testing.assert_array_equal(covered, image.asked)
    np.testing.assert_array_equal(labels, image.labels)
    assert all((np.diff(shape.pixels) > 0).all() for shape in found)
    masks = np.zeros((len(found), *image.asked.shape), bool)
    for mask, shape in zip(masks, found, strict=True):
        mask.flat[shape.pixels] = True
    assert all(segments(mask) == 1 for mask in masks)
    if image.kind == "points":
        assert len(found) == image.asked.sum()
    else:
        values = np.unique(image.labels[image.asked])
        assert len(found) == sum(segments(image.asked & (image.labels == v)) for v in values)
    assert has_answers(image) == any(shape.label != UNANSWERED for shape in found)


def test_touching_points_stay_apart_and_segments_do_not():
    rows = ["??.", "..0", "..."]
    assert len(list(shapes(image_of(rows, kind="points")))) == 3
    assert len(list(shapes(image_of(rows, kind="mask")))) == 2


def test_more_segments_than_anybody_would_click_are_one_shape():
    asked = np.zeros((3, 2 * MOST_SEGMENTS + 2), bool)
    labels = np.full(asked.shape, UNANSWERED, np.uint8)
    asked[0, ::2] = True  # one more than that
    labels[0, 0] = 1  # and now as many
    image = ExportedImage(0, "mask", asked, labels)
    assert len(list(shapes(image))) == 1 + MOST_SEGMENTS
    asked[2, 0] = True
    one, rest = shapes(image)
    assert (one.label, one.pixels.tolist()) == (1, [0])
    assert (rest.label, rest.pixels.size) == (UNANSWERED, MOST_SEGMENTS + 1)
    assert len(list(shapes(image._replace(kind="points")))) == MOST_SEGMENTS + 2


def test_a_part_is_a_shape_with_its_classes_or_the_guess_that_is_asked():
    image = image_of(["00??", "vv??"], kind="classes")
    parts = np.array([[0, 0, 2, 3], [1, 1, 2, 3]])
    guess = np.array([[7, 7, 2, 255], [7, 7, 2, 255]], np.uint8)
    held = np.zeros((4, 5), bool)
    held[1, [1, 4]] = held[0, 0] = True
    asked = UNANSWERED
    found = [
        (shape.label, shape.further, shape.guess, shape.pixels.tolist())
        for shape in shapes(image._replace(parts=parts, guess=guess, candidates=held))
    ]
    assert found == [
        (0, (), None, [0, 1]),
        (1, (4,), None, [4, 5]),
        (asked, (), 2, [2, 6]),
        (asked, (), None, [3, 7]),
    ]
