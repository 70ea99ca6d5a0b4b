"""Whole runs without source images: photos and answers alone."""

import dataclasses
import types

import numpy as np
import pytest

import labor_jax
from labor_jax.acquisition import registry as acquisition_registry
from labor_jax.active import strategies
from labor_jax.annotation import LabelStore
from labor_jax.data import pair_from_arrays, registry
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import query
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config

CLASSES = ("road", "sky", "tree")


def own_pair(source=None):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 32, 64, 3), np.uint8)
    labels = rng.integers(0, 3, (4, 32, 64))
    return pair_from_arrays(
        "mine", CLASSES, source=source, pool=(images, labels), evaluation=(images[:2], labels[:2])
    )


def asked(workdir, number):
    with LabelStore(workdir / "labels.sqlite", classes=CLASSES, read_only=True) as store:
        return np.stack([store.query(name, number) for name in store.images(number)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs of `margin` and of `random` with their summaries."""
    folder, summaries = tmp_path_factory.mktemp("runs"), {}
    for method in ("margin", "random"):
        config = tiny_config(f"active:{method}", "photos")
        config.joint.update(steps=6, schedule_steps=8, query_steps=(0, 3))
        summaries[method] = labor_jax.run(config, folder / method, own_pair())
    return folder, summaries


def test_a_run_begins_with_its_first_query(runs):
    _, summaries = runs
    summary = summaries["margin"]
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]
    assert summary["source_only_miou"] is None and np.isfinite(summary["final_miou"])
    assert summary["rounds"][-1]["labelled_pixels"] == 4 * 40


def test_the_first_round_asks_at_random_and_the_second_does_not(runs):
    folder, _ = runs
    np.testing.assert_array_equal(asked(folder / "margin", 1), asked(folder / "random", 1))
    assert (asked(folder / "margin", 2) != asked(folder / "random", 2)).any()


def test_training_on_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="The pair mine has no source"):
        labor_jax.run(tiny_config("active:margin", "folders"), tmp_path, own_pair())


@pytest.mark.parametrize("pair", ["photos", "camvid_pool"])
@pytest.mark.parametrize("name", ["active:margin", "active:multi_hot", "random", "supervised"])
def test_all_training_is_on_answers(pair, name):
    """A fresh head's improbable classes are no knowledge, so unlabelled pixels teach nothing."""
    terms = labor_jax.get_config(name, pair).round.terms
    weighted = {term for term, weight in terms.items() if weight}
    sets = {"candidate_classes", "prototypical_pixels"} if name == "active:multi_hot" else set()
    assert weighted == {"answers"} | sets


@pytest.mark.parametrize("name", ["ppl", "spl", "source_only", "warmup", "uda:fda"])
def test_what_begins_with_a_source_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} begins with a model trained on source images"):
        labor_jax.get_config(name, "photos")


def test_todays_recipe_mixes_with_a_source(monkeypatch):
    settings = dataclasses.replace(registry.pair_settings("photos"), recipe="today")
    monkeypatch.setitem(registry._PAIRS, "photos", settings)
    assert labor_jax.get_config("random", "photos").recipe == "paper"
    with pytest.raises(ValueError, match="mixes source images"):
        labor_jax.get_config("random", "photos", recipe="today")


def test_a_random_round_is_not_weighted_by_what_an_untrained_model_says():
    config = labor_jax.get_config("active:margin", "photos")
    config.acquisition.class_weights = "predicted"
    first, second = (strategies.of_round(config.acquisition, number) for number in (1, 2))
    assert (first.method, first.class_weights) == ("random", "none")
    assert (second.method, second.class_weights) == ("margin", "predicted")


def test_the_first_model_is_that_before_a_random_round(monkeypatch):
    monkeypatch.setattr(acquisition_registry, "METHODS", dict(acquisition_registry.METHODS))

    @acquisition_registry.register("changed")
    def changed(logits, first_logits):
        return (logits - first_logits).sum(-1)

    config = labor_jax.get_config("random", "photos")
    config.acquisition.update(method="changed", random_rounds=1)
    components = types.SimpleNamespace(config=config)
    handover = Handover(model={"weights": 1}, players={})
    handed = query.hand_on(components, types.SimpleNamespace(round=1), handover, None)
    assert handed.first_model == {"weights": 1}


def test_rounds_at_random_are_of_methods_that_have_them():
    config = labor_jax.get_config("spl")
    config.acquisition.random_rounds = 1
    with pytest.raises(ConfigError, match="at random what spl asks"):
        labor_jax.run(config, "unused")
    config = labor_jax.get_config("active:margin", "photos")
    config.acquisition.random_rounds = 0
    with pytest.raises(ConfigError, match="there is no model to start from"):
        labor_jax.run(config, "unused", own_pair())
    assert labor_jax.get_config("active:superpixels", "photos").acquisition.random_rounds == 0
