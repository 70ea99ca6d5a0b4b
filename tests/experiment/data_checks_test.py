"""Budgets and crops that don't fit the images."""

import dataclasses
import logging

import pytest

from labor_jax import acquisition, experiment
from labor_jax.data import DataError, load_pair
from labor_jax.experiment import components, data_checks
from labor_jax.experiment.workdir import ConfigError
from tests.evaluation.scenes import Scenes
from tests.tiny import tiny_config


def config_with(method, **acquisition):
    config = tiny_config(method)
    config.acquisition.update(acquisition)
    return config


@pytest.mark.parametrize(
    ("method", "budget", "says"),
    [
        (
            "ripu_ra",
            {"fraction": 0.001},
            ("fraction is 0.001", "32x64", "1 pixels a round", "3x3", "0.00879 or more", "radius"),
        ),
        ("random", {"fraction": 1e-4}, ("0.1 pixels a round", "one pixel", "0.000977 or more")),
        ("active:random", {"points": 1}, ("points is 1", "0.5 pixels a round", "to 2 or more")),
        ("spl", {"max_fraction": 1e-4}, ("max_fraction is 0.0001", "0.000977 or more")),
        (
            "random",
            {"fraction": 0.0, "seconds_per_image": 6.7},
            (
                "seconds_per_image is 6.7, over 2 rounds",
                "takes 1 s a round",
                *("2.4 s", "to 6.8 or more", "'pool'"),
            ),
        ),
        (
            "random",
            {"fraction": 0.0, "seconds": 20.0},
            ("seconds is 20, 5 s for each of 4 images", "Set it to 27.2 or more", "'pool'"),
        ),
        (
            "random",
            {"fraction": 0.0, "seconds": 6.7, "scope": "pool"},
            ("all 4 images together does not hold a single pick in each of 2", "to 6.8 or more"),
        ),
        (
            "ripu_ra",
            {"fraction": 0.001, "radius": 3, "scope": "pool"},
            ("fraction=0.001 of all 4 images", "Set config.acquisition.fraction to 0.012 or more"),
        ),
        (
            "spl",
            {"max_fraction": 1e-4, "scope": "pool"},
            ("max_fraction=0.0001 of all 4", "Set config.acquisition.max_fraction to 0.000245"),
        ),
    ],
)
def test_a_budget_below_one_pick_is_refused_with_the_smallest(method, budget, says, tmp_path):
    config = config_with(method, **budget)
    with pytest.raises(ConfigError) as raised:
        experiment.run(config, tmp_path / "run")
    assert all(text in str(raised.value) for text in says), str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("source", "all 2 source images are void everywhere, so the model learns nothing"),
        ("evaluation", "all 2 evaluation images are void everywhere, so they have no mIoU"),
    ],
)
def test_labels_that_are_void_everywhere_are_refused_before_training(role, says, tmp_path):
    config = tiny_config("spl")
    pair = load_pair("street", config.data)
    void = dataclasses.replace(pair, **{role: Scenes([(32, 64)] * 2, labelled=False)})
    with pytest.raises(DataError, match=says):
        experiment.run(config, tmp_path / "run", void)
    assert not (tmp_path / "run").exists()


def test_labels_are_read_up_to_the_first_with_a_class_and_where_they_are_used():
    config = tiny_config("ripu_source_free")
    config.supervised.steps = 0
    run = components.build(config)
    some = Scenes([(32, 64)] * 3)
    some._labels[0][:] = 255
    some._labels[2] = None  # never read
    pair = dataclasses.replace(
        run.pair, source=Scenes([(32, 64)], readable_labels=False), evaluation=some
    )
    data_checks.check_data(dataclasses.replace(run, pair=pair))


def test_the_smallest_budget_is_enough():
    data_checks.check_budget(components.build(config_with("ripu_ra", fraction=0.00879)))
    data_checks.check_budget(components.build(config_with("random", fraction=0.000977)))
    data_checks.check_budget(components.build(config_with("spl", max_fraction=0.0)))  # no cap
    data_checks.check_budget(components.build(config_with("ppl")))
    data_checks.check_budget(components.build(config_with("random", fraction=0.0, seconds=27.2)))
    seconds = {"fraction": 0.0, "seconds": 6.8, "scope": "pool"}
    data_checks.check_budget(components.build(config_with("random", **seconds)))


def test_images_too_small_for_the_budget_are_counted(caplog):
    run = components.build(config_with("random", fraction=0.01))
    pool = Scenes([(32, 64), (8, 8), (10, 10)], seed=0)
    run = dataclasses.replace(run, pair=dataclasses.replace(run.pair, pool=pool))
    data_checks.check_budget(run)
    assert "In 2 of the pool's 3 images more than the budget is asked." in caplog.text
    assert "8x8" in caplog.text and "0.0313 or more" in caplog.text


def test_a_budget_of_more_picks_than_a_method_finds_is_told(caplog):
    run = components.build(config_with("active:max_herding", points=2100, max_fraction=0.0))
    pool = Scenes([(32, 64), (64, 128)], seed=0)
    run = dataclasses.replace(run, pair=dataclasses.replace(run.pair, pool=pool))
    data_checks.check_budget(run)
    assert "In 2 of the pool's 2 images" in caplog.text
    assert "2100 over 2 rounds in an image of 32x64 pixels, where it can find 2048" in caplog.text
    run.config.acquisition.points = 2048
    caplog.clear()
    data_checks.check_budget(run)
    assert not caplog.text


def test_an_error_in_what_a_method_can_find_is_named(monkeypatch):
    def most_picks(size):
        raise KeyError(size)

    method = dataclasses.replace(acquisition.METHODS["max_herding"], most_picks=most_picks)
    monkeypatch.setitem(acquisition.METHODS, "max_herding", method)
    says = r"^most_picks of the acquisition method 'max_herding' fails: KeyError: \(32, 64\)"
    with pytest.raises(ValueError, match=says):
        data_checks.check_budget(components.build(config_with("active:max_herding", points=4)))


def test_a_cap_that_a_method_does_not_follow_is_told(caplog):
    data_checks.check_budget(components.build(config_with("spl", max_fraction=0.1)))
    assert not caplog.text
    data_checks.check_budget(components.build(config_with("random", max_fraction=0.1)))
    assert "max_fraction is 0.1, but it limits masks" in caplog.text
    assert "random doesn't follow it" in caplog.text


@pytest.mark.parametrize(
    ("crop", "scale", "warns"),
    [
        ((48, 48), None, True),
        ((32, 64), None, False),
        ((48, 48), (0.5, 2.0), False),
        ((80, 80), (0.5, 2.0), True),
        (None, None, False),
    ],
)
def test_a_crop_larger_than_the_images_warns_once(crop, scale, warns, caplog):
    config = tiny_config("spl")
    config.data.augment.update(crop=crop, scale=scale)
    with caplog.at_level(logging.WARNING):
        data_checks.check_data(components.build(config))
    found = [each.message for each in caplog.records if "augment.crop" in each.message]
    assert len(found) == warns
    if warns:
        assert f"{crop[0]}x{crop[1]}, which is larger than the source images of 32x64" in found[0]
        assert "the target images of 32x64" in found[0]
        assert ("scaled by up to 2" in found[0]) == bool(scale)
