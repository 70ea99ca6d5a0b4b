"""Which way of asking is worth people's time: mIoU against their seconds, on one data pair.

    python benchmarks/which_query.py --pair street --seeds 0 1 2 --jobs 2
    python benchmarks/which_query.py --pair camvid --ways random superpixels --seconds 20 75 \\
        -- --config.data.root=DIR

Every way of asking gets so many seconds of people's time for each pool image, over all rounds, and
learns from the answers in the same joint training, by default with the recipe "today". Seconds are
those of published rates (`labor_jax.annotation.cost`), planned before the answers are known; the
table shows what the answers really took. Some ways take no seconds: their row is one price. mIoU is
that of the last checkpoint. A run that exists is resumed or read, so the command can be repeated.
What stands after `--` goes to each run.

A round has to hold at least one question an image, and opening an image costs time in each round.
So a small budget is spent in fewer rounds, which the row says; one that buys nothing even in one
round is left out, with a line on stderr. All ways of a seed start from one model at the first
query; one that trains differently before it, with another head say, has a start of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import budgets
from benchmarks.runner import (
    ROOT,
    Run,
    RunError,
    exit_status,
    load_config,
    run_all,
    split_extra,
    start_run,
)
from benchmarks.tables import publish, read_row, to_stderr
from labor_jax import acquisition, models
from labor_jax.active import pool_query
from labor_jax.experiment import data_checks, warm_start
from labor_jax.experiment.components import Components
from labor_jax.experiment.report.comparison import Table

WITHOUT_BUDGET = ("ppl", "spl", "human_points", "all")
"""Ways that seconds don't limit: their row is the price of their usual budget."""

DROPOUT = 0.1
"""Of the head, for ways that read passes with dropout, where it has none otherwise."""


class Entry(NamedTuple):
    """A row of the table, before its runs.

    Attributes:
      way: the acquisition method.
      seconds: of people's time for each pool image; None for a way without a budget.
      rounds: in how many the seconds are spent, where these are fewer than the config's.
    """

    way: str
    seconds: float | None
    rounds: int | None = None

    @property
    def name(self) -> str:
        """Of its workdirs, before the seed."""
        return self.way if self.seconds is None else f"{self.way}_{self.seconds:g}s"

    @property
    def cells(self) -> tuple[str, str]:
        """The way and its budget, for people."""
        budget = "its own" if self.seconds is None else f"{self.seconds:g} s"
        if self.rounds is not None:
            budget += f", {self.rounds} round{'s' if self.rounds > 1 else ''}"
        return self.way, budget


