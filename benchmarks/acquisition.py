"""Speed of acquisition as ratios measured in one run: `python benchmarks/acquisition.py`.

Scores: the cost of a larger window radius, and the memory needed besides the logits. Selection:
against a NumPy loop with a full argmax for each pick, against the same loop in XLA, against the
implementation for the other kind of device, and in a batch. Pool: a batch scored and selected in
one compiled call, and a pass over PNG files in which reading, network, score and selection overlap.
Times are the smallest of a few repetitions without compilation. Every selection is checked against
the NumPy loop before it is timed.

Times are also given in reads of the logits: the time divided by that of one pass through an image's
logits, at the bandwidth that `x + 1` reaches in the same run on an array of that size. A score has
to read the logits at least once.

The whole benchmark takes about a minute on a CPU with two cores. `--height` and `--width` set
another image size.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from labor_jax import acquisition, models, ops
from labor_jax.acquisition import greedy_parallel, greedy_sequential, pixel_order
from labor_jax.active import make_pool_query, one_ahead, strategies
from labor_jax.data import BatchSpec, pipeline

NUM_CLASSES = 19


def seconds(call: Callable[[], object], repetitions: int = 5) -> float:
    jax.block_until_ready(call())
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def numpy_loop(score, available, count, suppression_radius):
    """Greedy centres by a full argmax a pick, in the memory order that makes it fastest."""
    height = score.shape[0]
    # Transposed, so that the first largest element is the one in the lowest column, then row.
    left = np.ascontiguousarray(np.where(available, score, -np.inf).T)
    centers = np.empty((count, 2), np.int32)
    reach = suppression_radius
    for pick in range(count):
        x, y = divmod(int(left.argmax()), height)
        centers[pick] = y, x
        left[max(x - reach, 0) : x + reach + 1, max(y - reach, 0) : y + reach + 1] = -np.inf
    return centers


@functools.partial(jax.jit, static_argnames=("count", "suppression_radius"))
def xla_loop(score, available, count, suppression_radius):
    """The same loop in XLA: a full argmax and a full-size mask a pick."""
    height, width = score.shape
    rows, columns = jnp.arange(height), jnp.arange(width)[:, None]

    def pick(index, state):
        left, centers = state
        x, y = jnp.divmod(jnp.argmax(left), height)
        near = (jnp.abs(rows - y) <= suppression_radius) & (
            jnp.abs(columns - x) <= suppression_radius
        )
        return jnp.where(near, -jnp.inf, left), centers.at[index].set(jnp.stack([y, x]))

    left = jnp.where(available, score, -jnp.inf).T
    return jax.lax.fori_loop(0, count, pick, (left, jnp.zeros((count, 2), jnp.int32)))[1]


def report_bandwidth(logits) -> float:
    """Measures the memory's bandwidth; returns the seconds that one read of the logits takes."""
    # In place: on a CPU, allocating a new result takes far longer than writing it.
    add_one = jax.jit(lambda x: x + 1, donate_argnums=0)
    array = jnp.array(logits)

    def in_place():
        nonlocal array
        array = add_one(array)
        return array

    one_read = seconds(in_place, 10) / 2  # the other half is the writing
    print(
        f"Memory: {logits.nbytes / one_read / 1e9:.1f} GB/s in x + 1; one read of the "
        f"{'x'.join(map(str, logits.shape))} float32 logits: {1e3 * one_read:.3f} ms"
    )
    return one_read


def report_scores(logits, one_read: float) -> None:
    print("Scores")
    other = logits[::-1]
    pixelwise = {}
    for score, operands in (
        (acquisition.softmax_entropy, (logits,)),
        (acquisition.least_confidence, (logits,)),
        (acquisition.margin, (logits,)),
        (acquisition.inconsistency_mask, (logits, other)),
        (acquisition.discrepancy_map, (logits, other)),
    ):
        pixelwise[score] = seconds(functools.partial(score, *operands))
        print(
            f"  {score.__name__:23} {pixelwise[score] / one_read:6.1f} reads"
            f"{', of two arrays of logits' if len(operands) == 2 else ''}"
        )
    entropy = pixelwise[acquisition.softmax_entropy]
    for score in (
        acquisition.region_impurity,
        acquisition.prediction_uncertainty,
        acquisition.ripu,
    ):
        times, memory = [], 0
        for radius in (1, 32):
            analysis = score.lower(logits, radius).compile().memory_analysis()
            memory = max(memory, analysis.temp_size_in_bytes + analysis.output_size_in_bytes)
            times.append(seconds(functools.partial(score, logits, radius)))
        print(
            f"  {score.__name__:23} {times[0] / one_read:6.1f} reads    "
            f"radius 32 / radius 1: {times[1] / times[0]:5.2f}    "
            f"radius 1 / softmax_entropy: {times[0] / entropy:5.2f}    "
            f"peak memory, logits included: {1 + memory / logits.nbytes:4.2f} x logits"
        )


