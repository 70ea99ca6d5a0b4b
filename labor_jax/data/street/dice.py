"""Cheap scalar draws from a NumPy generator: a scene takes thousands of them."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Colour = tuple[float, float, float]

_BLOCK = 2048


def scaled(colour: Colour, factor: float) -> Colour:
    """A colour times a factor; no channel exceeds 1."""
    return tuple(min(part * factor, 1.0) for part in colour)


class Dice:
    """Scalar draws served from blocks of uniform numbers.

    A call costs a tenth of `Generator.uniform()`, and the sequence depends on the generator alone.
    """

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._draws = iter(())

    def unit(self) -> float:
        """Returns a uniform number in [0, 1)."""
        for value in self._draws:
            return value
        self._draws = iter(self._rng.random(_BLOCK).tolist())
        return next(self._draws)

    def uniform(self, low: float, high: float) -> float:
        """Returns a uniform number in [low, high)."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """Returns True with the given probability."""
        return self.unit() < probability

    def integer(self, low: int, high: int) -> int:
        """Returns a uniform integer in [low, high], both ends included."""
        return low + int(self.unit() * (high - low + 1))

    def count(self, mean: float) -> int:
        """Returns the floor or ceiling of a number drawn from [0, 2 * mean)."""
        return int(self.uniform(0.0, 2.0 * mean) + self.unit())

    def pick(self, items: Sequence[Item]) -> Item:
        """Returns one of the items, each equally likely."""
        return items[int(self.unit() * len(items))]

    def weighted(self, weights: dict[str, float]) -> str:
        """Returns a key with probability proportional to its weight."""
        left = self.unit() * sum(weights.values())
        for key, weight in weights.items():
            left -= weight
            if left < 0.0:
                return key
        return key

    def colour(self, colours: Sequence[Colour], spread: float = 0.04) -> Colour:
        """Returns one of the colours, its brightness and its channels varied by `spread`."""
        red, green, blue = self.pick(colours)
        shift = self.uniform(-spread, spread)
        tint = 0.4 * spread
        return (
            min(max(red + shift + self.uniform(-tint, tint), 0.0), 1.0),
            min(max(green + shift + self.uniform(-tint, tint), 0.0), 1.0),
            min(max(blue + shift + self.uniform(-tint, tint), 0.0), 1.0),
        )
