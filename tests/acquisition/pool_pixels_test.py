"""Counted thresholds against a sort of all masked pixels of the pool."""

import io
import itertools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.acquisition import select_inconsistent
from labor_jax.acquisition.pool_pixels import PoolPixels

SIZES = [(3, 5), (4, 4), (1, 7), (6, 2), (5, 5)]


def pool(seed, images, levels, special):
    rng = np.random.default_rng(seed)
    made = []
    for size in itertools.islice(itertools.cycle(SIZES), images):
        score = (rng.integers(-levels, levels, size) / levels).astype(np.float32)
        if special:
            values = np.float32([np.nan, -np.inf, -0.0, 0.0, 1e-40, np.inf])
            score = np.where(rng.random(size) < 0.5, rng.choice(values, size), score)
        made.append((score, rng.random(size) < rng.random()))
    return made


def best(images, limit):
    """The twin: all masked pixels in one list, sorted."""
    listed = []
    for number, (score, mask) in enumerate(images):
        for row, column in np.argwhere(mask):
            value = score[row, column]
            nan = np.isnan(value)
            listed.append((nan, 0 if nan else -value, number, column, row))
    chosen = [np.zeros_like(mask) for _, mask in images]
    for *_, number, column, row in sorted(listed)[:limit]:
        chosen[number][row, column] = True
    return chosen


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 7),
    levels=st.sampled_from([1, 4, 100_000]),
    special=st.booleans(),
    limit=st.integers(0, 130),
    processes=st.integers(1, 3),
)
def test_the_best_pixels_are_those_of_one_sort(seed, images, levels, special, limit, processes):
    made = pool(seed, images, levels, special)
    shares = [PoolPixels(limit, images, io.BytesIO()) for _ in range(processes)]
    for number in np.random.default_rng(seed).permutation(images):
        shares[number % processes].add(number, *made[number])
    settle_together(shares)
    for number, expected in enumerate(best(made, limit)):
        found = shares[number % processes].mask(number)
        np.testing.assert_array_equal(found, expected)


class Waiting(Exception):  # noqa: N818
    """A share waits for a sum."""


def settle_together(shares):
    """Settles shares whose counts are added up, as processes do it."""
    sums = []
    while True:  # each pass learns one more of the sums that the processes exchange
        told = []
        for share in shares:
            known = iter(sums)

            def total(counts, known=known, told=told):
                found = next(known, None)
                if found is None:
                    told.append(counts.copy())
                    raise Waiting
                return found

            try:
                share.settle(total)
            except Waiting:
                continue
        if not told:
            return
        sums.append(sum(told))


def test_one_image_is_asked_as_in_select_inconsistent():
    rng = np.random.default_rng(3)
    score = rng.integers(0, 5, (13, 17)).astype(np.float32)
    mask = rng.random(score.shape) < 0.6
    for limit in (0, 1, 20, 75, 500):
        pixels = PoolPixels(limit, 1, io.BytesIO())
        pixels.add(0, score, mask)
        pixels.settle()
        expected = select_inconsistent(mask, score, np.ones_like(mask), max_pixels=limit)
        np.testing.assert_array_equal(pixels.mask(0), expected.query)


def test_pixels_that_cannot_count_any_more_are_not_written():
    spool, ones = io.BytesIO(), np.ones((8, 8), bool)
    pixels = PoolPixels(32, 3, spool)
    for number, score in enumerate([2.0, 1.0, 3.0]):
        pixels.add(number, np.full((8, 8), score, np.float32), ones)
    assert spool.tell() == 2 * 64 * 8
    pixels.settle()
    assert [int(pixels.mask(number).sum()) for number in range(3)] == [0, 0, 32]


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="limit must be 0 or more, got -1"):
        PoolPixels(-1, 1, io.BytesIO())
    pixels = PoolPixels(3, 2, io.BytesIO())
    with pytest.raises(ValueError, match=r"score \[2, 3\] and a mask \[3, 2\]"):
        pixels.add(0, np.zeros((2, 3), np.float32), np.ones((3, 2), bool))
    pixels.add(0, np.zeros((2, 3), np.float32), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="added once"):
        pixels.add(0, np.zeros((2, 3), np.float32), np.ones((2, 3), bool))
