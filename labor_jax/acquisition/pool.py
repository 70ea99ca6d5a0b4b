"""The query of a batch of pool images: network, score and selection, without a wait between."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax import models
from labor_jax.acquisition.strategies import PoolImage, Query, Strategy
from labor_jax.adaptation import pixel_selector


def _jit(function: Callable[..., Any], batched_arguments: Sequence[int]) -> Callable[..., Any]:
    del batched_arguments
    return jax.jit(function)


def make_pool_query(
    segmenter: models.Segmenter,
    strategy: Strategy,
    size: tuple[int, int],
    *,
    with_features: bool = True,
    with_guess: bool = False,
    window: tuple[int, int] | None = None,
    overlap: int = 0,
    compile: Callable[..., Callable[..., Any]] = _jit,
) -> Callable[..., Query]:
    """Builds the function that turns pool images into queries.

    It is two compiled calls, the network and then score and selection, with the logits between them
    on the device. In one, XLA's CPU backend computes the upsampling of the logits anew for whatever
    reads them, which took three times as long.

    The network sees each image once, as in the papers: mirror images and scales, over which
    `evaluation.inference` averages, play no part here.

    Args:
      segmenter: backbone and classifier.
      strategy: from `strategies.build`.
      size: (H, W) of the labels, where the query is made: no asked pixel is lost to resizing.
      with_features: whether strategies get `PoolImage.features`, see `strategies.uses_features`;
        otherwise these are None and nothing of them is kept.
      with_guess: whether queries tell what the model predicts (`Query.guess`).
      window: (height, width) in pixels of the windows that the model and the pixel selector see one
        at a time, see `models.windowed_outputs`; None for whole images.
      overlap: pixels that neighbouring windows share at least.
      compile: `compile(function, batched_arguments=positions)` compiles a function, of which the
        arguments at these positions and the results have a leading batch dimension.

    Returns:
      `query(model, selector, key, images, available, index) -> Query` with the model's variables,
      the pixel selector's (`{"backbone": …, "classifiers": (…, …)}`) or None, a random key of the
      round, images uint8[B, h, w, 3], available bool[B, H, W] and the images' numbers in the pool
      int32[B]. An image's query does not depend on the batch that it is in.
    """

    def predict(model: Any, selector: Any, images):
        images = models.normalize_images(images)

        def head(features: models.Features):
            logits, _ = models.coarse_logits(segmenter, model["classifier"], features)
            return logits, features.high.astype(jnp.float32) if with_features else None

        logits, features = models.windowed_outputs(
            segmenter, model["backbone"], head, images, window=window, overlap=overlap
        )
        logits = models.resize_bilinear_align_corners(logits, size)
        selector_logits = None
        if selector is not None:
            selector_logits = pixel_selector.selector_logits(
                segmenter,
                selector["backbone"],
                selector["classifiers"],
                images,
                size,
                window=window,
                overlap=overlap,
            )
        return logits, features, selector_logits

    def select(key: jax.Array, logits, features, selector_logits, available, index) -> Query:
        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(index)
        query = jax.vmap(strategy)(PoolImage(logits, features, selector_logits, available, keys))
        if with_guess:
            query = query._replace(guess=jnp.argmax(logits, axis=-1).astype(jnp.uint8))
        return query

    predict = compile(predict, batched_arguments=(2,))
    select = compile(select, batched_arguments=(1, 2, 3, 4, 5))

    def query(model: Any, selector: Any, key: jax.Array, images, available, index) -> Query:
        return select(key, *predict(model, selector, images), available, index)

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
