"""A pair made of arrays in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from labor_jax.data import base
from labor_jax.data.base import DataError

Images = Sequence[np.ndarray] | np.ndarray
Labels = Sequence[np.ndarray] | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySplit:
    """A `Split` of arrays in memory. Made by `pair_from_arrays`.

    Attributes:
      names: "source_0000", "source_0001", ...
    """

    names: tuple[str, ...]
    _images: tuple[np.ndarray, ...]
    _labels: tuple[np.ndarray, ...] | None

    def __len__(self) -> int:
        return len(self.names)

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of image and label `i`."""
        height, width = self._images[i].shape[:2]
        return height, width

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3], read-only."""
        return self._images[i]

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W], read-only.

        Raises:
          DataError: the split has no labels.
        """
        if self._labels is None:
            raise DataError(
                f"{self.names[i]} has no label: the pool was given without labels, so people must "
                'answer (config.annotator = "human"), not the oracle.'
            )
        return self._labels[i]


def pair_from_arrays(
    name: str,
    classes: Sequence[str],
    *,
    source: tuple[Images, Labels] | None,
    pool: tuple[Images, Labels | None],
    evaluation: tuple[Images, Labels] | None = None,
    palette: np.ndarray | None = None,
) -> base.Pair:
    """Makes a pair of arrays in memory. Images are not copied; do not change them afterwards.

    Images are a sequence of uint8[H, W, 3] arrays (RGB, of any sizes) or one uint8[N, H, W, 3]
    array. Labels are a sequence of int[H, W] arrays or one int[N, H, W] array: class numbers, and
    255 where a pixel is void. A label has its image's size.

    Args:
      name: the pair's name, in reports.
      classes: 1 to 254 different names; label value c means `classes[c]`.
      source: (images, labels) of the source domain; None without one, for configs of a pair that
        has none, such as "photos".
      pool: (images, labels) of the target domain to train on. The oracle reads the labels; None if
        there are none, and people answer.
      evaluation: (images, labels) of the target domain to evaluate on; None to evaluate nothing.
      palette: [C, 3] colours with channels 0 to 255; None for `base.default_palette`.

    Raises:
      DataError: an image or label is not as described above. The error names it.
      ValueError: invalid classes or palette.
    """
    if not isinstance(classes, str):
        classes = tuple(classes)
    base.check_classes(classes)
    palette = base.default_palette(len(classes)) if palette is None else np.asarray(palette)
    if palette.dtype.kind in "iu" and palette.size and palette.min() >= 0 and palette.max() <= 255:
        palette = palette.astype(np.uint8)  # Pair checks the shape, and reports any other dtype
    return base.Pair(
        name=name,
        classes=classes,
        palette=palette,
        source=None if source is None else _split("source", source, len(classes)),
        pool=_split("pool", pool, len(classes), labels_optional=True),
        evaluation=None if evaluation is None else _split("evaluation", evaluation, len(classes)),
    )


def _split(
    role: str, given: tuple[Images, Labels | None], num_classes: int, labels_optional: bool = False
) -> ArraySplit:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise DataError(f"{role} must be a tuple (images, labels), got {type(given).__name__}")
    images, labels = given
    images = _listed(images, f"{role} images", "uint8[N, H, W, 3]", 3)
    if not images:
        raise DataError(f"{role} is empty: give at least one image")
    images = tuple(_checked_image(image, f"{role} image {i}") for i, image in enumerate(images))
    if labels is not None:
        labels = _listed(labels, f"{role} labels", "int[N, H, W]", 2)
        if len(labels) != len(images):
            raise DataError(f"{role} has {len(images)} images but {len(labels)} labels")
        labels = tuple(
            _checked_label(label, image.shape[:2], num_classes, f"{role} label {i}")
            for i, (image, label) in enumerate(zip(images, labels, strict=True))
        )
    elif not labels_optional:
        raise DataError(f"{role} needs labels; only the pool may have None")
    digits = max(4, len(str(len(images) - 1)))
    return ArraySplit(tuple(f"{role}_{i:0{digits}d}" for i in range(len(images))), images, labels)


def _listed(arrays: Images | Labels, what: str, form: str, single_ndim: int) -> list:
    """Returns the arrays as a list; refuses one single image or label."""
    if getattr(arrays, "ndim", None) == single_ndim:
        raise DataError(
            f"{what} must be a sequence of arrays or one array {form}, got a single array of "
            f"shape {list(arrays.shape)}; put it in a list"
        )
    try:
        return list(arrays)
    except TypeError:
        raise DataError(
            f"{what} must be a sequence of arrays or one array {form}, got {type(arrays).__name__}"
        ) from None


def _checked_image(image: np.ndarray, what: str) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"{what} must be uint8[H, W, 3] with values 0 to 255, got "
            f"{image.dtype}{list(image.shape)}"
        )
    return _read_only(image)


def _checked_label(
    label: np.ndarray, size: tuple[int, ...], num_classes: int, what: str
) -> np.ndarray:
    label = np.asarray(label)
    if label.dtype.kind not in "iu" or label.ndim != 2:
        raise DataError(
            f"{what} must be an int[H, W] array of class numbers, got "
            f"{label.dtype}{list(label.shape)}"
        )
    if label.shape != size:
        raise DataError(
            f"{what} is {label.shape[0]}x{label.shape[1]}, but its image is {size[0]}x{size[1]} "
            "(height x width); give them one size"
        )
    wrong = ((label < 0) | (label >= num_classes)) & (label != base.IGNORE_LABEL)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"{what} has the value {label[row, column]} in {np.count_nonzero(wrong)} pixels (first "
            f"at row {row}, column {column}); valid values are 0 to {num_classes - 1}, and 255 for "
            "void"
        )
    return _read_only(label.astype(np.uint8, copy=False))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
