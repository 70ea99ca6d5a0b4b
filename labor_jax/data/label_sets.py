"""Label maps that hold more than a class a pixel: sets of classes, and what can have no class.

The value 256 + bits says that a pixel is of one of the classes whose bits are set, as where all
classes of a part were asked. 256 itself, `VOID`, is a pixel of no class: one that was asked and
answered as void, or that is beyond the image. 255 is left for those that nobody has answered. So
such a map is resized, cropped and mirrored like any other. `split` makes two maps of it for a
batch: labels, and the sets as bits.
"""

import numpy as np

from labor_jax.data.base import IGNORE_LABEL

MAX_CLASSES = 22
"""The most classes; images are moved as int32 label maps."""

VOID = 256
"""The label of a pixel that can have no class, a set without classes."""


def coded(labels: np.ndarray, candidates: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Puts the sets of classes into a label map.

    Args:
      labels: uint8[...] or int32[...].
      candidates: whether each part holds each class, bool[parts, C], C at most `MAX_CLASSES`.
      parts: which part each pixel is of, integer[...], -1 at other pixels.

    Returns:
      int32[...]: `labels`, but 256 + bits at pixels of parts of two or more classes.
    """
    bits = (candidates.astype(np.int32) << np.arange(candidates.shape[1])).sum(1, dtype=np.int32)
    several = (parts >= 0) & (np.count_nonzero(candidates, axis=1) > 1)[parts]
    return np.where(several, VOID + bits[parts], labels).astype(np.int32)


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Takes a label map with sets apart.

    Args:
      labels: int[...] of `coded`.

    Returns:
      int32[...] labels, 255 where there is a set or void; int32[...] bits, 0 where there is no set.
    """
    labels = labels.astype(np.int32)
    is_set = labels >= VOID
    return np.where(is_set, IGNORE_LABEL, labels), np.where(is_set, labels - VOID, 0)
