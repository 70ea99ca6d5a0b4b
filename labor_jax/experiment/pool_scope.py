"""The queries of a round under a budget over the pool: all images are scored before one is asked.

What is kept meanwhile does not grow with the pool's pixels: the best picks so far in memory, and in
temporary files the masked pixels, the superpixels, and the model's guesses, which people may be
shown.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.acquisition import Listed, PoolPixels
from labor_jax.active import strategies
from labor_jax.data import Split
from labor_jax.experiment.spooled_maps import SpooledMaps
from labor_jax.training import processes

Rankings = Iterator[tuple[np.ndarray, np.ndarray, acquisition.Ranking]]
"""Numbers of pool images, their floors, and what they offer, on the host."""

Score = Callable[[Sequence[int], int | None, Callable[[], float] | None], Rankings]
"""`score(numbers, length, floor)`: ranks this process's share of the images; see `Lister`."""

Asked = Callable[[int], tuple[np.ndarray, int, np.ndarray | None]]
"""Pixels bool[H, W], number of picks and parts i32[H, W] of an image, see `Query`."""


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
    with SpooledMaps() as guesses, SpooledMaps() as parts, tempfile.TemporaryFile() as spool:
        own: set[int] = set()

        def scored(numbers: Sequence[int], length: int | None, floor) -> Rankings:
            """Keeps what a query needs of an image besides its picks, where it is scored last."""
            own.difference_update(numbers)
            for batch, floors, ranking in score(numbers, length, floor):
                for row, number in enumerate(batch.tolist()):
                    own.add(number)
                    for maps, found in ((guesses, ranking.guess), (parts, ranking.parts)):
                        if found is not None:
                            maps.put(number, found[row])
                yield batch, floors, ranking

        if strategies.method(config.method).asks == "mask":
            asked = _best_pixels(limit, len(sizes), scored, spool)
        else:
            asked = _best_parts(limit, sizes, scored, parts, available, config)
        for number in sorted(own):
            pixels, picks, numbered = asked(number)
            yield (
                number,
                acquisition.Query(
                    pixels,
                    np.int32(picks),
                    np.ones_like(pixels),
                    guesses.get(number),
                    parts=numbered,
                ),
            )


def _best_pixels(limit: acquisition.PoolLimit, images: int, score: Score, spool: BinaryIO) -> Asked:
    pixels = PoolPixels(int(limit.limit), images, spool)
    for numbers, _, ranking in score(range(images), None, None):
        for row, number in enumerate(numbers.tolist()):
            pixels.add(number, ranking.scores[row], ranking.valid[row])
    pixels.settle(processes.total)
    return lambda number: (pixels.mask(number), int(acquisition.MASK), None)


def _best_parts(
    limit: acquisition.PoolLimit,
    sizes: Sequence[tuple[int, int]],
    score: Score,
    parts: SpooledMaps,
    available: Callable[[int], np.ndarray],
    config: ConfigDict,
) -> Asked:
    def lister(numbers: Sequence[int], length: int, floor: Callable[[], float]) -> Iterator[Listed]:
        for batch, floors, ranking in score(numbers, length, floor):
            for row, number in enumerate(batch.tolist()):
                count = int(ranking.valid[row].sum())
                rows, columns = np.full((2, count), -1, np.int32)
                if ranking.centers is not None:
                    rows, columns = ranking.centers[row, :count].T
                yield Listed(
                    number,
                    ranking.scores[row, :count],
                    rows,
                    columns,
                    ended=count < length,
                    floor=float(floors[row]),
                )

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

    def asked(number: int) -> tuple[np.ndarray, int, np.ndarray]:
        rows, columns = places.get(number, nothing)
        numbered = parts.get(number)
        if numbered is None:
            numbered = acquisition.region_parts(rows, columns, radius=reach, size=sizes[number])
        pixels = (numbered >= 0) & (numbered < len(rows)) & available(number)
        return pixels, len(rows), np.where(pixels, numbered, -1)

    return asked
