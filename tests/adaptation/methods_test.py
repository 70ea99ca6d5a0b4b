"""Every method of adaptation: its config, and a whole run of it on tiny scenes."""

import math

import pytest

import labor_jax
from labor_jax import adaptation, experiment
from labor_jax.experiment.plan import plan
from tests.tiny import tiny_config


def trained_terms(config):
    """The weights above 0 in the phases that the run has."""
    return {
        name: weight
        for section in {phase.section for phase in plan(config)} - {""}
        for name, weight in config[section].terms.items()
        if weight
    }


@pytest.mark.parametrize("method", adaptation.METHODS)
@pytest.mark.parametrize("pair", ["street", "camvid", "gtav", "folders"])
def test_a_method_takes_the_warmups_steps_and_more_than_source_labels(method, pair):
    config = labor_jax.get_config(f"uda:{method}", pair)
    assert (config.method, config.rounds) == (method, 0)
    if pair != "folders":  # there the steps are open
        before = labor_jax.get_config("uda:min_entropy", pair).warmup.steps
        taken = config.warmup.steps + config.retraining.stages * config.retraining.steps
        assert 0 <= taken - before < config.retraining.stages
        assert set(trained_terms(config)) - {"source_labels", "auxiliary_source_labels"}


@pytest.mark.parametrize("method", adaptation.METHODS)
def test_a_method_runs_to_its_end(method, tmp_path):
    config = tiny_config(f"uda:{method}")
    summary = experiment.run(config, tmp_path)
    assert 0 <= summary["final_miou"] <= 1 and math.isfinite(summary["final_miou"])
    assert summary["rounds"] == []
    last = plan(config)[-1].section
    assert summary["final_miou"] == summary[f"{last}_miou"]


def test_methods_can_be_joined():
    first, second = list(adaptation.METHODS)[:2]
    joined = labor_jax.get_config(f"uda:{first}+{second}")
    assert joined.method == f"{first}+{second}"
    for method in (first, second):
        assert set(trained_terms(labor_jax.get_config(f"uda:{method}"))) <= set(
            trained_terms(joined)
        )


def test_active_learning_starts_from_a_method(tmp_path):
    config = tiny_config("uda:min_entropy")
    config.rounds = 1
    config.acquisition.method = "ppl"
    summary = experiment.run(config, tmp_path)
    assert len(summary["rounds"]) == 1 and summary["warmup_miou"] is not None
