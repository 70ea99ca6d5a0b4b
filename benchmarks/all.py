"""Runs the benchmarks and rewrites their page, docs/benchmarks.md.

    python benchmarks/all.py
    python benchmarks/all.py --accuracy --masked_runs runs/spl_camvid
    python benchmarks/all.py --quick --only acquisition annotation

The page holds the machine, the versions, the date and, of each benchmark, its command and what it
printed. One that fails, or that can't run here, is named with the reason. Only the benchmarks of
speed are run, one after the other: give them a machine that does nothing else. `--accuracy` adds
the tables of methods, which take hours; their runs are kept in runs/ and resumed. `--quick` takes
sizes so small that only mistakes show, and with `--only` a part is run: then the page goes to
stdout, unless `--output` names a file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import importlib.metadata
import importlib.util
import itertools
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import labor_jax
from benchmarks.runner import ROOT, TAIL_LINES, available_cores
from benchmarks.tables import to_stderr
from labor_jax import file_errors
from labor_jax.atomic_files import write_atomically
from labor_jax.experiment import amounts

PAGE = ROOT / "docs" / "benchmarks.md"

BY_HAND = "By hand:"
"""What a note on the page begins with that this program didn't write."""

_ONE_SEED = ("--seeds", "0", "--")
_TINY = (
    *("--config.data.image_size=(32, 64)", "--config.data.source_count=4"),
    *("--config.data.pool_count=2", "--config.data.evaluation_count=2"),
    *("--config.preview_images=0", "--config.supervised.steps=1"),
    *("--config.model.backbone=two_layers", "--config.model.output_stride=4"),
    *("--config.model.width=4", "--config.model.head=linear"),
)
_FEW_STEPS = (
    *("--config.warmup.steps=1", "--config.selector.steps=1", "--config.round.steps=1"),
    *("--config.joint.steps=6", "--config.joint.schedule_steps=7"),
    "--config.joint.query_steps=(1, 2, 3, 4, 5)",
)


class Benchmark(NamedTuple):
    """A benchmark, and how it is run.

    Attributes:
      title: on the page.
      about: a sentence on what it measures.
      script: a file, seen from the repository.
      arguments: of the command.
      quick: further arguments that make it tiny.
      modules: what it imports that not every installation has.
      programs: what has to be on PATH.
      accuracy: whether it trains for hours.
      takes_masked_runs: whether it measures runs that a user names.
    """

    title: str
    about: str
    script: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    accuracy: bool = False
    takes_masked_runs: bool = False

    @property
    def name(self) -> str:
        """As `--only` takes it."""
        return Path(self.script).stem


BENCHMARKS = (
    Benchmark(
        "Acquisition",
        "Scores and selections of full-size images, against plain loops and the memory's speed.",
        "benchmarks/acquisition.py",
        quick=("--height", "64", "--width", "128"),
    ),
    Benchmark(
        "A budget over the pool",
        "What it costs to let all images of a pool compete.",
        "benchmarks/pool_scope.py",
        quick=("--images", "2", "--pool", "4", "--height", "64", "--width", "128"),
    ),
    Benchmark(
        "Reading images",
        "PNG files to batches, against Pillow.",
        "benchmarks/input_pipeline.py",
        quick=(
            *("--height", "64", "--width", "128", "--input_height", "32", "--input_width", "64"),
            *("--files", "4", "--images", "8", "--threads", "1"),
        ),
    ),
    Benchmark(
        "A training step",
        "RIPU's step against the same step in PyTorch.",
        "benchmarks/train_step.py",
        quick=(
            *("--source_size", "32x64", "--target_size", "32x64", "--width", "8"),
            *("--rounds", "1", "--steps", "1"),
        ),
        modules=("torch",),
    ),
    Benchmark(
        "A step of each method of adaptation",
        "Its time and memory beside plain training.",
        "benchmarks/adaptation_step.py",
        quick=(
            *("--methods", "min_entropy", "--rounds", "1", "--steps", "1"),
            *("--", "--config.data.image_size=(32, 64)", "--config.data.source_count=2"),
        ),
    ),
    Benchmark(
        "The labelling tool under load",
        "Fifty people label at once, and the server is killed in between.",
        "benchmarks/annotation.py",
        quick=("--annotators", "2", "--images", "4", "--think", "0"),
        modules=("starlette", "uvicorn"),
    ),
    Benchmark(
        "Segments of masks",
        "How many keys a mask takes, with and without a cut along edges.",
        "benchmarks/segments.py",
        programs=("node",),
        takes_masked_runs=True,
    ),
    Benchmark(
        "LabOR's table",
        "Every method of LabOR from one warm-up a seed, on street scenes.",
        "benchmarks/methods.py",
        quick=(*_ONE_SEED, *_TINY, *_FEW_STEPS),
        accuracy=True,
    ),
    Benchmark(
        "Ways to choose pixels",
        "Acquisition functions under the same joint training and budget, on street scenes.",
        "benchmarks/methods.py",
        ("--table", "acquisition", "--points", "40", "--fractions", "0.02197"),
        quick=("--methods", "entropy", *_ONE_SEED, *_TINY, *_FEW_STEPS),
        accuracy=True,
    ),
    Benchmark(
        "Ways of asking for people's time",
        "mIoU against seconds of people's time, on street scenes.",
        "benchmarks/which_query.py",
        quick=(
            *("--ways", "random", "--seconds", "20", *_ONE_SEED),
            *_TINY,
            *_FEW_STEPS,
        ),
        accuracy=True,
    ),
    Benchmark(
        "Methods of adaptation",
        "Accuracy without asking anybody, on street scenes.",
        "benchmarks/adaptation.py",
        quick=("--methods", "min_entropy", "--steps", "1", *_ONE_SEED, *_TINY),
        accuracy=True,
    ),
)
"""In the order of the page."""


