"""How fast images are read: `python benchmarks/input_pipeline.py [--images_per_second 40]`.

Training reads PNG files of the papers' data sets, decodes them and brings them to the network's
input size. This writes files like Cityscapes' (2048x1024, some 2.3 MB an image, a label map each)
and reads them through `pipeline.training_batches` with 1, 2, 4, ... threads, and with plain code
that decodes with Pillow and resizes the same way. It first checks that both give the same images
and labels. Files come from the operating system's cache, so the speed of the disk doesn't count.

"per core" is images per second of processor time of all threads together, which other programs on
the machine don't change. Given `--images_per_second`, the images of both domains that training
takes on one GPU, it prints how many cores keep that GPU busy.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from labor_jax.data import BatchSpec, folders, pipeline, transforms
from labor_jax.data.base import Split
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS, TRAIN_IDS

BYTES_PER_PIXEL = 2.3e6 / (1024 * 2048)  # of Cityscapes' images


class Speed(NamedTuple):
    """Images a second of time, and of processor time of all threads."""

    images_per_second: float
    images_per_core_second: float


def write_files(folder: Path, count: int, size: tuple[int, int]) -> Split:
    """Writes images whose PNGs are as large as photographs' are, and labels of Cityscapes' ids."""
    rng = np.random.default_rng(0)
    height, width = size
    noise = 4.0
    for number in range(count):
        photograph = sum(
            weight * _smooth(rng.normal(0, 1, (height // scale + 2, width // scale + 2, 3)), size)
            for scale, weight in ((128, 40.0), (32, 20.0), (8, 10.0))
        )
        # Shot noise and a sensor's common to the channels: most of what a PNG has to hold.
        grain = rng.normal(0, 1, (height, width, 1)), rng.normal(0, 0.5, (height, width, 3))
        path = folder / "images" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(4 if number == 0 else 1):  # the first finds how much noise that is
            image = np.clip(128 + photograph + noise * sum(grain), 0, 255).astype(np.uint8)
            Image.fromarray(image).save(path)
            wanted = 8 * (BYTES_PER_PIXEL - path.stat().st_size / (height * width)) / 3
            noise = max(0.05, noise * 2**wanted) if number == 0 else noise
        regions = _smooth(rng.random((height // 64 + 2, width // 64 + 2, 1)), size)[..., 0]
        label = np.clip(34 * regions, 0, 33).astype(np.uint8)
        path = folder / "labels" / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(path)
    layout = folders.FolderLayout("images", "labels", label_map=TRAIN_IDS)
    return folders.read_split(folder, "benchmark", layout, len(ALL_TRAIN_IDS))


def _smooth(coarse: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges f64[h, w, C] to f32[*size, C] without corners."""
    return np.stack(
        [
            np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BICUBIC))
            for channel in np.moveaxis(coarse.astype(np.float32), -1, 0)
        ],
        -1,
    )


def plain_example(split: folders.FolderSplit, i: int, size: tuple[int, int]):
    """Image and label `i` at `size`, as plain code gets them: by Pillow, one after the other."""
    with Image.open(split.image_paths[i]) as image:
        image = np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC))
    with Image.open(split.label_paths[i]) as label:
        label = split.label_map(np.asarray(label), split.label_paths[i])
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for old, new in zip(label.shape, size, strict=True)
    )
    return image, label[rows][:, columns].astype(np.int32)


def check_same(split: folders.FolderSplit, size: tuple[int, int]) -> None:
    """Raises AssertionError where the pipeline's images or labels are not the plain code's."""
    with _batches(split, size, batch_size=len(split), num_threads=None) as batches:
        batch = next(batches)
    plain = {}
    for i in range(len(split)):
        image, label = plain_example(split, i, size)
        plain[image.tobytes()] = label
    if len(plain) != len(split):
        raise AssertionError("two of the written images are the same")
    for image, label in zip(batch["image"], batch["label"], strict=True):
        np.testing.assert_array_equal(label, plain.pop(image.tobytes()))


def _batches(split: Split, size, *, batch_size: int, num_threads: int | None) -> pipeline.Batches:
    images = pipeline.TrainingImages(split, split.label)
    return pipeline.training_batches(images, BatchSpec(batch_size, size, num_threads), seed=0)


