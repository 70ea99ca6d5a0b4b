"""PixelPick's choice: which pixels it draws from, and that it draws evenly."""

import functools

import jax
import numpy as np
import pytest

from labor_jax import acquisition

SCORE = np.random.default_rng(0).permutation(200).reshape(10, 20).astype(np.float32)
EVERYTHING = np.ones((10, 20), bool)
select = functools.partial(acquisition.select_random_of_best, jax.random.key(0))


def test_random_pixels_of_the_best_share_are_asked():
    counts = np.zeros(200)
    draw = jax.jit(
        jax.vmap(
            lambda key: (
                acquisition.select_random_of_best(key, SCORE, EVERYTHING, count=4, share=0.06).query
            )
        )
    )
    for query in np.asarray(draw(jax.random.split(jax.random.key(1), 600))):
        assert query.sum() == 4
        counts[SCORE[query].astype(int)] += 1
    assert not counts[:188].any()
    # 12 pixels are drawn 200 times each, with a deviation of 11.5.
    np.testing.assert_allclose(counts[188:], 200, atol=60)


def test_pixels_that_are_not_available_make_room_for_others():
    available = SCORE < 150
    found = select(SCORE, available, count=10, share=0.05)
    assert sorted(SCORE[np.asarray(found.query)]) == list(range(140, 150))
    np.testing.assert_array_equal(found.available, available & ~np.asarray(found.query))


def test_there_are_at_least_as_many_as_are_asked():
    found = select(SCORE, EVERYTHING, count=30, share=0.05)
    assert sorted(SCORE[np.asarray(found.query)]) == list(range(170, 200))
    few = select(SCORE, SCORE >= 197, count=30)
    assert few.valid.sum() == few.query.sum() == 3


def test_a_share_is_exact():
    found = select(SCORE, EVERYTHING, count=1, share=1.0)
    assert found.query.sum() == 1
    for share in (0.0, 1.1, -1.0):
        with pytest.raises(ValueError, match="share must be"):
            select(SCORE, EVERYTHING, count=1, share=share)
    with pytest.raises(ValueError, match="one image"):
        select(SCORE[None], EVERYTHING[None], count=1)
