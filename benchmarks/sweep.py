"""Sweeps over fields of a config, and tables of many runs.

    python benchmarks/sweep.py --config configs/ripu_ra.py --output runs/radius \\
        --grid acquisition.radius=1,2,4,8,16 --seeds 0 1 2 --jobs 2 --shared_start
    python benchmarks/sweep.py --config configs/active.py:random_regions \\
        --config configs/active.py:ripu_ra --output runs/regions -- --config.data.root=DIR
    python benchmarks/sweep.py --compare runs/radius/*/ --output radius.csv

The first two run the product of the configs, the grids and the seeds, each run in a workdir of its
own below the output folder, and end in a table: on stdout, in table.md and table.csv, and in
table.html, which compares the runs. What stands after `--` goes to each run. A run that exists is
resumed or read, so the command can be repeated, also with more values. The third makes the table of
any workdirs: a row is runs that differ in their seed alone, a column a field in which rows differ.
`labor-jax report` compares them on a page.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runner import Run, RunError, exit_status, run_all, split_extra, start_run
from benchmarks.tables import publish, to_stderr
from labor_jax.experiment.report import comparable_runs, comparison_text, results
from labor_jax.experiment.workdir import WITHOUT_EFFECT

_CONFIG_FLAG = re.compile(r"--?(no)?config\.(?P<field>[^=]+)")
"""A flag that sets a field; its value stands behind a "=", or is the next argument."""

_LONGEST_NAME = 200
"""File systems take 255 bytes; the rest is for what is put behind the name."""


def main(arguments: Sequence[str]) -> int:
    """Runs the sweep or makes the table; returns the exit status."""
    own, extra = split_extra(arguments)
    parser = _parser()
    given = parser.parse_args(own)
    if given.compare:
        if given.config or given.grid or extra:
            parser.error("--compare makes a table of runs that exist; it takes only --output.")
        if given.output and given.output.suffix not in comparison_text.FORMATS:
            parser.error(
                f"--output is {given.output}; name a {' or '.join(comparison_text.FORMATS)} file."
            )
    elif not given.config or not given.output:
        parser.error("give --config and --output for a sweep, or --compare for a table.")

    def make(problems: dict[str, str]) -> None:
        if given.compare:
            _compare(given.compare, given.output)
        else:
            _sweep(given, extra, problems)

    return exit_status(make)


def _sweep(given: argparse.Namespace, extra: list[str], problems: dict[str, str]) -> None:
    output = given.output.resolve()
    grids = parse_grids(given.grid, extra)
    starts, runs = plan(given.config, grids, given.seeds, extra, shared_start=given.shared_start)
    problems |= run_all([*starts, *runs], output, given.jobs)
    finished = [output / run.name for run in runs if run.name not in problems]
    if finished:
        publish(comparable_runs.compare(results.read_finished(finished, to_stderr)), output)


def _compare(workdirs: Sequence[Path], output: Path | None) -> None:
    table = comparable_runs.compare(results.read_finished(workdirs, to_stderr))
    print(comparison_text.markdown(table), end="")
    if output:
        comparison_text.write(table, output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME|FILE[:ARGUMENT]",
        help="as of labor_jax.main; several are one more axis of the sweep",
    )
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="FIELD=VALUE,VALUE,…",
        help="a field of the config and its values; several grids make a product",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--output", type=Path, help="folder of the runs; of --compare, a file")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument(
        "--shared_start",
        action="store_true",
        help="run what comes before the first query once a seed, by the first config; only fields "
        "that matter after it may differ",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="WORKDIR",
        help="run nothing; make the table of these",
    )
    return parser


def parse_grids(grids: Sequence[str], extra: Sequence[str]) -> dict[str, list[str]]:
    """Reads `FIELD=VALUE,VALUE` arguments; commas in brackets or quotes belong to a value.

    Raises:
      RunError: one can't be read, names a field that other arguments set, or one that changes no
        result.
    """
    flags = (_CONFIG_FLAG.match(argument) for argument in extra)
    set_elsewhere = {flag["field"] for flag in flags if flag}
    parsed: dict[str, list[str]] = {}
    for grid in grids:
        field, equals, text = grid.partition("=")
        field = field.removeprefix("config.")
        values = split_values(text)
        if not equals or not field or not all(values):
            raise RunError(f"--grid is {grid!r}; give it as FIELD=VALUE,VALUE.")
        if field == "seed":
            raise RunError("--grid names the seed; give --seeds.")
        if field in WITHOUT_EFFECT:
            raise RunError(f"--grid names {field}, which changes nothing that a run computes.")
        if field in parsed:
            raise RunError(f"--grid names {field} twice; give all its values in one.")
        if field in set_elsewhere:
            raise RunError(f"{field} is in --grid and also after --; give it once.")
        parsed[field] = values
    return parsed


def split_values(text: str) -> list[str]:
    """Splits at the commas that are in no brackets and no quotes."""
    values, depth, quote = [""], 0, ""
    for character in text:
        if character == "," and not depth and not quote:
            values.append("")
            continue
        values[-1] += character
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
    return [value.strip() for value in values]


def plan(
    configs: Sequence[str],
    grids: dict[str, list[str]],
    seeds: Sequence[int],
    extra: Sequence[str],
    *,
    shared_start: bool = False,
) -> tuple[list[Run], list[Run]]:
    """The runs of a sweep.

    Args:
      configs: names or files, with arguments.
      grids: fields and their values.
      seeds: each combination is run once for each.
      extra: further flags of all runs.
      shared_start: whether the runs of a seed start from one run that ends before its first query.

    Returns:
      (the starts, the runs in the order seed, config, grids); no starts unless they are shared.
    """
    starts, runs = [], []
    for seed in seeds:
        start = ""
        if shared_start:
            starts.append(start_run(configs[0], seed, extra))
            start = starts[-1].name
        for config, *values in itertools.product(configs, *grids.values()):
            chosen = dict(zip(grids, values, strict=True))
            overrides = {**chosen, "seed": str(seed)}
            runs.append(Run(run_name(config, chosen, seed), config, overrides, tuple(extra), start))
    return starts, runs


def run_name(config: str, chosen: dict[str, str], seed: int) -> str:
    """A run's name, which depends on nothing else in the sweep, so that sweeps can grow."""
    path, _, argument = config.partition(":")
    parts = [Path(path).stem, argument, *(f"{field}={value}" for field, value in chosen.items())]
    # Brackets and quotes go; whatever else not all file systems and shells take becomes a hyphen.
    parts = [
        re.sub(r"[^A-Za-z0-9_.=+-]+", "-", re.sub(r"[\s()\[\]{}'\"]", "", part)) for part in parts
    ]
    full = "_".join(filter(None, parts))
    if len(full) > _LONGEST_NAME:
        digest = hashlib.sha256(full.encode()).hexdigest()[:10]
        full = f"{full[: _LONGEST_NAME - len(digest) - 1]}_{digest}"
    return f"{full}_seed{seed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
