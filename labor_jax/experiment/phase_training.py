"""What the phases that train a network share: the step, the batches, the loop.

Target labels come from the label store alone.
"""

import contextlib
import dataclasses
import functools
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from labor_jax import models
from labor_jax.active import strategies
from labor_jax.data import IGNORE_LABEL, DataError, pipeline
from labor_jax.experiment import batch_inputs, profiling
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.keys import named_key, named_seed
from labor_jax.experiment.passes import Passes
from labor_jax.experiment.plan import Phase
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training import loop, optimizers
from labor_jax.training import mesh as mesh_lib
from labor_jax.training.state import TrainState, create_state, with_players
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Memory, Player, Setup, Terms, naming


@dataclasses.dataclass(frozen=True)
class Training:
    """How the phases of one section train.

    Attributes:
      network: what is trained.
      terms: the loss.
      players: the terms', by term and name.
      setup: what the terms may know of the phase.
      optimizer: over the network's parameters.
      rate: the backbone's learning rate in a step of the phase, counted from 0.
    """

    network: nn.Module
    terms: Terms
    players: dict[str, dict[str, Player]]
    setup: Setup
    optimizer: optax.GradientTransformation
    rate: Callable[[int], float]

    def first_state(
        self,
        components: Components,
        variables: dict[str, Any],
        model: models.Model,
        players: dict[str, dict[str, Any]],
        key: jax.Array,
    ) -> TrainState:
        """The state before the first step.

        Args:
          components: the run's.
          variables: the network's.
          model: the model that was handed on, which terms may keep.
          players: parameters of earlier phases' players, by term and player; others are drawn.
          key: a JAX random key.
        """
        drawn: dict[str, dict[str, Any]] = {}
        for term, own in self.players.items():
            kept = players.get(term, {})
            with naming(term, "players"):
                drawn[term] = {
                    name: kept[name]
                    if name in kept
                    else player.init(named_key(components.config.seed, f"{term}/{name}"))
                    for name, player in own.items()
                }
        return create_state(
            variables,
            self.optimizer,
            key,
            memory=with_players(self.terms.memory(model, self.setup), drawn),
            players=self.players,
        )


def build_training(
    components: Components,
    phase: Phase,
    network: nn.Module,
    *,
    variables: dict[str, Any],
    learning_rate: float,
    steps: int,
    schedule_steps: int,
    schedule_start: int = 0,
) -> Training:
    """Builds the training of a section's phases.

    Args:
      components: the run's.
      phase: one of them.
      network: what is trained.
      variables: the shapes of its variables.
      learning_rate: the backbone's at step 0.
      steps: the phase's; of a phase of joint training, those of all its phases together.
      schedule_steps: where the schedule reaches 0.
      schedule_start: where the phase's first step is on it.
    """
    config, pair = components.config, components.pair
    terms = components_lib.terms(config, phase.section)
    optimizer = optimizers.segmentation_optimizer(
        config.optimizer,
        learning_rate=learning_rate,
        steps=schedule_steps,
        decay_mask=lambda params: models.trainable_mask(
            network, params, variables.get("batch_stats", {})
        ),
        frozen=() if terms.uses_auxiliary_head else ("auxiliary_head",),
    )
    setup = Setup(
        num_classes=pair.num_classes,
        image_size=components_lib.image_size(components),
        schedule=lambda rate: optimizers.polynomial_schedule(
            rate, schedule_steps, config.optimizer.power
        ),
        classes=tuple(pair.classes),
        num_images={
            domain: 0 if split is None else len(split)
            for domain, split in (("source", pair.source), ("target", pair.pool))
        },
        steps=steps,
        network=network,
        optimizer=optimizer,
    )
    return Training(
        network=network,
        terms=terms,
        players=terms.players(setup),
        setup=setup,
        optimizer=optimizer,
        rate=lambda step: optimizers.polynomial_rate(
            learning_rate, schedule_steps, config.optimizer.power, schedule_start + step
        ),
    )


