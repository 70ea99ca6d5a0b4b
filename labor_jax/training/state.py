"""The train state: all that a step changes, and how a phase starts it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from labor_jax.training.terms import Memory, Player


class TrainState(struct.PyTreeNode):
    """Everything a step changes.

    Attributes:
      step: int32[], steps taken in this phase.
      key: uint32[...], key data that the step folds its number into.
      variables: the network's, in linen's layout.
      optimizer: the optimiser's state over `variables["params"]`.
      memory: what each term keeps, with its players' parameters.
      player_optimizers: the players' optimiser states, by term and player.
    """

    step: jax.Array
    key: jax.Array
    variables: dict[str, Any]
    optimizer: Any
    memory: Memory
    player_optimizers: dict[str, dict[str, Any]]

    @property
    def players(self) -> dict[str, dict[str, Any]]:
        """The players' parameters, by term and player."""
        return {
            term: {name: self.memory[term][name] for name in optimizers}
            for term, optimizers in self.player_optimizers.items()
        }


def create_state(
    variables: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    *,
    memory: Memory | None = None,
    players: Mapping[str, Mapping[str, Player]] | None = None,
) -> TrainState:
    """A phase's first state: fresh optimisers over the given variables.

    Args:
      variables: the network's.
      optimizer: over `variables["params"]`.
      key: a JAX random key.
      memory: what the terms keep, with the players' parameters (`with_players`).
      players: the phase's, by term and name.

    Returns:
      The state of step 0.
    """
    memory = memory or {}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(key),
        variables=dict(variables),
        optimizer=optimizer.init(variables["params"]),
        memory=memory,
        player_optimizers={
            term: {name: player.optimizer.init(memory[term][name]) for name, player in own.items()}
            for term, own in (players or {}).items()
        },
    )


def with_players(memory: Memory, parameters: Mapping[str, Mapping[str, Any]]) -> Memory:
    """The terms' memory with their players' parameters, by term and player.

    Raises:
      ValueError: a term's own memory has the name of one of its players.
    """
    for term, kept in memory.items():
        for name in sorted(kept.keys() & parameters.get(term, {}).keys()):
            raise ValueError(
                f"memory of the term {term!r} returned {name!r}, which is the name of one of its "
                "players, whose parameters are kept beside it; rename one of the two."
            )
    return {term: {**kept, **parameters.get(term, {})} for term, kept in memory.items()}
