"""What a run asked, beside how much: of which classes, how lumped, and where in the images.

LabOR argues that the pixels of SPL are of many classes and don't lie in lumps, while the pixels of
highest entropy are of few classes and lie in lumps. These are the numbers of such figures.

References:
  Shin et al., LabOR, ICCV 2021, arXiv 2108.05570, and the talk's figures of diversity and lumps.
"""

from __future__ import annotations

import operator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from labor_jax.annotation import LabelStore
from labor_jax.annotation.label_store.asked_pixels import AskedPixels
from labor_jax.data import IGNORE_LABEL

GRID = (18, 32)
"""Rows and columns of the map of places."""

SIZE_BINS = 22
"""Lumps of 1, 2 to 3, 4 to 7, … pixels; the last bin holds all that are larger, too."""


class Asked(NamedTuple):
    """What a round asked, or all of them together. Fields are sums over images.

    A lump is an 8-connected component of what was asked of an image.

    Attributes:
      images: images that have a query, which may be empty.
      asked_images: those that were asked a pixel.
      answered_images: those that have answers, or were asked nothing.
      pixels: asked pixels.
      answered_pixels: those that have an answer.
      void_pixels: those that were answered as void.
      class_pixels: pixels that were answered as each class, `int64[C]`. Pixels of a part for which
        several classes were named count for none.
      class_images: images with each class among their answers, `int64[C]`.
      lumps: lumps of 2**i to 2**(i + 1) - 1 pixels, `int64[SIZE_BINS]`.
      lump_pixels: pixels in them, `int64[SIZE_BINS]`.
      shares_in_largest: the share of an image's asked pixels that lie in its largest lump.
      place_shares: the share of the pixels of each place that were asked, `float64[GRID]`, of the
        images stretched to one size.
    """

    images: int
    asked_images: int
    answered_images: int
    pixels: int
    answered_pixels: int
    void_pixels: int
    class_pixels: np.ndarray
    class_images: np.ndarray
    lumps: np.ndarray
    lump_pixels: np.ndarray
    shares_in_largest: float
    place_shares: np.ndarray

    @property
    def pixels_per_image(self) -> float:
        """Asked pixels of an image."""
        return self.pixels / max(self.images, 1)

    @property
    def classes_per_image(self) -> float:
        """Distinct classes among the answers of an image, without images that wait for theirs."""
        return float(self.class_images.sum()) / max(self.answered_images, 1)

    @property
    def effective_classes(self) -> float:
        """How many equally frequent classes the answers are worth, see `effective_classes`."""
        return effective_classes(self.class_pixels)

    @property
    def void_fraction(self) -> float:
        """Share of the answered pixels that are void."""
        return self.void_pixels / max(self.answered_pixels, 1)

    @property
    def lumps_per_image(self) -> float:
        """Lumps of an image."""
        return int(self.lumps.sum()) / max(self.images, 1)

    @property
    def pixels_per_lump(self) -> float:
        """Pixels of a lump."""
        return self.pixels / max(int(self.lumps.sum()), 1)

    @property
    def share_in_largest(self) -> float:
        """The share of an image's asked pixels in its largest lump; the mean of asked images."""
        return self.shares_in_largest / max(self.asked_images, 1)

    @property
    def places(self) -> np.ndarray:
        """How often each place was asked relative to the others: 2 is twice as often as the mean.

        `float64[GRID]` with mean 1; zeros if nothing was asked.
        """
        mean = self.place_shares.mean()
        return self.place_shares / mean if mean else self.place_shares


class Statistics(NamedTuple):
    """What was asked in each round and in all.

    Attributes:
      rounds: by the round's number.
      total: of all rounds; what they asked of an image counts as one query.
    """

    rounds: dict[int, Asked]
    total: Asked


class Present(NamedTuple):
    """The classes that there are to ask.

    Attributes:
      images: how many there are.
      class_pixels: pixels of each class, `int64[C]`.
      class_images: images that hold each class, `int64[C]`.
    """

    images: int
    class_pixels: np.ndarray
    class_images: np.ndarray

    @property
    def classes_per_image(self) -> float:
        """Distinct classes of an image."""
        return float(self.class_images.sum()) / max(self.images, 1)

    @property
    def effective_classes(self) -> float:
        """How many equally frequent classes the pixels are worth, see `effective_classes`."""
        return effective_classes(self.class_pixels)


def effective_classes(pixels: np.ndarray) -> float:
    """How many equally frequent classes a histogram is worth: exp of its entropy.

    Args:
      pixels: of each class, `integer[C]`.

    Returns:
      1 if all pixels are of one class, C if all classes are equally frequent; 0 without a pixel.
    """
    found = pixels[pixels > 0]
    shares = found / found.sum()
    return float(np.exp(-np.sum(shares * np.log(shares)))) if found.size else 0.0


def present(counts: np.ndarray) -> Present:
    """The classes of some images, to compare what was asked with.

    Args:
      counts: pixels of each class in each image, `integer[images, C]`, see
        `labor_jax.data.class_counts.read_counts`.
    """
    return Present(len(counts), counts.sum(axis=0), np.count_nonzero(counts, axis=0))


