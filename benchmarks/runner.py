"""Runs of `labor_jax.main` as processes of their own, several at once, each on cores of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from absl import app

from benchmarks.tables import to_stderr
from labor_jax import config_argument, devices, file_errors
from labor_jax.experiment.report.results import ResultsError
from labor_jax.experiment.workdir import (
    FREE_FIELDS,
    UNCOMPARED_FIELDS,
    Workdir,
    differing_fields,
)

ROOT = Path(__file__).resolve().parents[1]
TAIL_LINES = 15
"""How much of a failed run's log is shown."""


class RunError(Exception):
    """Something that keeps runs from being started; its message is for people."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
      name: of its workdir, below the output folder.
      config: a config's name or file, with `:ARGUMENT` behind it or not.
      overrides: fields of the config and their values, as on the command line.
      extra: further flags of `labor_jax.main`; overrides win over them.
      start: name of the run whose end is this one's warm start; "" for none.
    """

    name: str
    config: str
    overrides: dict[str, str]
    extra: tuple[str, ...] = ()
    start: str = ""

    def config_flags(self, output: Path) -> list[str]:
        """The flags that make the run's config."""
        overrides = dict(self.overrides)
        if self.start:
            overrides["warm_start"] = str(output / self.start)
        fields = [f"--config.{field}={value}" for field, value in overrides.items()]
        return ["--config", _find_config(self.config), *self.extra, *fields]

    def command(self, output: Path) -> list[str]:
        """The command that runs or resumes it."""
        main = [sys.executable, "-m", "labor_jax.main"]
        return [*main, *self.config_flags(output), "--workdir", str(output / self.name)]


def start_run(config: str, seed: int, extra: Sequence[str] = ()) -> Run:
    """A run that ends before its first query, which others of its seed can start from."""
    overrides = {"seed": str(seed), "rounds": "0"}
    return Run(f"start_seed{seed}", config, overrides, tuple(extra))