class Outcome(NamedTuple):
    """What came of a benchmark.

    Attributes:
      benchmark: the benchmark.
      command: what was run, or would have been.
      output: what it printed on stdout.
      seconds: how long it took; None if it was not run.
      problem: why it failed, or was not run; "" if all is well.
    """

    benchmark: Benchmark
    command: str
    output: str = ""
    seconds: float | None = None
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmarks and writes the page; returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted({each.name for each in BENCHMARKS})
    parser.add_argument("--accuracy", action="store_true", help="also the tables that take hours")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to find mistakes")
    parser.add_argument("--only", nargs="+", choices=names, help="these alone")
    parser.add_argument(
        "--masked_runs", nargs="+", default=[], metavar="WORKDIR", help="for segments.py"
    )
    parser.add_argument("--output", type=Path, help=f"the page ({PAGE.relative_to(ROOT)})")
    given = parser.parse_args(arguments)
    chosen = [
        each
        for each in BENCHMARKS
        if (each.name in given.only if given.only else given.accuracy or not each.accuracy)
    ]
    command = shlex.join(["python", "benchmarks/all.py", *arguments])
    partial = given.quick or given.only
    output = given.output or (None if partial else PAGE)
    if output is not None:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--output is {output}: {file_errors.describe(error) or error}")
        if output.is_dir():
            parser.error(f"--output is {output}, a folder; name a file.")
    outcomes = []
    for number, benchmark in enumerate(chosen, start=1):
        to_stderr(f"[{number}/{len(chosen)}] {benchmark.title}: starts")
        outcomes.append(run(benchmark, quick=given.quick, masked_runs=given.masked_runs))
        to_stderr(f"[{number}/{len(chosen)}] {benchmark.title}: {_state(outcomes[-1])}")
    page = describe(outcomes, machine(), command=command, quick=given.quick)
    if output is None:
        print(page, end="")
    else:
        write_atomically(output, page)
        to_stderr(f"{output} is written.")
    return 1 if any(each.problem and each.seconds is not None for each in outcomes) else 0


def run(benchmark: Benchmark, *, quick: bool, masked_runs: Sequence[str] = ()) -> Outcome:
    """Runs a benchmark in a process of its own, from the repository's folder."""
    arguments = [*benchmark.arguments, *(benchmark.quick if quick else ())]
    named = (masked_runs or ("WORKDIR",)) if benchmark.takes_masked_runs else ()
    command = shlex.join(["python", benchmark.script, *arguments, *named])
    arguments += map(os.path.abspath, named)
    reason = missing(benchmark, masked_runs)
    if reason:
        return Outcome(benchmark, command, problem=reason)
    if quick and benchmark.accuracy:
        with tempfile.TemporaryDirectory() as folder:
            return _run(benchmark, command, ["--output", folder, *arguments])
    return _run(benchmark, command, arguments)


def missing(benchmark: Benchmark, masked_runs: Sequence[str]) -> str:
    """Why a benchmark can't run here; "" if it can."""
    for name in benchmark.modules:
        if importlib.util.find_spec(name) is None:
            return f"the Python package {name} is not installed"
    for name in benchmark.programs:
        if shutil.which(name) is None:
            return f"the program {name} is not on PATH"
    if benchmark.takes_masked_runs and not masked_runs:
        return "it measures runs that asked masks; name some with --masked_runs"
    return ""


