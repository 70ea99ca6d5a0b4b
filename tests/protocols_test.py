"""The papers' protocols: every config on GTAV and SYNTHIA, in tiny official folders."""

import importlib

import numpy as np
import pytest

from labor_jax import components, experiment
from labor_jax.phases import plan
from labor_jax.validation import check_config
from labor_jax.workdir import ConfigError
from tests.driving import driving_data
from tests.tiny import tiny_config

NAMES = (
    *("ppl", "random", "ripu_pa", "ripu_ra", "ripu_source_free"),
    *("source_only", "spl", "supervised", "warmup"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return driving_data(tmp_path_factory.mktemp("driving")).root


def published(name, pair):
    """A config as a user has it, with weights named."""
    config = importlib.import_module(f"configs.{name}").get_config(pair)
    config.model.pretrained = "resnet101.pth"
    return config


@pytest.mark.parametrize("pair", ["gtav", "synthia"])
@pytest.mark.parametrize("name", NAMES)
def test_every_config_can_be_run(name, pair):
    config = published(name, pair)
    check_config(config)
    assert plan(config)[-1].last_step >= 20_000
    assert config.data.target_size == (640, 1280)


@pytest.mark.parametrize("pair", ["gtav", "synthia"])
def test_ripus_numbers(pair):
    regions, points = published("ripu_ra", pair), published("ripu_pa", pair)
    for config in (regions, points):
        assert config.joint.to_dict() == {
            "steps": 40_000,
            "schedule_steps": 62_500,
            "query_steps": (10_000, 12_000, 14_000, 16_000, 18_000),
            "learning_rate": 2.5e-4,
        }
        assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.9)
        assert (config.optimizer.weight_decay, config.optimizer.classifier_multiplier) == (5e-4, 10)
        assert (config.round.local_consistency_weight, config.round.negative_learning_weight) == (
            *(0.1, 1.0),
        )
        assert config.source_batch_size == config.target_batch_size == 2
        assert config.model.batch_norm == "frozen" and config.evaluation_flip
        assert not config.data.augment.flip and config.data.balance_source
        assert config.acquisition.reference_size == (640, 1280)
    assert (regions.acquisition.radius, regions.acquisition.fraction) == (1, 0.022)
    assert (points.acquisition.radius, points.acquisition.points) == (32, 40)


def test_frozen_batch_norm_needs_weights():
    config = published("spl", "gtav")
    config.model.pretrained = ""
    with pytest.raises(ConfigError, match=r"model\.batch_norm is 'frozen'; .*model\.pretrained"):
        check_config(config)


def tiny(name, pair, root):
    config = tiny_config(name, pair)
    config.data.root = str(root)
    config.data.cache_folder = str(root / "cache")
    config.model.batch_norm = "trained"  # there are no weights for so small a network
    if name == "ripu_pa":
        config.update(evaluation_window=(40, 64), evaluation_overlap=16)
    return config


@pytest.mark.parametrize(
    ("name", "pair"), [("ripu_pa", "gtav"), ("ripu_source_free", "synthia"), ("spl", "synthia")]
)
def test_runs_from_the_official_folders(name, pair, root, tmp_path):
    summary = experiment.run(tiny(name, pair, root), tmp_path)
    assert summary["pair"] == pair
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]
    assert summary["rounds"][-1]["labelled_pixels"] > 0
    assert set(summary["subset_miou"]) == ({"16", "13"} if pair == "synthia" else set())
    if pair == "synthia":
        iou = [value for value in summary["per_class_iou"].values() if value is not None]
        assert 0 <= summary["subset_miou"]["13"] <= max(iou)


def test_the_balanced_source_is_read_once(root):
    config = tiny("ripu_ra", "gtav", root)
    config.data.cache_folder = str(root / "once")
    parts = components.build(config)
    presence = parts.source_presence
    assert presence.shape == (3, 19) and presence.all()
    assert parts.source_presence is presence
    assert len(list((root / "once").iterdir())) == 1
    assert components.build(tiny("spl", "gtav", root)).source_presence is None


def test_the_other_targets(root):
    for target, images in (("acdc", 2), ("bdd100k", 1)):
        config = tiny("ripu_ra", "gtav", root)
        config.data.target = target
        pair = components.build(config).pair
        assert len(pair.pool) == images
        assert np.isin(pair.pool.label(0), [*range(19), 255]).all()
