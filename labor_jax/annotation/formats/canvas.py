"""Draws the shapes of a file into one label map."""

import numpy as np
from pycocotools import mask as coco_mask

from labor_jax.annotation.cost import Kind
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID, ImportedImage, Problem
from labor_jax.annotation.formats.run_lengths import compressed_run_lengths, from_columns

CONTRADICTION = "pixels have two different classes"
"""The problem of shapes that overlap where the file doesn't say which of them is on top."""


class Canvas:
    """The label map that results from a file's shapes."""

    def __init__(self, size: tuple[int, int], *, layered: bool = False):
        """Starts without any label.

        Args:
          size: (height, width).
          layered: Whether a later shape covers an earlier one. Otherwise it contradicts it.
        """
        self.labels = np.full(size, UNANSWERED, np.uint8)
        self.problems: list[Problem] = []
        self._contradictions = None if layered else np.zeros(self.labels.size, bool)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.labels.shape

    def paint(self, label: int, pixels: np.ndarray) -> None:
        """Gives pixels, numbered in raster order, a label.

        `UNANSWERED` pixels are not an answer, and never cover one.
        """
        if label == UNANSWERED:
            return
        labels = self.labels.reshape(-1)
        if self._contradictions is not None:
            before = labels[pixels]
            differing = (before != UNANSWERED) & (before != label)
            self._contradictions[pixels[differing]] = True
        labels[pixels] = label

    def finish(self, where: str, number: int, seconds: float | None = None) -> ImportedImage:
        """The result, as an image of number `number`; what contradicts itself is unanswered."""
        image = ImportedImage(where, number, self.labels, tuple(self.problems), seconds)
        if self._contradictions is None or not self._contradictions.any():
            return image
        self.labels.reshape(-1)[self._contradictions] = UNANSWERED
        return image.with_problem(CONTRADICTION, self._contradictions.reshape(self.size))


class CanvasOfSeveral(Canvas):
    """A canvas whose pixels may have several classes each: those of all shapes that cover them."""

    def __init__(self, size: tuple[int, int]):
        """Starts without any label; `size` is (height, width)."""
        super().__init__(size, layered=True)
        self._combinations = [frozenset()]
        self._classes = np.zeros(self.labels.size, np.int64)

    def paint(self, label: int, pixels: np.ndarray) -> None:
        """Gives pixels a further label; void says nothing of what has a class."""
        if label == UNANSWERED:
            return
        labels = self.labels.reshape(-1)
        if label == VOID:
            labels[pixels[labels[pixels] == UNANSWERED]] = VOID
            return
        before = self._classes[pixels]
        for number in np.unique(before).tolist():
            classes = self._combinations[number] | {label}
            if classes not in self._combinations:
                self._combinations.append(classes)
            where = pixels[before == number]
            self._classes[where] = self._combinations.index(classes)
            labels[where] = label if len(classes) == 1 else VOID

    def finish(self, where: str, number: int, seconds: float | None = None) -> ImportedImage:
        """The result, as an image of number `number`."""
        classes = self._classes.reshape(self.size)
        combinations = tuple(self._combinations)
        image = super().finish(where, number, seconds)
        return image._replace(classes=classes, combinations=combinations)


def canvas_of(kind: Kind | None, size: tuple[int, int], *, layered: bool = False) -> Canvas:
    """The canvas of a round that asks in this way; see `Canvas`."""
    return CanvasOfSeveral(size) if kind == "classes" else Canvas(size, layered=layered)


def pixel_at(x: float, y: float, size: tuple[int, int]) -> np.ndarray:
    """The pixel under a point; the first pixel reaches from (0, 0) to (1, 1).

    Returns:
      Its number in raster order, `int64[1]`.

    Raises:
      ValueError: If the point is outside the image.
    """
    height, width = size
    if not (0 <= x <= width and 0 <= y <= height):
        raise ValueError(f"the point ({x:g}, {y:g}) is outside the image")
    return np.array([min(int(y), height - 1) * width + min(int(x), width - 1)])


def polygon_pixels(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels inside a polygon, by the rule of COCO and CVAT.

    Args:
      points: (x, y) of its corners, `float[N, 2]`. What lies outside the image is cut off.
      size: (height, width) of the image.

    Returns:
      The pixels, numbered in raster order, `int64[N]`.

    Raises:
      ValueError: If there are fewer than three corners, if one is not finite, or if the outline is
        longer than the outlines of all pixels: COCO's code would need memory for all of it.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("its polygon needs at least three corners, (x, y) each")
    height, width = size
    corners = _clipped(points, (width, height))
    if not len(corners):
        return np.empty(0, np.int64)
    outline = np.abs(corners - np.roll(corners, 1, axis=0)).sum()
    if outline > 4 * height * width:
        raise ValueError("its polygon's outline is longer than the outlines of all pixels")
    (encoded,) = coco_mask.frPyObjects([corners.ravel().tolist()], height, width)
    return from_columns(compressed_run_lengths(encoded["counts"].decode(), height * width), size)


def _clipped(corners: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """The part of a polygon within (0, 0) and `limits`, by Sutherland and Hodgman's algorithm."""
    for axis, sign, border in ((0, 1, 0), (0, -1, limits[0]), (1, 1, 0), (1, -1, limits[1])):
        following = np.roll(corners, -1, axis=0)
        # Halved, so that the largest numbers do not overflow.
        here, there = (sign * (each[:, axis] / 2 - border / 2) for each in (corners, following))
        crosses = (here < 0) != (there < 0)
        share = np.divide(here, here - there, out=np.zeros(len(corners)), where=crosses)[:, None]
        crossings = (1 - share) * corners + share * following
        crossings[:, axis] = border
        kept = np.stack([here >= 0, crosses], axis=1)
        corners = np.stack([corners, crossings], axis=1)[kept]
    return corners
