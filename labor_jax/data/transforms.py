"""Transforms of an image and its label: pure functions of arrays and a random generator.

Images are uint8[H, W, 3], labels uint8[H, W] with 255 for void; sizes are (height, width).
`augmentation.prepare` combines them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from labor_jax.data import label_sets
from labor_jax.data.base import IGNORE_LABEL

PAD_COLOUR = (124, 116, 104)
"""ImageNet's mean colour, which is 0 after normalisation."""


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the image at `size`, uint8[h, w, 3], by bicubic interpolation with antialiasing."""
    if image.shape[:2] == tuple(size):
        return image
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_labels(label: np.ndarray, size: tuple[int, int], *, sparse: bool = False) -> np.ndarray:
    """Returns the label at `size`.

    Dense labels are sampled at the nearest pixel. That would drop most labels of single pixels
    when shrinking, and repeat them when enlarging. With `sparse`, each labelled pixel moves to the
    output pixel that its centre falls into, so an output pixel is labelled exactly if a labelled
    pixel lies in it. If several do, the nearest-neighbour sample wins if it is labelled, otherwise
    the one closest to the output pixel's centre (ties: lowest row, then lowest column). What is
    `label_sets.VOID` is such a label, but gives way to any other.

    Args:
      label: integer[H, W].
      size: (h, w) of the output.
      sparse: whether labels are single pixels, to be kept.

    Returns:
      [h, w], of the same dtype.
    """
    (height, width), (new_height, new_width) = label.shape, size
    if (height, width) == (new_height, new_width):
        return label
    nearest_row = (2 * np.arange(new_height) + 1) * height // (2 * new_height)
    nearest_column = (2 * np.arange(new_width) + 1) * width // (2 * new_width)
    if not sparse:
        return label[nearest_row].take(nearest_column, axis=1)  # faster than indexing columns

    row, column = np.nonzero(label != IGNORE_LABEL)
    new_row = (2 * row + 1) * new_height // (2 * height)
    new_column = (2 * column + 1) * new_width // (2 * width)
    # Distance of the pixel's centre from the output pixel's, in integer units: a row and a column
    # are 2 * new_height * new_width units each.
    row_distance = ((2 * row + 1) * new_height - (2 * new_row + 1) * height) * new_width
    column_distance = ((2 * column + 1) * new_width - (2 * new_column + 1) * width) * new_height
    distance = row_distance**2 + column_distance**2
    distance[(nearest_row[new_row] == row) & (nearest_column[new_column] == column)] = -1
    distance[label[row, column] == label_sets.VOID] += np.iinfo(np.int64).max // 2
    # Write from the farthest to the nearest, so that the nearest stays. Of equals, the first in
    # row-major order is written last.
    order = np.argsort(distance, kind="stable")[::-1]
    result = np.full(size, IGNORE_LABEL, label.dtype)
    result[new_row[order], new_column[order]] = label[row[order], column[order]]
    return result


def flip(image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns image and label mirrored left and right."""
    return image[:, ::-1], label[:, ::-1]


def random_scale(
    size: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int]:
    """Returns `size` times a random factor.

    Args:
      size: (height, width).
      scale: lowest and highest factor. Its logarithm is uniform, so that halving and doubling are
        equally likely.
      rng: the randomness.

    Returns:
      (height, width), at least 1 each.
    """
    factor = np.exp(rng.uniform(*np.log(scale)))
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


def random_crop(
    image: np.ndarray,
    label: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    beyond: int = IGNORE_LABEL,
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the same random window out of image and label.

    Args:
      image: uint8[H, W, 3].
      label: integer[H, W].
      size: (h, w) of the window. Along an axis where the image is smaller, the whole image goes
        to a random place in the window; the rest is `PAD_COLOUR` and `beyond`.
      rng: the randomness.
      beyond: the label of pixels beyond the image.

    Returns:
      uint8[h, w, 3], and [h, w] of the label's dtype.
    """
    # Offset of the window in the image; negative where the image is smaller.
    top, left = (
        int(rng.integers(min(0, side - window), max(0, side - window) + 1))
        for side, window in zip(image.shape[:2], size, strict=True)
    )
    inside = (
        slice(max(0, top), max(0, top + size[0])),
        slice(max(0, left), max(0, left + size[1])),
    )
    image, label = image[inside], label[inside]
    if label.shape == tuple(size):
        return image, label
    place = (
        slice(max(0, -top), max(0, -top) + label.shape[0]),
        slice(max(0, -left), max(0, -left) + label.shape[1]),
    )
    padded_image = np.empty((*size, 3), np.uint8)
    padded_image[:] = PAD_COLOUR
    padded_image[place] = image
    padded_label = np.full(size, beyond, label.dtype)
    padded_label[place] = label
    return padded_image, padded_label


def colour_jitter(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> np.ndarray:
    """Changes an image's colours by random amounts, in random order.

    Args:
      image: uint8[H, W, 3].
      rng: the randomness.
      brightness: b; the factor is uniform in [max(0, 1 - b), 1 + b].
      contrast: like brightness, about the image's mean grey.
      saturation: like brightness, about each pixel's grey.
      hue: h up to 0.5; the hue turns by a share of the circle uniform in [-h, h].

    Returns:
      uint8[H, W, 3].
    """
    enhance = (
        (ImageEnhance.Brightness, brightness),
        (ImageEnhance.Contrast, contrast),
        (ImageEnhance.Color, saturation),
    )
    order = rng.permutation(4)
    # Draws every amount, used or not, so that switching one off leaves the others unchanged.
    factors = [rng.uniform(max(0.0, 1 - amount), 1 + amount) for _, amount in enhance]
    turn = rng.uniform(-hue, hue)
    picture = Image.fromarray(np.ascontiguousarray(image))
    for step in order:
        if step == 3:
            shift = round(turn * 256) % 256
            if shift:
                h, s, v = picture.convert("HSV").split()
                h = h.point([(value + shift) % 256 for value in range(256)])
                picture = Image.merge("HSV", (h, s, v)).convert("RGB")
        elif enhance[step][1]:
            picture = enhance[step][0](picture).enhance(factors[step])
    return np.asarray(picture)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns the image blurred with a standard deviation of `sigma` pixels; 0 leaves it as is."""
    if sigma <= 0:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma)))


def check_size(size: Any, field: str) -> None:
    """Raises ValueError unless `size` is None or two positive whole numbers (height, width)."""
    if size is None:
        return
    sides = tuple(size) if isinstance(size, list | tuple) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"{field} must be (height, width) in pixels or None, got {size!r}")
