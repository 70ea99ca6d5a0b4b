"""What all rounds of a run together may ask, and how many objects a whole image holds."""

import numpy as np

from labor_jax.acquisition import Budget
from labor_jax.active import strategies
from labor_jax.annotation import cost
from labor_jax.data import Split
from labor_jax.experiment.components import Components


def mean_outlines(split: Split, sample: int = 32) -> float:
    """The mean over some images that are spread over a split.

    Args:
      split: the images, with labels.
      sample: how many of them to look at, at most.

    Raises:
      DataError: the split has no labels, or one can't be read.
    """
    numbers = np.unique(np.linspace(0, len(split) - 1, sample).round().astype(int))
    return cost.mean_outlines(split.label(int(number)) for number in numbers)


def build(components: Components) -> Budget:
    """What all rounds together may ask; a whole image is priced as one of the source.

    Args:
      components: the run's, with the pool and, where people's seconds buy whole images, the source.

    Raises:
      ValueError: there is no source then, or as `strategies.budget`.
    """
    config = components.config.acquisition
    buys_images = strategies.method(config.method).budget == "images"
    outlines = None
    if buys_images and (config.seconds or config.seconds_per_image):
        if components.pair.source is None:
            raise ValueError(
                "seconds buy whole images at the price of one of the source, which this run does "
                "not read; set config.acquisition.fraction or points instead"
            )
        outlines = mean_outlines(components.pair.source)
    return strategies.budget(config, components.config.rounds, len(components.pair.pool), outlines)
