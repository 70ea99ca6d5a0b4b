"""The experiment as a list of phases."""

import collections
import dataclasses

from ml_collections import ConfigDict

from labor_jax.active import strategies


@dataclasses.dataclass(frozen=True)
class Phase:
    """One phase: what it runs, in which round, for how many steps.

    Attributes:
      name: unique: "supervised", "warmup", "retraining_1", …, "joint" (of joint training, before it
        first asks), "round_1/selector", "round_1/query", "round_1/train", ….
      kind: what it runs, a name in `experiment.phases.KINDS`.
      section: the section of the config with its terms, steps and learning rate; a query has none.
      round: 1, 2, …; 0 before the rounds.
      joint: whether the phase belongs to RIPU's joint training, through which one optimiser and one
        schedule go on.
      stage: how many phases of the same section come before it.
      steps: optimiser steps; a query counts as one.
      first_step: the run's global step when the phase starts.
    """

    name: str
    kind: str
    section: str
    round: int
    steps: int
    first_step: int = 0
    joint: bool = False
    stage: int = 0

    @property
    def last_step(self) -> int:
        """The run's global step when the phase is over."""
        return self.first_step + self.steps


def plan(config: ConfigDict) -> tuple[Phase, ...]:
    """The phases of a config, in order; phases of 0 steps are left out."""
    joint = config.protocol == "joint"
    phases = [
        Phase("supervised", "train_model", "supervised", 0, config.supervised.steps),
        Phase("warmup", "train_model", "warmup", 0, config.warmup.steps),
        *(
            Phase(f"retraining_{number}", "train_model", "retraining", 0, config.retraining.steps)
            for number in range(1, config.retraining.stages + 1)
        ),
    ]
    train_steps = [config.round.steps] * config.rounds
    if joint:
        phases.append(
            Phase("joint", "train_model", "round", 0, config.joint.query_steps[0], joint=True)
        )
        starts = config.joint.query_steps[: config.rounds]
        ends = (*starts[1:], config.joint.steps)
        train_steps = [end - start for start, end in zip(starts, ends, strict=False)]
    for number, steps in enumerate(train_steps, start=1):
        name = f"round_{number}"
        acquisition = strategies.of_round(config.acquisition, number)
        if "selector_logits" in strategies.method(acquisition.method).reads:
            phases.append(
                Phase(
                    f"{name}/selector",
                    "train_selector",
                    "selector",
                    number,
                    config.selector.steps,
                    joint=joint,
                )
            )
        phases.append(Phase(f"{name}/query", "query", "", number, 1, joint=joint))
        phases.append(Phase(f"{name}/train", "train_model", "round", number, steps, joint=joint))
    listed, first_step, stages = [], 0, collections.Counter()
    for phase in phases:
        if phase.steps > 0:
            stage = stages[phase.section]
            listed.append(dataclasses.replace(phase, first_step=first_step, stage=stage))
            first_step += phase.steps
            stages[phase.section] += 1
    return tuple(listed)


def before_rounds(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The phases that come before the first round: what another run's warm start can stand for."""
    return tuple(phase for phase in phases if phase.round == 0)