def report_selection(
    scores, available, count: int, radius: int, suppression_radius: int, one_read: float
) -> None:
    """Reports on the first of some images, and on all of them as a batch."""
    print(f"Selection of {count} with suppression radius {suppression_radius}")
    select = functools.partial(
        acquisition.select_regions,
        count=count,
        radius=radius,
        suppression_radius=suppression_radius,
    )
    select_batch = jax.jit(jax.vmap(select))
    score, free = scores[0], available[0]
    host_score, host_free = np.asarray(score), np.asarray(free)
    expected = numpy_loop(host_score, host_free, count, suppression_radius)
    np.testing.assert_array_equal(select(score, free).centers, expected)
    rest = [
        numpy_loop(np.asarray(each), np.asarray(mask), count, suppression_radius)
        for each, mask in zip(scores[1:], available[1:], strict=True)
    ]
    np.testing.assert_array_equal(select_batch(scores, available).centers, [expected, *rest])

    ours = seconds(lambda: select(score, free), 10)
    batched = seconds(lambda: select_batch(scores, available), 5) / len(scores)
    print(
        f"  one image: {1e3 * ours:.2f} ms, {ours / one_read:.1f} reads of the logits; "
        f"a batch of {len(scores)}: {1e3 * batched:.2f} ms an image, {batched / one_read:.1f} reads"
    )
    loop = seconds(lambda: numpy_loop(host_score, host_free, count, suppression_radius), 3)
    # Time a few picks and extrapolate: each pick passes over the whole image.
    few = 4
    full_argmax = seconds(lambda: xla_loop(score, free, few, suppression_radius), 2)
    print(f"  NumPy loop / ours:             {loop / ours:8.1f}")
    print(f"  XLA full-argmax loop / ours:   {full_argmax / few * count / ours:8.1f}")

    # The implementation that this kind of device does not use.
    on_cpu = jax.default_backend() == "cpu"
    name, form = ("parallel", greedy_parallel) if on_cpu else ("sequential", greedy_sequential)

    @jax.jit
    def other_form(score, available):
        key = pixel_order.sort_key(score, available)
        return form.greedy_centers(key, count, suppression_radius)

    np.testing.assert_array_equal(other_form(score, free), expected)
    other = seconds(lambda: other_form(score, free), 2)
    print(f"  {f'{name} form / ours:':30} {other / ours:8.1f}    (same picks)")


def report_pool(logits, available, count: int, one_read: float) -> None:
    @jax.jit
    def acquire(logits, available):
        select = functools.partial(
            acquisition.select_regions, count=count, radius=1, suppression_radius=2
        )
        return jax.vmap(select)(acquisition.ripu(logits, 1), available)

    score = jax.jit(lambda logits: acquisition.ripu(logits, 1))
    batch = logits.shape[0]
    whole = seconds(lambda: acquire(logits, available), 3)
    scoring = seconds(lambda: score(logits), 3)
    print(f"Pool: a batch of {batch}, ripu and {count} regions each, in one compiled call")
    print(
        f"  {batch / whole:.2f} images/s, {whole / batch / one_read:.1f} reads of an image's "
        f"logits; scoring is {scoring / whole:.0%} of the time"
    )


