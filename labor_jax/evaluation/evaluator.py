"""Evaluates a network on a split, and predicts its images, at the labels' own resolution."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from labor_jax import models
from labor_jax.data import BatchSpec, DataError, pipeline
from labor_jax.evaluation import confusion
from labor_jax.evaluation.inference import (
    PLAIN,
    Inference,
    coarse_logits,
    predict_classes,
    upsampled_classes,
)
from labor_jax.training import mesh as mesh_lib

_KEPT_PROGRAMS = 16  # of a predictor, for as many sizes


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
      miou: mean IoU over the classes that occur in the labels, 0 to 1.
      per_class_iou: class name to IoU; NaN for a class that no label has. `miou` is the mean of the
        others.
      subset_miou: mean IoU over each of the pair's subsets of classes, by the subset's name; NaN
        for a subset that no label has.
      confusion: int64[C, C]; row = label, column = prediction.
      miou_error: standard error of `miou` over the choice of the images; None if few have labels.
    """

    miou: float
    per_class_iou: dict[str, float]
    subset_miou: dict[str, float]
    confusion: np.ndarray
    miou_error: float | None


def make_evaluator(
    segmenter: models.Segmenter,
    classes: Sequence[str],
    mesh: Mesh,
    *,
    class_subsets: Mapping[str, Sequence[int]] | None = None,
    inference: Inference = PLAIN,
) -> Callable[..., Evaluation]:
    """Builds the evaluation of a network; it compiles once for each image size.

    Args:
      segmenter: the network.
      classes: names, in label order.
      mesh: the devices.
      class_subsets: class numbers by the subset's name, see `Pair.class_subsets`.
      inference: how predictions are made.

    Returns:
      `evaluate(variables, split, *, batch_size, size, num_threads=None, progress=iter)`, which
      returns an `Evaluation`. It takes the network's variables, a split, the global batch size, the
      size to which images are resized (None: their own), the number of reading threads (None: the
      number of cores), and a wrapper for the iterator over batches, to show progress.
    """

    def count(variables, images, labels, valid):
        predictions = predict_classes(segmenter, variables, images, labels.shape[1:], inference)
        labels = jnp.where(valid[:, None, None], labels, 255)
        counts = jax.vmap(confusion.confusion_matrix, (0, 0, None))(
            predictions, labels, len(classes)
        )
        labelled = jnp.any(counts, axis=(1, 2)).sum()  # of held-out images few may be answered
        found = counts.sum(axis=0), confusion.image_moments(counts), labelled
        return None, jax.lax.psum(found, mesh_lib.BATCH_AXIS)

    compiled = mesh_lib.data_parallel(count, mesh, batched_arguments=(1, 2, 3))

    def evaluate(
        variables, split, *, batch_size, size, num_threads=None, progress=iter
    ) -> Evaluation:
        share = mesh_lib.process_share(mesh)
        batches = pipeline.inference_batches(
            split, BatchSpec(batch_size, size, num_threads, share), with_labels=True
        )
        counts = []
        for batch in progress(batches):
            sharded = mesh_lib.shard_batch(
                {key: batch[key] for key in ("image", "label", "valid")}, mesh
            )
            counts.append(
                compiled(variables, sharded["image"], sharded["label"], sharded["valid"])[1]
            )
        total = np.sum([np.asarray(each, np.int64) for each, _, _ in counts], axis=0)
        moments = np.sum([np.asarray(each, np.float64) for _, each, _ in counts], axis=0)
        images = sum(int(each) for _, _, each in counts)
        if not total.sum():
            raise DataError("The evaluation split has no labelled pixel, so it has no mIoU.")
        iou = confusion.intersection_over_union(total)
        iou[~total.any(axis=1)] = math.nan  # 0 where it is predicted, which is no measure of it
        return Evaluation(
            miou=confusion.mean_iou(total),
            per_class_iou=dict(zip(classes, iou.tolist(), strict=True)),
            subset_miou={
                name: confusion.mean_iou(total, subset) if total[list(subset)].any() else math.nan
                for name, subset in (class_subsets or {}).items()
            },
            confusion=total,
            miou_error=confusion.mean_iou_error(total, moments, images),
        )

    return evaluate


def make_predictor(
    segmenter: models.Segmenter,
    mesh: Mesh,
    *,
    inference: Inference = PLAIN,
    upsampled: Callable[..., jax.Array] = upsampled_classes,
) -> Callable[..., Iterator]:
    """Builds prediction.

    The network compiles once for each size of its input. What enlarges its output compiles for each
    image size too, in a fraction of that time, so images of many sizes should be resized to one for
    the network.

    Args:
      segmenter: the network.
      mesh: the devices.
      inference: how predictions are made.
      upsampled: `inference.upsampled_classes` or `inference.upsampled_probabilities`.

    Returns:
      `predict_images(variables, split, numbers, size, *, batch_size=None, num_threads=None)`, an
      iterator over the images `numbers` of a split that yields (number, int32[H, W] classes or
      f32[H, W, C] probabilities at the image's own resolution). It never reads labels.
    """

    # Of hundreds of sizes only the last ones are kept: a compiled program holds memory.
    @functools.lru_cache(_KEPT_PROGRAMS)
    def network(shape: tuple[int, ...]):
        def coarse(variables, images):
            return coarse_logits(segmenter, variables, images, inference)

        return mesh_lib.data_parallel_map(coarse, mesh, batched_arguments=(1,))

    @functools.lru_cache(_KEPT_PROGRAMS)
    def enlarging(shape: tuple[int, ...], size: tuple[int, int]):
        def enlarge(coarse):
            return upsampled(coarse, size, inference)

        return mesh_lib.data_parallel_map(enlarge, mesh, batched_arguments=(0,))

    def predict_images(variables, split, numbers, size, *, batch_size=None, num_threads=None):
        variables = mesh_lib.replicate(variables, mesh)
        share = mesh_lib.process_share(mesh)
        batches = pipeline.inference_batches(
            split,
            BatchSpec(batch_size or mesh.size, size, num_threads, share),
            with_labels=False,
            indices=numbers,
        )
        for batch in batches:
            images = mesh_lib.shard_batch(batch["image"], mesh)
            label_size = split.size(int(batch["index"][0]))
            coarse = network(images.shape)(variables, images)
            predicted = mesh_lib.local_rows(enlarging(images.shape, label_size)(coarse))
            for number, image in zip(batch["index"][batch["valid"]], predicted, strict=False):
                yield int(number), image

    return predict_images
