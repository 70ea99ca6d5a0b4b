"""What tests of whole runs share: processes that are killed, results that are compared."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from tests.conftest import ROOT
from tests.tiny import tiny_config

RUN = """
import sys
from labor_jax import experiment
from tests.tiny import tiny_config
experiment.run(tiny_config(sys.argv[2]), sys.argv[1])
"""


def store_digest(workdir):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.digest()


def comparable(summary):
    """A summary without what a clock measured."""
    rounds = [{k: v for k, v in r.items() if k != "wall_seconds"} for r in summary["rounds"]]
    return {**summary, "rounds": rounds, "wall_seconds": None}


def kill_when(process, condition, deadline=120):
    """Sends SIGKILL as soon as the condition holds; False if the process ended before that."""
    end = time.monotonic() + deadline
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            return False
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return True


def reached(workdir, phase):
    """Whether the metrics file tells of a phase."""
    path = workdir / "metrics.jsonl"
    return path.exists() and f'"{phase}"' in path.read_text()


def answered_images(workdir, round_number):
    try:
        with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
            return store.statistics(round_number).answered_images
    except (ValueError, RuntimeError):
        return 0


def check_kill_and_resume(method, uninterrupted, tmp_path, moment):
    """Kills a run at a moment, resumes it, and compares it with one that nothing interrupted."""
    whole, summary = uninterrupted
    command = [sys.executable, "-c", RUN, str(tmp_path), method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {
        "cwd": ROOT,
        "env": environment,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
    }
    killed = kill_when(subprocess.Popen(command, **options), lambda: moment(tmp_path))
    assert killed, "the run ended before the moment came"
    assert not (tmp_path / "summary.json").exists()
    resumed = experiment.run(tiny_config(method), tmp_path)
    assert comparable(resumed) == comparable(summary)
    assert store_digest(tmp_path) == store_digest(whole)


class OtherLabels:
    """A split with the same images; subclasses say what their labels are."""

    def __init__(self, split):
        self._split, self.names = split, split.names

    def __len__(self):
        return len(self._split)

    def size(self, i):
        return self._split.size(i)

    def image(self, i):
        return self._split.image(i)


class GarbledOutside(OtherLabels):
    """A pool whose labels are right where a run asked, and garbage everywhere else."""

    def __init__(self, split, workdir):
        super().__init__(split)
        with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES) as store:
            self._asked = {name: store.asked(name) for name in self.names}
        self._garbage = np.random.default_rng(0)

    def label(self, i):
        right = self._split.label(i)
        garbage = self._garbage.integers(0, len(street.CLASSES), right.shape, np.uint8)
        return np.where(self._asked[self.names[i]], right, garbage)


class Unlabelled(OtherLabels):
    """A pool whose labels nobody may read."""

    def label(self, i):
        raise AssertionError(f"the label of {self.names[i]} was read")
