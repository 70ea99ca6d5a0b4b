"""Optimisers and learning-rate schedules of the segmentation field, on optax."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

OPTIMIZERS = ("sgd", "adamw")


def polynomial_schedule(learning_rate: float, steps: int, power: float) -> optax.Schedule:
    """`learning_rate * (1 - step / steps) ** power`, the "poly" schedule of DeepLab."""
    return optax.polynomial_schedule(
        init_value=learning_rate, end_value=0.0, power=power, transition_steps=steps
    )


def segmentation_optimizer(
    config: ConfigDict,
    *,
    learning_rate: float,
    steps: int,
    decay_mask: Callable[[Any], Any] | None = None,
) -> optax.GradientTransformation:
    """The model's optimiser: one rate for the backbone, a multiple of it for the classifier.

    Args:
      config: the run's `config.optimizer`: `name` ("sgd" or "adamw"), `momentum`, `weight_decay`,
        `classifier_multiplier`, `power`, `clip_norm` (0: no clipping).
      learning_rate: the backbone's rate at step 0.
      steps: the schedule's length; the rate is 0 there.
      decay_mask: from the parameters to a tree of bool, where weight decay applies; None: all.

    Returns:
      A transformation over `{"backbone": params, "classifier": params}`, and whatever else is a
      classifier.

    Raises:
      ValueError: unknown `config.name`.
    """
    decay = optax.add_decayed_weights(config.weight_decay, mask=decay_mask)
    if config.name == "sgd":
        # As PyTorch's SGD: the decay is part of the gradient that momentum gathers.
        rule = optax.chain(decay, optax.trace(config.momentum))
    elif config.name == "adamw":
        rule = optax.chain(optax.scale_by_adam(), decay)
    else:
        raise ValueError(
            f"config.optimizer.name is {config.name!r}; choose one of: {', '.join(OPTIMIZERS)}."
        )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm > 0 else optax.identity(),
        rule,
        _scale_classifiers(config.classifier_multiplier),
        optax.scale_by_learning_rate(polynomial_schedule(learning_rate, steps, config.power)),
    )


def discriminator_optimizer(
    config: ConfigDict, *, learning_rate: float, steps: int
) -> optax.GradientTransformation:
    """AdaptSegNet's: Adam (0.9, 0.99) with the model's poly schedule."""
    return optax.adam(polynomial_schedule(learning_rate, steps, config.power), b1=0.9, b2=0.99)


def _scale_classifiers(multiplier: float) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, _: {
            part: update
            if part == "backbone"
            else jax.tree.map(lambda leaf: multiplier * leaf, update)
            for part, update in updates.items()
        }
    )
