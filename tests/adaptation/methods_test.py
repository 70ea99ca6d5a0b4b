"""Every method of adaptation: its config, and a whole run of it on tiny scenes."""

import functools
import math

import jax
import numpy as np
import pytest

import labor_jax
from labor_jax import adaptation, experiment, recipes
from labor_jax.experiment import components, restore
from labor_jax.experiment.plan import plan
from labor_jax.experiment.workdir import ConfigError
from tests.slow import all_but
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


@pytest.mark.parametrize("method", all_but(["fda"], adaptation.METHODS))
def test_a_method_runs_to_its_end(method, tmp_path):
    config = tiny_config(f"uda:{method}")
    summary = experiment.run(config, tmp_path)
    assert 0 <= summary["final_miou"] <= 1 and math.isfinite(summary["final_miou"])
    assert summary["rounds"] == []
    last = plan(config)[-1].section
    assert summary["final_miou"] == summary[f"{last}_miou"]


@pytest.mark.parametrize(
    "first", all_but(["adaptsegnet", "dacs", "iast", "ltir"], adaptation.METHODS)
)
def test_joined_methods_lose_no_term(first):
    for second in ("advent", "cbst", "fda", "mic", "sim"):  # of each kind one
        joined = labor_jax.get_config(f"uda:{first}+{second}")
        assert joined.method == f"{first}+{second}"
        for method in (first, second):
            own = set(trained_terms(labor_jax.get_config(f"uda:{method}"))) - {"source_labels"}
            assert own <= set(trained_terms(joined)), second
        taken = joined.warmup.steps + joined.retraining.stages * joined.retraining.steps
        assert 0 <= taken - 500 <= 2 * joined.retraining.stages


@pytest.mark.parametrize(
    ("joined", "says"),
    [
        (
            "iast+adaptsegnet",
            "adversarial is 0.001 of the method adaptsegnet, and not 0.05 of iast",
        ),
        ("advent+iast", "adversarial is 0.05 of the method iast, and not 0.001 of advent"),
        ("fda+cbst", ""),
        ("adaptsegnet+sim", ""),
    ],
)
def test_a_setting_that_another_method_replaces_is_said(joined, says, caplog):
    recipes._warn.cache_clear()
    for _ in range(2):
        labor_jax.get_config(f"uda:{joined}")
    told = [record.message for record in caplog.records]
    assert told == ([f"config.warmup.terms.{says}."] if says else [])


@pytest.mark.parametrize("other", ["advent", "iast", "intrada"])
@pytest.mark.parametrize("method", ["ltir", "bdl"])
def test_a_discriminator_on_translated_images_is_that_of_its_method_alone(method, other):
    own, first, last = (
        labor_jax.get_config(f"uda:{joined}").terms.translated_adversarial.to_dict()
        for joined in (method, f"{other}+{method}", f"{method}+{other}")
    )
    assert own == first == last and own["input"] == "softmax"


@pytest.mark.parametrize(
    ("joined", "view"), [("pceda+bdl", "translated"), ("ltir+cbst", "pseudo_labelled")]
)
def test_methods_that_make_one_view_cant_be_joined(joined, view, tmp_path):
    with pytest.raises(ConfigError, match=rf"view '{view}', which .* don't join their methods"):
        experiment.run(tiny_config(f"uda:{joined}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_retraining_alone_keeps_what_a_joined_method_retrains_with():
    config = labor_jax.get_config("uda:fda+cbst")
    assert config.warmup.steps == 0 and config.retraining.terms.fourier_swap == 1.0
    config = labor_jax.get_config("uda:advent+cbst")
    assert config.warmup.steps == 250 and config.retraining.steps == 63


@pytest.mark.parametrize("method", adaptation.METHODS)
def test_batch_norm_follows_images_of_one_domain_as_they_are(method):
    config = tiny_config(f"uda:{method}")
    for section in {phase.section for phase in plan(config)} - {"supervised"}:
        for domain in ("source", "target"):
            config[section].running_statistics = domain
            assert components.terms(config, section).statistics_views == (domain,), section


@pytest.mark.parametrize("name", ["uda:min_entropy", "uda:advent+cbst"])
def test_batch_norm_keeps_the_statistics_of_both_domains_until_people_answer(name):
    config = labor_jax.get_config(name)
    kept = {section: config[section].running_statistics for section in ("warmup", "retraining")}
    assert kept == {"warmup": "all", "retraining": "all"}
    assert config.round.running_statistics == "target"
    assert labor_jax.get_config("ppl").warmup.running_statistics == "target"


def test_a_method_may_choose_whose_statistics_batch_norm_keeps(monkeypatch):
    def own(config):
        config.warmup.running_statistics = "target"

    monkeypatch.setitem(adaptation.METHODS, "own", own)
    assert labor_jax.get_config("uda:own").warmup.running_statistics == "target"


@pytest.mark.slow
def test_whose_statistics_are_kept_changes_no_weight_where_nothing_labels_by_the_model(tmp_path):
    trained = {}
    for kept in ("all", "target"):
        config = tiny_config("uda:min_entropy")
        config.warmup.running_statistics = kept
        experiment.run(config, tmp_path / kept)
        trained[kept] = restore.restore_model(tmp_path / kept, "last", ["source"]).model
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, *(each["params"] for each in trained.values()))
    mean, target_mean = (
        each["batch_stats"]["backbone"]["bn1"]["mean"] for each in trained.values()
    )
    assert np.max(np.abs(mean - target_mean)) > 1e-3


@pytest.mark.parametrize(("pair", "weight"), [("street", 0), ("camvid", 0.005), ("gtav", 0.005)])
def test_mic_keeps_to_first_features_unless_these_are_of_random_weights(pair, weight):
    for name in ("uda:mic", "uda:fda+mic"):
        config = labor_jax.get_config(name, pair)
        for section in ("supervised", "warmup"):
            assert config[section].terms.feature_distance == weight


@pytest.mark.slow
def test_active_learning_starts_from_a_method(tmp_path):
    config = tiny_config("uda:min_entropy")
    config.rounds = 1
    config.acquisition.method = "ppl"
    summary = experiment.run(config, tmp_path)
    assert len(summary["rounds"]) == 1 and summary["warmup_miou"] is not None
