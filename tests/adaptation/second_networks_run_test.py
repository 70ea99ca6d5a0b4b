"""CLAN's classifier and PatchAdapt's clusters in whole runs: they live through a resume."""

import pytest

from labor_jax import experiment
from labor_jax.adaptation import patch_adapt
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config


def small_config():
    config = tiny_config("uda:clan+patch_adapt")
    config.warmup.steps = 6
    config.terms.clan.width = 4
    config.terms.patch_adapt.patches = 4
    config.evaluation_batch_size = 4
    return config


@pytest.mark.slow
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    found = []

    def cluster(described, number):
        found.append(described.shape)
        return original(described, number)

    original = patch_adapt.cluster
    monkeypatch.setattr(patch_adapt, "cluster", cluster)
    summary = experiment.run(small_config(), tmp_path / "whole")
    interrupt_training(small_config(), tmp_path / "cut", "warmup", 4)
    assert comparable(experiment.run(small_config(), tmp_path / "cut")) == comparable(summary)
    # Once in either run: a resume takes the clusters from the checkpoint.
    assert len(found) == 2 and found[0] == found[1]
    assert found[0][0] <= small_config().data.source_count * 16
