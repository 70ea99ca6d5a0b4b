"""Label maps from shapes, points and polygons."""

import numpy as np
import pytest

from labor_jax.annotation.formats.canvas import Canvas, CanvasOfSeveral, pixel_at, polygon_pixels
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID


def test_canvas_counts_contradictions():
    canvas = Canvas((2, 3))
    canvas.paint(1, np.array([0, 1]))
    canvas.paint(1, np.array([0, 3]))  # the same class again is none
    canvas.paint(UNANSWERED, np.arange(6))  # no answer covers none
    canvas.paint(VOID, np.array([1, 2, 4, 5]))
    imported = canvas.finish("f", 0)
    assert imported.labels.tolist() == [[1, UNANSWERED, VOID], [1, VOID, VOID]]
    assert [problem[:2] for problem in imported.problems] == [
        ("pixels have two different classes", 1)
    ]


def test_layered_canvas_has_the_last_shape_on_top():
    canvas = Canvas((1, 3), layered=True)
    canvas.paint(1, np.array([0, 1]))
    canvas.paint(2, np.array([1, 2]))
    assert canvas.finish("f", 0).labels.tolist() == [[1, 2, 2]]
    assert not canvas.finish("f", 0).problems


def test_pixels_of_points():
    assert pixel_at(0.0, 1.99, (2, 3)).tolist() == [3]
    assert pixel_at(3.0, 2.0, (2, 3)).tolist() == [5]  # the border is the last pixel's
    for x, y in ((-0.1, 0), (0, 2.1), (float("nan"), 0), (0, float("inf"))):
        with pytest.raises(ValueError, match="outside the image"):
            pixel_at(x, y, (2, 3))


def test_polygons():
    square = polygon_pixels([(1, 1), (4, 1), (4, 3), (1, 3)], (5, 6))
    assert sorted(square.tolist()) == [7, 8, 9, 13, 14, 15]
    # No mask larger than the image is ever made.
    for far in (1e12, 1.7e308):
        everything = polygon_pixels([(-far, -far), (far, -far), (far, far), (-far, far)], (5, 6))
        assert sorted(everything.tolist()) == list(range(30))
    assert polygon_pixels([(-3, -3), (-1, -3), (-1, -1)], (5, 6)).size == 0
    with pytest.raises(ValueError, match="longer than the outlines of all pixels"):
        polygon_pixels([(0, 0), (6, 5)] * 1000, (5, 6))
    for corners in ([(1, 1), (2, 2)], [(1, 1), (2, 2), (np.nan, 1)], [(1, 2, 3)] * 3, []):
        with pytest.raises(ValueError, match="three corners"):
            polygon_pixels(corners, (5, 6))


def test_what_a_polygon_has_outside_the_image_is_cut_off():
    """Against each pixel's centre; where an outline is close to it, rounding decides."""
    height, width = 12, 17
    y, x = np.mgrid[:height, :width] + 0.5
    rng = np.random.default_rng(0)
    for _ in range(100):
        corners = rng.uniform(-1.5, 2.5, (rng.integers(3, 7), 2)) * (width, height)
        inside, close = np.zeros((2, height, width), bool)
        for start, end in zip(corners, np.roll(corners, 1, axis=0), strict=True):
            along = end - start
            crossing = (y - start[1]) / along[1]
            inside ^= (crossing >= 0) & (crossing < 1) & (x < start[0] + crossing * along[0])
            share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along)
            nearest = start[:, None, None] + np.clip(share, 0, 1) * along[:, None, None]
            close |= np.hypot(x - nearest[0], y - nearest[1]) < 0.3
        found = np.zeros((height, width), bool)
        found.flat[polygon_pixels(corners, (height, width))] = True
        np.testing.assert_array_equal(found[~close], inside[~close])


def test_a_pixel_may_have_the_classes_of_all_shapes_that_cover_it():
    canvas = CanvasOfSeveral((1, 6))
    canvas.paint(3, np.array([0, 1, 2]))
    canvas.paint(1, np.array([1, 2, 3]))
    canvas.paint(3, np.array([1]))
    canvas.paint(VOID, np.array([3, 4]))
    canvas.paint(UNANSWERED, np.array([0, 5]))
    image = canvas.finish("file", 0)
    assert image.labels.tolist() == [[3, VOID, VOID, 1, VOID, UNANSWERED]]
    found = [set(image.combinations[number]) for number in image.classes[0]]
    assert found == [{3}, {1, 3}, {1, 3}, {1}, set(), set()]
    assert not image.problems
