"""The experiment as a list of phases."""

import dataclasses

from ml_collections import ConfigDict

from labor_jax.acquisition import strategies


@dataclasses.dataclass(frozen=True)
class Phase:
    """One item of the experiment's list.

    Attributes:
      name: unique: "source", "warmup", "round_1/selector", "round_1/query", "round_1/train", ….
      kind: "source", "warmup", "selector", "query" or "train".
      round: 1, 2, …; 0 before the rounds.
      steps: optimiser steps; a query counts as one.
      first_step: the run's global step when the phase starts.
    """

    name: str
    kind: str
    round: int
    steps: int
    first_step: int

    @property
    def last_step(self) -> int:
        """The run's global step when the phase is over."""
        return self.first_step + self.steps

    @property
    def evaluates(self) -> bool:
        """Whether the phase changes the model, so that it ends in an evaluation."""
        return self.kind in ("source", "warmup", "train")


def plan(config: ConfigDict) -> tuple[Phase, ...]:
    """The phases of a config, in order; phases of 0 steps are left out."""
    listed = [("source", "source", 0, config.source.steps)]
    listed.append(("warmup", "warmup", 0, config.warmup.steps))
    for number in range(1, config.rounds + 1):
        if strategies.uses_selector(config.acquisition.method):
            listed.append((f"round_{number}/selector", "selector", number, config.selector.steps))
        listed.append((f"round_{number}/query", "query", number, 1))
        listed.append((f"round_{number}/train", "train", number, config.round.steps))
    phases, first_step = [], 0
    for name, kind, number, steps in listed:
        if steps > 0:
            phases.append(Phase(name, kind, number, steps, first_step))
            first_step += steps
    return tuple(phases)