def split_extra(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits the arguments at the first `--`."""
    own = list(itertools.takewhile(lambda argument: argument != "--", arguments))
    return own, list(arguments[len(own) + 1 :])


def run_all(runs: Sequence[Run], output: Path, jobs: int) -> dict[str, str]:
    """Runs or resumes experiments, `jobs` at once; one that fails leaves the others alone.

    Runs that are over already aren't started again. Each writes what it prints to `NAME.log` in
    `output`. Ctrl-C or SIGTERM end the runs under way, which the next call resumes.

    Args:
      runs: in the order in which they are to start; a run comes after its `start`, if that is one
        of them.
      output: the folder of the workdirs.
      jobs: how many at once.

    Returns:
      What went wrong, by name, for each run that failed.

    Raises:
      RunError: nothing was started, since there are more jobs than cores, a config can't be loaded,
        or two runs are the same.
    """
    groups = queue.SimpleQueue()
    for cores in core_groups(jobs):
        groups.put(cores)
    configs = {run.name: load_config(run, output) for run in runs}
    check_distinct(runs, configs)
    output.mkdir(parents=True, exist_ok=True)
    processes = _Processes(memory_shares(jobs))
    problems: dict[str, Future[str]] = {}

    def work(run: Run, number: int) -> str:
        if run.start in problems and problems[run.start].result():
            problem = f"not started, since {run.start} failed"
        elif is_finished(Workdir(output / run.name), configs[run.name]):
            to_stderr(f"[{number}/{len(runs)}] {run.name}: was finished before")
            return ""
        else:
            to_stderr(f"[{number}/{len(runs)}] {run.name}: starts, log in {output / run.name}.log")
            started = time.monotonic()
            problem = _run_process(run, output, processes)
            seconds = time.monotonic() - started
        state = "FAILED" if problem else f"finished in {seconds:.0f} s"
        to_stderr(f"[{number}/{len(runs)}] {run.name}: {state}")
        return problem

    with (
        _terminated_as_exit(),
        ThreadPoolExecutor(jobs, initializer=lambda: _pin_thread(groups.get())) as pool,
    ):
        try:
            for number, run in enumerate(runs, start=1):
                problems[run.name] = pool.submit(work, run, number)
            return {
                name: problem for name, future in problems.items() if (problem := future.result())
            }
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()
            raise


def exit_status(make: Callable[[dict[str, str]], None]) -> int:
    """Makes a table; returns the exit status, after printing what went wrong on stderr.

    Args:
      make: runs what the table needs and prints it. It gets an empty dictionary, and adds to it
        what `run_all` returns, which is told even if no table can be made.
    """
    problems: dict[str, str] = {}
    reason = None
    try:
        make(problems)
    except (RunError, ResultsError) as error:
        reason = str(error)
    except OSError as error:
        reason = file_errors.describe(error)
        if reason is None:
            raise
    for name, problem in problems.items():
        to_stderr(f"\n{name} failed:\n{problem}")
    if reason:
        to_stderr(reason)
    return 1 if problems or reason else 0


def available_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_setaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def memory_shares(jobs: int) -> dict[str, str]:
    """The environment in which each of several runs takes its part of a shared GPU's memory.

    JAX takes three quarters of a GPU at its start, of which the second process finds nothing left.
    """
    chosen = "XLA_PYTHON_CLIENT_MEM_FRACTION" in os.environ
    if jobs == 1 or chosen or not devices.uses_nvidia():
        return {}
    share = math.floor(900 / jobs) / 1000
    to_stderr(f"Each run may use {share:g} of the GPU's memory (XLA_PYTHON_CLIENT_MEM_FRACTION).")
    return {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{share:g}"}


def core_groups(jobs: int) -> list[list[int]]:
    """This process's cores, split among `jobs` in parts that differ by one core at most.

    Raises:
      RunError: there are fewer cores than jobs, or no jobs.
    """
    cores = available_cores()
    if not 1 <= jobs <= len(cores):
        raise RunError(
            f"--jobs is {jobs}, and this process may use {len(cores)} cores; each job needs one of "
            f"its own, so give 1 to {len(cores)}."
        )
    bounds = [number * len(cores) // jobs for number in range(jobs + 1)]
    return [cores[bounds[number] : bounds[number + 1]] for number in range(jobs)]


def load_config(run: Run, output: Path) -> dict[str, Any]:
    """The config that `labor_jax.main` would make of a run's flags, as its config.json has it.

    Raises:
      RunError: it can't be loaded.
    """
    try:
        _, argument, *flags = run.config_flags(output)
        config = config_argument.load(argument)
        overrides = [flag for flag in flags if flag.startswith("--config.")]
        config_argument.override(config, ["labor_jax.main", *overrides])
    except (app.UsageError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise RunError(f"{run.name}: the config {run.config} can't be loaded: {reason}") from error
    return json.loads(config.to_json())


_DATA_FOLDERS = {"data.root", "data.source_root", "data.target_root"}

_FREE_WHEN_FINISHED = {*FREE_FIELDS} - _DATA_FOLDERS
"""Fields that a finished run may differ in and needn't be started; main compares other data."""


def is_finished(folder: Workdir, config: dict[str, Any]) -> bool:
    """Whether a workdir holds the summary of a run of this config, on data in the same folders."""
    try:
        theirs = json.loads(folder.config.read_text())
        # Main writes config.json before it refuses other data, and the summary at its end.
        over = folder.summary.stat().st_mtime_ns >= folder.config.stat().st_mtime_ns
    except (FileNotFoundError, json.JSONDecodeError):  # main tells what is wrong with it
        return False
    return over and differing_fields(theirs, config).keys() <= _FREE_WHEN_FINISHED


def same_config(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two configs compute the same."""
    return differing_fields(one, other).keys() <= set(UNCOMPARED_FIELDS)


def check_distinct(runs: Sequence[Run], configs: dict[str, dict[str, Any]]) -> None:
    """Raises a RunError if two runs have one workdir, or compute the same."""
    seen: list[Run] = []
    for run in runs:
        for other in seen:
            if run.name == other.name:
                raise RunError(f"Two of the runs would be {run.name}; give each value once.")
            if same_config(configs[run.name], configs[other.name]):
                raise RunError(
                    f"{other.name} and {run.name} are the same run: their configs differ in "
                    "nothing that is computed. Give each value once."
                )
        seen.append(run)


class _Processes:
    """The processes under way, so that they can all be ended."""

    def __init__(self, environment: dict[str, str] | None = None):
        self._environment = environment or {}
        self._lock = threading.Lock()
        self._under_way: set[subprocess.Popen] = set()
        self._ended = False

    def call(self, command: list[str], log: TextIO) -> int:
        """Runs a command to its end, with its output in `log`; returns its exit status."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self._ended:
                raise CancelledError
            process = subprocess.Popen(
                command,
                env={**os.environ, **self._environment, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self._under_way.add(process)
        status = process.wait()
        with self._lock:
            self._under_way.remove(process)
        return status

    def end(self) -> None:
        """Ends all processes, and lets no other start."""
        with self._lock:
            self._ended = True
            for process in self._under_way:
                process.terminate()


def _run_process(run: Run, output: Path, processes: _Processes) -> str:
    """Runs a run's command; returns what went wrong, or ""."""
    path = output / f"{run.name}.log"
    command = run.command(output)
    with path.open("a") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        start = log.tell()
        status = processes.call(command, log)
    if status == 0 and Workdir(output / run.name).summary.exists():
        return ""
    with path.open(errors="replace") as log:
        log.seek(start)
        lines = [line for line in log.read().splitlines() if line.strip()]
    ending = f"exit status {status}" if status else "it ended without a summary.json"
    return "\n".join([*(f"  {line}" for line in lines[-TAIL_LINES:]), f"  ({ending}; {path})"])


def _pin_thread(cores: list[int]) -> None:
    """Keeps this thread, and the processes that it starts, to some cores.

    XLA's threads spin while they wait, as many of them as there are cores. Two runs that share
    their cores take several times as long as two that have their own.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Makes SIGTERM raise SystemExit, so that the processes under way are ended, too."""
    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _find_config(config: str) -> str:
    """The config with its file's full path: as seen from here, or else from the repository.

    A config's name, such as "active:random", stays as it is, and so does a file that isn't there.
    """
    name, colon, argument = config.partition(":")
    if not (name.endswith(".py") or "/" in name):
        return config
    for path in (Path(name).expanduser(), ROOT / name):
        if path.is_file():
            return f"{path.resolve()}{colon}{argument}"
    return config
