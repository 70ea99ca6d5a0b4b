"""What tests of whole runs share: processes that are killed, results that are compared."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from labor_jax.experiment.phases import query
from labor_jax.experiment.session import Session
from tests.conftest import ROOT
from tests.tiny import tiny_config

CLOCKED = ("time", "images_per_second")
"""What of a line of the metrics file a clock measured."""

RUN = """
import sys
from labor_jax import experiment
from tests.runs import saves_often
from tests.tiny import tiny_config
experiment.run(saves_often(tiny_config(sys.argv[2])), sys.argv[1])
"""


def saves_often(config):
    """A copy of a config with checkpoints within phases, for a run that is to be interrupted."""
    config = config.copy_and_resolve_references()
    config.checkpoint_every = 2
    return config


def store_digest(workdir):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.digest()


def comparable(summary):
    """A summary without what a clock measured."""
    rounds = [{k: v for k, v in r.items() if k != "wall_seconds"} for r in summary["rounds"]]
    return {**summary, "rounds": rounds, "wall_seconds": None}


def metrics(workdir):
    """The lines of a run's metrics file, without what a clock measured."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in each.items() if k not in CLOCKED} for each in lines]


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


def interrupt_training(config, workdir, phase_name, taken):
    """Runs until a phase has logged this step, as if Ctrl-C came then."""
    log_metrics = Session.log_metrics

    def log(self, step, phase, **values):
        log_metrics(self, step, phase, **values)
        if phase.name == phase_name and step == phase.first_step + taken:
            raise KeyboardInterrupt

    _interrupt(config, workdir, Session, "log_metrics", log)


def interrupt_query(config, workdir, round_number):
    """Runs until some images of a round were asked about, as if Ctrl-C came then."""
    record = query.Asking.record

    def record_once(self, numbers, asked):
        record(self, numbers, asked)
        if self.phase.round == round_number:
            raise KeyboardInterrupt

    _interrupt(config, workdir, query.Asking, "record", record_once)
    assert 0 < answered_images(workdir, round_number) < config.data.pool_count


def _interrupt(config, workdir, owner, name, replacement):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, replacement)
        experiment.run(saves_often(config), workdir)
    assert not (workdir / "summary.json").exists()


def check_resumes(config, uninterrupted, workdir):
    """Resumes a run that was interrupted, and compares it with one that was not."""
    whole, summary = uninterrupted
    assert comparable(experiment.run(config, workdir)) == comparable(summary)
    assert store_digest(workdir) == store_digest(whole)


def check_kill_and_resume(method, uninterrupted, tmp_path, moment):
    """Kills a run at a moment, resumes it, and compares it with one that nothing interrupted."""
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
    check_resumes(tiny_config(method), uninterrupted, tmp_path)


class Writer:
    """Keeps what TensorBoard is given, by step."""

    def __init__(self):
        self.scalars, self.images, self.flushed = [], [], 0

    def write_scalars(self, step, scalars):
        self.scalars.append((step, scalars))

    def write_images(self, step, images):
        self.images.append((step, images))

    def flush(self):
        self.flushed += 1

    def close(self):
        pass


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
