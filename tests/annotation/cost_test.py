"""Work counted by brute force, rates against the published totals, and how costs add up."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import Work, cost, segments, work_of
from labor_jax.annotation.cost import cost_so_far, measured_cost

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


@st.composite
def answered_queries(draw):
    """A query with its answer: three labels, of which one is void."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    query = draw(hnp.arrays(bool, shape))
    answer = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255])))
    return query, answer


@hypothesis.given(answered_queries())
def test_a_masks_work_is_a_click_for_each_part_of_one_class(asked):
    query, answer = asked
    by_label = [components_twin(query & (answer == label)) for label in (0, 1, 255)]
    work = work_of("mask", query, answer)
    assert work.segments == work.clicks == sum(by_label)
    assert work.images == bool(query.any())
    points = work_of("points", query, answer, picks=3)
    assert points.points == (max(3, sum(by_label)) if query.any() else 0)
    sizes = cost.parts_of_one_class(answer, query)
    assert sizes.sum() == query.sum() and len(sizes) == sum(by_label)


def test_a_segment_that_straddles_classes_is_a_click_for_each():
    query = np.zeros((4, 12), bool)
    query[1:3, 1:11] = True
    answer = np.repeat(np.arange(3, dtype=np.uint8), 4)[None].repeat(4, 0)
    assert segments(query) == 1
    assert work_of("mask", query, answer).segments == 3


def test_each_class_of_a_region_is_a_click_also_where_regions_touch():
    query = np.zeros((5, 8), bool)
    query[1:4, 1:7] = True
    parts = np.where(query, np.arange(8) // 4, -1)  # two windows of 3x3
    answer = np.zeros(query.shape, np.uint8)

    def points(**picks):
        return work_of("regions", query, answer, parts=parts, **picks).points

    assert points() == points(picks=2) == 2
    answer[:2] = 1
    assert points(picks=2) == 4
    assert work_of("regions", query, answer, picks=2).points == 2, "an older store's"
    answer[2, 2] = 255
    assert points() == 5
    answer[1] = 0  # now the class above and below the others is one of the first window's again
    answer[2] = 1
    assert points() == 4


def test_a_whole_images_outlines_leave_specks_out():
    answer = np.zeros((200, 200), np.uint8)
    answer[50:60, 50:60] = 1
    answer[100, 100] = 2  # one pixel is less than 1/10,000 of 40,000
    answer[150:153, 150:152] = 2
    answer[:, :10] = 255
    work = work_of("full", np.ones(answer.shape, bool), answer)
    assert (work.outlines, work.whole_images, work.images) == (3, 1, 1)


def test_parts_that_are_answered_as_wholes():
    query = np.ones((2, 6), bool)
    query[0, 0] = False
    parts = np.array([[9, 0, 0, 4, 4, 7], [0, 0, 0, 4, 4, 7]])
    answer = np.array([[5, 1, 1, 2, 2, 255], [1, 1, 1, 2, 2, 255]], np.uint8)
    assert work_of("superpixels", query, answer, parts=parts) == Work(images=1, points=3)
    held = np.array([[True, True, False], [True, True, True], [False] * 3])
    several = work_of("classes", query, answer, parts=parts, candidates=held)
    assert several == Work(images=1, points=3, further_classes=3)
    assert several.clicks == 6
    guess = np.where(parts == 4, 2, 0)
    shown = work_of("corrections", query, answer, parts=parts, guess=guess)
    assert shown == Work(images=1, confirmed=1, corrected=2)
    assert shown.clicks == 5
    guess[0, 1:3] = 1  # of a part the commonest guess is shown, here still 0
    assert work_of("corrections", query, answer, parts=parts, guess=guess) == shown
    guess[1, 0] = 1
    right = work_of("corrections", query, answer, parts=parts, guess=guess)
    assert right == Work(images=1, confirmed=2, corrected=1)
    for kind in cost.KINDS_OF_PARTS:
        assert work_of(kind, query & False, answer) == Work()


def test_labors_estimate_reproduces_its_totals():
    query = np.zeros((100, 500), bool)
    query.flat[: 50_000 * 22 // 1000] = True
    answer = np.zeros(query.shape, np.uint8)
    seconds = [
        cost.seconds(Work(images=1, points=40), cost.LABOR),
        cost.seconds(work_of("mask", query, answer), cost.LABOR),
        cost.seconds(work_of("full", ~(query & False), answer), cost.LABOR),
    ]
    np.testing.assert_allclose(np.multiply(seconds, IMAGES), [223_115, 3_599_750, 16_065_000])
    everything = work_of("mask", ~(query & False), answer)
    assert cost.seconds(everything, cost.LABOR) == pytest.approx(5400)  # never more than a label


@pytest.mark.parametrize("field", ["points", "further_classes", "confirmed", "corrected"])
def test_labors_estimate_counts_clicks_of_kinds_that_it_does_not_know_as_points(field):
    work = Work(images=1, **{field: 3})
    point = cost.seconds(Work(points=1), cost.LABOR)
    assert cost.seconds(work, cost.LABOR) == pytest.approx(work.clicks * point)


def test_published_rates():
    assert cost.seconds(Work(points=2, images=1), cost.PUBLISHED) == pytest.approx(2 * 2.4 + 1)
    assert cost.seconds(Work(outlines=68), cost.PUBLISHED) == pytest.approx(5400, rel=0.01)
    # A correction costs more than naming the class at once, a confirmation less.
    right, wrong, named = (
        cost.seconds(work, cost.PUBLISHED)
        for work in (Work(confirmed=1), Work(corrected=1), Work(points=1))
    )
    assert right < named < wrong
    work = Work(images=2, points=3, segments=4, mask_share=0.5)
    assert cost.seconds(cost.total([work, work]), cost.PUBLISHED) == pytest.approx(
        2 * cost.seconds(work, cost.PUBLISHED)
    )


def test_errors():
    query, answer = np.ones((2, 2), bool), np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="unknown kind 'ppl'; valid are points, regions, mask"):
        work_of("ppl", query, answer)
    with pytest.raises(ValueError, match="'superpixels' needs the parts"):
        work_of("superpixels", query, answer)
    parts = np.zeros((2, 2), int)
    with pytest.raises(ValueError, match="needs the classes"):
        work_of("classes", query, answer, parts=parts)
    with pytest.raises(ValueError, match="needs the guesses"):
        work_of("corrections", query, answer, parts=parts)
    with pytest.raises(ValueError, match=r"bool\[H, W\], not uint8"):
        segments(np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"of shape \(4,\)"):
        segments(np.ones(4, bool))


@hypothesis.given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=5), st.integers(0, 3))
def test_images_without_a_measured_time_count_as_the_mean(times, others):
    found = measured_cost(times, items=len(times) + others)
    assert (found.items, found.measured) == (len(times) + others, len(times))
    assert found.seconds == pytest.approx(np.mean(times) * (len(times) + others))


