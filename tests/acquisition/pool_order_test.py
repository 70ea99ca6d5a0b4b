"""Merged sequences against one sort of everything, and against a greedy search of the pool."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.acquisition import pixel_order, pool_order, select_points
from labor_jax.acquisition.pool_order import PoolOrder


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


def add(order, image, scores, start=0, stop=None, **how):
    rows, columns = places(image, scores)
    part = slice(start, stop)
    order.add(image, scores[part], rows[part], columns[part], start=start, **how)


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


@hypothesis.settings(max_examples=150, deadline=None)
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


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 9),
    levels=st.sampled_from([1, 3, 1000]),
    limit=st.integers(0, 60),
    prices=PRICES,
    length=st.integers(1, 3),
    processes=st.integers(1, 3),
    stops=st.booleans(),
)
def test_short_sequences_are_asked_again_only_while_they_can_win(
    seed, images, levels, limit, prices, length, processes, stops
):
    """As the query phase does it, in several processes that each hold a share of the images."""
    scores = sequences(seed, images, 12, levels)
    settings = {"pick_cost": prices[0], "image_cost": prices[1], "images": images}
    shares = [PoolOrder(limit, **settings) for _ in range(processes)]
    listed = dict.fromkeys(range(images), 0)

    def ask(order, image, length, floor):
        keys = pool_order.sort_keys(scores[image])
        reached = scores[image].size
        if not math.isnan(floor):
            reached = int(np.sum(keys >= pool_order.sort_keys(np.float32(floor))))
        stop = max(min(reached, length), listed[image])
        add(order, image, scores[image], listed[image], stop, ended=reached < length, floor=floor)
        listed[image] = stop

    for image in range(images):
        order = shares[image % processes]
        ask(order, image, length, order.floor() if stops else math.nan)
    for _ in range(20):
        whole = PoolOrder(limit, **settings)
        for order in shares:
            whole.take(order.candidates())
        again = [(order, order.unfinished(whole.cut)) for order in shares]
        if not any(numbers for _, numbers in again):
            break
        length *= 2
        for order, numbers in again:
            for image in numbers:
                ask(order, image, length, whole.threshold)
    assert not any(numbers for _, numbers in again)
    assert found(whole.picks()) == sorted_picks(scores, limit, *prices)


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


def test_no_more_is_kept_than_the_budget_pays_for():
    """And few more picks are listed than are bought, where images are alike."""
    rng = np.random.default_rng(0)
    images, limit = 400, 4000
    order, listed = PoolOrder(limit, images=images), 0
    for image in range(images):
        scores = -np.sort(-rng.random(200, np.float32))
        floor = order.floor()
        reached = scores.size if math.isnan(floor) else int(np.sum(scores >= floor))
        stop = min(reached, 40)
        add(order, image, scores, stop=stop, ended=reached < 40, floor=floor)
        listed += stop
        # Half of a budget waits to be sorted in, and 4,096 picks of a small one.
        held = order._kept.keys.size + order._new_count
        assert held <= limit + 1 + 4096 + 200
    assert order.unfinished() == [] or len(order.unfinished()) < 0.1 * images
    assert order.picks().scores.size == limit
    assert listed < 1.35 * limit


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
