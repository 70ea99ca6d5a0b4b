"""The query of a batch of pool images: network, scores and selection, all on the device."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax import models, ops
from labor_jax.acquisition import Method, PoolImage, Query, Ranker, Ranking, Strategy

# Folded into an image's random key for its dropout, which is then not what a method draws.
_DROPOUT = 1

_KEPT_PROGRAMS = 32  # of each of a query's calls, for as many sizes


def _jit(function: Callable[..., Any], batched_arguments: Sequence[int]) -> Callable[..., Any]:
    del batched_arguments
    return jax.jit(function)


def fields_read(method: Method, *, samples: int) -> dict[str, Any]:
    """The arguments of `make_pool_query` that say what a method reads.

    Args:
      method: the acquisition method.
      samples: number of passes with dropout, `config.acquisition.samples`, if it reads any.
    """
    return {
        "with_features": "features" in method.reads,
        "with_image": "image" in method.reads,
        "with_first_logits": "first_logits" in method.reads,
        "with_radii": "radii" in method.reads,
        "samples": samples if "logit_samples" in method.reads else 0,
    }


def check_head(head: nn.Module, *, with_radii: bool, samples: int) -> None:
    """Refuses a head that doesn't have what a method reads of it, see `make_pool_query`.

    Raises:
      ValueError: samples are asked for, but the head drops nothing; or radii of a head that has
        none.
    """
    if samples and getattr(head, "dropout", None) == 0:
        raise ValueError(
            f"The acquisition method reads {samples} passes with dropout, but the head drops "
            "nothing; set config.model.dropout above 0."
        )
    if with_radii and not hasattr(head, "radii"):
        raise ValueError(
            "The acquisition method reads hyperbolic radii, which the head doesn't have; set "
            "config.model.head to 'hyperbolic'."
        )


def make_pool_query(
    network: models.Segmenter,
    strategy: Strategy | Ranker,
    size: tuple[int, int],
    *,
    selector: nn.Module | None = None,
    with_features: bool = True,
    with_guess: bool = False,
    with_image: bool = False,
    with_first_logits: bool = False,
    with_radii: bool = False,
    samples: int = 0,
    window: tuple[int, int] | None = None,
    overlap: int = 0,
    compile: Callable[..., Callable[..., Any]] = _jit,
) -> Callable[..., Query | Ranking]:
    """Builds the function that turns pool images into queries, or into what they offer to the pool.

    The function makes three compiled calls: the network, enlarging what it returns to the labels'
    size, then scores and selection. The logits stay on the device between them. In a single call
    XLA's CPU backend would compute the upsampling of the logits again for each operation that reads
    them, which took three times as long. `make_pool_queries` compiles the network once for labels
    of several sizes.

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
      with_image: whether strategies get `PoolImage.image`, resized to the label maps; `fields_read`
        says what a method needs of this and the following.
      with_first_logits: whether they get `PoolImage.first_logits`, of `first_variables`.
      with_radii: whether they get `PoolImage.radii`, of a head that has them.
      samples: the number of `PoolImage.logit_samples`, passes of the head with dropout, each image
        with random keys of its own; 0 for none. They take as much memory as so many logits.
      window: (height, width) in pixels of the windows that the networks see one at a time, see
        `models.windowed_outputs`; None for whole images.
      overlap: least number of pixels that neighbouring windows share.
      compile: `compile(function, batched_arguments=positions)` compiles a function whose results,
        and whose arguments at these positions, have a leading batch dimension.

    Returns:
      `query(model_variables, selector_variables, key, images, available, index, class_weights=None,
      floors=None, *, first_variables=None)`, where `selector_variables` is None without a selector,
      `key` is the round's random key, images are uint8[B, h, w, 3] (or normalised f32), available
      is bool[B, H, W], index int32[B] are the images' numbers in the pool, class weights are
      f32[C], floors f32[B] are those of rankings, and `first_variables` those of the model before
      the first round, for `with_first_logits`. It returns the `Query` or `Ranking` of each image,
      which does not depend on the rest of its batch.

    Raises:
      ValueError: as `check_head`.
    """
    fields = _make_fields(
        network,
        selector=selector,
        with_features=with_features,
        with_image=with_image,
        with_first_logits=with_first_logits,
        with_radii=with_radii,
        samples=samples,
        window=window,
        overlap=overlap,
        compile=compile,
    )
    return _make_query(fields, strategy, size, with_guess, compile)


def make_pool_queries(
    network: models.Segmenter,
    *,
    compile: Callable[..., Callable[..., Any]] = _jit,
    **settings: Any,
) -> Callable[..., Callable[..., Query | Ranking]]:
    """Builds what `make_pool_query` does, for a pool with labels of any sizes.

    The network compiles once for each shape of its input, whatever the labels' size and strategy.
    Of hundreds of sizes only the last programs are kept, as they hold memory.

    Args:
      network: the segmentation network.
      compile: as in `make_pool_query`.
      **settings: its other keyword arguments, but for `with_guess`.

    Returns:
      `query_of(strategy, size, with_guess=False)`, which returns what `make_pool_query` does. It
      builds a query once for equal arguments, while the query is kept; the strategy must be
      hashable, as functions are.

    Raises:
      ValueError: as `check_head`.
    """
    fields = _make_fields(network, compile=compile, **settings)

    @functools.lru_cache(_KEPT_PROGRAMS)
    def query_of(
        strategy: Strategy | Ranker, size: tuple[int, int], with_guess: bool = False
    ) -> Callable[..., Query | Ranking]:
        return _make_query(fields, strategy, size, with_guess, compile)

    return query_of


def _make_query(
    fields: Callable[..., dict[str, Any]],
    strategy: Strategy | Ranker,
    size: tuple[int, int],
    with_guess: bool,
    compile: Callable[..., Callable[..., Any]],
) -> Callable[..., Query | Ranking]:
    """Builds a query from `_make_fields` and its last call."""
    select = compile(_make_select(strategy, with_guess), batched_arguments=(2, 3, 4, 5))

    def query(
        model_variables: Any,
        selector_variables: Any,
        key: jax.Array,
        images,
        available,
        index,
        class_weights=None,
        floors=None,
        *,
        first_variables: Any = None,
    ) -> Query | Ranking:
        found = fields(
            size, model_variables, selector_variables, first_variables, key, images, index
        )
        return select(key, class_weights, found, available, index, floors)

    return query


def _make_fields(
    network: models.Segmenter,
    *,
    selector: nn.Module | None = None,
    with_features: bool = True,
    with_image: bool = False,
    with_first_logits: bool = False,
    with_radii: bool = False,
    samples: int = 0,
    window: tuple[int, int] | None = None,
    overlap: int = 0,
    compile: Callable[..., Callable[..., Any]],
) -> Callable[..., dict[str, Any]]:
    """Builds the first two calls: the fields of a batch's `PoolImage` that the networks tell.

    Args:
      network: and the others, see `make_pool_query`.

    Returns:
      `fields(size, model_variables, selector_variables, first_variables, key, images, index)`.
    """
    check_head(network.head, with_radii=with_radii, samples=samples)
    look = functools.partial(
        _look,
        output_stride=network.output_stride,
        pools_image=network.pools_image,
        window=window,
        overlap=overlap,
    )

    @functools.lru_cache(_KEPT_PROGRAMS)
    def coarse(shape: tuple[int, ...]) -> Callable[..., dict[str, Any]]:
        del shape
        predict = _make_predict(
            network,
            selector,
            look,
            with_features=with_features,
            with_first_logits=with_first_logits,
            with_radii=with_radii,
            samples=samples,
        )
        return compile(predict, batched_arguments=(4, 5))

    @functools.lru_cache(_KEPT_PROGRAMS)
    def enlarging(shape: tuple[int, ...], size: tuple[int, int]) -> Callable[..., dict[str, Any]]:
        del shape
        return compile(_make_enlarge(size, samples), batched_arguments=(0, 1))

    def fields(
        size, model_variables, selector_variables, first_variables, key, images, index
    ) -> dict[str, Any]:
        first = first_variables if with_first_logits else None
        found = coarse(images.shape)(model_variables, selector_variables, first, key, images, index)
        features = found.pop("features")  # which keep their size
        pictures = images if with_image else None
        return {"features": features, **enlarging(images.shape, size)(found, pictures)}

    return fields


def _look(
    module: nn.Module,
    variables: Mapping[str, Any],
    head: Callable[..., Any],
    images: jax.Array,
    **windows: Any,
) -> Any:
    """What `head(coarse_logits, features)` makes of images, which a module sees in windows."""
    return models.windowed_outputs(
        lambda images: module.apply(variables, images, method="extract"),
        lambda features: head(module.apply(variables, features, method="coarse_logits"), features),
        images,
        **windows,
    )


def _image_keys(key: jax.Array, index: jax.Array) -> jax.Array:
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(index)


def _make_predict(
    network: models.Segmenter,
    selector: nn.Module | None,
    look: Callable[..., Any],
    *,
    with_features: bool,
    with_first_logits: bool,
    with_radii: bool,
    samples: int,
) -> Callable[..., dict[str, Any]]:
    """Builds the first call: what the networks make of a batch, at their own resolution."""

    def outputs(variables: Any, images: jax.Array, key: jax.Array | None):
        """The logits, the features, the radii and, with a key, the samples f32[B, h, w, S C]."""

        def head(logits, features):
            last = features[-1].astype(jnp.float32) if with_features else None
            radii = None
            if with_radii:
                radii = network.apply(variables, features, method="radii")[..., None]
            if key is None:
                return logits, last, radii, None

            def sample(key):
                return network.apply(
                    variables, features, True, method="coarse_logits", rngs={"dropout": key}
                )

            drawn = jax.vmap(sample, out_axes=-2)(jax.random.split(key, samples))
            return logits, last, radii, drawn.reshape(*drawn.shape[:-2], -1)

        return look(network, variables, head, images)

    def sampled(variables: Any, images: jax.Array, keys: jax.Array):
        """The same of one image at a time: its dropout doesn't depend on its place in the batch."""

        def one(image, key):
            return outputs(variables, image[None], jax.random.fold_in(key, _DROPOUT))

        return jax.tree.map(lambda leaf: leaf[:, 0], jax.vmap(one)(images, keys))

    def predict(
        model_variables: Any, selector_variables: Any, first_variables: Any, key, images, index
    ) -> dict[str, Any]:
        images = models.network_input(images)
        if samples:
            found = sampled(model_variables, images, _image_keys(key, index))
        else:
            found = outputs(model_variables, images, None)
        names = ("logits", "features", "radii", "logit_samples")
        fields = dict(zip(names, found, strict=True))
        if selector is not None:
            coarse = look(selector, selector_variables, lambda logits, _: logits, images)
            fields["selector_logits"] = tuple(coarse)
        if with_first_logits:
            first = look(network, first_variables, lambda logits, _: logits, images)
            fields["first_logits"] = first
        return fields

    return predict


