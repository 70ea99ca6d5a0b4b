"""Batches for training and inference: seeded, resumable, read ahead by threads (Grain)."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from labor_jax.data import base, class_balance, transforms

_BATCHES_AHEAD = 2


class Batches(Iterator[dict[str, np.ndarray]]):
    """An iterator of batches that background threads fill.

    It holds a bounded number of finished images. `close` (or the end of a `with` block, or its last
    reference going) stops the threads; an error in one of them is raised by `next`, with the name
    of the image, and closes the iterator.
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
        """Stops the threads; further calls of `next` end the iteration."""
        self._closed = True
        self._iterator.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self):
        self.close()


def training_batches(
    split: base.Split,
    labels: Callable[[int], np.ndarray] | None,
    *,
    batch_size: int,
    size: tuple[int, int] | None,
    augment: Mapping[str, Any] | None = None,
    seed: int,
    start: int = 0,
    sparse_labels: bool = False,
    presence: np.ndarray | None = None,
    num_threads: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> Batches:
    """Returns endless training batches.

    Each epoch visits every image once, in its own order; a batch may hold the end of one epoch and
    the beginning of the next. With `presence` there are no epochs: images are drawn so that classes
    are balanced, see `class_balance.BalancedOrder`. Batch k is a function of the arguments other
    than `start`: starting at k gives what an iterator from 0 gives there, augmentation included.
    With several processes the batches are parts of the batches that one process would get, in the
    order of `process_index`.

    Args:
      split: the images.
      labels: label of image i, uint8[H, W], such as `split.label`; None for images without labels,
        in which case all labels are 255 and `split.label` is never called.
      batch_size: images in a batch of all processes together.
      size: (h, w) that images are resized to before `augment`; None for their own size.
      augment: see `transforms.AUGMENT_FIELDS`; `augment.crop` sets the final size.
      seed: of order and augmentation, 0 or more.
      start: number of the first batch.
      sparse_labels: whether labels are single pixels, see `transforms.resize_labels`.
      presence: which image holds which class, bool[images, classes]; None: visit all alike.
      num_threads: threads that read and augment; None for the number of cores, at most 16.
      process_index: number of this process.
      process_count: number of processes; must divide `batch_size`.

    Returns:
      Batches {"image": uint8[b, h, w, 3], "label": int32[b, h, w]}, b = batch_size / process_count.
      Their `next` raises what `split` and `labels` raise, with the name of the image added.

    Raises:
      ValueError: for an argument that cannot be, or images of different sizes where neither `size`
        nor `augment.crop` makes them equal.
    """
    check_training(
        split, batch_size=batch_size, size=size, augment=augment, num_threads=num_threads
    )
    local = _local_batch_size(batch_size, process_index, process_count)
    if start < 0 or seed < 0:
        raise ValueError(f"seed and start must be 0 or more, got {seed} and {start}")
    augment = dict(augment.items()) if augment else {}

    if presence is None:
        order = _epochs(len(split), seed)
    else:
        _check_presence(presence, split)
        order = class_balance.BalancedOrder(presence, seed)

    def example(number: int) -> dict[str, np.ndarray]:
        # Place in the order of all processes of this process's example `number`.
        batch, row = divmod(number, local)
        position = batch * batch_size + process_index * local + row
        index = order(position)
        with _naming_image(split, index):
            image = split.image(index)
            label = (
                np.broadcast_to(np.uint8(base.IGNORE_LABEL), image.shape[:2])
                if labels is None
                else labels(index)
            )
            image, label = transforms.prepare(
                image,
                label,
                np.random.default_rng((seed, 1, position)),
                size=size,
                augment=augment,
                sparse=sparse_labels,
            )
        return {"image": image, "label": label}

    examples = grain.MapDataset.range(start * local, sys.maxsize).map(example)
    return _read_ahead(examples, local, _stack_training, num_threads)


def _epochs(count: int, seed: int) -> Callable[[int], int]:
    """The image at each position of an order that visits all `count` images once an epoch."""

    @functools.lru_cache(maxsize=4)
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, 0, epoch)).permutation(count)

    def order(position: int) -> int:
        epoch, place = divmod(position, count)
        return int(permutation(epoch)[place])

    return order


def check_training(
    split: base.Split,
    *,
    batch_size: int,
    size: tuple[int, int] | None,
    augment: Mapping[str, Any] | None,
    num_threads: int | None,
) -> None:
    """Raises the ValueError that `training_batches` would, without starting its threads."""
    _check(split, batch_size, size, num_threads)
    transforms.check_augment(augment)
    if not (augment or {}).get("crop"):
        if (augment or {}).get("scale"):
            raise ValueError("augment.scale makes images of many sizes: set augment.crop as well")
        if size is None:
            _check_one_size(split)


