"""The cost of a round: the published totals, and how it scales."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import (
    RoundCost,
    annotation_seconds,
    cost,
    cost_so_far,
    measured_cost,
    round_cost,
    segments,
)

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


@hypothesis.given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20), st.integers(0, 20))
def test_items_without_a_time_count_as_the_mean_of_the_others(times, others):
    found = measured_cost(times, items=len(times) + others, dollars_per_hour=36.0)
    assert found.seconds == pytest.approx(sum(times) + others * sum(times) / len(times))
    assert found.dollars == pytest.approx(found.seconds / 100)
    assert (found.items, found.measured) == (len(times) + others, len(times))


def test_measured_times_that_cannot_be():
    assert measured_cost([], items=4) is None
    for times in ([-1.0], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match="seconds of 0 or more"):
            measured_cost(times, items=4)
    with pytest.raises(ValueError, match="2 times were measured for 1 items"):
        measured_cost([1.0, 2.0], items=1)


def test_rounds_add_up_and_keep_apart_what_is_measured():
    published = RoundCost(10, 7200.0, 40.0)
    first = cost_so_far(published, None, {})
    assert first == {
        "clicks": 10,
        "annotation_seconds": 7200.0,
        "annotation_dollars": 40.0,
        "published_seconds": 7200.0,
        "annotation_source": "published",
    }
    measured = measured_cost([60.0, 120.0], items=2, dollars_per_hour=20.0)
    alone = cost_so_far(published, measured, {})
    assert (alone["annotation_seconds"], alone["annotation_dollars"]) == (180.0, 1.0)
    assert (alone["annotation_source"], alone["published_seconds"]) == ("measured", 7200.0)
    both = cost_so_far(published, measured, alone)
    assert both == {
        "clicks": 20,
        "annotation_seconds": 360.0,
        "annotation_dollars": 2.0,
        "published_seconds": 14400.0,
        "annotation_source": "measured",
    }
    assert cost_so_far(published, measured, first)["annotation_source"] == "partly measured"
    assert cost_so_far(published, None, alone)["annotation_source"] == "partly measured"
    partly = measured_cost([60.0], items=2)
    assert cost_so_far(published, partly, {})["annotation_source"] == "partly measured"


def test_rounds_that_ask_nothing_change_nothing():
    nothing = RoundCost(0, 0.0, 0.0)
    measured = cost_so_far(RoundCost(1, 9.0, 1.0), measured_cost([3.0], items=1), {})
    assert cost_so_far(nothing, None, measured) == measured
    after = cost_so_far(
        RoundCost(1, 9.0, 1.0), measured_cost([3.0], items=1), cost_so_far(nothing, None, {})
    )
    assert after["annotation_source"] == "measured"


def test_labors_table():
    rows = cost.published_table()
    assert [row.name for row in rows] == ["PPL", "SPL", "full labels"]
    assert [round(row.seconds_per_image, 1) for row in rows] == [75.0, 1210.0, 5400.0]
    assert [int(row.hours) for row in rows] == [61, 999, 4462]
    assert rows[2].dollars == pytest.approx(IMAGES * 30.0)
    assert {(row.images, row.basis) for row in rows} == {(IMAGES, "published")}
    assert cost.published_table(40.0)[0].dollars == pytest.approx(2 * rows[0].dollars)
    assert cost.cost_row("x", "measured", 0.0, images=0).seconds_per_image == 0.0
