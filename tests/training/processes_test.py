"""What several processes do together, as one of two sees it."""

import numpy as np
import pytest

from labor_jax.training import processes
from labor_jax.training.processes import ProcessError


@pytest.fixture
def second_of_two(monkeypatch):
    """This process is the second of two; the returned list tells who failed, as all will hear."""
    failed = [False, False]

    def gathered(own):
        failed[1] = bool(own)
        return np.array(failed)

    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes.multihost_utils, "process_allgather", gathered)
    return failed


def test_alone_nothing_waits():
    assert processes.is_first() and processes.count() == 1
    processes.wait_for_all("here")
    assert processes.from_first(True) and not processes.from_first(False)
    with pytest.raises(KeyError), processes.fail_together("looking"):
        raise KeyError


def test_what_fails_elsewhere_fails_here(second_of_two):
    with processes.fail_together("reading"):
        pass
    second_of_two[0] = True
    failure = pytest.raises(ProcessError, match="Process 0 failed while reading")
    with failure, processes.fail_together("reading"):
        pass


def test_what_fails_here_is_told_to_all_and_raised(second_of_two):
    with pytest.raises(KeyError), processes.fail_together("reading"):
        raise KeyError
    assert second_of_two == [False, True]


@pytest.mark.parametrize("address", ["host", "host:", ":80", "host:port"])
def test_an_address_without_a_port_is_told(address):
    with pytest.raises(ProcessError, match=rf"{address}'.*HOST:PORT"):
        processes.join(address, 2, 1)


def test_rows_of_different_numbers_and_large_counts_are_joined(monkeypatch):
    """The other process holds one row more, and as large counts."""
    assert processes.gathered_rows(np.arange(3)).tolist() == [0, 1, 2]
    assert processes.total(np.array([2**40])).tolist() == [2**40]

    def gathered(own):
        if own.dtype == np.uint32:
            return np.stack([own, own])
        if own.shape == (1,):  # the number of rows
            return np.stack([own, own + 1])
        other = np.full((3, *own.shape[1:]), 7, own.dtype)
        assert len(own) == 3
        return np.stack([own, other])

    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes.multihost_utils, "process_allgather", gathered)
    numbers, pairs = processes.gathered_rows(
        (np.int32([1, 2]), np.float32([[np.nan, 3], [4, -np.inf]]))
    )
    np.testing.assert_array_equal(numbers, [1, 2, 7, 7, 7])
    np.testing.assert_array_equal(pairs, [[np.nan, 3], [4, -np.inf], [7, 7], [7, 7], [7, 7]])
    assert processes.total(np.array([2**40 + 5, 1])).tolist() == [2**41 + 10, 2]
