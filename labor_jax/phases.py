"""The experiment as a list of phases."""

import dataclasses

from ml_collections import ConfigDict

from labor_jax.acquisition import strategies

MODEL_PHASES = ("source", "warmup", "train")
"""The kinds of phases that train the model; a selector's trains the pixel selector."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """One item of the experiment's list.

    Attributes:
      name: unique: "source", "warmup", "joint" (of joint training, before it first asks),
        "round_1/selector", "round_1/query", "round_1/train", ….
      kind: "source", "warmup", "selector", "query" or "train".
      round: 1, 2, …; 0 before the rounds.
      joint: whether the phase belongs to RIPU's joint training, through which one optimiser and one
        schedule go on.
      steps: optimiser steps; a query counts as one.
      first_step: the run's global step when the phase starts.
    """

    name: str
    kind: str
    round: int
    steps: int
    first_step: int
    joint: bool = False

    @property
    def last_step(self) -> int:
        """The run's global step when the phase is over."""
        return self.first_step + self.steps

    @property
    def evaluates(self) -> bool:
        """Whether the phase changes the model, so that it ends in an evaluation."""
        return self.kind in MODEL_PHASES


def plan(config: ConfigDict) -> tuple[Phase, ...]:
    """The phases of a config, in order; phases of 0 steps are left out."""
    listed = [("source", "source", 0, config.source.steps)]
    listed.append(("warmup", "warmup", 0, config.warmup.steps))
    if config.protocol == "joint":
        listed.append(("joint", "train", 0, config.joint.query_steps[0]))
        starts = config.joint.query_steps[: config.rounds]
        ends = (*starts[1:], config.joint.steps)
        train_steps = [end - start for start, end in zip(starts, ends, strict=False)]
    else:
        train_steps = [config.round.steps] * config.rounds
    for number, steps in enumerate(train_steps, start=1):
        name = f"round_{number}"
        if strategies.uses_selector(config.acquisition.method):
            listed.append((f"{name}/selector", "selector", number, config.selector.steps))
        listed.append((f"{name}/query", "query", number, 1))
        listed.append((f"{name}/train", "train", number, steps))
    phases, first_step = [], 0
    for name, kind, number, steps in listed:
        if steps > 0:
            joint = config.protocol == "joint" and kind not in ("source", "warmup")
            phases.append(Phase(name, kind, number, steps, first_step, joint))
            first_step += steps
    return tuple(phases)


def before_rounds(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The phases that come before the first round: what another run's warm start can stand for."""
    return tuple(phase for phase in phases if phase.round == 0)


def hands_on_optimizer(phases: tuple[Phase, ...], phase: Phase) -> bool:
    """Whether joint training has begun when a phase ends, so that its optimiser is handed on."""
    upto = phases[: phases.index(phase) + 1]
    return any(each.joint and each.kind == "train" for each in upto)
