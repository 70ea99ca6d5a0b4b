"""Fields that a config leaves open: filled in at a run's start, kept when it is resumed."""

import dataclasses
import json
import logging

import numpy as np
import pytest
from PIL import Image

from labor_jax import data, experiment, get_config, models
from labor_jax.experiment import config_checks, open_fields, warm_start
from labor_jax.experiment.workdir import ConfigError, differing_fields
from tests.tiny import tiny_config

CLASSES = ("road", "sky")


def pair_of(height=40, width=100, count=3):
    images = np.random.default_rng(0).integers(0, 255, (count, height, width, 3), np.uint8)
    labels = images[..., 0] % 2
    both = {"source": (images, labels), "pool": (images, labels), "evaluation": (images, labels)}
    return data.pair_from_arrays("mine", CLASSES, **both)


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch):
    monkeypatch.setattr(models, "installed_weights", lambda: ())


def test_every_field_gets_a_value():
    for method in ("spl", "ripu_pa", "ripu_source_free"):
        config = get_config(method, "folders")
        filled = open_fields.filled(config, pair_of())
        still = {name for name in data.own_data.open_fields(config) if filled[name] is None}
        assert still == {"data.augment.crop"}  # None is a value of it
        assert config.model.backbone is None  # the config itself is unchanged
        assert filled.data.target_size == (32, 96)
        assert filled.optimizer.momentum == 0.9


def test_what_nothing_is_chosen_for_has_the_base_configs_value():
    config = get_config("spl", "folders")
    config.model.backbone = "resnet50"
    filled = open_fields.filled(config, pair_of())
    assert (filled.model.width, filled.model.stem, filled.model.pretrained) == (64, "imagenet", "")
    assert (filled.optimizer.name, filled.round.learning_rate) == ("sgd", 2.5e-4)


def test_a_config_without_open_fields_stays_as_it_is(caplog):
    config = get_config("spl", "street")
    assert open_fields.filled(config, pair_of()) is config
    assert not caplog.messages


def test_the_log_tells_each_choice_and_its_field(caplog):
    config = get_config("spl", "folders")
    config.data.source_size = (32, 32)
    with caplog.at_level(logging.INFO, logger="labor_jax"):
        open_fields.filled(config)
        assert not caplog.messages
        open_fields.filled(config, pair_of())
    log = "\n".join(caplog.messages)
    assert "config.data.target_size = (32, 96): 3 images of the pool, 40x100" in log
    assert "config.model.backbone = 'resnet18'" in log
    assert "pip install 'labor_jax[pretrained]'" in log
    assert "config.data.source_size" not in log


def test_a_started_run_keeps_what_was_chosen():
    config = get_config("spl", "folders")
    config.joint.steps = 77
    first = open_fields.filled(config, pair_of())
    recorded = json.loads(first.to_json())
    again = open_fields.filled(config, pair_of(300, 200, 9), recorded)
    assert json.loads(again.to_json()) == recorded
    config.round.steps = 5
    assert open_fields.filled(config, pair_of(), recorded).round.steps == 5


def write_images(root, role, size, seed):
    generator = np.random.default_rng(seed)
    for i in range(2):
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        for folder, values in (("images", pixels), ("labels", pixels[..., 0] % 2)):
            (root / role / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / role / folder / f"{i}.png")


