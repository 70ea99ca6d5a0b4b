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
from labor_jax.evaluation.inference import PLAIN, Inference, predict_classes
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
    inference: Inference = PLAIN,
) -> Callable[..., Evaluation]:
    """Compiles the evaluation of a model.

    Args:
      segmenter: backbone and classifier.
      classes: names, in label order.
      mesh: the devices.
      class_subsets: class numbers by the subset's name, see `Pair.class_subsets`.
      inference: how predictions are made.

    Returns:
      `evaluate(model, split, batch_size, size, num_threads=None, progress=iter)`: the model's
      variables, a split, the global batch size, the model's input size (None: the images' own),
      the threads that read (None: the number of cores) and a wrapper for the iterator that may show
      progress.
    """

    def count(model, images, labels, valid):
        predictions = predict_classes(segmenter, model, images, labels.shape[1:], inference)
        labels = jnp.where(valid[:, None, None], labels, 255)
        counts = confusion.confusion_matrix(predictions, labels, len(classes))
        return None, jax.lax.psum(counts, mesh_lib.BATCH_AXIS)

    compiled = mesh_lib.data_parallel(count, mesh, batched_arguments=(1, 2, 3))

    def evaluate(model, split, *, batch_size, size, num_threads=None, progress=iter) -> Evaluation:
        batches = pipeline.inference_batches(
            split,
            batch_size=batch_size,
            size=size,
            with_labels=True,
            num_threads=num_threads,
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


def make_predictor(
    segmenter: models.Segmenter, mesh: Mesh, *, inference: Inference = PLAIN
) -> Callable[..., Iterator]:
    """Compiles prediction.

    Args:
      segmenter: backbone and classifier.
      mesh: the devices.
      inference: how predictions are made.

    Returns:
      `predict(model, split, numbers, size, batch_size=…, num_threads=…)`, an iterator of (number,
      int32[H, W] classes at the image's own resolution) over the images `numbers` of a split. It
      never reads labels.
    """

    @functools.cache
    def compiled(size: tuple[int, int]):
        def classes(model, images):
            return predict_classes(segmenter, model, images, size, inference)

        return mesh_lib.data_parallel_map(classes, mesh, batched_arguments=(1,))

    def predict(model, split, numbers, size, *, batch_size=None, num_threads=None):
        model = mesh_lib.replicate(model, mesh)
        batches = pipeline.inference_batches(
            split,
            batch_size=batch_size or mesh.size,
            size=size,
            with_labels=False,
            indices=numbers,
            num_threads=num_threads,
            **mesh_lib.process_part(mesh),
        )
        for batch in batches:
            images = mesh_lib.shard_batch(batch["image"], mesh)
            label_size = split.size(int(batch["index"][0]))
            predicted = mesh_lib.local_rows(compiled(label_size)(model, images))
            for number, labels in zip(batch["index"][batch["valid"]], predicted, strict=False):
                yield int(number), labels

    return predict
