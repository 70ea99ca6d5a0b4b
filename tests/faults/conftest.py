"""Workdirs in which something goes wrong."""

import shutil

import pytest

from tests import runs
from tests.tiny import tiny_config


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory):
    """A run that was stopped in the training of round 1, after its answers were given."""
    workdir = tmp_path_factory.mktemp("interrupted") / "run"
    runs.interrupt_training(config(), workdir, "round_1/train", 3)
    return workdir


@pytest.fixture
def workdir(interrupted, tmp_path):
    """A copy of `interrupted` to damage."""
    return shutil.copytree(interrupted, tmp_path / "run")


def config():
    """The run's: `runs.interrupt_training` saves in the middle of what it logs."""
    config = tiny_config("spl")
    config.log_every = 3
    return config
