"""What annotators label: an item is the query of one image in one round, for one opinion.

Training sees opinion 1, the answer. A share of the items also has opinion 2: a second annotator
gives it without seeing the first, and it only serves to measure how far annotators agree.
"""

from typing import NamedTuple

import numpy as np

from labor_jax.annotation.cost import Kind
from labor_jax.annotation.pixel_runs import AskedRuns


class UnknownItemError(LookupError):
    """There is no such item."""


class Item(NamedTuple):
    """Identifies an item.

    Attributes:
      round: The round that asks.
      image: The image's name.
      opinion: 1 or 2.
    """

    round: int
    image: str
    opinion: int = 1


class Question(NamedTuple):
    """What an item asks; it never changes.

    Attributes:
      shape: The image's (H, W).
      kind: How it is answered.
      asked: The asked pixels.
      guess: The model's labels by rank, `uint8[pixels]`, or None.
      parts: Which part each asked pixel is of, by rank, `int64[pixels]`; None where the parts
        follow from the asked pixels.
    """

    shape: tuple[int, int]
    kind: Kind
    asked: AskedRuns
    guess: np.ndarray | None
    parts: np.ndarray | None

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        arrays = (*self.asked[:3], self.guess, self.parts)
        return sum(each.nbytes for each in arrays if each is not None)