def pipeline_speed(split, size, *, batch_size: int, num_threads: int, images: int) -> Speed:
    """How fast `training_batches` is, once it runs."""
    with _batches(split, size, batch_size=batch_size, num_threads=num_threads) as batches:
        return _speed(batches, batch_size, images, ahead=2 * max(num_threads, 2 * batch_size))


def plain_speed(split, size, *, batch_size: int, num_threads: int, images: int) -> Speed:
    """How fast plain code is in as many threads."""

    def batches() -> Iterator[list]:
        with ThreadPoolExecutor(num_threads) as executor:
            number = 0
            waiting: list = []
            while True:
                while len(waiting) < 2 * max(num_threads, batch_size):
                    waiting.append(executor.submit(plain_example, split, number % len(split), size))
                    number += 1
                yield [waiting.pop(0).result() for _ in range(batch_size)]

    running = batches()
    try:
        return _speed(running, batch_size, images, ahead=2 * max(num_threads, 2 * batch_size))
    finally:
        running.close()


def _speed(batches: Iterator, batch_size: int, images: int, ahead: int) -> Speed:
    """Times `images` images after the first `ahead`, which fill what is read ahead."""
    for _ in range(-(-ahead // batch_size)):
        next(batches)
    steps = -(-images // batch_size)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(batches)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Speed(steps * batch_size / wall, steps * batch_size / processor)


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and `most`."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def cores_needed(images_per_second: float, speed: Speed) -> int:
    """The cores that read as fast as images are taken."""
    return math.ceil(images_per_second / speed.images_per_core_second)


def stages(split: folders.FolderSplit, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds of each part of an example, in one thread."""
    image, label = split.image(0), split.label(0)
    parts: dict[str, Callable[[int], object]] = {
        "decode the image": split.image,
        "resize it": lambda i: transforms.resize_image(image, size),
        "decode and map the label": split.label,
        "resize it, nearest": lambda i: transforms.resize_labels(label, size),
    }
    found = {}
    for name, part in parts.items():
        times = []
        for i in range(len(split)):
            start = time.perf_counter()
            part(i)
            times.append(time.perf_counter() - start)
        found[name] = 1e3 * min(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--input_height", type=int, default=640)
    parser.add_argument("--input_width", type=int, default=1280)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--images", type=int, default=100, help="read in each measurement")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="*", help="default: 1, 2, 4, ... all cores")
    parser.add_argument("--images_per_second", type=float, help="what one GPU takes")
    given = parser.parse_args()
    size, input_size = (given.height, given.width), (given.input_height, given.input_width)
    with tempfile.TemporaryDirectory() as folder:
        split = write_files(Path(folder), given.files, size)
        megabytes = np.mean([path.stat().st_size for path in split.image_paths]) / 1e6
        print(
            f"{given.files} PNG images of {given.width}x{given.height}, {megabytes:.2f} MB each, "
            f"to {given.input_width}x{given.input_height}"
        )
        check_same(split, input_size)
        for name, milliseconds in stages(split, input_size).items():
            print(f"  {name:25} {milliseconds:6.1f} ms")
        print("| threads | images/s | per core | Pillow: images/s | per core | ratio per core |")
        print("|---:|---:|---:|---:|---:|---:|")
        measured = {"batch_size": given.batch, "images": given.images}
        for threads in given.threads or thread_counts(os.cpu_count() or 1):
            ours, plain = (
                speed(split, input_size, num_threads=threads, **measured)
                for speed in (pipeline_speed, plain_speed)
            )
            ratio = ours.images_per_core_second / plain.images_per_core_second
            print(
                f"| {threads} | {ours.images_per_second:.1f} | {ours.images_per_core_second:.1f} "
                f"| {plain.images_per_second:.1f} | {plain.images_per_core_second:.1f} "
                f"| {ratio:.2f} |"
            )
    if given.images_per_second:
        print(
            f"{given.images_per_second:g} images/s, one GPU's, keep "
            f"{cores_needed(given.images_per_second, ours)} cores busy "
            f"({ours.images_per_core_second:.1f} images/s each)"
        )


if __name__ == "__main__":
    main()
