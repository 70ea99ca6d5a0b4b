"""Endless batches of augmented training images."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Sequence

import grain
import numpy as np

from labor_jax.data import augmentation, base, class_sampling, label_sets
from labor_jax.data.augmentation import Augment
from labor_jax.data.batch_spec import BatchSpec
from labor_jax.data.pipeline import batches
from labor_jax.data.pipeline.batches import Batches


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images to train on, their labels, and how an example is made of them.

    Attributes:
      split: the images.
      labels: returns the label of image i, uint8[H, W], such as `split.label`. None for images
        without labels: then every label is 255 and `split.label` is never called.
      label_sets: whether labels may hold sets of classes, int32[H, W], see `label_sets`.
      void: whether batches are to tell void pixels from those that nobody has answered; void ones
        are `label_sets.VOID` in labels.
      augment: the augmentation, which follows the resizing; None for none.
      sparse_labels: whether labels are single pixels, see `transforms.resize_labels`.
      sampling: one of `class_sampling.SAMPLINGS`.
      class_counts: how many pixels of each class each image holds, int[images, classes], see
        `class_counts`; None if each image is visited once an epoch.

    Raises:
      ValueError: the split is empty, the sampling is unknown, or `class_counts` doesn't fit.
    """

    split: base.Split
    labels: Callable[[int], np.ndarray] | None
    augment: Augment | None = None
    sparse_labels: bool = False
    label_sets: bool = False
    void: bool = False
    sampling: str = "each_once"
    class_counts: np.ndarray | None = None

    def __post_init__(self):
        batches.check_not_empty(self.split)
        if self.sampling not in class_sampling.SAMPLINGS:
            raise ValueError(
                f"sampling is {self.sampling!r}; choose one of: "
                f"{', '.join(class_sampling.SAMPLINGS)}"
            )
        if self.sampling != "each_once":
            if self.class_counts is None or len(self.class_counts) != len(self.split):
                about = 0 if self.class_counts is None else len(self.class_counts)
                raise ValueError(
                    f"class_counts is about {about} images, but the split holds {len(self.split)}"
                )
            class_sampling.check_presence(self.class_counts > 0)


def training_batches(
    images: TrainingImages, spec: BatchSpec, *, seed: int, start: int = 0
) -> Batches:
    """Returns endless training batches.

    Each epoch visits every image once, in its own order; a batch may hold the end of one epoch and
    the beginning of the next. Other samplings have no epochs. Batch k depends on the
    other arguments but not on `start`: an iterator that starts at k gives what one from 0 gives
    there, augmentation included.

    Args:
      images: what is trained on.
      spec: the form of a batch; `images.augment.crop` replaces `spec.size` as its images' size.
      seed: of order and augmentation, 0 or more.
      start: number of the first batch.

    Returns:
      Batches {"image": uint8[B, h, w, 3], "label": int32[B, h, w], "index": int32[B], the images'
      numbers in the split}, B = spec.local_batch_size. With `images.label_sets` also
      "candidates": int32[B, h, w], a pixel's possible classes as bits, 0 where its label says all,
      and "part": int32[B, h, w], the number of the part that was answered by them, else -1.
      With `images.void` also "void": bool[B, h, w], the pixels that can have no class: void in
      `images.labels`, or in a crop beyond the image.
      Their `next` raises what the split and `images.labels` raise, with the image's name added.

    Raises:
      ValueError: invalid argument, or images of different sizes although neither `spec.size` nor
        `images.augment.crop` is set.
    """
    check_training(images, spec)
    if start < 0 or seed < 0:
        raise ValueError(f"seed and start must be 0 or more, got {seed} and {start}")
    split, labels, local = images.split, images.labels, spec.local_batch_size
    order = _order(images, spec, seed)

    def example(number: int) -> dict[str, np.ndarray]:
        # The position, in the order of all processes, of this process's example `number`.
        batch, row = divmod(number, local)
        position = batch * spec.batch_size + spec.first_row + row
        index = order(position)
        with batches.naming_image(split, index):
            image = split.image(index)
            label = (
                np.broadcast_to(np.uint8(base.IGNORE_LABEL), image.shape[:2])
                if labels is None
                else labels(index)
            )
            if images.void:
                label = label.astype(np.int32, copy=False)
            image, label = augmentation.prepare(
                image,
                label,
                np.random.default_rng((seed, 1, position)),
                size=spec.size,
                augment=images.augment,
                sparse=images.sparse_labels,
                shown=order.class_of(position) if images.sampling == "rare_classes" else None,
                beyond=label_sets.VOID if images.void else base.IGNORE_LABEL,
            )
        more = {}
        if images.void:
            more["void"] = label == label_sets.VOID
        if images.void or images.label_sets:
            label, candidates, part = label_sets.split(label)
        if images.label_sets:
            more |= {"candidates": candidates, "part": part}
        return {"image": image, "label": label, "index": index, **more}

    examples = grain.MapDataset.range(start * local, sys.maxsize).map(example)
    return batches.read_ahead(examples, _stack, spec)


def check_training(images: TrainingImages, spec: BatchSpec) -> None:
    """Raises ValueError if images of a batch would differ in size, as `training_batches` does."""
    if spec.size is None and not (images.augment and images.augment.crop):
        _check_one_size(images.split)


def _order(images: TrainingImages, spec: BatchSpec, seed: int) -> Callable[[int], int]:
    """Returns the order that `images.sampling` names: position to image."""
    split, counts = images.split, images.class_counts
    if images.sampling == "each_once":
        return _epochs(len(split), seed)
    if images.sampling == "balanced":
        return class_sampling.BalancedOrder(counts > 0, seed)
    areas = np.array([math.prod(split.size(i)) for i in range(len(split))], float)
    enough = np.full(len(split), class_sampling.RARE_SHARE)
    if images.augment and images.augment.crop:
        # What fills a share of the crop fills a smaller one of the image that it is cut out of.
        whole = math.prod(spec.size) if spec.size else areas
        enough *= np.minimum(1.0, math.prod(images.augment.crop) / whole)
    return class_sampling.RareClassOrder(counts, counts >= (enough * areas)[:, None], seed)


def _epochs(count: int, seed: int) -> Callable[[int], int]:
    """Returns an order that visits all `count` images once an epoch: position to image."""

    @functools.lru_cache(maxsize=4)
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, 0, epoch)).permutation(count)

    def order(position: int) -> int:
        epoch, place = divmod(position, count)
        return int(permutation(epoch)[place])

    return order


def _stack(examples: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    stacked = {name: np.stack([each[name] for each in examples]) for name in examples[0]}
    whole = ("label", "index")
    return {
        name: array.astype(np.int32) if name in whole else array for name, array in stacked.items()
    }


def _check_one_size(split: base.Split) -> None:
    first = tuple(split.size(0))
    for i in range(1, len(split)):
        if tuple(split.size(i)) != first:
            raise ValueError(
                f"images differ in size ({split.names[0]} is {first[0]}x{first[1]}, "
                f"{split.names[i]} is {split.size(i)[0]}x{split.size(i)[1]}): set the input size "
                "or augment.crop"
            )
