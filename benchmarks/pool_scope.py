"""A budget over the pool against each image's own: `python benchmarks/pool_scope.py --images 40`.

RIPU's regions (2.2% of the pixels over 5 rounds: 1,026 an image) of images of 1024x2048 with
generated scores: smoothed noise, to which each image adds another level. Each image is selected by
itself under its own budget, and ranked for the pool in the same moment, so that other load on the
machine weighs on both. Seconds of the pool count everything but generating the scores: ranking
images, those that are asked again, merging, and marking the asked pixels of each image. The first
call of each compiled function is not timed.

Then the lists of these images stand in, with other levels, for those of `--pool` images: this
merges and marks as many picks as the whole pool has, and states the peak memory.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax import acquisition
from labor_jax.acquisition import Listed

# Images whose lists are kept to merge a larger pool from them.
_KEPT = 40

RADIUS = 1
BUDGET = acquisition.Budget(fraction=0.022, rounds=5)
METHOD = acquisition.Method(
    "given", lambda logits: logits[..., 0], "regions", "regions", parameters=("logits",)
)


class Clock:
    """Seconds of named kinds of work."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, call: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = jax.block_until_ready(call())
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return result


def generated(number: int, size: tuple[int, int], spread: float) -> np.ndarray:
    """The score f32[H, W] of an image."""
    rng = np.random.default_rng(number)
    height, width = size
    coarse = rng.random((-(-height // 16), -(-width // 16)), np.float32)
    smooth = np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)[:height, :width]
    return smooth + rng.random(size, np.float32) / 2 + np.float32(spread * rng.random())


def pool_image(score: np.ndarray) -> acquisition.PoolImage:
    free = jnp.ones(score.shape, bool)
    return acquisition.PoolImage(jnp.asarray(score)[..., None], None, None, free, None)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def merge(
    clock: Clock, images: int, size: tuple[int, int], lister: acquisition.pool_order.Lister
) -> acquisition.PoolPicks:
    """Finds the pool's picks and marks them, image by image; `lister` keeps its own time."""
    limit = BUDGET.pool(METHOD.budget, [size] * images, radius=RADIUS)
    others = sum(clock.seconds.values())
    start = time.perf_counter()
    picks = acquisition.best_picks(limit.limit, images, lister)
    spent = time.perf_counter() - start - (sum(clock.seconds.values()) - others)
    clock.seconds["merging"] = clock.seconds.get("merging", 0.0) + spent

    def mark() -> None:
        places, nothing = picks.by_image(), np.zeros((2, 0), np.int32)
        for number in range(images):
            rows, columns = places.get(number, nothing)
            acquisition.region_parts(rows, columns, radius=RADIUS, size=size)

    clock("marking", mark)
    return picks


def measure(images: int, size: tuple[int, int], spread: float) -> dict[int, Listed]:
    """Runs both scopes on generated scores; returns the lists of the first images."""
    clock, lists, calls, listed_picks = Clock(), {}, 0, 0
    timed = set()
    alone = jax.jit(acquisition.bind(METHOD, BUDGET, radius=RADIUS))
    rankers = {}

    def ranker(length: int, image: acquisition.PoolImage) -> Callable:
        if length not in rankers:
            rankers[length] = jax.jit(acquisition.bind_ranking(METHOD, length, radius=RADIUS))
            jax.block_until_ready(rankers[length](image, None, jnp.float32(math.nan)))
            jax.block_until_ready(alone(image))
        return rankers[length]

    def lister(numbers: Sequence[int], length: int, floor: Callable[[], float]) -> Iterator[Listed]:
        nonlocal calls, listed_picks
        for number in numbers:
            image = clock("generating", lambda n=number: pool_image(generated(n, size, spread)))
            rank = clock("compiling", lambda i=image: ranker(length, i))
            if number not in timed:
                timed.add(number)
                clock("alone", lambda i=image: np.asarray(alone(i).pixels))
            stop = floor()
            found = clock(
                "ranking",
                lambda i=image, r=rank, s=stop: jax.device_get(r(i, None, jnp.float32(s))),
            )
            count = int(found.valid.sum())
            rows, columns = found.centers[:count].T
            scores = found.scores[:count]
            listed = Listed(number, scores, rows, columns, count < length, stop)
            if number < _KEPT:
                lists[number] = listed
            calls, listed_picks = calls + 1, listed_picks + count
            yield listed

    picks = merge(clock, images, size, lister)
    seconds = clock.seconds
    pool = seconds["ranking"] + seconds["merging"] + seconds["marking"]
    counts = np.bincount(picks.images, minlength=images)
    print(f"{images} images of {size[0]}x{size[1]}, levels up to {spread:g} apart")
    print(f"  picks: {picks.images.size} of the pool, {counts.min()} to {counts.max()} an image")
    print(
        f"  lists: {calls / images:.3f} an image, {listed_picks / picks.images.size:.3f} of the "
        "picks that count"
    )
    for name, value in seconds.items():
        print(f"  {name:10} {1e3 * value / images:8.2f} ms an image")
    print(f"  pool / sum of single images: {pool / seconds['alone']:.3f}")
    print(f"  peak memory of the process: {peak_megabytes():.0f} MB")
    return lists


def measure_merging(lists: dict[int, Listed], pool: int, size: tuple[int, int]) -> None:
    """Merges and marks as many picks as a pool of full size has."""
    clock, rng = Clock(), np.random.default_rng(0)
    shifts = 0.01 * rng.random(pool, np.float32)

    def lister(numbers: Sequence[int], length: int, floor: Callable[[], float]) -> Iterator[Listed]:
        for number in numbers:
            given, stop = lists[number % len(lists)], floor()
            scores = given.scores + shifts[number]
            if not math.isnan(stop):
                scores = scores[scores >= stop]
            scores = scores[:length]
            count = scores.size
            yield Listed(number, scores, given.rows[:count], given.columns[:count], True, math.nan)

    before = peak_megabytes()
    picks = merge(clock, pool, size, lister)
    print(f"Merging alone: {pool} images, {picks.images.size} picks")
    print(
        f"  merging {clock.seconds['merging']:.1f} s, marking {clock.seconds['marking']:.1f} s; "
        f"peak memory {before:.0f} MB before, {peak_megabytes():.0f} MB after"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--pool", type=int, default=3000, help="images in the merging alone")
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--spread", type=float, default=0.02, help="levels of images")
    given = parser.parse_args()
    size = given.height, given.width
    print(f"jax {jax.__version__} on {jax.device_count()} {jax.default_backend()}")
    lists = measure(given.images, size, given.spread)
    measure_merging(lists, given.pool, size)


if __name__ == "__main__":
    main()
