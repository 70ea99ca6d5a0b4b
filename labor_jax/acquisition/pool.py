"""Scoring and selection of a batch of pool images as one pure function."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax import models
from labor_jax.acquisition.strategies import PoolImage, Query, Strategy
from labor_jax.adaptation import pixel_selector


def make_pool_query(
    segmenter: models.Segmenter, strategy: Strategy, size: tuple[int, int]
) -> Callable[..., Query]:
    """Builds the function that turns pool images into queries.

    Args:
      segmenter: backbone and classifier.
      strategy: from `strategies.build`.
      size: (H, W) of the labels, where the query is made: no asked pixel is lost to resizing.

    Returns:
      `query(model, selector, key, images, available, index) -> Query` with the model's variables,
      the pixel selector's (`{"backbone": …, "classifiers": (…, …)}`) or None, a random key of the
      round, images uint8[B, h, w, 3], available bool[B, H, W] and the images' numbers in the pool
      int32[B]. An image's query does not depend on the batch that it is in.
    """

    def query(model: Any, selector: Any, key: jax.Array, images, available, index) -> Query:
        images = models.normalize_images(images)
        features, _ = models.extract(segmenter, model["backbone"], images)
        logits, _ = models.classify(segmenter, model["classifier"], features, size)
        selector_logits = None
        if selector is not None:
            selector_logits = pixel_selector.selector_logits(
                segmenter, selector["backbone"], selector["classifiers"], images, size
            )
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(index)
        pool_images = PoolImage(
            logits=logits,
            features=features.high.astype(jnp.float32),
            selector_logits=selector_logits,
            available=available,
            key=keys,
        )
        return jax.vmap(strategy)(pool_images)

    return query


def one_ahead(results: Iterable[Any]) -> Iterator[Any]:
    """Yields each result after the next one was dispatched, so that the device never waits."""
    waiting = None
    for result in results:
        if waiting is not None:
            yield waiting
        waiting = result
    if waiting is not None:
        yield waiting
