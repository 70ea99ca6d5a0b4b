"""Optimisers and learning-rate schedules of the segmentation field, on optax."""

from collections.abc import Callable, Collection
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

OPTIMIZERS = ("sgd", "adam", "adamw")


def polynomial_schedule(learning_rate: float, steps: int, power: float) -> optax.Schedule:
    """`learning_rate * (1 - step / steps) ** power`, the "poly" schedule of DeepLab."""
    return optax.polynomial_schedule(
        init_value=learning_rate, end_value=0.0, power=power, transition_steps=steps
    )


def polynomial_rate(learning_rate: float, steps: int, power: float, step: int) -> float:
    """What `polynomial_schedule` gives at a step, computed without a device."""
    return learning_rate * (1 - min(step, steps) / steps) ** power


def segmentation_optimizer(
    config: ConfigDict,
    *,
    learning_rate: float,
    steps: int,
    decay_mask: Callable[[Any], Any] | None = None,
    frozen: Collection[str] = (),
) -> optax.GradientTransformation:
    """A network's optimiser: one rate for the backbone, a multiple of it for the heads.

    Args:
      config: the run's `config.optimizer`.
      learning_rate: the backbone's rate at step 0.
      steps: the schedule's length; the rate is 0 there.
      decay_mask: from the parameters to a tree of bool, where weight decay applies; None: all.
      frozen: submodules of the network that stay as they are, weight decay included.

    Returns:
      A transformation over a network's parameters: `{"backbone": …, "head": …}` and whatever other
      heads there are.

    Raises:
      ValueError: unknown `config.name`.
    """
    decay = optax.add_decayed_weights(config.weight_decay, mask=decay_mask)
    if config.name == "sgd":
        # As PyTorch's SGD: the decay is part of the gradient that momentum gathers.
        rule = optax.chain(decay, optax.trace(config.momentum))
    elif config.name == "adam":
        # As PyTorch's Adam: the decay is part of the gradient that the moments gather.
        rule = optax.chain(decay, optax.scale_by_adam())
    elif config.name == "adamw":
        rule = optax.chain(optax.scale_by_adam(), decay)
    else:
        raise ValueError(
            f"config.optimizer.name is {config.name!r}; choose one of: {', '.join(OPTIMIZERS)}."
        )

    def scaled(multiplier: float) -> optax.GradientTransformation:
        rate = multiplier * learning_rate
        return optax.scale_by_learning_rate(polynomial_schedule(rate, steps, config.power))

    def groups(params):
        def group(module):
            if module in frozen:
                return "frozen"
            return "backbone" if module == "backbone" else "head"

        return {
            module: jax.tree.map(lambda _, module=module: group(module), tree)
            for module, tree in params.items()
        }

    rates = {
        "backbone": scaled(1.0),
        "head": scaled(config.head_multiplier),
        "frozen": optax.set_to_zero(),
    }
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm > 0 else optax.identity(),
        rule,
        optax.partition(rates, groups),
    )
