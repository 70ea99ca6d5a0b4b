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
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runner import ROOT, Run, exit_status, run_all, split_extra, start_run
from benchmarks.tables import publish, read_row
from labor_jax import acquisition
from labor_jax.experiment.report.comparison import Table

WITHOUT_BUDGET = ("ppl", "spl", "human_points", "all")
"""Ways that seconds don't limit: their row is the price of their usual budget."""


class Entry(NamedTuple):
    """A row of the table, before its runs.

    Attributes:
      way: the acquisition method.
      seconds: of people's time for each pool image; None for a way without a budget.
    """

    way: str
    seconds: float | None

    @property
    def name(self) -> str:
        """Of its workdirs, before the seed."""
        return self.way if self.seconds is None else f"{self.way}_{self.seconds:g}s"

    @property
    def cells(self) -> tuple[str, str]:
        """The way and its budget, for people."""
        return self.way, "its own" if self.seconds is None else f"{self.seconds:g} s"


def main(arguments: Sequence[str]) -> int:
    """Runs the ways of asking and prints the table; returns the exit status."""
    own, extra = split_extra(arguments)
    given = _parser().parse_args(own)
    output = (given.output or ROOT / "runs" / f"which_query_{given.pair}").resolve()
    extra = (f"--config.recipe={given.recipe}", *extra)
    entries = plan_entries(given.ways or default_ways(), given.seconds)

    def make() -> dict[str, str]:
        runs = plan_runs(entries, given.pair, given.seeds, extra)
        problems = run_all(runs, output, given.jobs)
        shown = read_table(entries, [run.name for run in runs], output, problems)
        if any(row.results for row in shown.rows):
            publish(shown, output)
        return problems

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
        type=float,
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
    entries: Sequence[Entry], pair: str, seeds: Sequence[int], extra: tuple[str, ...]
) -> list[Run]:
    """One start a seed, then each entry's run from it."""
    runs = []
    for seed in seeds:
        start = start_run(f"configs/active.py:random,{pair}", seed, extra)
        runs.append(start)
        for entry in entries:
            overrides = {"seed": str(seed)}
            if entry.seconds is not None:
                overrides |= {
                    "acquisition.points": "0",
                    "acquisition.fraction": "0.0",
                    "acquisition.seconds_per_image": f"{entry.seconds:g}",
                }
            name, config = f"{entry.name}_seed{seed}", f"configs/active.py:{entry.way},{pair}"
            runs.append(Run(name, config, overrides, extra, start.name))
    return runs


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
