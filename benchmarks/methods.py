"""Accuracy of every method on one data pair: runs them all and prints a table.

    python benchmarks/methods.py --pair street --seeds 0 1 2
    python benchmarks/methods.py --pair camvid --seeds 0 -- --config.data.root=DIR
    python benchmarks/methods.py --table acquisition --pair street --jobs 2 \\
        --points 5 10 40 160 --fractions 0.001 0.005 0.022 0.05

`--table labor`, the default, is LabOR's: all methods of a seed start from one model, and random
pixels get SPL's share of the pixels, and once more PPL's number of points. `--table acquisition`
compares how pixels are chosen and nothing else: every method under RIPU's joint training, from one
start a seed, at equal budgets of points and of shares. Its first row is that start, which ends
where the others ask for the first time and train on. A run that exists is resumed or read, so the
command can be repeated. What stands after `--` goes to each run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import budgets
from benchmarks.runner import ROOT, Run, RunError, exit_status, run_all, split_extra, start_run
from benchmarks.tables import publish, read_row
from labor_jax.experiment.report import comparison, results
from labor_jax.experiment.report.comparison import Row, Table

POINT_METHODS = {
    "random": "random pixels",
    "entropy": "entropy",
    "core_set": "core-set",
    "ripu_pa": "RIPU-PA",
}
"""Compared at numbers of points."""

SHARE_METHODS = {
    "random": "random pixels",
    "random_regions": "random regions",
    "entropy": "entropy",
    "least_confidence": "least confidence",
    "margin": "margin",
    "impurity": "impurity alone",
    "uncertainty": "uncertainty alone",
    "ripu_ra": "RIPU-RA",
    "spl": "SPL (LabOR)",
}
"""Compared at shares of the pixels."""

UNBUDGETED_METHODS = {
    "human_points": ("human points (WDA)", "1 a class"),
    "ppl": ("PPL (LabOR)", "up to 1 a class and round"),
    "supervised": ("supervised", "all"),
}
"""What they ask is no field."""

METHODS = tuple(dict.fromkeys((*POINT_METHODS, *SHARE_METHODS, *UNBUDGETED_METHODS)))


class Entry(NamedTuple):
    """A row of the acquisition table, before its runs.

    Attributes:
      cells: the method and its budget, for people.
      name: of its workdirs, before the seed.
      method: the acquisition method.
      overrides: the fields that set its budget.
    """

    cells: tuple[str, str]
    name: str
    method: str
    overrides: dict[str, str]


def main(arguments: Sequence[str]) -> int:
    """Runs the methods and prints the table; returns the exit status."""
    own, extra = split_extra(arguments)
    parser = _parser()
    given = parser.parse_args(own)
    if given.table == "labor" and (given.points or given.fractions or given.methods):
        parser.error("--points, --fractions and --methods are for --table acquisition.")
    folder = "methods" if given.table == "labor" else "acquisition"
    output = (given.output or ROOT / "runs" / f"{folder}_{given.pair}").resolve()

    def make(problems: dict[str, str]) -> None:
        make_table = _labor if given.table == "labor" else _acquisition
        table = make_table(given, output, tuple(extra), problems)
        if any(row.results for row in table.rows):
            publish(table, output)

    return exit_status(make)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", choices=("labor", "acquisition"), default="labor")
    parser.add_argument("--pair", default="street")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument(
        "--points",
        type=int,
        nargs="+",
        default=[],
        help="an image, over all rounds (40 if --fractions is not given either)",
    )
    parser.add_argument(
        "--fractions",
        type=budgets.positive,
        nargs="+",
        default=[],
        help="of the pixels, over all rounds (0.022 if --points is not given either)",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="which of them (all)")
    return parser


def _labor(
    given: argparse.Namespace, output: Path, extra: tuple[str, ...], problems: dict[str, str]
) -> Table:
    runs = labor_runs(given.pair, given.seeds, extra)
    budgets.check(_of_one_seed(runs), output)
    problems |= run_all(runs, output, given.jobs)
    spent = {}
    for seed in given.seeds:
        names = (f"spl_seed{seed}", f"ppl_seed{seed}")
        if not problems.keys() & set(names):
            spent[seed] = tuple(results.read(output / name) for name in names)
    randoms = labor_random_runs(given.pair, spent, extra)
    problems |= run_all(randoms, output, given.jobs)
    return labor_table(output, [run.name for run in (*runs, *randoms)], problems)


def labor_runs(pair: str, seeds: Sequence[int], extra: tuple[str, ...]) -> list[Run]:
    """The starts, and the methods that no other result decides the budget of."""
    runs = [start_run(f"configs/ppl.py:{pair}", seed, extra) for seed in seeds]
    for seed in seeds:
        for name in ("supervised", "spl", "ppl"):
            config, overrides = f"configs/{name}.py:{pair}", {"seed": str(seed)}
            runs.append(Run(f"{name}_seed{seed}", config, overrides, extra, f"start_seed{seed}"))
    return runs


def labor_random_runs(
    pair: str,
    budgets: dict[int, tuple[results.Result, results.Result]],
    extra: tuple[str, ...],
) -> list[Run]:
    """Random pixels at the budgets of each seed's (SPL, PPL) results."""
    runs = []
    for seed, (spl, ppl) in budgets.items():
        for name, points, fraction in (
            ("random_points", round(ppl.pixels_per_image), 0),
            ("random_share", 0, f"{spl.labelled_fraction:.6f}"),
        ):
            overrides = {"seed": str(seed), **_budget(points=points, fraction=fraction)}
            config = f"configs/random.py:{pair}"
            runs.append(Run(f"{name}_seed{seed}", config, overrides, extra, f"start_seed{seed}"))
    return runs


