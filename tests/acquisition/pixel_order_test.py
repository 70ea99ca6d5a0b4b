import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from labor_jax.acquisition import pixel_order

SPECIAL = [-np.inf, -1e30, -1.0, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1e30, np.inf, np.nan]


def _in_order(score, available):
    """Available pixels as (row, column), best first: score, then column, then row."""
    pixels = list(zip(*np.nonzero(available), strict=True))

    def place(pixel):
        value = score[pixel]
        is_nan = bool(np.isnan(value))
        return is_nan, 0.0 if is_nan else -value, pixel[1], pixel[0]

    return sorted(pixels, key=place)


def test_key_orders_special_values():
    key = np.asarray(pixel_order.sort_key(np.float32(SPECIAL), np.ones(len(SPECIAL), bool)))
    ascending = key[:-1]
    assert (np.diff(ascending) >= 0).all()
    assert key[4] == key[5], "-0.0 and 0.0 tie"
    assert len(set(key)) == len(SPECIAL) - 1
    assert pixel_order.UNAVAILABLE < key[-1] < key[0], "NaN ranks below -inf, yet is available"


def test_key_marks_unavailable_pixels_whatever_their_score():
    key = pixel_order.sort_key(np.float32(SPECIAL), np.zeros(len(SPECIAL), bool))
    assert (np.asarray(key) == pixel_order.UNAVAILABLE).all()


_best_mask = jax.jit(
    lambda score, available, count: pixel_order.best_mask(
        pixel_order.sort_key(score, available), count
    ),
    static_argnums=2,
)


@pytest.mark.parametrize("count", [0, 1, 20, 100])
@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    score=hnp.arrays(np.float32, (5, 7), elements=st.sampled_from([*SPECIAL, 0.5, 2.0])),
    available=hnp.arrays(np.bool_, (5, 7)),
)
def test_best_mask_holds_exactly_the_best(count, score, available):
    expected = np.zeros((5, 7), bool)
    for pixel in _in_order(score, available)[:count]:
        expected[pixel] = True
    np.testing.assert_array_equal(_best_mask(score, available, count), expected)


_ranked = jax.jit(
    lambda score, mask: pixel_order.ranked_pixels(
        mask, pixel_order.sort_key(score, mask), mask.size
    )
)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(
    score=hnp.arrays(np.float32, (5, 7), elements=st.sampled_from(SPECIAL)),
    mask=hnp.arrays(np.bool_, (5, 7)),
)
def test_ranked_pixels_come_best_first(score, mask):
    rows, columns, valid = map(np.asarray, _ranked(score, mask))
    expected = _in_order(score, mask)
    assert valid.sum() == len(expected)
    assert valid[: len(expected)].all()
    assert list(zip(rows[valid], columns[valid], strict=True)) == expected


def test_ranked_pixels_of_one_row():
    _, columns, _ = _ranked(np.float32([[3, 1, 2]]), np.ones((1, 3), bool))
    assert columns.tolist() == [0, 2, 1]
