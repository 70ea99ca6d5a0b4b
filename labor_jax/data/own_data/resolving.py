"""Which fields are left open, and how all of them are filled in."""

from __future__ import annotations

import dataclasses
import functools

from ml_collections import ConfigDict

from labor_jax.data.own_data import network, sizes, steps
from labor_jax.data.own_data.facts import Choice, Facts

_STEPS = ("supervised.steps", "warmup.steps", "retraining.steps", "selector.steps", "round.steps")

_FIELDS = (
    "data.source_size",
    "data.target_size",
    "data.evaluation_size",
    "data.augment.crop",
    "evaluation_batch_size",
    "model.backbone",
    "model.pretrained",
    "model.width",
    "model.stem",
    "model.output_stride",
    "model.head_channels",
    "model.dropout",
    *(f"terms.{name}.width" for name in network.DISCRIMINATORS),
    "optimizer.name",
    "optimizer.weight_decay",
    "optimizer.head_multiplier",
    "optimizer.clip_norm",
    "supervised.learning_rate",
    "warmup.learning_rate",
    "retraining.learning_rate",
    "selector.learning_rate",
    "round.learning_rate",
    "joint.learning_rate",
    "joint.steps",
    "joint.schedule_steps",
    "joint.query_steps",
)

# The sizes of a query's parts, by its method.
_PARTS = {
    "ripu_pa": ("acquisition.radius",),
    "ripu_pa_code": ("acquisition.radius",),
    "superpixels": ("acquisition.superpixel_size",),
    "multi_hot": ("acquisition.superpixel_size",),
}


def open_fields(config: ConfigDict) -> tuple[str, ...]:
    """Names the fields that `resolve` fills in, by their dotted names in the config.

    A phase of 0 steps is one that the method leaves out; its steps aren't open.
    """
    steps_fields = tuple(field for field in _STEPS if config[field] != 0)
    weights = network.open_weights(config)
    return _FIELDS + steps_fields + weights + _PARTS.get(config.acquisition.method, ())


def resolve(
    config: ConfigDict, facts: Facts, *, first_query: int | None = None
) -> tuple[Choice, ...]:
    """Chooses values for the fields that are open, which are those of value None.

    Args:
      config: see `labor_jax.config`; not changed.
      facts: see `Facts`.
      first_query: the step of joint training's first query, where another run that this one goes on
        from has settled it.

    Returns:
      The choices; together they name a field at most once, and none that has a value. Fields may
      stay open, such as `data.augment.crop` for images that need no window.

    Raises:
      ValueError: an invalid field.
    """
    choices = []
    choose_steps = functools.partial(steps.choose, first_query=first_query)
    for choose in (sizes.choose, network.choose, choose_steps):
        for choice in choose(config, facts):
            fields = {name: v for name, v in choice.fields.items() if config[name] is None}
            if fields:
                choices.append(dataclasses.replace(choice, fields=fields))
    return tuple(choices)
