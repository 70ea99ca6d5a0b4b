"""What the labelling tool is told of its run."""

import json

from labor_jax import labelling_server
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from labor_jax.experiment import data_identity
from labor_jax.experiment.workdir import Workdir
from tests.tiny import tiny_config


def test_the_runs_data_are_others_once_it_accepts_other_images(tmp_path):
    Workdir.open(tmp_path, tiny_config("ppl")).close()
    folder = Workdir.existing(tmp_path)
    LabelStore(folder.labels, classes=street.CLASSES).close()

    def told():
        with labelling_server.open_tool(tmp_path) as tool:
            return tool.run.data

    pair = folder.load_pair(["pool"])
    found = data_identity.checked(
        folder, pair, roles=["pool"], verify="full", begun=False, accept_changes=False
    )
    data_identity.keep(folder, found)
    before = told()
    assert told() == before
    described = json.loads(folder.data.read_text())
    first = next(iter(described["pool"].values()))
    del first["image"]["sha256"]
    folder.data.write_text(json.dumps(described))
    assert told() != before
