"""Batches that visit each image once, for evaluation, prediction and scoring of the pool."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import grain
import numpy as np

from labor_jax.data import base, transforms
from labor_jax.data.batch_spec import BatchSpec
from labor_jax.data.pipeline import batches
from labor_jax.data.pipeline.batches import Batches


class _Row(NamedTuple):
    """A row of a batch.

    Attributes:
      index: number of its image.
      valid: whether the image counts; otherwise the row only fills up the last batch of a group.
      read: whether the image is read; the first row of a batch always is.
    """

    index: int
    valid: bool
    read: bool


def inference_batches(
    split: base.Split,
    spec: BatchSpec,
    *,
    with_labels: bool,
    indices: Sequence[int] | None = None,
) -> Batches:
    """Returns batches that visit each image once.

    Images are grouped by the size of their labels, so that the labels of a batch (and logits at
    their resolution) have one shape. Groups come in the order of their first image; within a group
    images come in the order of `indices`.

    Args:
      split: the images.
      spec: the form of a batch.
      with_labels: whether to read labels; if not, `split.label` is never called.
      indices: numbers of the images to visit; None for all.

    Returns:
      Batches {"index": int32[B], "image": uint8[B, h, w, 3], "label": int32[B, H, W] at the label's
      own resolution (only if `with_labels`), "valid": bool[B]}, B = spec.local_batch_size. The last
      batch of a group is filled up with repetitions, after the valid images, that have valid False
      and label 255. `split.size(index)` is (H, W) for all of a batch. Their `next` raises what
      `split` raises, with the name of the image added.

    Raises:
      ValueError: the split is empty, or an index is out of range.
    """
    batches.check_not_empty(split)
    groups: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    for index in range(len(split)) if indices is None else indices:
        if not 0 <= index < len(split):
            raise ValueError(f"indices must be 0 to {len(split) - 1}, got {index}")
        groups[tuple(split.size(index))].append(int(index))

    def example(row: _Row) -> dict[str, Any]:
        if not row.read:
            return {"index": row.index, "valid": False}
        with batches.naming_image(split, row.index):
            image = split.image(row.index)
            if spec.size:
                image = transforms.resize_image(image, spec.size)
            loaded = {"image": image}
            if with_labels:
                label = split.label(row.index)
                loaded["label"] = label if row.valid else np.full_like(label, base.IGNORE_LABEL)
        return {"index": row.index, "valid": row.valid, **loaded}

    rows = [row for group in groups.values() for row in _rows(group, spec)]
    return batches.read_ahead(grain.MapDataset.source(rows).map(example), _stack, spec)


def _rows(group: Sequence[int], spec: BatchSpec) -> list[_Row]:
    """Returns this process's rows of the batches of a group."""
    padded = -(-len(group) // spec.batch_size) * spec.batch_size
    return [
        _Row(
            index=group[min(place, len(group) - 1)],
            valid=place < len(group),
            read=place < len(group) or row == 0,
        )
        for first in range(spec.first_row, padded, spec.batch_size)
        for row, place in enumerate(range(first, first + spec.local_batch_size))
    ]


def _stack(examples: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
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
