"""An iterator of batches that background threads fill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
import numpy as np

from labor_jax.data import base
from labor_jax.data.batch_spec import BatchSpec

_BATCHES_AHEAD = 2


class Batches(Iterator[dict[str, np.ndarray]]):
    """An iterator of batches that background threads fill.

    It holds a bounded number of finished images. The threads stop on `close`, at the end of a
    `with` block, or when the iterator is garbage collected. `next` raises an error of a thread,
    with the name of the image, and closes the iterator.
    """

    def __init__(self, iterator: grain.DatasetIterator):
        self._iterator = iterator
        self._closed = False

    def __next__(self) -> dict[str, np.ndarray]:
        if self._closed:
            raise StopIteration
        try:
            return next(self._iterator)
        except BaseException:  # StopIteration too: the threads have nothing left to do
            self.close()
            raise

    def close(self) -> None:
        """Stops the threads and ends the iteration."""
        self._closed = True
        self._iterator.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self):
        self.close()


def read_ahead(
    examples: grain.MapDataset,
    stack: Callable[[Sequence[dict[str, Any]]], dict[str, np.ndarray]],
    spec: BatchSpec,
) -> Batches:
    """Reads examples in threads, two batches ahead.

    Args:
      examples: this process's examples, in order.
      stack: makes a batch of `spec.local_batch_size` examples.
      spec: how batches are read.
    """
    threads = spec.num_threads or min(16, os.cpu_count() or 1)
    batch_size = spec.local_batch_size
    read_options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=max(threads, _BATCHES_AHEAD * batch_size)
    )
    return Batches(iter(examples.to_iter_dataset(read_options).batch(batch_size, batch_fn=stack)))


@contextlib.contextmanager
def naming_image(split: base.Split, index: int) -> Iterator[None]:
    """Adds the image's name to an exception raised inside the block."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while reading image {split.names[index]!r}")
        raise


def check_not_empty(split: base.Split) -> None:
    """Raises ValueError if a split holds no images."""
    if not len(split):
        raise ValueError("the split holds no images")
