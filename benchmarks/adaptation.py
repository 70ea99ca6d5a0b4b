"""Accuracy of every method of adaptation on one data pair: docs/adaptation.md's table.

    python benchmarks/adaptation.py --pair street --seeds 0 1 2 --jobs 2
    python benchmarks/adaptation.py --pair camvid --methods advent dacs+mic --steps 1000 \\
        -- --config.data.root=DIR

All methods of a seed start from one run that is trained on the source alone, and take the steps of
`uda:METHOD`, or `--steps`, in all their phases together. A method whose supervised phase is one
of its own, with an auxiliary head say, trains that phase itself. "source only, as many steps"
learns the source's labels in one phase as long as the start and the method together: what it gains
over the start is no adaptation. "source only, further steps" goes on from the start as a method
does, with the source's labels alone; it sees target images, so that batch norm's running statistics
may follow them. What a method gains over it is the method's. mIoU is that of the last
checkpoint. A run that exists is resumed or read, so the command can be repeated, also with more
methods. What stands after `--` goes to each run. `benchmarks/adaptation_step.py` times a step of
each method.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runner import (
    ROOT,
    Run,
    RunError,
    exit_status,
    load_config,
    run_all,
    split_extra,
)
from benchmarks.tables import publish, to_stderr
from labor_jax import adaptation, recipes
from labor_jax.experiment import amounts, warm_start
from labor_jax.experiment.report import comparison_text, results
from labor_jax.experiment.report.comparison import Row, Table
from labor_jax.experiment.report.results import Result

# GTAV to Cityscapes, 19 classes, DeepLab-v2 on ResNet-101, mIoU in %. By LabOR (Shin et al., ICCV
# 2021), Table 1, unless another source is named.
PUBLISHED = {
    "source only": "36.6",
    "adaptsegnet": "41.4",  # Tsai et al., CVPR 2018
    "adaptsegnet_two_level": "42.4",
    "advent": "43.8",
    "bdl": "48.5",  # Li et al., CVPR 2019
    "cbst": "45.9",
    "clan": "43.2",  # Luo et al., CVPR 2019
    "crst": "47.1",  # MRKLD
    "dacs": "52.1",  # Tranheden et al., WACV 2021
    "fda": "50.5",  # three models averaged; 50.45 in the published code's README
    "intrada": "46.3",  # Pan et al., CVPR 2020
    "iast": "51.5",
    "ltir": "50.2",
    "max_squares": "45.2",  # image-wise weights, one level; Chen et al., ICCV 2019
    "mic": "59.4",  # on DAFormer's recipe, which reaches 56.0 alone; Hoyer et al., CVPR 2023
    "min_entropy": "42.2",  # Chen et al., ICCV 2019
    "patch_adapt": "46.5",  # Tsai et al., ICCV 2019
    "pceda": "50.5",
    "sim": "49.2",
    "tpld": "51.2",
    "wda": "56.4",  # point labels
}

START, LONGER, FURTHER = "source_only", "source_only_longer", "source_only_further"


def main(arguments: Sequence[str]) -> int:
    """Runs the methods and prints the table; returns the exit status."""
    own, extra = split_extra(arguments)
    given = _parser().parse_args(own)
    output = (given.output or ROOT / "runs" / f"adaptation_{given.pair}").resolve()
    methods = given.methods or sorted(adaptation.METHODS)

    def make(problems: dict[str, str]) -> None:
        runs = plan_runs(methods, given.pair, given.seeds, given.steps, tuple(extra), output)
        problems |= run_all(runs, output, given.jobs)
        rows = read_rows(methods, given.seeds, output, problems)
        if any(row.results for row in rows):
            table = Table(("method",), tuple(rows), compared_with=rows[2])
            publish(table, output, markdown(rows))

    return exit_status(make)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", default="street")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="which of them, or several joined by + (all that are registered)",
    )
    parser.add_argument("--steps", type=int, help="of each method (those of its config)")
    parser.add_argument("--output", type=Path, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    return parser


def plan_runs(
    methods: Sequence[str],
    pair: str,
    seeds: Sequence[int],
    steps: int | None,
    extra: tuple[str, ...],
    output: Path,
) -> list[Run]:
    """The runs of all seeds: the start, two on the source alone, then each method's.

    Args:
      methods: names of methods of adaptation, or several joined by "+".
      pair: the data pair.
      seeds: each method is run once for each.
      steps: of each method; None for as many as its config has.
      extra: further flags of all runs.
      output: the folder of the workdirs.

    Raises:
      RunError: a config can't be loaded, a method is unknown, or `extra` sets a method's steps.
    """
    for method in methods:
        try:
            recipes.find(f"uda:{method}")
        except ValueError as error:
            raise RunError(str(error)) from error
    for field in ("warmup.steps", "retraining.steps", "retraining.stages"):
        if any(flag.split("=")[0].lstrip("-") == f"config.{field}" for flag in extra):
            raise RunError(f"config.{field} is a method's own; give --steps for all of them.")
    if steps is not None and steps < 1:
        raise RunError(f"--steps is {steps}; a method needs at least 1.")
    runs = []
    for seed in seeds:
        own = {"seed": str(seed)}
        start = Run(f"{START}_seed{seed}", f"configs/source_only.py:{pair}", own, extra)
        alone = load_config(start, output)["supervised"]["steps"]
        # A phase of one term that reads the target's images and, without answers, learns nothing.
        terms = {"warmup.terms.min_entropy": "0.0", "warmup.terms.answers": "1.0"}
        further = Run(
            f"{FURTHER}_seed{seed}", f"configs/uda.py:min_entropy,{pair}", {**own, **terms}, extra
        )
        own_steps = load_config(further, output)["warmup"]["steps"]
        budget = steps or (own_steps and max(own_steps, alone or 0))
        if alone is None or budget is None:
            raise RunError(
                f"The pair {pair} chooses its steps from the data, so that they can't be made "
                "equal. Give --steps, and --config.supervised.steps=N after --."
            )
        longer = {**own, "supervised.steps": str(alone + budget)}
        further = dataclasses.replace(
            further, overrides={**further.overrides, "warmup.steps": str(budget)}, start=start.name
        )
        runs += [start, Run(f"{LONGER}_seed{seed}", start.config, longer, extra), further]
        runs += [method_run(method, pair, start, budget, output) for method in methods]
    return runs


def method_run(method: str, pair: str, start: Run, steps: int, output: Path) -> Run:
    """A method's run: of so many steps, from the start if its supervised phase is that one's.

    Args:
      method: its name.
      pair: the data pair.
      start: the run on the source alone, of the same seed.
      steps: of the method's phases together. They keep their shares; stages of retraining are as
        long as each other, so that the last may go beyond.
      output: the folder of the workdirs.
    """
    seed = start.overrides["seed"]
    run = Run(
        f"{method}_seed{seed}", f"configs/uda.py:{method},{pair}", {"seed": seed}, start.extra
    )
    fields = load_config(run, output)
    run = dataclasses.replace(run, overrides={**run.overrides, **phase_steps(fields, steps)})
    ours, theirs = (ConfigDict(load_config(each, output)) for each in (run, start))
    try:
        warm_start.shared_phase(ours, theirs)
    except ValueError as error:
        to_stderr(f"{run.name} trains its first phase itself: {start.name} {error}")
        return run
    return dataclasses.replace(run, start=start.name)


def phase_steps(config: dict[str, Any], steps: int) -> dict[str, str]:
    """The overrides by which a method's phases take so many steps together, in their shares.

    Args:
      config: the method's, as JSON has it; phases whose steps are chosen from the data are as long
        as each other.
      steps: at least 1; stages of retraining are equally long, so that the last may go beyond.
    """
    warmup, retraining = config["warmup"]["steps"], dict(config["retraining"])
    if warmup is None or retraining["steps"] is None:
        warmup = retraining["stages"] if warmup is None else 0
        retraining["steps"] = 1 if retraining["steps"] is None else 0
    planned = warmup + retraining["stages"] * retraining["steps"]
    own = round(steps * warmup / planned) if planned else 0
    overrides = {"warmup.steps": str(own)}
    if retraining["steps"]:
        overrides["retraining.steps"] = str(-(-(steps - own) // retraining["stages"]))
    return overrides


def read_rows(
    methods: Sequence[str], seeds: Sequence[int], output: Path, problems: dict[str, str]
) -> list[Row]:
    """The rows of the runs that are finished: the source alone, the methods."""
    headings = {
        START: "source only",
        LONGER: "source only, as many steps",
        FURTHER: "source only, further steps",
    }
    return [
        Row(
            (headings.get(name, name),),
            tuple(
                results.read(output / f"{name}_seed{seed}")
                for seed in seeds
                if f"{name}_seed{seed}" not in problems
            ),
        )
        for name in (START, LONGER, FURTHER, *methods)
    ]


def markdown(rows: Sequence[Row]) -> str:
    """The table; mIoU in %, differences in points, to "source only, further steps".

    Args:
      rows: those of `read_rows`; the third is what the others are compared with.
    """
    further = rows[2].mious()
    seeds = sorted({result.seed for row in rows for result in row.results})
    header = ["method", *(f"seed {seed}" for seed in seeds), "mean ± std", "gain"]
    header += ["time", "published, GTAV → Cityscapes"]
    lines = []
    for row in rows:
        mious = row.mious()
        gains = [100 * (miou - further[seed]) for seed, miou in mious.items() if seed in further]
        lines.append(
            [
                *row.cells,
                *(f"{100 * mious[seed]:.1f}" if seed in mious else "-" for seed in seeds),
                comparison_text.mean_and_spread([100 * miou for miou in mious.values()]),
                f"{statistics.mean(gains):+.1f}" if gains and row is not rows[2] else "-",
                _time(row.results),
                PUBLISHED.get(row.cells[0], "-"),
            ]
        )
    return comparison_text.markdown_lines(header, lines, text_columns=1)


def _time(runs: Sequence[Result]) -> str:
    """Mean wall time of whole runs, with the start that they went on from."""
    return amounts.duration(statistics.mean(run.wall_seconds for run in runs)) if runs else "-"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
