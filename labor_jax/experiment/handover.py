"""What one phase of the experiment hands on to the next."""

from typing import Any

from flax import struct

from labor_jax.training.state import TrainState
from labor_jax.training.terms import Memory


class OngoingTraining(struct.PyTreeNode):
    """What joint training carries through its queries, so that it goes on as if never stopped.

    Attributes:
      optimizer: the model optimiser's state.
      player_optimizers: the players', by term and player.
      memory: what the terms keep, with the players' parameters.
    """

    optimizer: Any
    player_optimizers: dict[str, dict[str, Any]]
    memory: Memory


class Handover(struct.PyTreeNode):
    """What a phase hands on.

    Attributes:
      model: the segmentation model's variables.
      players: parameters of every player so far, by term and player: a later phase with the same
        term goes on with them.
      selector: the pixel selector's variables, from its training to the query; else None.
      ongoing: within joint training; else None.
      first_model: `model` as it was before the first query, from there on, where the acquisition
        method compares with it; else None.
    """

    model: dict[str, Any]
    players: dict[str, dict[str, Any]]
    selector: dict[str, Any] | None = None
    ongoing: OngoingTraining | None = None
    first_model: dict[str, Any] | None = None


def players_after(
    before: dict[str, dict[str, Any]], state: TrainState
) -> dict[str, dict[str, Any]]:
    """All players after a phase: those that were handed to it, and its own.

    Args:
      before: parameters by term and player.
      state: the phase's last.
    """
    return {**before, **state.players}


def after_training(handover: Handover, state: TrainState, *, joint: bool) -> Handover:
    """What a phase that trained the model hands on.

    Args:
      handover: what it was handed.
      state: its last state.
      joint: whether the phase belongs to joint training.
    """
    ongoing = (
        OngoingTraining(state.optimizer, state.player_optimizers, state.memory) if joint else None
    )
    return Handover(
        model=state.variables,
        players=players_after(handover.players, state),
        ongoing=ongoing,
        first_model=handover.first_model,
    )
