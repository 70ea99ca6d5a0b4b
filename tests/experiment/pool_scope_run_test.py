"""Runs with a budget over the pool: one process or two, killed or not, ask the same."""

import json
import os
import shutil
import signal
import time

import pytest

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair, street
from tests.experiment.processes_run_test import finish, start_config
from tests.runs import answered_images, check_resumes, interrupt_query
from tests.tiny import tiny_config

CONFIG = """
from tests.experiment.pool_scope_run_test import pool_config

def get_config():
    return pool_config("ripu_ra")
"""


def pool_config(method):
    """A tiny run in which images compete."""
    config = tiny_config(method)
    acquisition = config.acquisition
    acquisition.scope = "pool"
    if method == "ripu_ra":
        acquisition.update(fraction=0.0, seconds=2 * 60.0, class_weights="predicted")
    elif method == "spl":
        acquisition.class_weights = "answers"
    return config


def sizes_of(workdir, round_number):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.query_sizes(round_number)


@pytest.fixture(scope="module", params=["spl", "ripu_ra"])
def whole(request, tmp_path_factory):
    """A run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    config = pool_config(request.param)
    return config, workdir, experiment.run(config, workdir)


def test_the_pool_shares_the_budget(whole):
    config, workdir, _ = whole
    for number in (1, 2):
        sizes = sizes_of(workdir, number)
        if config.method == "spl":
            assert sum(share for _, share in sizes) * 32 * 64 <= 4 * 32 * 64 * 0.025
        else:
            clicks = [count for count, _ in sizes]
            assert len(set(clicks)) > 1
            seconds = 2.4 * sum(clicks) + 1.0 * sum(count > 0 for count in clicks)
            assert 60 - 3.4 < seconds <= 60


def test_an_interrupted_query_is_resumed(whole, tmp_path):
    config, workdir, summary = whole
    interrupt_query(config, tmp_path / "run", 2)
    check_resumes(config, (workdir, summary), tmp_path / "run")


def test_two_processes_ask_the_same(whole, tmp_path):
    config, workdir, _ = whole
    if config.method == "spl":
        pytest.skip("the selector's dropout depends on the devices")
    two = tmp_path / "run"
    processes = start_config(two, CONFIG)
    end = time.monotonic() + 240
    while answered_images(two, 2) == 0:
        assert all(process.poll() is None for process in processes), finish(processes)
        assert time.monotonic() < end
        time.sleep(0.005)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    alone = shutil.copytree(two, tmp_path / "alone")
    outputs, statuses = finish(start_config(two, CONFIG))
    assert statuses == [0, 0], outputs
    experiment.run(config, alone)  # and one process goes on where two were killed
    expected = json.loads((workdir / "summary.json").read_text())["rounds"]
    for resumed in (two, alone):
        rounds = json.loads((resumed / "summary.json").read_text())["rounds"]
        for ours, theirs in zip(rounds, expected, strict=True):
            for field in ("labelled_pixels", "clicks"):
                assert ours[field] == theirs[field]
        assert queries_of(resumed, 1) == queries_of(workdir, 1)


def queries_of(workdir, number):
    pool = load_pair("street", tiny_config("spl").data).pool
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return [store.query(name, number).tobytes() for name in pool.names]