def compile_step(
    components: Components, training: Training, apply: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """The training's step over all devices; it donates the state.

    Args:
      components: the run's.
      training: what is trained, and how.
      apply: see `make_train_step`.
    """
    step = make_train_step(
        training.network,
        training.optimizer,
        training.terms,
        players=training.players,
        microbatches=components.microbatches,
        apply=apply,
    )
    return mesh_lib.data_parallel(step, components.mesh, batched_arguments=(1,), donate=True)


def train(
    session: Any,
    phase: Phase,
    training: Training,
    begin: Callable[[jax.Array], TrainState],
    state: TrainState | None,
    save: Callable[..., None],
    *,
    model: dict[str, Any],
) -> TrainState:
    """Takes a phase's steps, from its start or from a state that a checkpoint held.

    Args:
      session: the run's `Session`.
      phase: the phase.
      training: its training.
      begin: from a random key to the state before the first step.
      state: where a checkpoint left it, or None.
      save: gets the steps taken, the state, and `unlogged`, see `loop.train`.
      model: the model's variables that were handed on, for passes over the data.

    Returns:
      The state after the last step.
    """
    components, config = session.components, session.config
    unlogged = [] if state is None else session.unlogged
    if state is None:
        state = begin(named_key(config.seed, phase.name))
        passes = Passes(
            components, mesh_lib.local_copy(model), stage=phase.stage, once=session.once
        )
        memory = _before_phase(phase, training.terms, passes, state.memory)
        # The step donates the state's buffers. The handover, and leaves that occur twice in the
        # state, need buffers of their own.
        state = jax.tree.map(jnp.copy, state.replace(memory=memory))
    state = mesh_lib.replicate(state, components.mesh)
    start = int(state.step)
    step = session.once(
        ("step", phase.section, phase.joint), lambda: compile_step(components, training)
    )

    def log(taken: int, means: loop.Metrics, seconds: float | None) -> None:
        pace = {} if seconds is None else {"images_per_second": images / seconds}
        rate = training.rate(taken - 1)
        session.log_metrics(phase.first_step + taken, phase, **means, learning_rate=rate, **pace)

    images = session.images_per_step(phase)
    with (
        contextlib.closing(_batches(session, phase, training.terms, start)) as batches,
        profiling.traced(step, phase, start, session.profile, session.folder.profile) as step,
    ):
        return loop.train(
            step,
            state,
            batches,
            name=phase.name,
            start=start,
            stop=phase.steps,
            steps_after=session.steps_after(phase),
            log_every=config.log_every,
            on_log=log,
            checkpoint_every=config.checkpoint_every,
            on_checkpoint=lambda taken, state, waiting: save(taken, state, unlogged=waiting),
            unlogged=unlogged,
            on_pace=session.estimates_time(phase),
        )


def _before_phase(phase: Phase, terms: Terms, passes: Passes, memory: Memory) -> Memory:
    """What the terms keep after they looked at whole splits.

    Raises:
      DataError, ProcessError: see `Terms.before_phase`.
      ConfigError: a term fails; a note says where, and its causes have the whole traceback.
    """
    try:
        return terms.before_phase(passes, memory)
    except DataError:
        raise
    except ValueError as error:
        told = ConfigError(f"config.{phase.section}.terms: {error}")
        if error.__cause__ is not None:
            told.add_note(f"raised at {_place(error.__cause__)}")
        raise told from error


def _place(error: BaseException) -> str:
    """The last line of a user's own, or else of any, code on the way to an error."""
    others = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")]
    others.append(Path(models.__file__).parents[1])  # the package
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if not any(map(Path(each.filename).is_relative_to, others))]
    last = (own or frames)[-1]
    return f"{last.filename}, line {last.lineno}: {last.line}"


def _batches(session: Any, phase: Phase, terms: Terms, start: int) -> Iterator[Any]:
    """Device batches of a phase from step `start` on: the terms' domains, side by side."""
    components, config = session.components, session.config
    void = terms.labels_target
    labels = functools.partial(_answered_labels, session, phase.round, void)
    with contextlib.ExitStack() as stack:
        by_domain = {
            domain: stack.enter_context(
                pipeline.training_batches(
                    batch_inputs.training_images(components, domain, labels, void=void),
                    batch_inputs.training_spec(components, domain),
                    seed=named_seed(config.seed, f"{phase.name}/{domain}"),
                    start=start,
                )
            )
            for domain in terms.domains
        }
        batches = (
            dict(zip(by_domain, each, strict=True))
            for each in zip(*by_domain.values(), strict=True)
        )
        yield from mesh_lib.prefetch_to_devices(batches, components.mesh)


def _answered_labels(session: Any, up_to_round: int, void: bool, index: int) -> np.ndarray:
    """The only target labels that training sees: those the store holds by that round.

    With `void`, answers of void are told from pixels without an answer, see `data.label_sets`.

    Before the rounds there are none: labels that exist already train from the first round on.
    """
    split = session.components.pair.pool
    if up_to_round == 0 or index in session.held_out:
        return np.full(split.size(index), IGNORE_LABEL, np.uint8)
    store = session.store.reader
    read = store.label_sets if void or strategies.asks_sets(session.config) else store.labels
    return read(split.names[index], up_to_round=up_to_round, shape=split.size(index))
