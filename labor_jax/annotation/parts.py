"""What a person who answers a part as a whole sees in it."""

import numpy as np

from labor_jax.data.base import IGNORE_LABEL


def class_counts(labels: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts each part's labels.

    Args:
      labels: `uint8[N]`, of some pixels, 255 for void.
      parts: Which part each pixel is of, `integer[N]`.

    Returns:
      The counts, `int64[P, 256]`, of the P parts that there are, by ascending number; and which of
      these each pixel is of, `int64[N]`.
    """
    found, number = np.unique(parts, return_inverse=True)
    counts = np.zeros((len(found), IGNORE_LABEL + 1), np.int64)
    np.add.at(counts, (number, labels), 1)
    return counts, number


def commonest(labels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Each part's commonest label, the lowest of equally common ones; see `class_counts`.

    Returns:
      `int64[P]`.
    """
    return np.argmax(class_counts(labels, parts)[0], axis=1)
