"""A query of one image, and a query with its answer, as the label store takes them."""

from typing import NamedTuple

import numpy as np


class Question(NamedTuple):
    """The query of one image, see `LabelStore.ask`.

    Attributes:
      image: Name of the image.
      query: The pixels to ask, `bool[H, W]`.
      clicks: How many points, regions or segments they are; None for one per connected segment.
      guess: The model's labels, `integer[H, W]`, or None.
      parts: Which part each asked pixel is of, `integer[H, W]`, or None.
    """

    image: str
    query: np.ndarray
    clicks: int | None = None
    guess: np.ndarray | None = None
    parts: np.ndarray | None = None


class AnsweredQuestion(NamedTuple):
    """The same with its answer, see `LabelStore.answer`.

    Attributes:
      image: Name of the image.
      query: The pixels to ask, `bool[H, W]`.
      labels: Their classes, `integer[H, W]`.
      clicks: See `Question`, as the following.
      guess: The model's labels, `integer[H, W]`, or None.
      parts: Which part each asked pixel is of, `integer[H, W]`, or None.
      candidates: The classes of each part, `bool[parts, C]`, where all of them were asked.
    """

    image: str
    query: np.ndarray
    labels: np.ndarray
    clicks: int | None = None
    guess: np.ndarray | None = None
    parts: np.ndarray | None = None
    candidates: np.ndarray | None = None
