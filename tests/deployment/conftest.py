"""A run to export."""

import json

import pytest
from ml_collections import ConfigDict

import labor_jax
from labor_jax import deployment
from labor_jax.deployment.network import Network
from tests.tiny import tiny_config


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The workdir of a finished run of PPL."""
    path = tmp_path_factory.mktemp("run") / "x"
    labor_jax.run(tiny_config("ppl"), path)
    return path


@pytest.fixture
def exported(run, tmp_path):
    """Exports the run to a format; returns the folder, and the network that it must equal."""

    def export(format):
        (name,) = (name for name, each in deployment.FORMATS.items() if each is format)
        folder = tmp_path / name
        deployment.export(run, name, folder)
        described = json.loads((folder / "model.json").read_text())
        model = labor_jax.load(run)
        size = described["input"]["shape"][1:3]
        config = ConfigDict(described["model"])
        return folder, Network.build(config, len(model.classes), model.variables, size)

    return export
