"""Phases that train the model: supervised, warm-up, the rounds' training, joint training."""

from typing import Any

import jax
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import phase_training
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover, after_training
from labor_jax.experiment.plan import Phase
from labor_jax.training.state import TrainState

evaluates = True


def domains(config: ConfigDict, phase: Phase) -> tuple[str, ...]:
    """The domains whose training images the phase reads."""
    return components_lib.terms(config, phase.section).domains


def build_training(components: Components, phase: Phase) -> phase_training.Training:
    """The phase's training; phases of one section share it."""
    section = components.config.joint if phase.joint else components.config[phase.section]
    return phase_training.build_training(
        components,
        phase,
        components.segmenter,
        variables=components.variable_shapes,
        learning_rate=section.learning_rate,
        steps=section.steps,
        schedule_steps=section.schedule_steps if phase.joint else section.steps,
        schedule_start=section.query_steps[phase.round - 1] if phase.joint and phase.round else 0,
    )


def first_state(
    components: Components, phase: Phase, handover: Handover, key: jax.Array
) -> TrainState:
    """The state before the first step; joint training goes on where it was."""
    training = build_training(components, phase)
    # Of the network in training, so that a term can move it towards the model of each step.
    model = models.Model(variables=handover.model, network=training.network)
    state = training.first_state(components, handover.model, model, handover.players, key)
    if handover.ongoing is None:
        return state
    return state.replace(
        optimizer=handover.ongoing.optimizer,
        player_optimizers=handover.ongoing.player_optimizers,
        memory=handover.ongoing.memory,
    )


def checkpointed(handover: Handover) -> Handover:
    """The part of the handover that a checkpoint within the phase keeps: the players."""
    return handover.replace(model=None, selector=None, ongoing=None)


def hand_on(
    components: Components, phase: Phase, handover: Handover, state: TrainState
) -> Handover:
    """The trained model and its players."""
    del components
    return after_training(handover, state, joint=phase.joint)


def run(
    session: Any, phase: Phase, handover: Handover, state: TrainState | None, save: Any
) -> Handover:
    """Waits for the round's answers, then trains."""
    if phase.round:
        session.require_answers(phase.round)
    kept = checkpointed(handover)
    state = phase_training.train(
        session,
        phase,
        build_training(session.components, phase),
        lambda key: first_state(session.components, phase, handover, key),
        state,
        lambda taken, state, **more: save(taken, kept, state, **more),
        model=handover.model,
    )
    return hand_on(session.components, phase, handover, state)