def test_no_times_and_wrong_times():
    assert measured_cost([], items=4) is None
    for times in ([-1.0], [float("nan")], [float("inf")]):
        with pytest.raises(ValueError, match="seconds of 0 or more"):
            measured_cost(times, items=4)
    with pytest.raises(ValueError, match="2 times were measured for 1 items"):
        measured_cost([1.0, 2.0], items=1)


def test_rounds_add_up_and_say_what_they_follow_from():
    work = Work(images=2, points=100)
    seconds = 2 * 1.0 + 100 * 2.4
    first = cost_so_far(work, None, {}, dollars_per_hour=36.0)
    assert first["clicks"] == 100 and first["work"]["points"] == 100
    assert first["annotation_seconds"] == first["published_seconds"] == pytest.approx(seconds)
    assert first["annotation_dollars"] == pytest.approx(seconds / 100)
    assert first["labor_seconds"] == pytest.approx(100 * 223_115 / (IMAGES * 40))
    assert first["annotation_source"] == "published"
    measured = measured_cost([60.0, 120.0], items=2)
    alone = cost_so_far(work, measured, {})
    assert (alone["annotation_seconds"], alone["annotation_source"]) == (180.0, "measured")
    assert alone["published_seconds"] == pytest.approx(seconds)
    both = cost_so_far(work, measured, alone)
    assert (both["annotation_seconds"], both["clicks"]) == (360.0, 200)
    assert both["annotation_source"] == "measured"
    assert both["measured_seconds"] == 360.0
    half = cost_so_far(work, None, alone)
    assert (half["measured_seconds"], half["clicks"]) == (180.0, 200)
    assert cost_so_far(work, measured, first)["annotation_source"] == "partly measured"
    assert cost_so_far(work, None, alone)["annotation_source"] == "partly measured"
    partly = measured_cost([60.0], items=2)
    assert cost_so_far(work, partly, {})["annotation_source"] == "partly measured"


def test_a_round_whose_answers_took_no_click_counts():
    void = cost_so_far(Work(images=2, whole_images=2), measured_cost([10.0, 20.0], items=2), {})
    assert void["clicks"] == 0
    both = cost_so_far(Work(images=2, whole_images=2, outlines=4), None, void)
    assert both["annotation_source"] == "partly measured"


def test_a_round_that_asked_nothing_changes_nothing():
    work = Work(images=1, points=1)
    measured = cost_so_far(work, measured_cost([3.0], items=1), {})
    assert cost_so_far(Work(), None, measured) == measured
    after = cost_so_far(work, measured_cost([3.0], items=1), cost_so_far(Work(), None, {}))
    assert after["annotation_source"] == "measured"


def test_labors_table():
    rows = cost.labor_table()
    assert [row.name for row in rows] == ["PPL", "SPL", "full labels"]
    assert [row.seconds_per_image for row in rows] == pytest.approx([75.0, 1210.0, 5400.0], abs=0.1)
    assert [row.hours for row in rows] == pytest.approx([62, 1000, 4462.5], rel=0.01)
    assert rows[2].dollars == pytest.approx(30 * IMAGES)
    assert cost.labor_table(40.0)[0].dollars == pytest.approx(2 * rows[0].dollars)
    assert cost.cost_row("x", "measured", 0.0, images=0).seconds_per_image == 0.0
    assert rows[0].seconds_per_click is None
    assert cost.cost_row("x", "measured", 9.0, images=2, clicks=6).seconds_per_click == 1.5
