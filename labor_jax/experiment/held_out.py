"""Images of the pool that are held out for measuring, where there are no evaluation labels.

Their answers never train. After each phase, mIoU is measured on those given so far.
"""

import hashlib

import numpy as np
from ml_collections import ConfigDict

from labor_jax.annotation import LabelStore
from labor_jax.data import IGNORE_LABEL, Pair, Split
from labor_jax.experiment.workdir import ConfigError


def held_out_numbers(config: ConfigDict, pool: Split) -> tuple[int, ...]:
    """The numbers of the pool images that are held out.

    Each image's name and the run's seed decide, so those of a smaller pool or share stay among
    those of a larger one.

    Args:
      config: The run's; `config.data.evaluation_from_answers` is the share.
      pool: The pool.
    """
    names = pool.names if config.data.evaluation_from_answers else ()
    return tuple(number for number, name in enumerate(names) if is_held_out(config, name))


def is_held_out(config: ConfigDict, name: str) -> bool:
    """Whether the pool image of this name is held out, see `held_out_numbers`."""
    return _place(config.seed, name) < config.data.evaluation_from_answers


def _place(seed: int, name: str) -> float:
    """Where a name lies among all names, evenly from 0 to 1."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def check_held_out(config: ConfigDict, pair: Pair) -> None:
    """Checks that the held-out images leave something to measure and something to train.

    Raises:
      ConfigError: They don't, or the pair has labels to measure on.
    """
    share = config.data.evaluation_from_answers
    if not share:
        return
    field = f"config.data.evaluation_from_answers is {share}"
    if pair.evaluation is not None:
        raise ConfigError(
            f"{field}, but there are {len(pair.evaluation)} images with labels to measure on. A "
            "new run may set it to 0 to measure on those; a run that has begun with it goes on "
            "without the evaluation images."
        )
    count, total = len(held_out_numbers(config, pair.pool)), len(pair.pool)
    if count == 0:
        raise ConfigError(
            f"{field}, which holds out none of the {total} images of the pool (their names and "
            f"config.seed decide, {share * total:.1f} are expected). Raise it, or set it to 0."
        )
    if count == total:
        raise ConfigError(
            f"{field}, which holds out all {total} images of the pool, so no answer would train. "
            "Lower it."
        )


class AnsweredSplit:
    """The held-out images with their answers as labels, 255 elsewhere.

    Attributes:
      names: Names of the images.
    """

    def __init__(
        self, pool: Split, numbers: tuple[int, ...], store: LabelStore, up_to_round: int | None
    ):
        """Reads labels from a store.

        Args:
          pool: The pool.
          numbers: The numbers of the held-out images.
          store: The run's label store.
          up_to_round: The last round whose answers count; None for all.
        """
        self._pool, self._numbers = pool, numbers
        self._store, self._round = store, up_to_round
        self.names = tuple(pool.names[number] for number in numbers)

    def __len__(self) -> int:
        return len(self.names)

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of label `i`."""
        return self._pool.size(self._numbers[i])

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3]."""
        return self._pool.image(self._numbers[i])

    def label(self, i: int) -> np.ndarray:
        """Returns the answers of image `i`, uint8[H, W], 255 where there is none."""
        return self._store.labels(self.names[i], up_to_round=self._round, shape=self.size(i))

    def count(self) -> dict[str, int]:
        """The number of "images" that have answers, and of the "pixels" answered, without void."""
        pixels = [np.count_nonzero(self.label(i) != IGNORE_LABEL) for i in range(len(self))]
        return {"images": int(np.count_nonzero(pixels)), "pixels": int(sum(pixels))}
