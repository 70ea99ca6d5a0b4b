"""Several processes that run one experiment together, joined by `jax.distributed`.

Each process has devices of its own, reads its share of every batch, and asks about its share of the
pool. The first process alone writes the shared files: metrics, report, merged labels. With one
process everything here does nothing.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

logger = logging.getLogger(__name__)


class ProcessError(RuntimeError):
    """Another process failed, or the processes can't be joined."""


def join(
    coordinator_address: str | None = None,
    process_count: int | None = None,
    process_index: int | None = None,
) -> None:
    """Joins this process with the others; call it before anything else uses JAX.

    Args:
      coordinator_address: "HOST:PORT" at which the first process listens; None, like the others,
        if JAX can detect the cluster (Slurm, Open MPI, Cloud TPU, GKE).
      process_count: how many processes there are.
      process_index: this one's number, from 0.

    Raises:
      ProcessError: the address is malformed, the others can't be reached, or JAX can't find out
        which processes there are.
    """
    address = coordinator_address
    if address is not None and not re.fullmatch(r".+:[0-9]+", address):
        raise ProcessError(f"The coordinator's address is {address!r}; it must be HOST:PORT.")
    try:
        jax.distributed.initialize(coordinator_address, process_count, process_index)
    except (RuntimeError, ValueError) as error:
        raise ProcessError(
            f"The processes can't be joined: {error}\nGive each --coordinator_address=HOST:PORT, "
            "--num_processes=N and --process_id=0 … N-1, and start all of them."
        ) from error
    if not is_first():
        logging.getLogger().setLevel(logging.WARNING)  # the first one logs


def index() -> int:
    """This process's number."""
    return jax.process_index()


def count() -> int:
    """How many processes there are."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this is the first process, which writes the shared files."""
    return jax.process_index() == 0


def wait_for_all(place: str) -> None:
    """Returns when every process has called this with the same name."""
    if count() > 1:
        multihost_utils.sync_global_devices(place)


def from_first(decision: bool) -> bool:
    """Returns the first process's decision in all of them."""
    if count() == 1:
        return decision
    return bool(multihost_utils.broadcast_one_to_all(np.array(decision)))


def gathered(tree: Any) -> Any:
    """Every process's rows of host arrays [n, ...], joined in the order of the processes."""
    return tree if count() == 1 else multihost_utils.process_allgather(tree, tiled=True)


def gathered_rows(tree: Any) -> Any:
    """The same where each process may hold another number of rows, one for all of its arrays."""
    if count() == 1:
        return tree
    numbers = multihost_utils.process_allgather(np.array([len(jax.tree.leaves(tree)[0])]))[:, 0]
    most = int(numbers.max())

    def joined(rows: np.ndarray) -> np.ndarray:
        padded = np.zeros((most, *rows.shape[1:]), rows.dtype)
        padded[: len(rows)] = rows
        parts = multihost_utils.process_allgather(padded)
        return np.concatenate([part[:n] for part, n in zip(parts, numbers, strict=True)])

    return jax.tree.map(joined, tree)


def total(counts: np.ndarray) -> np.ndarray:
    """The sum of an int64[n] over all processes; JAX would keep 32 bits of each number."""
    if count() == 1:
        return counts
    halves = np.ascontiguousarray(counts, np.int64).view(np.uint32)
    return np.asarray(multihost_utils.process_allgather(halves)).view(np.int64).sum(axis=0)


@contextlib.contextmanager
def fail_together(doing: str) -> Iterator[None]:
    """Lets a block that fails in one process fail in all, so that none waits for ever.

    The block must not wait for other processes itself.

    Args:
      doing: what the block does, for the message.

    Raises:
      ProcessError: the block failed in another process, whose own error says why.
    """
    if count() == 1:
        yield
        return
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    failed = multihost_utils.process_allgather(np.array(failure is not None))
    if failure is not None:
        raise failure
    if failed.any():
        numbers = ", ".join(map(str, np.flatnonzero(failed)))
        raise ProcessError(f"Process {numbers} failed while {doing}; its own output says why.")
