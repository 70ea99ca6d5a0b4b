"""What a person who answers a part as a whole sees in it."""

import numpy as np


def commonest(labels: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds each part's commonest label, the lowest of equally common ones.

    Args:
      labels: `integer[N]` from 0 to 255, of some pixels.
      parts: Which part each pixel is of, `integer[N]`.

    Returns:
      The labels, `int64[P]`, of the P parts that there are, by ascending number; and which of these
      each pixel is of, `int64[N]`.
    """
    _, number = np.unique(parts, return_inverse=True)
    pairs, counts = np.unique(256 * number + labels, return_counts=True)
    part, label = np.divmod(pairs, 256)
    best = np.lexsort((label, -counts, part))  # of each part the commonest comes first
    _, first = np.unique(part[best], return_index=True)
    return label[best][first], number
