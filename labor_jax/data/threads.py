"""Maps a function over many files with threads."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterable
from typing import Any


def map_in_threads(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    num_threads: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> list[Any]:
    """Returns `function(item)` for every item, in order. Re-raises the first error.

    Args:
      function: called with one item.
      items: the items.
      num_threads: number of threads; None for four per core, at most 32.
      progress: wraps a sequence as long as `items`; use it to show progress.
    """
    # The threads mostly wait for files and for decoders that release the GIL, so more threads than
    # cores pay off.
    threads = num_threads or min(32, 4 * (os.cpu_count() or 1))
    with concurrent.futures.ThreadPoolExecutor(threads) as executor:
        futures = [executor.submit(function, item) for item in items]
        try:
            return [future.result() for future in progress(futures)]
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
