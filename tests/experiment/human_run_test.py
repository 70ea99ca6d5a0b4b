"""People answer: the run asks, ends politely, and goes on with their answers."""

import dataclasses
import functools
import json

import numpy as np
import pytest

from labor_jax import experiment
from labor_jax.annotation import LabelStore, Oracle
from labor_jax.data import street
from labor_jax.experiment import components
from labor_jax.experiment.config_checks import check_config
from labor_jax.experiment.workdir import ConfigError
from tests import fork_server
from tests.conftest import ROOT
from tests.runs import Unlabelled, comparable, store_digest
from tests.tiny import tiny_config


def human_config(**annotation):
    config = tiny_config("ripu_ra")
    config.annotator = "human"
    config.annotation.update(annotation)
    return config


@functools.cache
def pair():
    return components.build(tiny_config("ripu_ra")).pair


def answer(workdir, round_number):
    """As people would who know the truth."""
    oracle = Oracle(pair().pool)
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES) as store:
        for name in store.pending(round_number):
            query = store.query(name, round_number)
            assert query.any()
            store.answer(name, round_number, oracle.answer(name, query))


def run(workdir, **annotation):
    unlabelled = dataclasses.replace(pair(), pool=Unlabelled(pair().pool))
    return experiment.run(human_config(**annotation), workdir, pair=unlabelled)


def test_a_run_waits_for_people_and_ends_as_with_the_oracle(tmp_path):
    workdir = tmp_path / "human"
    for round_number in (1, 2):
        for _ in range(2):  # asking again while nothing is answered changes nothing
            with pytest.raises(experiment.RoundWaits) as waits:
                run(workdir)
            assert (waits.value.round, waits.value.images) == (round_number, len(pair().pool))
            assert not (workdir / "summary.json").exists()
        answer(workdir, round_number)
    summary = run(workdir)
    expected = experiment.run(tiny_config("ripu_ra"), tmp_path / "oracle", pair=pair())
    assert store_digest(workdir) == store_digest(tmp_path / "oracle")
    for ours, theirs in zip(summary["rounds"], expected["rounds"], strict=True):
        assert ours["miou"] == theirs["miou"]
        assert ours["labelled_pixels"] == theirs["labelled_pixels"]
    assert comparable(summary)["per_class_iou"] == comparable(expected)["per_class_iou"]


@pytest.mark.slow
def test_the_command_says_what_to_do(tmp_path):
    config, workdir = tmp_path / "config.py", tmp_path / "run"
    config.write_text(
        "from tests.experiment.human_run_test import human_config\n"
        "def get_config():\n    return human_config(show_guess=True)\n"
    )
    done = fork_server.run(
        ["-m", "labor_jax.main", f"--config={config}", f"--workdir={workdir}"], cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "Round 1 waits for the answers to 4 images" in done.stdout
    assert f"python -m labor_jax.annotate --workdir {workdir}" in done.stdout
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        guess = store.guess(store.pending(1)[0], 1)
        query = store.query(store.pending(1)[0], 1)
    assert np.isin(guess[query], np.arange(len(street.CLASSES))).all()
    assert json.loads((workdir / "config.json").read_text())["annotator"] == "human"
    assert f"--workdir={workdir}" in (workdir / "command.txt").read_text()


def test_people_cannot_be_asked_to_pick():
    config = tiny_config("active:human_points")
    config.annotator = "human"
    with pytest.raises(ConfigError, match=r"acquisition\.method is 'human_points'"):
        check_config(config)