def labor_table(output: Path, names: Sequence[str], problems: dict[str, str]) -> Table:
    """LabOR's table of the runs that are finished."""
    rows = {
        name: read_row((heading,), output, name, names, problems)
        for name, heading in (
            ("start", "warmup"),
            ("random_points", "random, PPL's points"),
            ("ppl", "ppl"),
            ("random_share", "random, SPL's share"),
            ("spl", "spl"),
            ("supervised", "supervised"),
        )
    }
    starts = rows["start"].results
    source_only = Row(("source_only",), tuple(result.before_adaptation() for result in starts))
    if starts and not starts[0].config["warmup"]["steps"]:
        del rows["start"]
    return Table(("method",), (source_only, *rows.values()), rows["supervised"])


def _acquisition(
    given: argparse.Namespace, output: Path, extra: tuple[str, ...], problems: dict[str, str]
) -> Table:
    points, fractions = given.points, given.fractions
    if not points and not fractions:
        points, fractions = [40], [0.022]
    entries = acquisition_entries(points, fractions, given.methods or METHODS)
    if not entries:
        raise RunError(
            "--methods names none that is compared at "
            f"{'numbers of points; give --fractions' if points else 'shares; give --points'}."
        )
    runs = acquisition_runs(entries, given.pair, given.seeds, extra)
    budgets.check(_of_one_seed(runs), output)
    problems |= run_all(runs, output, given.jobs)
    return acquisition_table(output, entries, [run.name for run in runs], problems)


def acquisition_entries(
    points: Sequence[int], fractions: Sequence[float], methods: Sequence[str]
) -> list[Entry]:
    """The rows of some methods: by points, without a budget, by shares, supervised."""
    entries = [
        Entry(
            (POINT_METHODS[method], f"{count} points"),
            f"{method}_points{count}",
            method,
            _budget(points=count, fraction=0),
        )
        for count in points
        for method in POINT_METHODS
        if method in methods
    ]
    unbudgeted = [
        Entry(cells, name, "all" if name == "supervised" else name, {})
        for name, cells in UNBUDGETED_METHODS.items()
        if name in methods
    ]
    entries += [entry for entry in unbudgeted if entry.method != "all"]
    entries += [
        Entry(
            (SHARE_METHODS[method], f"{100 * fraction:g}%"),
            f"{method}_share{fraction:g}",
            method,
            {"acquisition.max_fraction": f"{fraction:g}"}
            if method == "spl"
            else _budget(points=0, fraction=f"{fraction:g}"),
        )
        for fraction in fractions
        for method in SHARE_METHODS
        if method in methods
    ]
    return entries + [entry for entry in unbudgeted if entry.method == "all"]


def acquisition_runs(
    entries: Sequence[Entry], pair: str, seeds: Sequence[int], extra: tuple[str, ...]
) -> list[Run]:
    """One start a seed, then each entry's run from it."""
    starts = [start_run(f"configs/active.py:random,{pair}", seed, extra) for seed in seeds]
    runs = list(starts)
    for seed, start in zip(seeds, starts, strict=True):
        for entry in entries:
            config = f"configs/active.py:{entry.method},{pair}"
            overrides = {"seed": str(seed), **entry.overrides}
            name = f"{entry.name}_seed{seed}"
            runs.append(Run(name, config, overrides, extra, start.name))
    return runs


def acquisition_table(
    output: Path, entries: Sequence[Entry], names: Sequence[str], problems: dict[str, str]
) -> Table:
    """The acquisition table of the runs that are finished.

    People are not shown LabOR's estimate, which charges masks by other rates than points.
    """
    rows = [read_row(("at the first query", "nothing asked yet"), output, "start", names, problems)]
    rows += [read_row(entry.cells, output, entry.name, names, problems) for entry in entries]
    supervised = [
        row for row, entry in zip(rows[1:], entries, strict=True) if entry.method == "all"
    ]
    return Table(
        ("method", "budget"),
        tuple(rows),
        supervised[0] if supervised else None,
        tuple(name for name in comparison.USUAL_COLUMNS if name != "labor_hours"),
    )


def _of_one_seed(runs: Sequence[Run]) -> list[Run]:
    """The runs of the first seed; budgets are the same for each."""
    return [run for run in runs if run.overrides["seed"] == runs[0].overrides["seed"]]


def _budget(*, points: int | str, fraction: float | str) -> dict[str, str]:
    """The fields of a budget; a config may have the other one set, and only one may be."""
    return {"acquisition.points": f"{points}", "acquisition.fraction": f"{fraction}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