def inference_batches(
    split: base.Split,
    *,
    batch_size: int,
    size: tuple[int, int] | None,
    with_labels: bool,
    indices: Sequence[int] | None = None,
    num_threads: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> Batches:
    """Returns each image once, in batches of one shape.

    Images are grouped by the size of their labels, so that labels, or logits brought to their
    resolution, have one shape in a batch. Groups come in the order of their first image, images
    in the order of `indices` within a group. With several processes the batches are parts of the
    batches that one process would get, in the order of `process_index`.

    Args:
      split: the images.
      batch_size: images in a batch of all processes together.
      size: (h, w) that images are resized to; None for their own size.
      with_labels: whether to read labels; if not, `split.label` is never called.
      indices: which images; None for all.
      num_threads: threads that read; None for the number of cores, at most 16.
      process_index: number of this process.
      process_count: number of processes; must divide `batch_size`.

    Returns:
      Batches {"index": int32[B], "image": uint8[B, h, w, 3], "label": int32[B, H, W] at the label's
      own resolution (only if `with_labels`), "valid": bool[B]}, B = batch_size / process_count. The
      last batch of a group is filled up with repetitions that have valid False and label 255, after
      the valid ones. `split.size(index)` is (H, W) for all of a batch. Their `next` raises what
      `split` raises, with the name of the image added.

    Raises:
      ValueError: for an argument that cannot be.
    """
    _check(split, batch_size, size, num_threads)
    local = _local_batch_size(batch_size, process_index, process_count)
    groups: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    for index in range(len(split)) if indices is None else indices:
        if not 0 <= index < len(split):
            raise ValueError(f"indices must be 0 to {len(split) - 1}, got {index}")
        groups[tuple(split.size(index))].append(int(index))
    # A place in a batch: an image, whether it counts or only fills up its group's last batch, and
    # whether it is read, as the first of a batch always is.
    places = [
        (group[min(place, len(group) - 1)], place < len(group), place < len(group) or not row)
        for group in groups.values()
        for start in range(process_index * local, _round_up(len(group), batch_size), batch_size)
        for row, place in enumerate(range(start, start + local))
    ]

    def example(place: tuple[int, bool, bool]) -> dict[str, Any]:
        index, valid, read = place
        if not read:
            return {"index": index, "valid": False}
        with _naming_image(split, index):
            image = split.image(index)
            loaded = {"image": transforms.resize_image(image, size) if size else image}
            if with_labels:
                loaded["label"] = split.label(index)
                if not valid:
                    loaded["label"] = np.full_like(loaded["label"], base.IGNORE_LABEL)
        return {"index": index, "valid": valid, **loaded}

    examples = grain.MapDataset.source(places).map(example)
    return _read_ahead(examples, local, _stack_inference, num_threads)


def _local_batch_size(batch_size: int, process_index: int, process_count: int) -> int:
    """The images of one process in a batch of all."""
    if not 0 <= process_index < process_count or batch_size % process_count:
        raise ValueError(
            f"process {process_index} of {process_count} cannot have an equal part of batches of "
            f"{batch_size}: process_count must divide batch_size"
        )
    return batch_size // process_count


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _read_ahead(
    examples: grain.MapDataset,
    batch_size: int,
    stack: Callable[[Sequence[dict[str, Any]]], dict[str, np.ndarray]],
    num_threads: int | None,
) -> Batches:
    threads = num_threads or min(16, os.cpu_count() or 1)
    read_options = grain.ReadOptions(
        num_threads=threads, prefetch_buffer_size=max(threads, _BATCHES_AHEAD * batch_size)
    )
    return Batches(iter(examples.to_iter_dataset(read_options).batch(batch_size, batch_fn=stack)))


def _stack_training(examples: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {
        "image": np.stack([example["image"] for example in examples]),
        "label": np.stack([example["label"] for example in examples]).astype(np.int32),
    }


def _stack_inference(examples: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    loaded = [example for example in examples if "image" in example]
    padding = len(examples) - len(loaded)
    images = [example["image"] for example in loaded]
    batch = {
        "index": np.array([example["index"] for example in examples], np.int32),
        "image": np.stack(images + images[-1:] * padding),
        "valid": np.array([example["valid"] for example in examples]),
    }
    if "label" in loaded[0]:
        labels = [example["label"] for example in loaded]
        void = np.full_like(labels[0], base.IGNORE_LABEL)
        batch["label"] = np.stack(labels + [void] * padding).astype(np.int32)
    return batch


@contextlib.contextmanager
def _naming_image(split: base.Split, index: int) -> Iterator[None]:
    """Adds the image's name to an exception that is raised in the block."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while reading image {split.names[index]!r}")
        raise


def _check(
    split: base.Split, batch_size: int, size: tuple[int, int] | None, num_threads: int | None
) -> None:
    if not len(split):
        raise ValueError("the split holds no images")
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads must be 1 or more, or None, got {num_threads}")
    transforms.check_size(size, "size")


def _check_presence(presence: np.ndarray, split: base.Split) -> None:
    class_balance.check_presence(presence)
    if len(presence) != len(split):
        raise ValueError(
            f"presence tells of {len(presence)} images, but the split holds {len(split)}"
        )


def _check_one_size(split: base.Split) -> None:
    first = tuple(split.size(0))
    for i in range(1, len(split)):
        if tuple(split.size(i)) != first:
            raise ValueError(
                f"images differ in size ({split.names[0]} is {first[0]}x{first[1]}, "
                f"{split.names[i]} is {split.size(i)[0]}x{split.size(i)[1]}): set the input size "
                "or augment.crop"
            )
