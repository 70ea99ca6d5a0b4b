"""The cost of a round: the published totals, and how it scales."""

import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest

from labor_jax.annotation import annotation_seconds, clicks, cost, round_cost

IMAGES = 2975
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
def test_clicks_are_connected_components(query):
    assert clicks(query) == components_twin(query)


def test_clicks_of_regions_points_and_diagonals():
    query = np.zeros((20, 20), bool)
    assert clicks(query) == 0
    query[2:5, 2:5] = query[10:13, 10:13] = True
    assert clicks(query) == 2
    query[0, 19] = query[19, 0] = True
    assert clicks(query) == 4
    query[5, 5] = True  # touches the first region's corner
    assert clicks(query) == 4


def scattered(shape, count):
    query = np.zeros(shape, bool)
    rows, columns = np.divmod(np.arange(count), shape[1] // 2)
    query[2 * rows, 2 * columns] = True
    return query


def test_reproduces_the_published_totals():
    points = IMAGES * annotation_seconds("points", scattered((100, 200), 40))
    assert points == pytest.approx(223_115)
    mask = np.zeros((100, 200), bool)
    mask.reshape(-1)[:440] = True  # 2.2%
    assert IMAGES * annotation_seconds("mask", mask) == pytest.approx(3_599_750)
    assert IMAGES * annotation_seconds("full", mask) == pytest.approx(16_065_000)


def test_masks_are_charged_by_their_share_and_points_by_their_number():
    mask = np.zeros((30, 40), bool)
    mask[3:5, 2:9] = True
    finer = mask.repeat(4, 0).repeat(4, 1)
    assert annotation_seconds("mask", finer) == annotation_seconds("mask", mask)
    few, many = scattered((64, 64), 7), scattered((512, 512), 7)
    assert annotation_seconds("points", few) == annotation_seconds("points", many)


@hypothesis.given(queries, queries)
def test_cost_is_monotone_and_bounded(query, other):
    for kind in ("points", "mask", "full"):
        seconds = annotation_seconds(kind, query)
        assert 0 <= seconds <= cost.FULL_SECONDS_PER_IMAGE
        assert (seconds > 0) == query.any()
        both = round_cost(kind, [query, other])
        assert both.seconds == pytest.approx(seconds + annotation_seconds(kind, other))
        assert both.clicks == clicks(query) + clicks(other)
    more = query.copy()
    more.reshape(-1)[0] = True
    assert annotation_seconds("mask", more) >= annotation_seconds("mask", query)


def test_a_dense_mask_costs_no_more_than_a_full_label():
    assert annotation_seconds("mask", np.ones((9, 9), bool)) == cost.FULL_SECONDS_PER_IMAGE
    assert annotation_seconds("points", scattered((400, 400), 9999)) == cost.FULL_SECONDS_PER_IMAGE


def test_money_is_time_times_pay():
    full = np.ones((4, 4), bool)
    assert round_cost("full", [full] * 3).dollars == pytest.approx(90.0)
    assert round_cost("full", [full]).seconds == pytest.approx(5400.0)
    assert round_cost("full", [full], dollars_per_hour=4.0).dollars == pytest.approx(6.0)
    assert round_cost("points", []) == (0, 0.0, 0.0)


def test_errors_name_what_is_valid():
    with pytest.raises(ValueError, match="unknown kind 'ppl'; valid are points, mask, full"):
        annotation_seconds("ppl", np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="not uint8"):
        clicks(np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        annotation_seconds("mask", np.ones(4, bool))