@pytest.mark.slow
def test_a_resumed_run_keeps_its_settings_though_images_and_packages_changed(tmp_path, monkeypatch):
    root, workdir = tmp_path / "data", tmp_path / "run"
    for seed, role in enumerate(("source", "pool", "evaluation")):
        write_images(root, role, (36, 64), seed)
    config = tiny_config("source_only", "folders")
    config.data.update(root=str(root), classes=CLASSES, source_size=None)
    for field in ("backbone", "pretrained", "width", "stem", "output_stride"):
        config.model[field] = None
    experiment.run(config, workdir)
    before = json.loads((workdir / "config.json").read_text())
    assert (before["data"]["source_size"], before["model"]["backbone"]) == ([32, 64], "resnet18")

    write_images(root, "source", (96, 64), 0)
    monkeypatch.setattr(models, "installed_weights", lambda: ("efficientnet_lite0",))
    new = open_fields.filled(config, data.load_pair("folders", config.data))
    assert (new.data.source_size, new.model.backbone) == ((96, 64), "efficientnet_lite0")
    config.data.accept_changes = True
    experiment.run(config, workdir)
    before["data"]["accept_changes"] = True
    assert json.loads((workdir / "config.json").read_text()) == before
    config.data.source_size = (64, 64)
    with pytest.raises(ConfigError, match=r"source_size: \[32, 64\] there, \[64, 64\] now"):
        experiment.run(config, workdir)


def test_mistakes_show_before_the_images_are_read(tmp_path):
    config = get_config("spl", "folders")
    config.data.update(root=str(tmp_path / "nowhere"), classes=CLASSES)
    config.annotator = "nobody"
    with pytest.raises(ConfigError, match=r"config\.annotator is 'nobody'"):
        experiment.run(config, tmp_path / "run")


@pytest.mark.parametrize("weights", [(), ("efficientnet_lite0",)])
@pytest.mark.parametrize(
    ("start", "method"),
    [
        ("source_only", "spl"),
        ("source_only", "ripu_source_free"),
        ("ripu_source_free", "ripu_source_free"),
        ("source_only", "uda:cbst"),
        ("ripu_ra", "ripu_ra"),
        ("active:margin", "active:superpixels"),
        ("active:margin", "active:ripu_pa"),
    ],
)
def test_a_run_takes_from_its_start_only_what_counts_up_to_there(
    start, method, weights, monkeypatch
):
    monkeypatch.setattr(models, "installed_weights", lambda: weights)
    theirs = get_config(start, "folders")
    theirs.rounds = 0
    theirs.supervised.learning_rate = 0.125
    theirs = open_fields.filled(theirs, pair_of())
    config = get_config(method, "folders")
    expected = open_fields.filled(config, pair_of())
    found = open_fields.filled(config, pair_of(), start=theirs)
    differing = differing_fields(json.loads(expected.to_json()), json.loads(found.to_json()))
    assert {name: value for name, (_, value) in differing.items()} == {
        "supervised.learning_rate": 0.125
    }


@pytest.mark.parametrize(
    ("fields", "images"),
    [
        ({"joint.steps": 500}, (3, 3)),
        ({"joint.query_steps": (400, 1000, 1100, 1200, 1300)}, (3, 3)),
        ({}, (3, 200)),  # a larger pool would be trained on beyond the start's schedule
        ({}, (400, 3)),  # a larger source would be trained on for longer before the first query
    ],
)
def test_joint_training_goes_on_from_its_starts_first_query_in_its_schedule(fields, images):
    source, pool = (pair_of(count=count) for count in images)
    pair = dataclasses.replace(pool, source=source.source)
    theirs = get_config("ripu_ra", "folders")
    theirs.rounds = 0
    theirs = open_fields.filled(theirs, pair_of())
    config = get_config("ripu_ra", "folders")
    config.update_from_flattened_dict(fields)
    found = open_fields.filled(config, pair, start=theirs)
    config_checks.check_config(found)
    assert warm_start.shared_phase(found, theirs) == "joint"
    assert found.joint.query_steps[0] == 400
    if "joint.query_steps" not in fields:
        assert len(set(np.diff(found.joint.query_steps))) == 1


def test_rates_are_not_mixed_with_a_starts_other_optimizer():
    theirs = open_fields.filled(get_config("source_only", "folders"), pair_of())
    found = open_fields.filled(get_config("ripu_source_free", "folders"), pair_of(), start=theirs)
    assert (theirs.optimizer.name, found.optimizer.name) == ("adamw", "sgd")
    with pytest.raises(ValueError, match=r"optimizer\.name is 'adamw' there and 'sgd' here"):
        warm_start.shared_phase(found, theirs)
