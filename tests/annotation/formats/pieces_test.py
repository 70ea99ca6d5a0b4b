"""Shapes of an item, run lengths, polygons."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import segments
from labor_jax.annotation.formats.base import UNANSWERED, Item
from labor_jax.annotation.formats.pieces import (
    MOST_SEGMENTS,
    from_columns,
    from_run_lengths,
    has_answers,
    in_columns,
    pieces,
    polygon_pixels,
    run_lengths,
)
from tests.annotation.formats.tasks import item_of, pasted, random_items


@hypothesis.settings(deadline=None)
@hypothesis.given(random_items(max_images=1))
def test_pieces_cover_what_is_asked_once_and_are_connected(items):
    (item,) = items
    found = list(pieces(item))
    labels, covered = pasted(found, item.asked.shape)
    np.testing.assert_array_equal(covered, item.asked)
    np.testing.assert_array_equal(labels, item.labels)
    assert all((np.diff(piece.pixels) > 0).all() for piece in found)
    masks = np.zeros((len(found), *item.asked.shape), bool)
    for mask, piece in zip(masks, found, strict=True):
        mask.flat[piece.pixels] = True
    assert all(segments(mask) == 1 for mask in masks)
    if item.kind == "points":
        assert len(found) == item.asked.sum()
    else:
        values = np.unique(item.labels[item.asked])
        assert len(found) == sum(segments(item.asked & (item.labels == v)) for v in values)
    assert has_answers(item) == any(piece.label != UNANSWERED for piece in found)


def test_touching_points_stay_apart_and_segments_do_not():
    rows = ["??.", "..0", "..."]
    assert len(list(pieces(item_of(rows, kind="points")))) == 3
    assert len(list(pieces(item_of(rows, kind="mask")))) == 2


def test_more_segments_than_anybody_would_click_are_one_shape():
    asked = np.zeros((3, 2 * MOST_SEGMENTS + 2), bool)
    labels = np.full(asked.shape, UNANSWERED, np.uint8)
    asked[0, ::2] = True  # one more than that
    labels[0, 0] = 1  # and now as many
    item = Item(0, "mask", asked, labels)
    assert len(list(pieces(item))) == 1 + MOST_SEGMENTS
    asked[2, 0] = True
    one, rest = pieces(item)
    assert (one.label, one.pixels.tolist()) == (1, [0])
    assert (rest.label, rest.pixels.size) == (UNANSWERED, MOST_SEGMENTS + 1)
    assert len(list(pieces(item._replace(kind="points")))) == MOST_SEGMENTS + 2


def runs_twin(values):
    lengths, current = [0], False
    for value in values.tolist():
        if value != current:
            lengths.append(0)
            current = value
        lengths[-1] += 1
    return lengths


@hypothesis.given(hnp.arrays(bool, st.integers(1, 60)))
def test_run_lengths(values):
    lengths = run_lengths(np.flatnonzero(values), values.size).tolist()
    assert lengths == runs_twin(values)
    positions = from_run_lengths(lengths, values.size)
    np.testing.assert_array_equal(positions, np.flatnonzero(values))


def test_empty_runs_are_read():
    assert from_run_lengths([0, 2, 0, 1], 3).tolist() == [0, 1, 2]
    assert from_run_lengths([1, 0, 1, 1, 0], 3).tolist() == [2]
    assert from_run_lengths([3], 3).tolist() == []


@hypothesis.given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_columns(mask):
    pixels = in_columns(np.flatnonzero(mask), mask.shape)
    np.testing.assert_array_equal(pixels, np.flatnonzero(mask.T))
    back = from_columns(run_lengths(pixels, mask.size), mask.shape)
    assert sorted(back.tolist()) == np.flatnonzero(mask).tolist()


@pytest.mark.parametrize(
    "lengths", [[1, 1], [5, 1], [-1, 5], [], [2.0, 2.0], ["4"], [[4]], [2**62, 2**62, 4], [2**70]]
)
def test_run_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises((ValueError, OverflowError)):
        from_run_lengths(lengths, 4)


def test_polygons():
    square = polygon_pixels([(1, 1), (4, 1), (4, 3), (1, 3)], (5, 6))
    assert sorted(square.tolist()) == [7, 8, 9, 13, 14, 15]
    # Far outside is the border: no mask larger than the image is ever made.
    everything = polygon_pixels(
        [(-1e12, -1e12), (1e12, -1e12), (1e12, 1e12), (-1e12, 1e12)], (5, 6)
    )
    assert sorted(everything.tolist()) == list(range(30))
    with pytest.raises(ValueError, match="longer than one around every pixel"):
        polygon_pixels([(0, 0), (6, 5)] * 1000, (5, 6))
    for corners in ([(1, 1), (2, 2)], [(1, 1), (2, 2), (np.nan, 1)], [(1, 2, 3)] * 3, []):
        with pytest.raises(ValueError, match="three corners"):
            polygon_pixels(corners, (5, 6))