def _run(benchmark: Benchmark, command: str, arguments: Sequence[str]) -> Outcome:
    started = time.monotonic()
    tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
    with (
        tempfile.TemporaryFile("w+", errors="replace") as output,
        subprocess.Popen(
            [sys.executable, benchmark.script, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stderr:
            sys.stderr.write(line)
            if line.strip():
                tail.append(line.rstrip())
        status = process.wait()
        output.seek(0)
        text = output.read()
    problem = "\n".join([*tail, f"(exit status {status})"]) if status else ""
    return Outcome(benchmark, command, text, time.monotonic() - started, problem)


def machine() -> dict[str, str]:
    """What the numbers depend on, by its name."""
    packages = ("jax", "jaxlib", "numpy", "flax", "torch", "pillow")
    versions = [f"Python {platform.python_version()}"]
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": datetime.date.today().isoformat(),
        "labor_jax": _version(),
        "versions": ", ".join(versions),
        "processor": f"{_processor()}, {len(available_cores())} cores",
        "memory": f"{gigabytes:.0f} GB",
        "JAX's devices": _devices(),
        "operating system": platform.system(),
    }


def _version() -> str:
    """The package's version with the commit, if this is a clone."""
    git = ["git", "-C", str(ROOT)]
    commit, changes = (
        subprocess.run([*git, *command], capture_output=True, text=True, check=False)
        for command in (("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain"))
    )
    if commit.returncode:
        return labor_jax.__version__
    changed = " with changes" if changes.stdout.strip() else ""
    return f"{labor_jax.__version__}, commit {commit.stdout.strip()}{changed}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _devices() -> str:
    """JAX's devices, asked by another process: the first to ask takes most of a GPU's memory."""
    code = "import jax; d = jax.devices(); print(len(d), d[0].platform, d[0].device_kind)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=2)
    if not found:
        return "none that work"
    count, kind, name = found[0], found[1], found[2].strip()
    return f"{count} {kind}" if name == kind else f"{count} {kind} ({name})"


def describe(
    outcomes: Sequence[Outcome], machine: dict[str, str], *, command: str, quick: bool
) -> str:
    """The page.

    Args:
      outcomes: of the benchmarks, in the order of the page.
      machine: what the numbers depend on, by its name.
      command: what writes the page.
      quick: whether the sizes were tiny, so that the numbers say nothing.
    """
    lines = ["# Benchmarks", ""]
    if quick:
        lines += ["**A trial with tiny sizes: its numbers say nothing about speed.**", ""]
    lines += [
        f"`{command}` wrote this page. A note that begins with {BY_HAND!r} tells what was changed "
        "since; the next run writes all anew. Times are of this machine; ratios are of two things "
        "that were measured in the same run.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value.replace('|', ' ')} |" for name, value in machine.items()),
        "",
    ]
    for outcome in outcomes:
        lines += [f"## {outcome.benchmark.title}", "", outcome.benchmark.about, ""]
        lines += ["```sh", outcome.command, "```", ""]
        if outcome.seconds is None:
            lines += [f"Not run: {outcome.problem}.", ""]
            continue
        lines += _shown(_without_root(outcome.output))
        if outcome.problem:
            lines += ["It failed:", "", *_fenced(_without_root(outcome.problem).splitlines())]
        else:
            lines += [f"It took {amounts.duration(outcome.seconds)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _shown(output: str) -> list[str]:
    """What a benchmark printed: its tables as tables, other lines as they stand."""
    lines = []
    for is_table, group in itertools.groupby(
        output.strip("\n").splitlines(), lambda line: line.startswith("|")
    ):
        shown = [line.rstrip() for line in group]
        if is_table:
            lines += [*shown, ""]
        elif any(shown):
            lines += _fenced(shown)
    return lines


def _fenced(lines: Sequence[str]) -> list[str]:
    return ["```text", *"\n".join(lines).strip("\n").splitlines(), "```", ""]


def _without_root(text: str) -> str:
    """The text with this repository's files named as seen from it."""
    return text.replace(f"{ROOT}{os.sep}", "")


def _state(outcome: Outcome) -> str:
    if outcome.seconds is None:
        return f"not run, since {outcome.problem}"
    return f"{'FAILED' if outcome.problem else 'done'} after {outcome.seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