def statistics(store: LabelStore) -> Statistics:
    """Describes everything that a run has asked so far. Reads each query once.

    Raises:
      LabelStoreError: the store can't be read.
    """
    nothing = _nothing(len(store.classes))
    rounds, total = dict.fromkeys(store.rounds(), nothing), nothing
    for _, queries in groupby(store.asked_pixels(), operator.attrgetter("image")):
        described = []
        for query in queries:
            described.append(_describe(query, len(store.classes)))
            rounds[query.round] = _sum(rounds[query.round], described[-1].asked)
        total = _sum(total, _joined(described))
    return Statistics(rounds, total)


def lump_sizes(places: np.ndarray, width: int) -> np.ndarray:
    """The sizes of the 8-connected components of a mask.

    Faster than `scipy.ndimage.label` on sparse masks: it looks at runs, not at all pixels.

    Args:
      places: where the mask is true in raster order, `int64[pixels]`, ascending.
      width: the image's.

    Returns:
      `int64[components]`, in pixels.
    """
    # An empty column behind each row, so that its end doesn't touch the next row's start.
    padded = places + places // width
    begins = np.flatnonzero(np.diff(padded, prepend=-2) != 1)
    starts, lengths = padded[begins], np.diff(begins, append=places.size)
    # In the next row, the runs that touch a run, if only at a corner, follow one another.
    moved_up = starts - (width + 1)
    first = np.searchsorted(moved_up + lengths, starts, side="left")
    touching = np.searchsorted(moved_up, starts + lengths, side="right") - first
    run = np.repeat(np.arange(starts.size), touching)
    rank = np.arange(run.size) - np.repeat(np.cumsum(touching) - touching, touching)
    graph = sparse.coo_array(
        (np.ones(run.size, bool), (run, first[run] + rank)), shape=(starts.size, starts.size)
    )
    count, component = csgraph.connected_components(graph, directed=False)
    return np.bincount(component, weights=lengths, minlength=count).astype(np.int64)


def place_shares(places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The share of the pixels of each place that a mask holds, `float64[GRID]`.

    Args:
      places: where the mask is true in raster order, `int64[pixels]`.
      shape: the image's (H, W).
    """
    repeats = [-(-cells // length) for cells, length in zip(GRID, shape, strict=True)]
    if repeats != [1, 1]:  # a side has fewer pixels than the grid has cells
        mask = np.zeros(shape, bool)
        mask.flat[places] = True
        mask = mask.repeat(repeats[0], axis=0).repeat(repeats[1], axis=1)
        places, shape = np.flatnonzero(mask), mask.shape
    row, column = (
        np.arange(length) * cells // length for cells, length in zip(GRID, shape, strict=True)
    )
    cell = row[places // shape[1]] * GRID[1] + column[places % shape[1]]
    held = np.bincount(cell, minlength=GRID[0] * GRID[1]).reshape(GRID)
    return held / np.outer(np.bincount(row), np.bincount(column))


class _Image(NamedTuple):
    """What a round asked of an image, and where."""

    asked: Asked
    places: np.ndarray
    shape: tuple[int, int]


def _nothing(num_classes: int) -> Asked:
    classes, bins = np.zeros(num_classes, np.int64), np.zeros(SIZE_BINS, np.int64)
    return Asked(0, 0, 0, 0, 0, 0, classes, classes, bins, bins, 0.0, np.zeros(GRID))


def _sum(one: Asked, other: Asked) -> Asked:
    return Asked(*map(operator.add, one, other))


def _describe(query: AskedPixels, num_classes: int) -> _Image:
    labels = np.empty(0, np.uint8) if query.labels is None else query.labels
    counts = np.bincount(labels, minlength=IGNORE_LABEL + 1)
    void, named = int(counts[IGNORE_LABEL]), counts[:num_classes] > 0
    if query.candidates is not None:
        named |= query.candidates.any(axis=0)
        void -= np.count_nonzero(np.count_nonzero(query.candidates, axis=1)[query.parts] > 1)
    asked = _nothing(num_classes)._replace(
        answered_pixels=labels.size,
        void_pixels=void,
        class_pixels=counts[:num_classes],
        class_images=named.astype(np.int64),
    )
    return _Image(_with_layout(asked, query.places, query.shape), query.places, query.shape)


def _joined(rounds: list[_Image]) -> Asked:
    """What several rounds asked of an image."""
    if len(rounds) == 1:
        return rounds[0].asked
    asked = rounds[0].asked
    for other in rounds[1:]:
        asked = _sum(asked, other.asked)
    asked = asked._replace(class_images=np.minimum(asked.class_images, 1))
    places = np.sort(np.concatenate([each.places for each in rounds]))
    return _with_layout(asked, places, rounds[0].shape)


def _with_layout(asked: Asked, places: np.ndarray, shape: tuple[int, int]) -> Asked:
    """Adds what follows from where an image was asked."""
    if places.size == shape[0] * shape[1]:  # whole images are many pixels and no news
        sizes, shares = np.array([places.size]), np.ones(GRID)
    else:
        sizes, shares = lump_sizes(places, shape[1]), place_shares(places, shape)
    bins = np.minimum(np.frexp(sizes)[1] - 1, SIZE_BINS - 1)
    return asked._replace(
        images=1,
        asked_images=int(places.size > 0),
        answered_images=int(asked.answered_pixels > 0 or not places.size),
        pixels=places.size,
        lumps=np.bincount(bins, minlength=SIZE_BINS),
        lump_pixels=np.bincount(bins, weights=sizes, minlength=SIZE_BINS).astype(np.int64),
        shares_in_largest=float(sizes.max(initial=0) / max(places.size, 1)),
        place_shares=shares,
    )
