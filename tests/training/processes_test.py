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
