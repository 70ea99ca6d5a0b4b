"""The oracle: an annotator that answers queries from the target's ground truth.

If a strategy leaves the choice of pixels to the annotator, the oracle makes that choice too.
"""

from typing import NamedTuple

import numpy as np

from labor_jax.annotation import cost
from labor_jax.annotation.parts import commonest
from labor_jax.data.base import IGNORE_LABEL, DataError, Split, holds_a_class


class PartsAnswer(NamedTuple):
    """The answer to a query whose parts are answered as wholes.

    Attributes:
      labels: `uint8[H, W]`: a part's class at its pixels; 255 where the part is void, has several
        classes, or the pixel is not asked.
      candidates: The classes that each part holds, `bool[parts, C]`; None if one was asked for.
    """

    labels: np.ndarray
    candidates: np.ndarray | None = None


class Oracle:
    """Answers queries from ground-truth labels.

    Nothing else in a run reads the labels of the pool.
    """

    def __init__(self, split: Split, num_classes: int = IGNORE_LABEL):
        """Answers for the images of the pool, whose names must be unique.

        Args:
          split: The pool.
          num_classes: C, for answers that name all classes of a part.

        Raises:
          ValueError: If two of its images have the same name.
        """
        self._split = split
        self._num_classes = num_classes
        self._index = {name: index for index, name in enumerate(split.names)}
        if len(self._index) != len(split):
            raise ValueError(
                f"the split has {len(split)} images but only {len(self._index)} different names; "
                "the oracle needs a unique name for each"
            )

    def check(self) -> None:
        """Reads labels up to the first with a class, so that a pool without any fails at the start.

        Raises:
          DataError: the pool has no labels, or they are void everywhere.
        """
        if not holds_a_class(self._split):
            raise DataError(
                f"The labels of all {len(self._split)} pool images are void everywhere, so the "
                "oracle has no answer. Put classes in them, or let people answer: "
                "--config.annotator=human."
            )

    def answer(self, name: str, query: np.ndarray) -> np.ndarray:
        """Returns the labels at the asked pixels.

        Args:
          name: Name of an image of the split.
          query: The asked pixels, `bool[H, W]`.

        Returns:
          The labels, `uint8[H, W]`; 255 where the pixel is void or not asked.

        Raises:
          ValueError: If the image is unknown, or the query isn't `bool` of its label map's size.
        """
        query = np.asarray(query)
        label = self._label(name, query, "query")
        return np.where(query, label, IGNORE_LABEL).astype(np.uint8)

    def answer_parts(
        self, name: str, query: np.ndarray, parts: np.ndarray, kind: cost.Kind
    ) -> PartsAnswer:
        """Answers each part of a query as a whole, as a person would.

        Args:
          name: Name of an image of the split.
          query: The asked pixels, `bool[H, W]`.
          parts: Which part each of them is of, `integer[H, W]`; values elsewhere are ignored.
          kind: "superpixels" and "corrections": a part gets its commonest label, which may be
            void; of equally common ones the lowest class. "classes": all classes that it holds.

        Raises:
          ValueError: As `answer`.
        """
        labels = self.answer(name, query)
        if not query.any():
            return PartsAnswer(labels)
        whole, number = commonest(labels[query], parts[query])
        if kind != "classes":
            labels[query] = whole[number]
            return PartsAnswer(labels)
        held = np.zeros((len(whole), IGNORE_LABEL + 1), bool)
        held[number, labels[query]] = True
        candidates = held[:, : self._num_classes]
        single = np.count_nonzero(candidates, axis=1) == 1
        named = np.where(single, np.argmax(candidates, axis=1), IGNORE_LABEL)
        labels[query] = named[number]
        return PartsAnswer(labels, candidates)

    def point_of_each_class(
        self, name: str, available: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Picks a random pixel of each class, as a person would.

        The points of WDA (Paul et al., "Domain Adaptive Semantic Segmentation Using Weak Labels",
        ECCV 2020, arXiv 2007.15176): they depend on nothing but the pixels' classes.

        Args:
          name: Name of an image of the split.
          available: The pixels that may be picked, `bool[H, W]`.
          rng: The random generator.

        Returns:
          The query, `bool[H, W]`: one pixel of each class among the available pixels.

        Raises:
          ValueError: If the image is unknown, or `available` isn't `bool` of its label map's size.
        """
        available = np.asarray(available)
        label = self._label(name, available, "mask of available pixels")
        query = np.zeros(label.shape, bool)
        for number in np.unique(label[available]):
            if number != IGNORE_LABEL:
                query.flat[rng.choice(np.flatnonzero(available & (label == number)))] = True
        return query

    def _label(self, name: str, mask: np.ndarray, what: str) -> np.ndarray:
        """The label map of an image; `mask` must have its shape."""
        if name not in self._index:
            raise ValueError(
                f"the oracle has no image {name!r} among the {len(self._index)} of its split"
            )
        label = self._split.label(self._index[name])
        if mask.dtype != bool or mask.shape != label.shape:
            raise ValueError(
                f"the {what} of image {name!r} is {mask.dtype}{list(mask.shape)}; its label map "
                f"needs bool{list(label.shape)}"
            )
        return label
