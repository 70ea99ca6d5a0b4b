"""Confusion matrix and intersection over union."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

_UNIT = 2.0**20  # pixels
_LEAST_IMAGES = 8


def confusion_matrix(
    predictions: jax.Array, labels: jax.Array, num_classes: int, ignore_label: int = 255
) -> jax.Array:
    """Counts pixels by label and predicted class.

    Args:
      predictions: integers [...], classes 0 to C - 1.
      labels: integers [...], classes or `ignore_label`; ignored pixels are not counted, nor are
        those whose label or prediction is no class.
      num_classes: C.
      ignore_label: the label that does not count.

    Returns:
      int32[C, C]; row = label, column = prediction. Exact up to 2^31 pixels.
    """
    # In uint8, that of label files, the number of a cell would overflow.
    predictions, labels = (jnp.asarray(each).astype(jnp.int32) for each in (predictions, labels))
    counted = labels != ignore_label
    for each in (predictions, labels):
        counted &= (each >= 0) & (each < num_classes)
    cell = jnp.where(counted, labels * num_classes + predictions, num_classes**2)
    counts = jnp.bincount(cell.ravel(), length=num_classes**2 + 1)
    return counts[:-1].reshape(num_classes, num_classes)


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """IoU of each class.

    Args:
      confusion: [C, C] counts; row = label, column = prediction.

    Returns:
      float64[C]; NaN for a class that is neither labelled nor predicted, which means leave out.
    """
    confusion = np.asarray(confusion, np.float64)
    intersection = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - intersection
    return np.divide(intersection, union, out=np.full(len(union), np.nan), where=union > 0)


def image_moments(counts: jax.Array) -> jax.Array:
    """What `mean_iou_error` needs of some images: the sums of products of their pixel counts.

    Args:
      counts: int32[N, C, C], the confusion matrix of each image.

    Returns:
      f32[2C, 2C], the sum over images of the outer product of (intersection, union) by class, in
      units of 2^20 pixels.
    """
    counts = counts.astype(jnp.float32) / _UNIT
    intersection = jnp.diagonal(counts, axis1=1, axis2=2)
    union = counts.sum(axis=1) + counts.sum(axis=2) - intersection
    parts = jnp.concatenate([intersection, union], axis=1)
    return jnp.matmul(parts.T, parts, precision=jax.lax.Precision.HIGHEST)


def mean_iou_error(confusion: np.ndarray, moments: np.ndarray, images: int) -> float | None:
    """The standard error of `mean_iou` over the choice of the images.

    Each image moves mIoU by about the mean over classes of (I - IoU U) / U, where I and U are its
    intersection and union in the numerator and those of all images elsewhere (the delta method).

    Args:
      confusion: [C, C] counts of all images.
      moments: [2C, 2C], `image_moments` of all of them.
      images: how many of them have a labelled pixel; the others are no sample of anything.

    Returns:
      None for fewer than 8 such images, which tell too little about others.
    """
    if images < _LEAST_IMAGES:
        return None
    confusion = np.asarray(confusion, np.float64)
    labelled = confusion.sum(axis=1) > 0
    union = (confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)) / _UNIT
    each = np.divide(labelled / labelled.sum(), union, out=np.zeros_like(union), where=union > 0)
    iou = np.nan_to_num(intersection_over_union(confusion))
    weights = np.concatenate([each, -each * iou])
    variance = weights @ np.asarray(moments, np.float64) @ weights * images / (images - 1)
    return float(np.sqrt(max(variance, 0.0)))


def mean_iou(confusion: np.ndarray, classes: Sequence[int] | None = None) -> float:
    """The mean of `intersection_over_union` over the classes that occur in the labels.

    A class without a labelled pixel has no IoU to average; predicting it still costs the classes
    whose pixels it took.

    Args:
      confusion: [C, C] counts; row = label, column = prediction.
      classes: the class numbers to average over; None for all. The others' pixels count as
        mistakes of these where they are predicted as such, as in the papers' 13 of 16 classes.

    Raises:
      ValueError: no pixel of these classes is labelled.
    """
    confusion = np.asarray(confusion)
    labelled = confusion.sum(axis=1) > 0
    if classes is not None:
        labelled &= np.isin(np.arange(len(labelled)), classes)
    if not labelled.any():
        raise ValueError("The evaluation split has no labelled pixel, so it has no mIoU.")
    return float(intersection_over_union(confusion)[labelled].mean())
