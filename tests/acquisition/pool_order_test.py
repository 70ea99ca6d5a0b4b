"""Merged sequences against one sort of everything, and against a greedy search of the pool."""

import concurrent.futures
import functools
import itertools
import math
import threading

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.acquisition import pixel_order, pool_order, select_points
from labor_jax.acquisition.pool_order import Listed, PoolOrder, best_picks


def sequences(seed, images, longest, levels):
    """Scores of each image's picks, never increasing, with ties and a few NaN."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(images):
        scores = rng.integers(-levels, levels, rng.integers(longest + 1)).astype(np.float32)
        scores = -np.sort(-scores)
        if scores.size and rng.random() < 0.2:
            scores[-1] = np.nan
        made.append(scores)
    return made


def places(image, scores):
    """Rows and columns that name the pick."""
    return np.full(scores.size, image), np.arange(scores.size)


def add(order, image, scores):
    order.add(image, scores, *places(image, scores))


def sorted_picks(scores, limit, pick_cost, image_cost):
    """The twin: everything in one list, sorted, and bought until one does not fit."""
    listed = [
        (math.isnan(score), -score if score == score else 0.0, image, order)
        for image, sequence in enumerate(scores)
        for order, score in enumerate(sequence)
    ]
    bought, opened = [], set()
    for *_, image, order in sorted(listed):
        opened.add(image)
        if (len(bought) + 1) * pick_cost + len(opened) * image_cost > limit:
            break
        bought.append((image, order))
    return bought


def found(picks):
    np.testing.assert_array_equal(picks.rows, picks.images)
    np.testing.assert_array_equal(picks.columns, picks.orders)
    return list(zip(picks.images.tolist(), picks.orders.tolist(), strict=True))


PRICES = st.sampled_from([(1, 0), (2, 1), (1, 5)])


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(0, 9),
    longest=st.integers(0, 12),
    levels=st.sampled_from([1, 3, 1000]),
    limit=st.integers(0, 60),
    prices=PRICES,
)
def test_the_merged_picks_are_those_of_one_sort(seed, images, longest, levels, limit, prices):
    scores = sequences(seed, images, longest, levels)
    order = PoolOrder(limit, pick_cost=prices[0], image_cost=prices[1], images=max(images, 1))
    for image in np.random.default_rng(seed).permutation(images):
        add(order, image, scores[image])
        order.picks()  # what is dropped early is never missed
    picks = order.picks()
    assert found(picks) == sorted_picks(scores, limit, *prices)
    expected = [scores[image][number] for image, number in found(picks)]
    np.testing.assert_array_equal(picks.scores, np.float32(expected))
    assert order.unfinished() == []


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 9),
    levels=st.sampled_from([1, 3, 1000]),
    limit=st.integers(0, 60),
    prices=PRICES,
    processes=st.integers(1, 3),
    stops=st.booleans(),
)
def test_lists_that_end_early_change_nothing(seed, images, levels, limit, prices, processes, stops):
    """Processes take turns with the images, so that one is asked again by another process."""
    scores = sequences(seed, images, 40, levels)
    shared = Shared(processes)

    def run(process):
        turn = itertools.count(process)

        def lister(numbers, length, floor):
            for image in numbers[next(turn) % processes :: processes]:
                yield listed(image, scores[image], length, floor() if stops else math.nan)

        return best_picks(
            limit,
            images,
            lister,
            pick_cost=prices[0],
            image_cost=prices[1],
            gathered=functools.partial(shared.gathered, process),
        )

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        for picks in pool.map(run, range(processes)):
            assert found(picks) == sorted_picks(scores, limit, *prices)


def listed(image, scores, length, floor):
    """The picks of an image that a query would list."""
    reached = scores.size
    if not math.isnan(floor):
        reached = int(np.sum(pool_order.sort_keys(scores) >= pool_order.sort_keys(floor)))
    stop = min(reached, length)
    rows, columns = places(image, scores)
    return Listed(image, scores[:stop], rows[:stop], columns[:stop], stop < length, floor)


class Shared:
    """Joins rows of processes that are threads."""

    def __init__(self, processes):
        self._barrier = threading.Barrier(processes, timeout=20)
        self._parts = [None] * processes

    def gathered(self, process, tree):
        self._parts[process] = tree
        self._barrier.wait()
        parts = list(self._parts)
        self._barrier.wait()
        if isinstance(tree, tuple):
            return [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        return np.concatenate(parts)


def brute_force(scores, limit, radius):
    """Greedy over all images at once: one search of the whole pool a pick."""
    left, picks = np.array(scores), []
    while len(picks) < limit and (left > -np.inf).any():
        candidates = [
            (-left[image, row, column], image, column, row)
            for image, row, column in zip(*np.nonzero(left > -np.inf), strict=True)
        ]
        _, image, column, row = min(candidates)
        picks.append((image, row, column))
        top, first = max(row - radius, 0), max(column - radius, 0)
        left[image, top : row + radius + 1, first : column + radius + 1] = -np.inf
    return picks


@pytest.mark.parametrize("levels", [2, 1000])
@pytest.mark.parametrize(("limit", "radius"), [(7, 1), (40, 1), (25, 0), (400, 2)])
def test_the_pools_greedy_search_has_the_same_picks(levels, limit, radius):
    rng = np.random.default_rng(limit)
    scores = rng.integers(0, levels, (4, 8, 9)).astype(np.float32)
    scores[2] /= 2  # images differ in how much they offer
    order = PoolOrder(limit, images=len(scores))
    for image, score in enumerate(scores):
        chosen = select_points(
            score, np.ones(score.shape, bool), count=72, suppression_radius=radius
        )
        rows, columns = np.array(chosen.centers)[np.array(chosen.valid)].T
        order.add(image, score[rows, columns], rows, columns)
    picks = order.picks()
    expected = brute_force(scores, limit, radius)
    assert sorted(zip(picks.images, picks.rows, picks.columns, strict=True)) == sorted(expected)
    np.testing.assert_array_equal(picks.scores, [scores[place] for place in expected])


def test_whole_images_are_sequences_of_one_pick():
    order = PoolOrder(2, images=4)
    for image, score in enumerate([0.5, 0.1, 0.9, 0.5]):
        order.add(image, [score], [-1], [-1])
    assert order.picks().images.tolist() == [2, 0]
    assert order.threshold == 0.5 and order.cut.image == 3


def test_picks_of_an_image_come_in_their_order():
    order = PoolOrder(5, images=2)
    order.add(1, [3.0, 1.0], [4, 5], [6, 7])
    order.add(0, [2.0, 2.0, 0.0], [0, 1, 2], [9, 8, 7])
    groups = {image: np.array(place).tolist() for image, place in order.picks().by_image().items()}
    assert groups == {0: [[0, 1, 2], [9, 8, 7]], 1: [[4, 5], [6, 7]]}
    assert PoolOrder(0).picks().by_image() == {}


@pytest.mark.parametrize("radius", [0, 1, 3, 9])
def test_regions_are_numbered_up_to_the_border(radius):
    centers = np.array([[0, 0], [5, 7], [2, 3], [5, 0]])
    found = pool_order.region_parts(*centers.T, radius=radius, size=(6, 8))
    rows, columns = np.mgrid[:6, :8]
    near = [np.maximum(abs(rows - y), abs(columns - x)) <= radius for y, x in centers]
    np.testing.assert_array_equal(found >= 0, np.any(near, axis=0))
    for place in np.argwhere(found >= 0):
        assert near[found[tuple(place)]][tuple(place)]
    if radius < 2:
        np.testing.assert_array_equal(np.unique(found), [-1, 0, 1, 2, 3])
    nothing = np.zeros((2, 0), int)
    assert (pool_order.region_parts(*nothing, radius=radius, size=(6, 8)) == -1).all()


def test_no_more_is_kept_than_the_budget_pays_for():
    order = PoolOrder(4000, images=400)
    for image in range(400):
        add(order, image, -np.sort(-np.random.default_rng(image).random(200, np.float32)))
        # A small budget's picks wait to be sorted in until there are 4,096 of them.
        assert order._kept.keys.size + order._new_count <= 4001 + 4096 + 200
    assert order.picks().scores.size == 4000


@pytest.mark.parametrize(("spread", "share"), [(1.0, 1.35), (4.0, 1.8)])
def test_few_more_picks_are_listed_than_are_bought(spread, share):
    """Where images are alike, and where most picks are in a quarter of them."""
    rng = np.random.default_rng(0)
    images, limit, total, calls = 400, 8000, 0, 0
    gain = rng.uniform(1, spread, images)
    scores = [-np.sort(-(rng.random(400) * each).astype(np.float32)) for each in gain]

    def lister(numbers, length, floor):
        nonlocal total, calls
        for image in numbers:
            found = listed(image, scores[image], length, floor())
            total, calls = total + found.scores.size, calls + 1
            yield found

    picks = best_picks(limit, images, lister)
    assert found(picks) == sorted_picks(scores, limit, 1, 0)
    assert total < share * limit and calls < 1.4 * images


def test_keys_have_the_order_of_the_selections():
    scores = np.float32([np.nan, -np.inf, -3e38, -1.0, -1e-40, -0.0, 0.0, 1e-40, 1.0, np.inf])
    keys = pool_order.sort_keys(scores)
    np.testing.assert_array_equal(keys, pixel_order.sort_key(scores, np.ones(10, bool)))
    assert (np.diff(keys.astype(np.int64))[[0, 1, 2, 3, 4, 6, 7, 8]] > 0).all()
    np.testing.assert_array_equal(pool_order._scores(keys), np.where(scores == 0, 0, scores))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="scores of image 7 increase"):
        PoolOrder(3).add(7, [1.0, 2.0], [0, 0], [0, 1])
    with pytest.raises(ValueError, match=r"image 0 has scores \[2\], rows \[1\] and columns \[2\]"):
        PoolOrder(3).add(0, [2.0, 1.0], [0], [0, 1])
    for limit, prices in ((-1, {}), (3, {"pick_cost": 0}), (3, {"image_cost": math.inf})):
        with pytest.raises(ValueError, match="price"):
            PoolOrder(limit, **prices)
