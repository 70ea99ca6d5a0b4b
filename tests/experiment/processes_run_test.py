"""Two processes train, score, select, are killed and resume as one process would have done."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair, street
from tests.conftest import ROOT
from tests.runs import answered_images, metrics
from tests.tiny import tiny_config

METHOD = "ripu_ra"  # without dropout, whose draws belong to devices
CONFIG = """
from labor_jax import data
from tests.experiment.processes_run_test import config_with, pair

data.register_pair("unmeasured")(lambda config, roles: pair())


def get_config():
    config = config_with({given!r})
    with config.unlocked():
        config.pair = "unmeasured"
    return config
"""


def pair():
    """The tiny street scenes without evaluation labels."""
    scenes = load_pair("street", tiny_config(METHOD).data)
    return dataclasses.replace(scenes, name="unmeasured", evaluation=None)


def config_with(given):
    """A tiny run that starts with some labels, and measures on a share of the answers."""
    config = tiny_config(METHOD)
    config.annotation.existing_labels = str(given)
    config.data.evaluation_from_answers = 0.5
    return config


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Labels of one image of the pool."""
    folder = tmp_path_factory.mktemp("given")
    pool = pair().pool
    label = np.array(pool.label(1))
    label[8:] = 255
    Image.fromarray(label).save(folder / f"{pool.names[1]}.png")
    return folder


def free_port():
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def start(workdir, given):
    """The command, in processes that find each other."""
    return start_config(workdir, CONFIG.format(given=str(given)))


def start_config(workdir, text, count=2):
    """The command with the config of a file of this text, in `count` processes."""
    config = workdir.parent / "config.py"
    config.write_text(text)
    port = free_port()
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "labor_jax.main"),
                *(f"--config={config}", f"--workdir={workdir}"),
                f"--coordinator_address=127.0.0.1:{port}",
                *(f"--num_processes={count}", f"--process_id={index}"),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(count)
    ]


def finish(processes, seconds=240):
    """The outputs of processes that ended; they are killed after some time."""
    try:
        outputs = [process.communicate(timeout=seconds)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return outputs, [process.returncode for process in processes]


def losses(workdir):
    """The metrics of each step that was logged, by its number and phase."""
    return {(each["step"], each["phase"], "loss" in each): each for each in metrics(workdir)}


def kill_in_second_round(processes, workdir):
    """Sends all of them SIGKILL as soon as an image of the second round is answered."""
    end = time.monotonic() + 240
    while answered_images(workdir, 2) == 0:
        assert all(process.poll() is None for process in processes), finish(processes)
        assert time.monotonic() < end
        time.sleep(0.005)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, given):
    """The workdir and summary of one process that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    return workdir, experiment.run(config_with(given), workdir, pair=pair())


@pytest.fixture(scope="module")
def killed(tmp_path_factory, given):
    """The workdir of two processes that were killed while they asked the second round."""
    workdir = tmp_path_factory.mktemp("killed") / "run"
    processes = start(workdir, given)
    kill_in_second_round(processes, workdir)
    assert not (workdir / "summary.json").exists()
    return workdir


def assert_equal_to(alone, workdir):
    """As the run of one process: sums over devices are rounded differently, nothing else is."""
    expected_workdir, expected = alone
    summary = json.loads((workdir / "summary.json").read_text())
    for ours, theirs in zip(summary["rounds"], expected["rounds"], strict=True):
        for field in ("labelled_pixels", "labelled_fraction", "clicks", "measured_pixels"):
            assert ours[field] == theirs[field]
        assert ours["miou"] == pytest.approx(theirs["miou"], abs=0.02)
    assert summary["final_miou"] == pytest.approx(expected["final_miou"], abs=0.02)
    ours, theirs = losses(workdir), losses(expected_workdir)
    assert ours.keys() == theirs.keys()
    for key, record in theirs.items():
        numbers = {name: value for name, value in record.items() if isinstance(value, float)}
        if record["phase"] == "joint" and "loss" in record:  # before anything was asked
            np.testing.assert_allclose(
                [ours[key][name] for name in numbers], list(numbers.values()), rtol=1e-3, atol=1e-5
            )
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        assert store.rounds() == [1, 2] and store.existing().images == 1
        assert all(store.round_complete(number) for number in (1, 2))
    assert [path.name for path in workdir.glob("labels*.sqlite")] == ["labels.sqlite"]


@pytest.mark.slow
def test_two_processes_are_killed_and_resume(alone, killed, given, tmp_path):
    workdir = shutil.copytree(killed, tmp_path / "run")
    outputs, statuses = finish(start(workdir, given))
    assert statuses == [0, 0], outputs
    assert_equal_to(alone, workdir)
    assert "summary.json" in outputs[0] and "summary.json" not in outputs[1]


@pytest.mark.slow
def test_another_number_of_processes_resumes(alone, killed, given):
    experiment.run(config_with(given), killed, pair=pair())
    assert_equal_to(alone, killed)


@pytest.mark.slow
def test_a_mistake_ends_all_processes(given, tmp_path):
    """The first process finds the workdir taken; the second must not wait for it."""
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "labels.sqlite").write_bytes(b"")
    outputs, statuses = finish(start(workdir, given), 60)
    assert statuses == [1, 1]
    assert "no config.json" in outputs[0]
    assert "Process 0 failed while opening" in outputs[1]
