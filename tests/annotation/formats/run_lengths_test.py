"""Run lengths, by row and by column."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation.formats.run_lengths import (
    from_columns,
    from_run_lengths,
    in_columns,
    run_lengths,
)


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
