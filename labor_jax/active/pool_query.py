"""The query of a batch of pool images: network, scores and selection, all on the device."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax import models, ops
from labor_jax.acquisition import PoolImage, Query, Ranker, Ranking, Strategy


def _jit(function: Callable[..., Any], batched_arguments: Sequence[int]) -> Callable[..., Any]:
    del batched_arguments
    return jax.jit(function)


def make_pool_query(
    network: models.Segmenter,
    strategy: Strategy | Ranker,
    size: tuple[int, int],
    *,
    selector: nn.Module | None = None,
    with_features: bool = True,
    with_guess: bool = False,
    window: tuple[int, int] | None = None,
    overlap: int = 0,
    compile: Callable[..., Callable[..., Any]] = _jit,
) -> Callable[..., Query | Ranking]:
    """Builds the function that turns pool images into queries, or into what they offer to the pool.

    The function makes two compiled calls: the network, then scores and selection. The logits stay
    on the device between them. In a single call XLA's CPU backend would compute the upsampling of
    the logits again for each operation that reads them, which took three times as long.

    The network sees each image once, as in the papers. The mirrored and scaled images of
    `evaluation.inference` are not used here.

    Args:
      network: the segmentation network.
      strategy: from `strategies.build` or, for a budget over the pool, `build_ranking`.
      size: (H, W) of the label maps. Queries are made at this size, so no asked pixel is lost by
        resizing.
      selector: LabOR's pixel selector, for methods that read "selector_logits": a module with the
        methods `extract(images) -> Features` and
        `coarse_logits(features) -> (f32[B, h, w, C], f32[B, h, w, C])`, whose strides are those of
        `network`.
      with_features: whether strategies get `PoolImage.features`; "features" in `Method.reads` says
        who needs them. Otherwise the field is None and no memory is spent on it.
      with_guess: whether queries hold the classes that the model predicts, `Query.guess`.
      window: (height, width) in pixels of the windows that the networks see one at a time, see
        `models.windowed_outputs`; None for whole images.
      overlap: least number of pixels that neighbouring windows share.
      compile: `compile(function, batched_arguments=positions)` compiles a function whose results,
        and whose arguments at these positions, have a leading batch dimension.

    Returns:
      `query(model_variables, selector_variables, key, images, available, index, class_weights=None,
      floors=None)`, where `selector_variables` is None without a selector, `key` is the round's
      random key, images are uint8[B, h, w, 3] (or normalised f32), available is bool[B, H, W],
      index int32[B] are the images' numbers in the pool, class weights are f32[C], and floors
      f32[B] are those of rankings. It returns the `Query` or `Ranking` of each image, which does
      not depend on the rest of its batch.
    """

    def run(module: nn.Module, variables: Mapping[str, Any], head: Callable, images: jax.Array):
        return models.windowed_outputs(
            lambda images: module.apply(variables, images, method="extract"),
            lambda features: head(
                module.apply(variables, features, method="coarse_logits"), features
            ),
            images,
            output_stride=network.output_stride,
            pools_image=network.pools_image,
            window=window,
            overlap=overlap,
        )

    def predict(model_variables: Any, selector_variables: Any, images: jax.Array):
        images = models.network_input(images)

        def logits_and_features(logits, features):
            return logits, features[-1].astype(jnp.float32) if with_features else None

        logits, features = run(network, model_variables, logits_and_features, images)
        logits = ops.resize_bilinear_align_corners(logits, size)
        if selector is None:
            return logits, features, None
        coarse = run(selector, selector_variables, lambda logits, _: logits, images)
        return logits, features, tuple(ops.resize_bilinear_align_corners(x, size) for x in coarse)

    def select(
        key, class_weights, logits, features, selector_logits, available, index, floors
    ) -> Query | Ranking:
        def ask(image: PoolImage, floor: jax.Array | None) -> Query | Ranking:
            given = {"class_weights": class_weights, "floor": floor}
            return strategy(image, **{k: value for k, value in given.items() if value is not None})

        keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(index)
        query = jax.vmap(ask)(PoolImage(logits, features, selector_logits, available, keys), floors)
        if with_guess:
            query = query._replace(guess=jnp.argmax(logits, axis=-1).astype(jnp.uint8))
        return query

    predict = compile(predict, batched_arguments=(2,))
    select = compile(select, batched_arguments=(2, 3, 4, 5, 6, 7))

    def query(
        model_variables: Any,
        selector_variables: Any,
        key: jax.Array,
        images,
        available,
        index,
        class_weights=None,
        floors=None,
    ) -> Query | Ranking:
        outputs = predict(model_variables, selector_variables, images)
        return select(key, class_weights, *outputs, available, index, floors)

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
