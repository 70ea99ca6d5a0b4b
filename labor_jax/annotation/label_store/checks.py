"""Checks of what callers give the label store: names, round numbers, queries and labels."""

import operator
from collections.abc import Sequence

import numpy as np

from labor_jax.data.base import IGNORE_LABEL


def checked_image(image: str) -> str:
    """An image's name.

    Raises:
      ValueError: If it is not a string, or is empty.
    """
    if not isinstance(image, str) or not image:
        raise ValueError(f"an image's name is a non-empty string, not {image!r}")
    return image


def checked_round(round: int) -> int:
    """A round's number.

    Raises:
      TypeError: If it is not an integer.
      ValueError: If it is negative.
    """
    round = operator.index(round)
    if round < 0:
        raise ValueError(f"rounds are numbered from 0, not {round}")
    return round


def checked_query(query: np.ndarray) -> np.ndarray:
    """A query.

    Raises:
      ValueError: If it is not `bool[H, W]`, or has no pixels.
    """
    query = np.asarray(query)
    if query.dtype != bool or query.ndim != 2 or not query.size:
        raise ValueError(f"a query is bool[H, W], not {query.dtype} of shape {query.shape}")
    return query


def labels_at_query(
    labels: np.ndarray, query: np.ndarray, num_classes: int, what: str
) -> np.ndarray:
    """The labels of the asked pixels.

    Args:
      labels: The labels, `integer[H, W]`; only those of asked pixels are checked.
      query: The asked pixels, `bool[H, W]`.
      num_classes: The number of classes, C.
      what: What the labels are, for errors.

    Returns:
      The labels in raster order, `uint8[pixels]`.

    Raises:
      ValueError: If the shapes differ, or as `checked_labels`.
    """
    labels = np.asarray(labels)
    if labels.shape != query.shape:
        raise ValueError(f"{what} are {size(labels.shape)}; its query is {size(query.shape)}")
    return checked_labels(labels[query], num_classes, what)


def parts_at_query(parts: np.ndarray, query: np.ndarray, what: str) -> np.ndarray:
    """The numbers of the asked pixels' parts.

    Args:
      parts: The numbers, `integer[H, W]`; only those of asked pixels are checked.
      query: The asked pixels, `bool[H, W]`.
      what: What the numbers are, for errors.

    Returns:
      `uint16[pixels]` in raster order, numbered anew from 0 without gaps, in the same order;
      `uint32[pixels]` of more than 65,536 parts.

    Raises:
      ValueError: If the shapes differ, or they are not integers from 0.
    """
    parts = np.asarray(parts)
    if parts.shape != query.shape or not np.issubdtype(parts.dtype, np.integer):
        raise ValueError(
            f"{what} are {parts.dtype} of size {size(parts.shape)}; its query needs integers of "
            f"size {size(query.shape)}"
        )
    numbers = parts[query]
    if numbers.min(initial=0) < 0:
        raise ValueError(f"{what} are {numbers.min()} to {numbers.max()}; they count from 0")
    numbers = np.unique(numbers, return_inverse=True)[1]
    return numbers.astype(np.uint16 if numbers.max(initial=0) < 2**16 else np.uint32)


def checked_labels(labels: np.ndarray, num_classes: int, what: str) -> np.ndarray:
    """Labels of asked pixels as `uint8`.

    Raises:
      ValueError: If they are not integers from 0 to C - 1, or 255 for void.
    """
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} have dtype {labels.dtype}, not integer")
    is_class = (labels >= 0) & (labels < num_classes)
    wrong = np.unique(labels[~is_class & (labels != IGNORE_LABEL)])
    if wrong.size:
        raise ValueError(
            f"{what} hold {shortened(wrong.tolist())} at asked pixels; allowed are the "
            f"classes 0 to {num_classes - 1} and {IGNORE_LABEL} (void)"
        )
    return labels.astype(np.uint8)


def size(shape: Sequence[int]) -> str:
    """A shape in words, such as "1024x2048"."""
    return "x".join(map(str, shape)) or "a scalar"


def shortened(values: Sequence, limit: int = 8) -> str:
    """A list in words, cut off after `limit` values."""
    text = ", ".join(map(str, values[:limit])) or "none"
    return text if len(values) <= limit else f"{text}, and {len(values) - limit} more"
