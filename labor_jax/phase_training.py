"""How each phase that trains does it: its first state and its compiled step."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from labor_jax import models
from labor_jax.adaptation import pixel_selector
from labor_jax.components import Components
from labor_jax.training import mesh as mesh_lib
from labor_jax.training import optimizers, steps

Carry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class PhaseTraining:
    """A phase's training.

    Attributes:
      create: `(carry, key) -> state`, the state of step 0. The carry is what phases hand on:
        `{"model": variables, "discriminator": params by classifier, "selector": variables or None,
        "optimizers": None or, within joint training, the model's and the discriminators' optimiser
        state}`.
      step: compiled; `(state, batch) -> (state, metrics)`, for the selector
        `(state, model, batch) -> (state, metrics)`. It donates the state.
      uses_source: whether a batch holds source images.
      uses_target: whether a batch holds target images.
    """

    create: Callable[[Carry, jax.Array], Any]
    step: Callable[..., Any]
    uses_source: bool
    uses_target: bool


def phase_training(parts: Components, kind: str) -> PhaseTraining:
    """Builds the training of the phases of one kind; call it once, since it compiles anew.

    Args:
      parts: the run's components.
      kind: "source", "warmup", "selector" or "train".
    """
    return _selector_training(parts) if kind == "selector" else _model_training(parts, kind)


def loss_weights(parts: Components, kind: str) -> steps.LossWeights:
    """The loss of a phase: LabOR Eq. 1 (source, warmup), or Eq. 5 or RIPU's (train)."""
    if kind in ("source", "warmup"):
        warmup, two_levels = parts.config.warmup, parts.segmenter.auxiliary is not None
        weights = steps.LossWeights(auxiliary=warmup.auxiliary_weight if two_levels else 0.0)
        if kind == "source":
            return weights
        return dataclasses.replace(
            weights,
            adversarial=warmup.adversarial_weight,
            auxiliary_adversarial=warmup.auxiliary_adversarial_weight if two_levels else 0.0,
        )
    config = parts.config.round
    return steps.LossWeights(
        source=config.source_weight,
        target=config.target_weight,
        adversarial=config.adversarial_weight,
        local_consistency=config.local_consistency_weight,
        negative_learning=config.negative_learning_weight,
    )


def _model_training(parts: Components, kind: str) -> PhaseTraining:
    config = parts.config
    phase_config = config["round" if kind == "train" else kind]
    learning_rate, schedule_steps = phase_config.learning_rate, phase_config.steps
    if kind == "train" and config.protocol == "joint":
        learning_rate, schedule_steps = config.joint.learning_rate, config.joint.schedule_steps
    weights = loss_weights(parts, kind)
    optimizer = optimizers.segmentation_optimizer(
        config.optimizer,
        learning_rate=learning_rate,
        steps=schedule_steps,
        decay_mask=lambda params: models.trainable_mask(parts.segmenter, params),
    )
    adversary = None
    if weights.adversarial_classifiers:
        adversary = optimizers.discriminator_optimizer(
            config.optimizer,
            learning_rate=phase_config.discriminator_learning_rate,
            steps=schedule_steps,
        )
    step = steps.make_train_step(
        parts.segmenter,
        optimizer,
        weights,
        discriminator=parts.discriminator,
        discriminator_optimizer=adversary,
        discriminator_input=config.warmup.discriminator_input,
        accumulation=parts.accumulation,
    )

    def create(carry: Carry, key: jax.Array) -> steps.TrainState:
        state = steps.create_state(
            carry["model"],
            optimizer,
            key,
            discriminator=carry["discriminator"],
            discriminator_optimizer=adversary,
        )
        if carry["optimizers"] is None:
            return state
        model, discriminator = carry["optimizers"]
        return state.replace(optimizer=model, discriminator_optimizer=discriminator)

    return PhaseTraining(
        create=create,
        step=mesh_lib.data_parallel(step, parts.mesh, batched_arguments=(1,), donate=True),
        uses_source=weights.uses_source,
        uses_target=weights.uses_target,
    )


def _selector_training(parts: Components) -> PhaseTraining:
    config = parts.config.selector

    def decay_mask(params):
        mask = models.trainable_mask
        return {
            "backbone": mask(parts.frozen_segmenter, params["backbone"]),
            "classifier": tuple(
                mask(parts.frozen_segmenter, each) for each in params["classifier"]
            ),
        }

    optimizer = optimizers.segmentation_optimizer(
        parts.config.optimizer,
        learning_rate=config.learning_rate,
        steps=config.steps,
        decay_mask=decay_mask,
    )
    step = pixel_selector.make_selector_step(
        parts.frozen_segmenter,
        optimizer,
        discrepancy_weight=config.discrepancy_weight,
        reversal=config.reversal,
        feature_dropout=config.feature_dropout,
        pseudo_label_threshold=config.pseudo_label_threshold,
        accumulation=parts.accumulation,
    )

    def create(carry: Carry, key: jax.Array) -> pixel_selector.SelectorState:
        return pixel_selector.create_selector(carry["model"], optimizer, key, noise=config.noise)

    return PhaseTraining(
        create=create,
        step=mesh_lib.data_parallel(step, parts.mesh, batched_arguments=(2,), donate=True),
        uses_source=False,
        uses_target=True,
    )