def main(arguments: Sequence[str]) -> int:
    """Runs the ways of asking and prints the table; returns the exit status."""
    own, extra = split_extra(arguments)
    given = _parser().parse_args(own)
    output = (given.output or ROOT / "runs" / f"which_query_{given.pair}").resolve()
    extra = (f"--config.recipe={given.recipe}", *extra)
    entries = plan_entries(given.ways or default_ways(), given.seconds)

    def make(problems: dict[str, str]) -> None:
        rows, runs = plan_runs(entries, given.pair, given.seeds, extra, output)
        problems |= run_all(runs, output, given.jobs)
        shown = read_table(rows, [run.name for run in runs], output, problems)
        if any(row.results for row in shown.rows):
            publish(shown, output)

    return exit_status(make)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", default="street")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=acquisition.METHODS, help="which (all)")
    parser.add_argument(
        "--seconds",
        type=budgets.positive,
        nargs="+",
        default=[5, 20, 75, 300, 1200],
        help="of people's time for each pool image, over all rounds; 75 is PPL's price in LabOR",
    )
    parser.add_argument("--recipe", choices=("today", "paper"), default="today")
    parser.add_argument("--output", type=Path, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    return parser


def default_ways() -> list[str]:
    """All acquisition methods, but ablations of others."""
    return [name for name in acquisition.METHODS if name not in ("impurity", "uncertainty")]


def plan_entries(ways: Sequence[str], seconds: Sequence[float]) -> list[Entry]:
    """The rows: each way at each budget, those without a budget once, full supervision last."""
    budgeted = [way for way in ways if way not in WITHOUT_BUDGET]
    entries = [Entry(way, each) for way in budgeted for each in seconds]
    return entries + [Entry(way, None) for way in WITHOUT_BUDGET if way in ways]


def plan_runs(
    entries: Sequence[Entry], pair: str, seeds: Sequence[int], extra: tuple[str, ...], output: Path
) -> tuple[list[Entry], list[Run]]:
    """The rows that can be had and their runs: of each seed the starts, then what begins with them.

    Args:
      entries: those of `plan_entries`.
      pair: the data pair.
      seeds: each row has a run for each.
      extra: further flags of all runs.
      output: the folder of the workdirs.

    Returns:
      (the entries that hold a question, with fewer rounds where they need it, the runs).

    Raises:
      RunError: a config can't be loaded, something is wrong with it or the data, or no entry holds
        a question.
    """
    try:
        rows, dropout = _fitting_entries(entries, pair, extra, output)
    except ValueError as error:  # of the config, or a DataError
        raise RunError(str(error)) from error
    if not rows:
        raise RunError("No row is left, so nothing is run. Give more --seconds, or other --ways.")
    runs: dict[str, Run] = {}
    for seed in seeds:
        shared = start_run(f"configs/active.py:random,{pair}", seed, extra)
        runs[shared.name] = shared
        shared_config = ConfigDict(load_config(shared, output))
        starts: dict[str, Run] = {}
        for entry in rows:
            overrides = {"seed": str(seed)}
            if entry.way in dropout:
                overrides["model.dropout"] = f"{DROPOUT:g}"
            if entry.rounds is not None:
                overrides["rounds"] = str(entry.rounds)
            name, config = f"{entry.name}_seed{seed}", f"configs/active.py:{entry.way},{pair}"
            run = Run(name, config, overrides | _budget(entry), extra)
            if entry.way not in starts:
                start = starts[entry.way] = _start(entry.way, run, shared, shared_config, output)
                runs[start.name] = start
            runs[name] = dataclasses.replace(run, start=starts[entry.way].name)
    return rows, list(runs.values())


def _budget(entry: Entry) -> dict[str, str]:
    """The overrides by which a run has an entry's seconds, and no other budget."""
    if entry.seconds is None:
        return {}
    return {
        "acquisition.points": "0",
        "acquisition.fraction": "0.0",
        "acquisition.seconds_per_image": f"{entry.seconds:g}",
    }


def _fitting_entries(
    entries: Sequence[Entry], pair: str, extra: tuple[str, ...], output: Path
) -> tuple[list[Entry], set[str]]:
    """The entries that hold a question, and the ways whose head needs dropout."""
    built = budgets.components(Run("start", f"configs/active.py:random,{pair}", {}, extra), output)
    rows, dropout = [], set()
    for entry in entries:
        run = Run(entry.name, f"configs/active.py:{entry.way},{pair}", _budget(entry), extra)
        components = budgets.with_config(built, run, output)
        if "logit_samples" in acquisition.METHODS[entry.way].reads and _lacks_dropout(
            components.config, components.pair.num_classes
        ):
            dropout.add(entry.way)
        rounds, problem = rounds_that_fit(components)
        if rounds:
            fewer = rounds < components.config.rounds
            rows.append(entry._replace(rounds=rounds if fewer else None))
        else:
            to_stderr(f"{' at '.join(entry.cells)} is left out: {problem}")
    return rows, dropout


def _lacks_dropout(config: ConfigDict, num_classes: int) -> bool:
    head = models.build_segmenter(config.model, num_classes).head
    try:
        pool_query.check_head(head, with_radii=False, samples=config.acquisition.samples)
    except ValueError:
        return True
    return False


def rounds_that_fit(components: Components) -> tuple[int, str]:
    """In how many rounds a run can spend its budget, so that each holds a question.

    Args:
      components: the run's, with pool and source.

    Returns:
      (the config's rounds, or the most below them that fit, or 0; then why not even one does).
    """
    problem = ""
    for rounds in range(components.config.rounds, 0, -1):
        config = components.config.copy_and_resolve_references()
        config.rounds = rounds
        try:
            data_checks.check_budget(dataclasses.replace(components, config=config))
        except ValueError as error:
            problem = str(error)
        else:
            return rounds, ""
    return 0, problem


def _start(way: str, run: Run, shared: Run, shared_config: ConfigDict, output: Path) -> Run:
    """The run that a way's run goes on from: the shared one, unless it differs up to there."""
    try:
        warm_start.shared_phase(ConfigDict(load_config(run, output)), shared_config)
    except ValueError as error:
        own = dataclasses.replace(
            shared,
            name=f"start_{way}_seed{run.overrides['seed']}",
            config=run.config,
            overrides={
                field: value
                for field, value in {**run.overrides, "rounds": "0"}.items()
                if not field.startswith("acquisition.")
            },
        )
        to_stderr(f"{way} starts from {own.name}: {shared.name} {error}")
        return own
    return shared


def read_table(
    entries: Sequence[Entry], names: Sequence[str], output: Path, problems: dict[str, str]
) -> Table:
    """The table of the runs that are finished."""
    shown = {"start": ("at the first query", "nothing asked yet")}
    shown |= {entry.name: entry.cells for entry in entries}
    rows = [read_row(cells, output, name, names, problems) for name, cells in shown.items()]
    supervised = [each for each, entry in zip(rows[1:], entries, strict=True) if entry.way == "all"]
    columns = ("seconds_per_image", "clicks_per_image", "pixels_per_image")
    return Table(("way of asking", "budget"), tuple(rows), (*supervised, None)[0], columns)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
