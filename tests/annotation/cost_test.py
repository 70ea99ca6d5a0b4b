"""The cost of a round: the published totals, and how it scales."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import annotation_seconds, cost, round_cost, segments

IMAGES = 2975
KINDS = ("points", "regions", "mask", "full")
queries = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def components_twin(query):
    """A flood fill, pixel by pixel."""
    left = set(zip(*np.nonzero(query), strict=True))
    count = 0
    while left:
        count += 1
        frontier = [left.pop()]
        while frontier:
            row, column = frontier.pop()
            near = {(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)} & left
            left -= near
            frontier.extend(near)
    return count


@hypothesis.given(queries)
def test_segments_are_connected_components(query):
    assert segments(query) == components_twin(query)


def test_segments_that_touch_at_a_corner_are_one():
    query = np.zeros((20, 20), bool)
    assert segments(query) == 0
    query[2:5, 2:5] = query[10:13, 10:13] = True
    assert segments(query) == 2
    query[0, 19] = query[19, 0] = True
    assert segments(query) == 4
    query[5, 5] = True  # touches the first square's corner
    assert segments(query) == 4


def test_reproduces_the_published_totals():
    points = IMAGES * annotation_seconds("points", clicks=40, fraction=2e-5)
    assert points == pytest.approx(223_115)
    mask = IMAGES * annotation_seconds("mask", clicks=1, fraction=0.022)
    assert mask == pytest.approx(3_599_750)
    full = IMAGES * annotation_seconds("full", clicks=1, fraction=1.0)
    assert full == pytest.approx(16_065_000)


def test_masks_are_charged_by_their_share_and_points_and_regions_by_their_number():
    for kind in ("points", "regions"):
        few, many = (annotation_seconds(kind, clicks=7, fraction=f) for f in (0.001, 0.5))
        assert few == many == 7 * annotation_seconds(kind, clicks=1, fraction=0.001)
    few, many = (annotation_seconds("mask", clicks=n, fraction=0.01) for n in (1, 50))
    assert few == many == annotation_seconds("mask", clicks=1, fraction=0.02) / 2


sizes = st.integers(0, 9999).flatmap(
    lambda clicks: st.tuples(st.just(clicks), st.floats(1e-6, 1) if clicks else st.just(0.0))
)


@hypothesis.given(sizes, sizes)
def test_cost_adds_up_and_is_bounded(one, other):
    for kind in KINDS:
        seconds, more = (annotation_seconds(kind, clicks=n, fraction=f) for n, f in (one, other))
        assert 0 <= seconds <= cost.FULL_SECONDS_PER_IMAGE
        assert (seconds > 0) == (one[0] > 0)
        both = round_cost(kind, [one, other])
        assert both.seconds == pytest.approx(seconds + more)
        assert both.clicks == one[0] + other[0]


def test_money_is_time_times_pay():
    assert round_cost("full", [(1, 1.0)] * 3).dollars == pytest.approx(90.0)
    assert round_cost("full", [(1, 1.0)]).seconds == pytest.approx(5400.0)
    assert round_cost("full", [(1, 1.0)], dollars_per_hour=4.0).dollars == pytest.approx(6.0)
    assert round_cost("points", []) == (0, 0.0, 0.0)


def test_errors_name_what_is_valid():
    with pytest.raises(ValueError, match="unknown kind 'ppl'; valid are points, regions, mask"):
        annotation_seconds("ppl", clicks=1, fraction=0.1)
    with pytest.raises(ValueError, match="not uint8"):
        segments(np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        segments(np.ones(4, bool))
