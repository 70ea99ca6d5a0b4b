"""What the rest of the package knows about data: a split, a pair of domains, its error."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

IGNORE_LABEL = 255
"""Label value of a pixel that never counts: unlabelled or void."""

ROLES = ("source", "pool", "evaluation")
"""The splits of a pair."""

MAX_CLASSES = 254
"""Labels are uint8: 255 is void, and 254 marks an unknown value while a file is read."""


class DataError(ValueError):
    """A data set can't be used as it is.

    The message names the file or folder, says what is wrong with it, and what to do about it.
    """


@runtime_checkable
class Split(Protocol):
    """Images with their labels, by index. Safe to read from several threads.

    Attributes:
      names: a unique name for each image, the same in every run. Answers are stored under it.
    """

    names: tuple[str, ...]

    def __len__(self) -> int: ...

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of label `i` in pixels, without decoding it."""
        ...

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3] RGB. Don't write to it: it may be cached."""
        ...

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W]: class numbers or 255. Don't write to it.

        Raises:
          DataError: the split has no labels.
        """
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """A source and a target domain with the same classes.

    A split is None if `load_pair` was not asked to read it.

    Attributes:
      name: the pair's name, `config.pair`.
      classes: class names; label value c means `classes[c]`.
      palette: uint8[C, 3], an RGB colour per class for label maps and overlays.
      source: source training images with labels.
      pool: target training images. Only the oracle reads their labels.
      evaluation: target images with labels, only for evaluation. None, too, for a pair without.
      class_subsets: subsets of the class numbers by name ("13"). The mean IoU of each is reported
        too.

    Raises:
      ValueError: invalid classes, palette or subset.
    """

    name: str
    classes: tuple[str, ...]
    palette: np.ndarray
    source: Split | None
    pool: Split | None
    evaluation: Split | None
    class_subsets: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_classes(self.classes)
        palette = np.asarray(self.palette)
        if palette.dtype != np.uint8 or palette.shape != (len(self.classes), 3):
            raise ValueError(
                f"palette must be uint8[{len(self.classes)}, 3], a colour for each class; "
                f"got {palette.dtype}{list(palette.shape)}"
            )
        for name, subset in self.class_subsets.items():
            if not subset or not set(subset) <= set(range(self.num_classes)):
                raise ValueError(
                    f"class_subsets[{name!r}] must hold class numbers 0 to {self.num_classes - 1}, "
                    f"got {subset}"
                )

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.classes)


def holds_a_class(split: Split) -> bool:
    """Whether any label holds a class; labels are read up to the first that does."""
    return any((split.label(i) != IGNORE_LABEL).any() for i in range(len(split)))


def check_classes(classes: tuple[str, ...]) -> None:
    """Raises ValueError unless `classes` are 1 to 254 different, non-empty names."""
    if isinstance(classes, str):
        raise ValueError(f"classes must be a tuple of names, got the single text {classes!r}")
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(f"classes must hold 1 to {MAX_CLASSES} names, got {len(classes)}")
    if not all(isinstance(name, str) and name for name in classes):
        raise ValueError(f"classes must be non-empty names, got {tuple(classes)!r}")
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise ValueError(f"classes must be different names, repeated: {', '.join(repeated)}")


def default_palette(num_classes: int) -> np.ndarray:
    """Returns uint8[num_classes, 3] distinct colours, none of them black.

    These are the colours of PASCAL VOC's label maps without its first, black. The bits 3k, 3k+1,
    3k+2 of the colour's number, from 1, are bit 7-k of red, green and blue.
    """
    number = np.arange(1, num_classes + 1)
    palette = np.zeros((num_classes, 3), np.uint8)
    for bit in range(3):
        for channel in range(3):
            palette[:, channel] |= (((number >> (3 * bit + channel)) & 1) << (7 - bit)).astype(
                np.uint8
            )
    return palette
