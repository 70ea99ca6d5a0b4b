"""Evaluation of a model on a split, at the labels' own resolution."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from labor_jax import models
from labor_jax.data import DataError, pipeline
from labor_jax.evaluation import confusion
from labor_jax.training import mesh as mesh_lib


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
      miou: mean IoU over the classes that occur in the labels, 0 to 1.
      per_class_iou: class name to IoU; NaN where a class is neither labelled nor predicted.
      subset_miou: the same mean over each of the pair's subsets of classes, by its name; NaN where
        none of its pixels is labelled.
      confusion: int64[C, C]; row = label, column = prediction.
    """

    miou: float
    per_class_iou: dict[str, float]
    subset_miou: dict[str, float]
    confusion: np.ndarray


def make_evaluator(
    segmenter: models.Segmenter,
    classes: Sequence[str],
    mesh: Mesh,
    *,
    class_subsets: Mapping[str, Sequence[int]] | None = None,
    flip: bool = False,
) -> Callable[..., Evaluation]:
    """Compiles the evaluation of a model.

    Args:
      segmenter: backbone and classifier.
      classes: names, in label order.
      mesh: the devices.
      class_subsets: class numbers by the subset's name, see `Pair.class_subsets`.
      flip: whether a prediction is the mean over the image and its mirror image.

    Returns:
      `evaluate(model, split, batch_size, size, progress=iter)`: the model's variables, a split, the
      global batch size, the model's input size (None: the images' own) and a wrapper for the
      iterator that may show progress.
    """

    def count(model, images, labels, valid):
        predictions = _predict(segmenter, model, images, labels.shape[1:], flip)
        labels = jnp.where(valid[:, None, None], labels, 255)
        counts = confusion.confusion_matrix(predictions, labels, len(classes))
        return None, jax.lax.psum(counts, mesh_lib.BATCH_AXIS)

    compiled = mesh_lib.data_parallel(count, mesh, batched_arguments=(1, 2, 3))

    def evaluate(model, split, *, batch_size, size, progress=iter) -> Evaluation:
        batches = pipeline.inference_batches(
            split,
            batch_size=batch_size,
            size=size,
            with_labels=True,
            **mesh_lib.process_part(mesh),
        )
        counts = []
        for batch in progress(batches):
            sharded = mesh_lib.shard_batch(
                {key: batch[key] for key in ("image", "label", "valid")}, mesh
            )
            counts.append(compiled(model, sharded["image"], sharded["label"], sharded["valid"])[1])
        total = np.sum([np.asarray(each, np.int64) for each in counts], axis=0)
        if not total.sum():
            raise DataError("The evaluation split has no labelled pixel, so it has no mIoU.")
        iou = confusion.intersection_over_union(total)
        return Evaluation(
            miou=confusion.mean_iou(total),
            per_class_iou=dict(zip(classes, iou.tolist(), strict=True)),
            subset_miou={
                name: confusion.mean_iou(total, subset) if total[list(subset)].any() else math.nan
                for name, subset in (class_subsets or {}).items()
            },
            confusion=total,
        )

    return evaluate


def _predict(segmenter, model, images, size, flip):
    """Classes int32[B, *size] of uint8[B, h, w, 3] images."""
    images = models.normalize_images(images)
    scores, _ = models.apply(segmenter, model, images, size=size)
    if flip:
        mirrored, _ = models.apply(segmenter, model, images[:, :, ::-1], size=size)
        scores = jax.nn.softmax(scores) + jax.nn.softmax(mirrored)[:, :, ::-1]
    return jnp.argmax(scores, axis=-1).astype(jnp.int32)


def make_predictor(
    segmenter: models.Segmenter, mesh: Mesh, *, flip: bool = False
) -> Callable[..., Iterator]:
    """Compiles prediction.

    Args:
      segmenter: backbone and classifier.
      mesh: the devices.
      flip: see `make_evaluator`.

    Returns:
      `predict(model, split, numbers, size, batch_size=…)`, an iterator of (number, int32[H, W]
      classes at the image's own resolution) over the images `numbers` of a split. It never reads
      labels.
    """

    @functools.cache
    def compiled(size: tuple[int, int]):
        def classes(model, images):
            return _predict(segmenter, model, images, size, flip)

        return mesh_lib.data_parallel_map(classes, mesh, batched_arguments=(1,))

    def predict(model, split, numbers, size, *, batch_size=None):
        model = mesh_lib.replicate(model, mesh)
        batches = pipeline.inference_batches(
            split,
            batch_size=batch_size or mesh.size,
            size=size,
            with_labels=False,
            indices=numbers,
            **mesh_lib.process_part(mesh),
        )
        for batch in batches:
            images = mesh_lib.shard_batch(batch["image"], mesh)
            label_size = split.size(int(batch["index"][0]))
            predicted = mesh_lib.local_rows(compiled(label_size)(model, images))
            for number, labels in zip(batch["index"][batch["valid"]], predicted, strict=False):
                yield int(number), labels

    return predict
