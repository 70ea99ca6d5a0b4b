"""Cuts an exported image into the shapes that a drawing tool shows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from labor_jax.annotation.formats.exported_round import UNANSWERED, ExportedImage

MOST_SEGMENTS = 500
"""The most segments with a shape each. More slow tools down, and nobody clicks that many."""


class Shape(NamedTuple):
    """Asked pixels that a tool shows as one shape.

    Attributes:
      label: Their label; `UNANSWERED` if they are not answered yet.
      pixels: The pixels, numbered in raster order, `int64[N]` ascending.
      further: Further classes that they hold.
      guess: The class that is to be confirmed, if one is and they are not answered yet.
    """

    label: int
    pixels: np.ndarray
    further: tuple[int, ...] = ()
    guess: int | None = None

    @property
    def labels(self) -> tuple[int, ...]:
        """All that it holds."""
        return (self.label, *self.further)


def shapes(image: ExportedImage) -> Iterator[Shape]:
    """Cuts an image's asked pixels into shapes that an annotator gives one class each.

    Each point is a shape, and so is each part of a query that names its parts. For other kinds,
    each 8-connected segment of equal label is a shape. If a label has more than `MOST_SEGMENTS`
    segments, they form one shape, and annotators paint classes over it. Each asked pixel is in
    exactly one shape.
    """
    labels = image.labels.reshape(-1)
    asked = np.flatnonzero(image.asked)
    if image.parts is not None:
        yield from _shapes_of_parts(image, asked)
        return
    if image.kind == "points":
        for pixel in asked:
            yield Shape(int(labels[pixel]), pixel[None])
        return
    for label in np.unique(labels[asked]).tolist():
        segments, count = ndimage.label(
            image.asked & (image.labels == label), structure=np.ones((3, 3), int)
        )
        pixels = np.flatnonzero(segments)
        if count > MOST_SEGMENTS:
            yield Shape(label, pixels)
            continue
        numbers = segments.reshape(-1)[pixels]
        order = np.argsort(numbers, kind="stable")
        for each in np.split(pixels[order], np.flatnonzero(np.diff(numbers[order])) + 1):
            yield Shape(label, each)


def _shapes_of_parts(image: ExportedImage, asked: np.ndarray) -> Iterator[Shape]:
    labels = image.labels.reshape(-1)[asked].astype(np.int64)
    parts = image.parts.reshape(-1)[asked]
    # A part of several labels is a shape for each of them; only existing answers have such parts.
    _, numbers = np.unique(256 * parts + labels, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    for each in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        label, part, further = int(labels[each[0]]), int(parts[each[0]]), []
        if image.candidates is not None and image.candidates[part].any():
            label, *further = np.flatnonzero(image.candidates[part]).tolist()
        guess = None
        if image.guess is not None and label == UNANSWERED:
            guess = int(np.bincount(image.guess.reshape(-1)[asked[each]]).argmax())
        yield Shape(label, asked[each], tuple(further), None if guess == 255 else guess)


def has_answers(image: ExportedImage) -> bool:
    """Whether any pixel of an image is answered."""
    return bool((image.labels[image.asked] != UNANSWERED).any())
