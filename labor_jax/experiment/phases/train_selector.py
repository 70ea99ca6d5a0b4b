"""Trains LabOR's pixel selector (Eq. 3 and 4) before a query, with the common train step."""

import functools
from typing import Any

import jax
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.adaptation import pixel_selector
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import phase_training
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover, players_after
from labor_jax.experiment.plan import Phase
from labor_jax.training.state import TrainState

evaluates = False


def domains(config: ConfigDict, phase: Phase) -> tuple[str, ...]:
    """The domains whose training images the phase reads."""
    return components_lib.terms(config, phase.section).domains


def network(components: Components) -> pixel_selector.PixelSelector:
    """The selector's network."""
    config = components.config.selector
    return pixel_selector.build_selector(
        components.frozen_segmenter,
        feature_dropout=config.feature_dropout,
        reversal=config.reversal,
    )


def build_training(components: Components, phase: Phase) -> phase_training.Training:
    """The training of the selector, the same in each round."""
    config = components.config.selector
    return phase_training.build_training(
        components,
        phase,
        network(components),
        variables=jax.eval_shape(
            functools.partial(pixel_selector.selector_variables, noise=config.noise),
            components.variable_shapes,
            jax.random.key(0),
        ),
        learning_rate=config.learning_rate,
        steps=config.steps,
        schedule_steps=config.steps,
    )


def first_state(
    components: Components, phase: Phase, handover: Handover, key: jax.Array
) -> TrainState:
    """The state before the first step: two copies of the head, made different."""
    noise_key, step_key = jax.random.split(key)
    variables = pixel_selector.selector_variables(
        handover.model, noise_key, noise=components.config.selector.noise
    )
    model = models.Model(variables=handover.model, network=components.frozen_segmenter)
    return build_training(components, phase).first_state(
        components, variables, model, handover.players, step_key
    )


def checkpointed(handover: Handover) -> Handover:
    """The part of the handover that a checkpoint within the phase keeps: all of it."""
    return handover


def hand_on(
    components: Components, phase: Phase, handover: Handover, state: TrainState
) -> Handover:
    """What it was handed, the selector and its players."""
    del components, phase
    players = players_after(handover.players, state)
    return handover.replace(selector=state.variables, players=players)


def run(
    session: Any, phase: Phase, handover: Handover, state: TrainState | None, save: Any
) -> Handover:
    """Trains the selector."""
    state = phase_training.train(
        session,
        phase,
        build_training(session.components, phase),
        lambda key: first_state(session.components, phase, handover, key),
        state,
        lambda taken, state, **more: save(taken, handover, state, **more),
        model=handover.model,
    )
    return hand_on(session.components, phase, handover, state)