def _make_enlarge(size: tuple[int, int], samples: int) -> Callable[..., dict[str, Any]]:
    """Builds the second call: the fields of `PoolImage` at the labels' size."""

    def at_labels(maps: jax.Array) -> jax.Array:
        return ops.resize_bilinear_align_corners(maps, size)

    def enlarge(coarse: dict[str, Any], pictures: jax.Array | None) -> dict[str, Any]:
        if pictures is not None and pictures.dtype != jnp.uint8:
            pictures = models.denormalize_images(pictures)
        fields = jax.tree.map(at_labels, {"selector_logits": None, **coarse, "image": pictures})
        if fields["radii"] is not None:
            fields["radii"] = fields["radii"][..., 0]
        if samples:
            drawn = fields["logit_samples"]
            drawn = drawn.reshape(*drawn.shape[:-1], samples, -1)
            fields["logit_samples"] = jnp.moveaxis(drawn, -2, 1)
        return fields

    return enlarge


def _make_select(strategy: Strategy | Ranker, with_guess: bool) -> Callable[..., Query | Ranking]:
    """Builds the last call: scores and selection."""

    def select(key, class_weights, fields, available, index, floors) -> Query | Ranking:
        def ask(image: PoolImage, floor: jax.Array | None) -> Query | Ranking:
            given = {"class_weights": class_weights, "floor": floor}
            return strategy(image, **{k: value for k, value in given.items() if value is not None})

        images = PoolImage(**fields, available=available, key=_image_keys(key, index))
        query = jax.vmap(ask)(images, floors)
        if with_guess:
            guess = jnp.argmax(fields["logits"], axis=-1).astype(jnp.uint8)
            query = query._replace(guess=guess)
        return query

    return select


def one_ahead(results: Iterable[Any]) -> Iterator[Any]:
    """Yields each result after the next one was dispatched, so that the device never waits."""
    waiting = None
    for result in results:
        if waiting is not None:
            yield waiting
        waiting = result
    if waiting is not None:
        yield waiting
