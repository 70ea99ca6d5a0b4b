"""The queries of a round under a budget over the pool: all images are scored before one is asked.

What is kept meanwhile does not grow with the pool's pixels: the best picks so far in memory, and in
temporary files the masked pixels or the model's guesses, which people may be shown.
"""

import contextlib
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.acquisition import Listed, PoolPixels
from labor_jax.active import strategies
from labor_jax.data import Split
from labor_jax.training import processes

Rankings = Iterator[tuple[np.ndarray, np.ndarray, acquisition.Ranking]]
"""Numbers of pool images, their floors, and what they offer, on the host."""

Score = Callable[[Sequence[int], int | None, Callable[[], float] | None], Rankings]
"""`score(numbers, length, floor)`: ranks this process's share of the images; see `Lister`."""

Asked = Callable[[int], tuple[np.ndarray, int]]
"""Pixels bool[H, W] and number of picks of an image."""


def queries(
    config: ConfigDict,
    rounds: int,
    split: Split,
    score: Score,
    available: Callable[[int], np.ndarray],
) -> Iterator[tuple[int, acquisition.Query]]:
    """Asks the best of the whole pool. All processes call it and exhaust it.

    Args:
      config: the run's `config.acquisition`, of scope "pool".
      rounds: number of rounds that share the budget.
      split: the pool.
      score: ranks images.
      available: the pixels bool[H, W] of an image that no earlier round asked.

    Yields:
      Number and query of each image that this process has scored, also of those that are asked
      nothing. `Query.candidates` are all of the image.
    """
    sizes = [tuple(split.size(number)) for number in range(len(split))]
    limit = strategies.pool_limit(config, rounds, sizes)
    with _Guesses() as guesses, tempfile.TemporaryFile() as spool:
        own: list[int] = []

        def seen(number: int, ranking: acquisition.Ranking, row: int) -> None:
            """Remembers what the query needs of an image besides its picks."""
            own.append(number)
            if ranking.guess is not None:
                guesses.put(number, ranking.guess[row])

        if strategies.method(config.method).asks == "mask":
            asked = _best_pixels(limit, len(sizes), score, seen, spool)
        else:
            asked = _best_parts(limit, sizes, score, seen, available, config)
        for number in own:
            pixels, picks = asked(number)
            yield (
                number,
                acquisition.Query(
                    pixels, np.int32(picks), np.ones_like(pixels), guesses.get(number)
                ),
            )


def _best_pixels(
    limit: acquisition.PoolLimit, images: int, score: Score, seen: Callable, spool: BinaryIO
) -> Asked:
    pixels = PoolPixels(int(limit.limit), images, spool)
    for numbers, _, ranking in score(range(images), None, None):
        for row, number in enumerate(numbers.tolist()):
            seen(number, ranking, row)
            pixels.add(number, ranking.scores[row], ranking.valid[row])
    pixels.settle(processes.total)
    return lambda number: (pixels.mask(number), int(acquisition.MASK))


def _best_parts(
    limit: acquisition.PoolLimit,
    sizes: Sequence[tuple[int, int]],
    score: Score,
    seen: Callable,
    available: Callable[[int], np.ndarray],
    config: ConfigDict,
) -> Asked:
    first_call = True

    def lister(numbers: Sequence[int], length: int, floor: Callable[[], float]) -> Iterator[Listed]:
        nonlocal first_call
        for batch, floors, ranking in score(numbers, length, floor):
            for row, number in enumerate(batch.tolist()):
                if first_call:
                    seen(number, ranking, row)
                count = int(ranking.valid[row].sum())
                rows, columns = ranking.centers[row, :count].T
                yield Listed(
                    number,
                    ranking.scores[row, :count],
                    rows,
                    columns,
                    ended=count < length,
                    floor=float(floors[row]),
                )
        first_call = False

    picks = acquisition.best_picks(
        limit.limit,
        len(sizes),
        lister,
        pick_cost=limit.pick_cost,
        image_cost=limit.image_cost,
        gathered=processes.gathered_rows,
    )
    places, nothing = picks.by_image(), np.zeros((2, 0), np.int32)
    reach = config.radius if strategies.method(config.method).asks == "regions" else 0

    def asked(number: int) -> tuple[np.ndarray, int]:
        rows, columns = places.get(number, nothing)
        pixels = acquisition.mark_regions(rows, columns, radius=reach, size=sizes[number])
        return pixels & available(number), len(rows)

    return asked


class _Guesses(contextlib.AbstractContextManager):
    """Label maps in a temporary file."""

    def __init__(self):
        self._places: dict[int, tuple[int, int, tuple[int, int]]] = {}

    def __enter__(self) -> "_Guesses":
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(self, *unused_error) -> None:
        self._file.close()

    def put(self, number: int, guess: np.ndarray) -> None:
        packed = zlib.compress(np.ascontiguousarray(guess), level=1)
        self._places[number] = self._file.seek(0, 2), len(packed), guess.shape
        self._file.write(packed)

    def get(self, number: int) -> np.ndarray | None:
        if number not in self._places:
            return None
        offset, length, shape = self._places[number]
        self._file.seek(offset)
        return np.frombuffer(zlib.decompress(self._file.read(length)), np.uint8).reshape(shape)
