"""Retraining on pseudo labels: a stage that was interrupted goes on with the thresholds it had."""

import numpy as np
import pytest

import labor_jax
from labor_jax import experiment
from labor_jax.adaptation import iast, pseudo_labelling
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config


def config_of(method):
    config = tiny_config(f"uda:{method}")
    config.supervised.steps = 2
    config.warmup.steps = 0
    config.retraining.update(stages=2, steps=3)
    return config


@pytest.mark.slow
@pytest.mark.parametrize("method", ["iast", "tpld"])
def test_a_stage_that_was_interrupted_ends_as_if_it_had_not_been(method, tmp_path, monkeypatch):
    summary = experiment.run(config_of(method), tmp_path / "whole")
    assert summary["retraining_miou"] == summary["final_miou"]
    interrupt_training(config_of(method), tmp_path / "cut", "retraining_2", 3)
    # What the term remembers of each image is of no concern to the model, and the data aren't read.
    model = labor_jax.load(tmp_path / "cut")
    assert (model.phase, model.step) == ("retraining_2", 7)
    with monkeypatch.context() as patch:
        # Thresholds and labeller are in the checkpoint: no pass over the pool is repeated.
        patch.setattr(pseudo_labelling.PseudoLabelling, "before_phase", None)
        assert comparable(experiment.run(config_of(method), tmp_path / "cut")) == comparable(
            summary
        )


@pytest.mark.slow
def test_the_selector_may_have_iasts_thresholds(tmp_path, monkeypatch):
    found = []
    pool_thresholds = iast.pool_thresholds

    def noted(*args, **settings):
        found.append((settings["portion"], pool_thresholds(*args, **settings)))
        return found[-1][1]

    monkeypatch.setattr(iast, "pool_thresholds", noted)
    config = tiny_config("ppl")
    config.warmup.steps = 0
    config.terms.self_training.thresholds = "instance_adaptive"
    summary = experiment.run(config, tmp_path)
    assert len(summary["rounds"]) == 2
    np.testing.assert_allclose([portion for portion, _ in found], [0.2, 0.25], rtol=1e-6)
    for _, thresholds in found:
        assert thresholds.shape == (config.data.pool_count, 19)
        assert np.all((thresholds > 0) & (thresholds <= 0.999))
