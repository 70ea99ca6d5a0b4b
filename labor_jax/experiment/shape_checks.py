"""Checks, on shapes alone, of what a user may have registered: before anything is trained."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from labor_jax import acquisition, models, user_code
from labor_jax.active import pool_query, strategies
from labor_jax.experiment import batch_inputs, phase_training, warm_start
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase
from labor_jax.training.terms import Terms

_UNUSED_OPTIMIZER = optax.GradientTransformation(
    init=lambda params: (), update=lambda gradients, state, params: (gradients, state)
)

_HINTS = {
    "train_selector": (
        " (The selector's network has two heads: it takes terms that are made for it alone, such "
        "as self_training.)"
    )
}
"""What an error about the terms of a phase ends with, by the kind of phase."""


def check_shapes(components: Components) -> None:
    """Traces backbone, head, acquisition function and terms, which takes a second or two.

    Raises:
      ValueError: one of them fails, or returns another type or shape than it has to; the message
        names it.
    """
    features = _backbone_features(components)
    _check_head(components, features)
    if components.config.rounds:
        _check_acquisition(components, features)
    _check_terms(components)


def _check_terms(components: Components) -> None:
    """Traces a step of each section of training: all that its terms do, and their players."""
    phases = {phase.section: phase for phase in warm_start.own_phases(components.config)}
    stand_ins: dict[str, Callable[..., Any]] = {}
    for section, phase in phases.items():
        if section:  # no query
            _check_section(components, phase, stand_ins)


def _check_section(
    components: Components, phase: Phase, stand_ins: dict[str, Callable[..., Any]]
) -> None:
    """Traces a step of a phase.

    Zeros stand for the network's outputs, so that the network is neither differentiated nor
    updated, and its shapes are found once for all sections that train it.

    Args:
      components: the run's.
      phase: the section's last.
      stand_ins: what takes the place of `network.apply`, by the kind of phase; found if missing.
    """
    kind = KINDS[phase.kind]
    try:
        training = kind.build_training(components, phase)
        first_state = functools.partial(kind.first_state, components, phase)
        handover = Handover(model=components.variable_shapes, players={})
        state = jax.eval_shape(first_state, handover, jax.random.key(0))
        if phase.kind not in stand_ins:
            stand_ins[phase.kind] = _zeros_for_outputs(training.network)
        training = dataclasses.replace(training, optimizer=_UNUSED_OPTIMIZER)
        step = phase_training.compile_step(components, training, stand_ins[phase.kind])
        jax.eval_shape(step, state, _batch(components, training.terms))
    except Exception as error:
        raise ValueError(
            f"config.{phase.section}.terms: {user_code.said(error)}{_HINTS.get(phase.kind, '')}"
        ) from error


def _zeros_for_outputs(network: nn.Module) -> Callable[..., Any]:
    """What takes the place of `network.apply` in a step that is traced alone."""
    known: dict[tuple[int, ...], Any] = {}

    def apply(variables, images, **options):
        if images.shape not in known:
            known[images.shape] = jax.eval_shape(
                lambda variables, images, rngs: network.apply(
                    variables, images, **{**options, "rngs": rngs}
                ),
                variables,
                images,
                options["rngs"],
            )
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), known[images.shape])

    return apply


def _batch(components: Components, terms: Terms) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """The shapes of a batch of all devices."""
    return {
        domain: batch_inputs.training_shapes(components, domain, void=terms.labels_target)
        for domain in terms.domains
    }


def _backbone_features(components: Components) -> models.Features:
    backbone, name = components.frozen_segmenter.backbone, components.config.model.backbone
    height, width = components_lib.image_size(components)
    images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    culprit = f"The backbone {name!r}, applied to images f32[2, {height}, {width}, 3],"
    with user_code.naming(culprit):
        features, _ = jax.eval_shape(backbone.init_with_output, jax.random.key(0), images)
    if not isinstance(features, models.Features):
        raise ValueError(
            f"{culprit} returned {_described(features)}; return models.Features, such as "
            "models.Features.of_stages(maps, strides)."
        )
    if not features.maps or not len(features.maps) == len(features.names) == len(features.strides):
        raise ValueError(
            f"{culprit} returned {len(features.maps)} maps with {len(features.names)} names and "
            f"{len(features.strides)} strides; return at least one map, each with both."
        )
    for stride, values in zip(features.strides, features.maps, strict=True):
        if (
            values.ndim != 4
            or values.shape[0] != 2
            or any(
                abs(values.shape[axis] - (height, width)[axis - 1] / stride) > 1 for axis in (1, 2)
            )
        ):
            raise ValueError(
                f"{culprit} returned a map {_described(values)} of stride {stride}; such a map is "
                f"[2, {-(-height // stride)}, {-(-width // stride)}, channels]."
            )
    if features.strides[-1] != backbone.output_stride:
        raise ValueError(
            f"{culprit} returned a last map of stride {features.strides[-1]}, but its field "
            f"output_stride is {backbone.output_stride}; set config.model.output_stride to "
            f"{features.strides[-1]}, or let the backbone follow it."
        )
    return features


def _check_head(components: Components, features: models.Features) -> None:
    head, name = components.frozen_segmenter.head, components.config.model.head
    maps = ", ".join(f"{key} {_described(features[key])}" for key in features.names)
    culprit = f"The head {name!r}, applied to the features {maps},"
    with user_code.naming(culprit):
        logits, _ = jax.eval_shape(head.init_with_output, jax.random.key(0), features)
    classes = components.pair.num_classes
    if (
        not hasattr(logits, "dtype")
        or not jnp.issubdtype(logits.dtype, jnp.floating)
        or logits.ndim != 4
        or (logits.shape[0], logits.shape[-1]) != (2, classes)
    ):
        raise ValueError(
            f"{culprit} returned {_described(logits)}; return logits f32[2, h, w, {classes}], one "
            "for each of the num_classes."
        )


def _check_acquisition(components: Components, features: models.Features) -> None:
    config, pool = components.config, components.pair.pool
    method = strategies.method(config.acquisition.method)
    strategies.check(config.acquisition)
    if method.picked_by_annotator or pool is None:
        return
    if config.acquisition.scope == "pool" and method.budget != "images":
        strategy = strategies.build_ranking(
            config.acquisition, None if method.asks == "mask" else 1
        )
    else:
        strategy = strategies.build(config.acquisition, config.rounds, len(pool))
    weights = None
    if config.acquisition.class_weights != "none":
        weights = jax.ShapeDtypeStruct((components.pair.num_classes,), jnp.float32)
    _check_reads(components, method)
    sizes = [tuple(pool.size(number)) for number in range(len(pool))]
    # The smallest image may not hold a window, and the largest may have too many parts.
    for size in dict.fromkeys([min(sizes, key=math.prod), max(sizes, key=math.prod)]):
        jax.eval_shape(strategy, _pool_image(components, method, features, size), weights)


def _check_reads(components: Components, method: acquisition.Method) -> None:
    """Checks what the method reads of the head, and the number of its passes with dropout."""
    samples = components.config.acquisition.samples
    if "logit_samples" in method.reads and samples < 1:
        raise ValueError(
            f"config.acquisition.samples is {samples}, but {method.name} reads passes with "
            "dropout; set it to 1 or more."
        )
    pool_query.check_head(
        components.frozen_segmenter.head,
        with_radii="radii" in method.reads,
        samples=samples if "logit_samples" in method.reads else 0,
    )


def _pool_image(
    components: Components,
    method: acquisition.Method,
    features: models.Features,
    size: tuple[int, int],
) -> acquisition.PoolImage:
    """The shapes of a pool image with labels of a size, as the method sees it."""
    samples = components.config.acquisition.samples

    def floating(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    logits = floating(*size, components.pair.num_classes)
    given = {
        "features": floating(*features[-1].shape[1:]),
        "selector_logits": (logits, logits),
        "image": floating(*size, 3),
        "first_logits": logits,
        "logit_samples": floating(samples, *logits.shape),
        "radii": floating(*size),
    }
    return acquisition.PoolImage(
        logits=logits,
        available=jax.ShapeDtypeStruct(size, jnp.bool_),
        key=jax.eval_shape(lambda: jax.random.key(0)),
        **{name: shape if name in method.reads else None for name, shape in given.items()},
    )


def _described(value: object) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__
