"""The oracle: an annotator who knows the held target labels and tells only what is asked."""

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
        if name not in self._index:
            raise ValueError(
                f"the oracle knows no image {name!r} among the {len(self._index)} of its split"
            )
        query = np.asarray(query)
        label = self._split.label(self._index[name])
        if query.dtype != bool or query.shape != label.shape:
            raise ValueError(
                f"the query of image {name!r} is {query.dtype}{list(query.shape)}; its label map "
                f"needs bool{list(label.shape)}"
            )
        return np.where(query, label, IGNORE_LABEL).astype(np.uint8)
