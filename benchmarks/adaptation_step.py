"""A training step of each method of adaptation next to plain training: seconds and memory.

    python benchmarks/adaptation_step.py --pair street
    python benchmarks/adaptation_step.py --pair camvid --methods dacs mic -- --config.data.root=DIR

Plain training learns labels of the source and of the target, so that the network sees either
domain's batch once. A method's phases with losses of their own are timed each, in rounds that
alternate with plain training: what else the machine does slows both. The step is the one that
`labor_jax.main` takes, on a batch of the pair's images; what a term finds by looking at the whole
pool first stays at what it starts with. Memory is the compiler's plan: what a step holds at most.
What stands after `--` is of the config.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runner import split_extra
from benchmarks.tables import to_stderr
from labor_jax import adaptation, config_argument
from labor_jax.data import IGNORE_LABEL, pipeline
from labor_jax.experiment import batch_inputs, phase_training
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import train_model
from labor_jax.experiment.plan import Phase, plan
from labor_jax.experiment.report import comparison_text
from labor_jax.training import mesh as mesh_lib

SECTIONS = ("warmup", "retraining")
"""The sections that a method has losses in, after the supervised phase."""


class Measured(NamedTuple):
    """A phase of a method, timed next to plain training.

    Attributes:
      method: its name.
      section: the phase's section of the config.
      players: whether it trains a network beside the model.
      seconds: a step's, one for each round.
      plain_seconds: likewise.
      bytes: what a step holds at most; None where the compiler tells no plan.
      plain_bytes: likewise.
    """

    method: str
    section: str
    players: bool
    seconds: list[float]
    plain_seconds: list[float]
    bytes: int | None
    plain_bytes: int | None

    def time_ratio(self) -> float:
        """Of the fastest rounds: the others waited for something."""
        return min(self.seconds) / min(self.plain_seconds)


class Step:
    """The step of a config's phase, compiled, with its state and a batch."""

    def __init__(self, components: Components, phase: Phase):
        """Compiles it.

        Args:
          components: the config's.
          phase: one that trains the model.
        """
        variables = components_lib.initial_variables(components)
        variables = components_lib.load_pretrained(components, variables)
        training = train_model.build_training(components, phase)
        handover = Handover(model=variables, players={})
        state = train_model.first_state(components, phase, handover, jax.random.key(0))
        # The step donates its state, of which leaves may occur twice.
        self._state = mesh_lib.replicate(jax.tree.map(jax.numpy.copy, state), components.mesh)
        batch = {name: _batch(components, name) for name in training.terms.domains}
        self._batch = mesh_lib.shard_batch(batch, components.mesh)
        compiled = phase_training.compile_step(components, training)
        self._compiled = compiled.lower(self._state, self._batch).compile()
        self.has_players = bool(training.players)

    def seconds(self, steps: int) -> float:
        """Takes some steps; returns what one took."""
        jax.block_until_ready(self._state)
        start = time.perf_counter()
        for _ in range(steps):
            self._state, _ = self._compiled(self._state, self._batch)
        jax.block_until_ready(self._state)
        return (time.perf_counter() - start) / steps

    def peak_bytes(self) -> int | None:
        """Most bytes held at once, as the compiler planned."""
        plan = self._compiled.memory_analysis()
        if plan is None:
            return None
        held = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
        return held - plan.alias_size_in_bytes


def _batch(components: Components, domain: str) -> dict[str, np.ndarray]:
    """A training batch of a domain, augmented; nobody has answered yet."""

    def unanswered(index: int) -> np.ndarray:
        return np.full(components.pair.pool.size(index), IGNORE_LABEL, np.uint8)

    images = batch_inputs.training_images(components, domain, unanswered)
    spec = batch_inputs.training_spec(components, domain)
    with contextlib.closing(pipeline.training_batches(images, spec, seed=0, start=0)) as batches:
        return next(batches)


def plain_step(config: ConfigDict) -> Step:
    """The step of plain training: cross-entropy on the source and on the target, each seen once.

    Args:
      config: of training on the source alone; changed in place.
    """
    config.warmup.update(steps=1)
    for name in config.warmup.terms:
        config.warmup.terms[name] = 1.0 if name in ("source_labels", "answers") else 0.0
    (phase,) = (phase for phase in plan(config) if phase.section == "warmup")
    return Step(components_lib.build(config), phase)


def measure(
    method: str, config: ConfigDict, plain: Step, *, rounds: int, steps: int
) -> list[Measured]:
    """Times the phases of a method; each in turn with plain training.

    Args:
      method: its name, for the table.
      config: the method's.
      plain: of the same pair.
      rounds: of both; one more warms up.
      steps: in a round.
    """
    components = components_lib.build(config)
    measured = []
    for phase in plan(config):
        if phase.section not in SECTIONS or phase.stage:
            continue
        step = Step(components, phase)
        times = [(step.seconds(steps), plain.seconds(steps)) for _ in range(rounds + 1)][1:]
        own, of_plain = (list(each) for each in zip(*times, strict=True))
        memory = step.peak_bytes(), plain.peak_bytes()
        measured.append(Measured(method, phase.section, step.has_players, own, of_plain, *memory))
    return measured


def markdown(measured: Sequence[Measured]) -> str:
    """The table; times are medians."""
    header = ["method", "phase", "trains another network", "s/step", "of plain"]
    header += ["memory, MiB", "of plain"]
    lines = []
    for each in measured:
        known = each.bytes is not None and each.plain_bytes
        lines.append(
            [
                each.method,
                each.section,
                "yes" if each.players else "no",
                f"{statistics.median(each.seconds):.3g}",
                f"{each.time_ratio():.2f}",
                f"{each.bytes / 2**20:.0f}" if known else "-",
                f"{each.bytes / each.plain_bytes:.2f}" if known else "-",
            ]
        )
    return comparison_text.markdown_lines(header, lines, text_columns=3)


def main(arguments: Sequence[str]) -> int:
    """Times the methods and prints the table; returns the exit status."""
    own, extra = split_extra(arguments)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", default="street")
    parser.add_argument("--methods", nargs="+", metavar="METHOD", help="which of them (all)")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2, help="in a round")
    given = parser.parse_args(own)

    def config_of(name: str) -> ConfigDict:
        config = config_argument.load(name)
        config_argument.override(config, ["main", *extra])
        return config

    plain = plain_step(config_of(f"source_only:{given.pair}"))
    measured = []
    for method in given.methods or sorted(adaptation.METHODS):
        config = config_of(f"uda:{method},{given.pair}")
        found = measure(method, config, plain, rounds=given.rounds, steps=given.steps)
        for each in found:
            to_stderr(f"{method}, {each.section}: {each.time_ratio():.2f} of plain")
        measured += found
        jax.clear_caches()  # each program holds memory
    print(markdown(measured), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
