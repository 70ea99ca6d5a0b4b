"""Label maps that hold more than a class a pixel: sets of classes, and what can have no class.

The value 256 + bits says that a pixel is of one of the classes whose bits are set, as where all
classes of a part were asked. Above these bits is the number of the part, counted from 1. 256
itself, `VOID`, is a pixel of no class: one that was asked and answered as void, or that is beyond
the image. 255 is left for those that nobody has answered. So such a map is resized, cropped and
mirrored like any other. `split` makes three maps of it for a batch.
"""

from typing import NamedTuple

import numpy as np

from labor_jax.data.base import IGNORE_LABEL

MAX_CLASSES = 22
"""The most classes; images are moved as int32 label maps."""

MAX_PARTS = 255
"""How many parts of an image have a number."""

VOID = 256
"""The label of a pixel that can have no class, a set without classes."""


class Separate(NamedTuple):
    """What a label map with sets holds, each int32[...].

    Attributes:
      labels: the labels, 255 where there is a set or void.
      candidates: the set of classes as bits, 0 where there is none.
      part: the number of the part that has the set, 0 to `MAX_PARTS` - 1; -1 where there is none.
    """

    labels: np.ndarray
    candidates: np.ndarray
    part: np.ndarray


def has_several(candidates: np.ndarray) -> np.ndarray:
    """Which parts are coded as sets, those of two or more classes: bool[parts].

    Args:
      candidates: whether each part holds each class, bool[parts, C].
    """
    return np.count_nonzero(candidates, axis=1) > 1


def coded(
    labels: np.ndarray, candidates: np.ndarray, parts: np.ndarray, first: int = 0
) -> np.ndarray:
    """Puts the sets of classes into a label map.

    Args:
      labels: uint8[...] or int32[...].
      candidates: whether each part holds each class, bool[parts, C], C at most `MAX_CLASSES`.
      parts: which part each pixel is of, integer[...], -1 at other pixels.
      first: the number of the first part of two or more classes; the others follow. A number from
        `MAX_PARTS` on is not kept.

    Returns:
      int32[...]: `labels`, but above 256 at pixels of parts of two or more classes.
    """
    several = has_several(candidates)
    number = first + np.cumsum(several)  # from 1
    bits = (candidates.astype(np.int32) << np.arange(candidates.shape[1])).sum(1, dtype=np.int32)
    kept = np.where(number <= MAX_PARTS, number, 0).astype(np.int32)
    code = VOID + (bits | kept << MAX_CLASSES)
    return np.where((parts >= 0) & several[parts], code[parts], labels).astype(np.int32)


def split(labels: np.ndarray) -> Separate:
    """Takes a label map with sets apart.

    Args:
      labels: int[...] of `coded`.
    """
    labels = labels.astype(np.int32)
    is_set = labels >= VOID
    code = np.where(is_set, labels - VOID, 0)
    return Separate(
        np.where(is_set, IGNORE_LABEL, labels),
        code & ((1 << MAX_CLASSES) - 1),
        (code >> MAX_CLASSES) - 1,
    )