class Files:
    """A pool of PNG files; labels are never read."""

    def __init__(self, folder: Path, count: int, size: tuple[int, int]):
        self.names = tuple(f"{number}.png" for number in range(count))
        self._folder, self._size = folder, size
        rng = np.random.default_rng(0)
        for name in self.names:
            coarse = Image.fromarray(
                rng.integers(0, 256, (size[0] // 16, size[1] // 16, 3), np.uint8)
            )
            smooth = np.asarray(coarse.resize(size[::-1], Image.Resampling.BILINEAR), np.int16)
            noisy = np.clip(smooth + rng.integers(-3, 4, smooth.shape), 0, 255)  # as of a camera
            Image.fromarray(noisy.astype(np.uint8)).save(folder / name)

    def __len__(self) -> int:
        return len(self.names)

    def size(self, i: int) -> tuple[int, int]:
        return self._size

    def image(self, i: int) -> np.ndarray:
        with Image.open(self._folder / self.names[i]) as image:
            return np.asarray(image)

    def label(self, i: int) -> np.ndarray:
        raise AssertionError("selection reads no labels")


def report_pool_pass(size: tuple[int, int], batch: int, count: int = 12) -> None:
    """A pass over files as a round makes it, against its parts one after the other."""
    input_size = size[0] // 4, size[1] // 4
    config = ConfigDict(
        dict(
            backbone="resnet18", width=16, stem="small", output_stride=8, batch_norm="frozen",
            head="deeplab_v3plus", head_channels=32, dropout=0.0, dtype="float32",
        )
    )  # fmt: skip
    segmenter = models.build_segmenter(config, NUM_CLASSES)
    variables = models.init_variables(segmenter, jax.random.key(0), input_size)
    budget = ConfigDict(
        dict(
            method="ripu_ra", fraction=0.022, points=0, max_fraction=0.0, radius=1,
            distance="euclidean", reference_size=None, seconds_per_image=0.0, seconds=0.0,
            scope="image", class_weights="none",
        )
    )  # fmt: skip
    query = make_pool_query(segmenter, strategies.build(budget, 5), size, with_features=False)
    available = jnp.ones((batch, *size), bool)

    @jax.jit
    def network(images):
        images = models.network_input(images)
        features = segmenter.apply(variables, images, method="extract")
        coarse = segmenter.apply(variables, features, method="coarse_logits")
        return ops.resize_bilinear_align_corners(coarse, size)

    def ask(images):
        index = jnp.arange(batch)
        return query(variables, None, jax.random.key(0), images, available, index).pixels

    def batches():
        return pipeline.inference_batches(files, BatchSpec(batch, input_size), with_labels=False)

    def read():
        return [each["image"] for each in batches()]

    def both():
        for asked in one_ahead(ask(each["image"]) for each in batches()):
            host = np.asarray(asked)
        return host

    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder), count, size)
        images = read()[0]
        steps = len(files) / batch
        reading, whole = seconds(read, 2), seconds(both, 2)
    computing = steps * seconds(lambda: ask(images), 3)
    forward = steps * seconds(lambda: network(images), 3)
    print(
        f"Pool pass: {count} PNG files, a ResNet-18 of width 16 at {input_size[0]}x{input_size[1]}"
    )
    print(
        f"  {count / whole:.2f} images/s; alone: reading {count / reading:.2f}, network "
        f"{count / forward:.2f}, network + score + selection {count / computing:.2f} images/s"
    )
    print(f"  overlapped / one after the other: {whole / (reading + computing):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=2, help="images in the pool's batch")
    parser.add_argument(
        "--selection_batch",
        type=int,
        default=2 if jax.default_backend() == "cpu" else 8,
        help="images in a batch of selections alone (2 on a CPU, 8 on accelerators)",
    )
    given = parser.parse_args()
    height, width, batch = given.height, given.width, given.batch
    print(f"jax {jax.__version__} on {jax.device_count()} {jax.default_backend()}")

    keys = jax.random.split(jax.random.key(0), 2)
    coarse = jax.random.normal(keys[0], (batch, height // 16, width // 16, NUM_CLASSES))
    logits = jax.image.resize(3 * coarse, (batch, height, width, NUM_CLASSES), "linear")
    available = jnp.ones((batch, height, width), bool)
    scores = jax.random.uniform(keys[1], (given.selection_batch, height, width))
    everywhere = jnp.ones(scores.shape, bool)

    regions = acquisition.region_count(height, width, ratio=0.022, rounds=5, radius=1)
    points = acquisition.point_count(height, width, pixels=40, rounds=5)
    one_read = report_bandwidth(logits[0])
    report_scores(logits[0], one_read)
    report_selection(scores, everywhere, regions, 1, 2, one_read)
    report_selection(scores, everywhere, points, 0, 32, one_read)
    report_pool(logits, available, regions, one_read)
    report_pool_pass((height, width), batch)


if __name__ == "__main__":
    main()
