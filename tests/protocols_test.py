"""The papers' protocols: every row of README's page on them, in tiny official folders."""

import importlib

import numpy as np
import pytest

from labor_jax import components, experiment, models
from labor_jax.phases import plan
from labor_jax.validation import check_config
from labor_jax.workdir import ConfigError
from tests.driving import driving_data
from tests.rows import ROWS, row_config, shrunk

NAMES = (
    *("ppl", "ripu_pa", "ripu_ra", "ripu_source_free"),
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
        assert config.data.source_size == (720, 1280)
        assert config.data.target_size == config.data.evaluation_size == (640, 1280)
        assert config.data.balance_source
    assert (regions.acquisition.radius, regions.acquisition.fraction) == (1, 0.022)
    assert (points.acquisition.radius, points.acquisition.points) == (32, 40)


def test_frozen_batch_norm_needs_weights():
    config = published("spl", "gtav")
    config.model.pretrained = ""
    with pytest.raises(ConfigError, match=r"model\.batch_norm is 'frozen'; .*model\.pretrained"):
        check_config(config)


def test_readme_lists_every_row():
    assert len(ROWS) == 18
    for name in NAMES:
        assert {f"configs/{name}.py:gtav", f"configs/{name}.py:synthia"} <= set(ROWS)


@pytest.mark.parametrize("command", ROWS)
def test_a_row_takes_the_steps_that_readme_tells(command):
    config = row_config(command, "--config.model.pretrained=resnet101.pth")
    check_config(config)
    assert plan(config)[-1].last_step // 100 * 100 == ROWS[command]
    head, dropout = ("deeplab_v3plus", 0.1) if "v3plus" in command else ("deeplab_v2", 0.0)
    assert config.model.head == head
    assert models.build_segmenter(config.model, 19).classifier.dropout == dropout


def tiny(name, pair, root):
    return shrunk(importlib.import_module(f"configs.{name}").get_config(pair), root)


def test_a_published_source_model_stands_in_for_the_source_phase(root, tmp_path):
    config = tiny("ripu_source_free", "gtav", root)
    variables = components.initial_variables(components.build(config))["model"]
    segmenter = models.build_segmenter(config.model, 19)
    models.save_model(tmp_path / "source.npz", segmenter, variables)
    config.source.steps = 0
    with pytest.raises(ConfigError, match=r"source\.steps"):
        check_config(config)
    config.model.pretrained = str(tmp_path / "source.npz")
    summary = experiment.run(config, tmp_path / "run")
    assert summary["source_only_miou"] is None
    assert len(summary["rounds"]) == 2


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
