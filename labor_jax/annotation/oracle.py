"""The oracle: an annotator who knows the held target labels and tells only what is asked.

Where a method leaves the choice of pixels to the annotator, it makes that choice too.
"""

import numpy as np

from labor_jax.data.base import IGNORE_LABEL, Split


class Oracle:
    """Answers queries from held labels.

    This is the only place of a run that reads the labels of target training images.
    """

    def __init__(self, split: Split):
        """Takes the target training split, whose names have to be unique.

        Raises:
          ValueError: If two of its images have the same name.
        """
        self._split = split
        self._index = {name: index for index, name in enumerate(split.names)}
        if len(self._index) != len(split):
            raise ValueError(
                f"the split has {len(split)} images but {len(self._index)} different names; the "
                "oracle needs one name for each"
            )

    def check(self) -> None:
        """Raises what reading a label raises: a pool without labels is told at the start."""
        self._split.label(0)

    def answer(self, name: str, query: np.ndarray) -> np.ndarray:
        """Tells the labels at the asked pixels.

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

    def point_of_each_class(
        self, name: str, available: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Picks a random pixel of each class, as a person who looks at the image would.

        The points of WDA (Paul et al., "Domain Adaptive Semantic Segmentation Using Weak Labels",
        ECCV 2020, arXiv 2007.15176): nothing chooses them but the class of the pixel.

        Args:
          name: Name of an image of the split.
          available: The pixels that may be picked, `bool[H, W]`.
          rng: Where chance comes from.

        Returns:
          The query, `bool[H, W]`: one available pixel of each class that an available pixel has.

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
        """The held label map of an image, which `mask` has to fit."""
        if name not in self._index:
            raise ValueError(
                f"the oracle knows no image {name!r} among the {len(self._index)} of its split"
            )
        label = self._split.label(self._index[name])
        if mask.dtype != bool or mask.shape != label.shape:
            raise ValueError(
                f"the {what} of image {name!r} is {mask.dtype}{list(mask.shape)}; its label map "
                f"needs bool{list(label.shape)}"
            )
        return label
