"""Runs by `labor_jax.run` as other programs make them: own pairs, no evaluation, no memory kept."""

import dataclasses
import gc
import json

import jax
import numpy as np
import pytest

import labor_jax
from labor_jax import data
from labor_jax.annotation import LabelStoreError
from labor_jax.training.checkpoints import CheckpointError
from tests.tiny import tiny_config

CLASSES = ("sky", "road", "car")


def images_and_labels(seed, count=4, size=(32, 48)):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *size, 3), np.uint8)
    return images, rng.integers(0, len(CLASSES), (count, *size)).astype(np.uint8)


def weather(evaluation=True):
    return data.pair_from_arrays(
        "weather",
        CLASSES,
        source=images_and_labels(0),
        pool=images_and_labels(1),
        evaluation=images_and_labels(2) if evaluation else None,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("weather")
    return workdir, labor_jax.run(tiny_config("random"), workdir, weather())


@pytest.mark.slow
def test_a_run_bears_the_name_of_its_pair(run):
    workdir, summary = run
    assert summary["pair"] == "weather"
    assert json.loads((workdir / "config.json").read_text())["pair"] == "weather"
    assert "random on weather, seed 0" in (workdir / "report.html").read_text()
    assert set(summary["per_class_iou"]) == set(CLASSES)


@pytest.mark.slow
def test_its_model_predicts_without_its_data(run):
    model = labor_jax.load(run[0])
    assert model.classes == CLASSES
    (predicted,) = model.predict([images_and_labels(3, size=(20, 30))[0][0]])
    assert (predicted.shape, predicted.dtype) == ((20, 30), np.uint8)


@pytest.mark.slow
def test_resuming_it_needs_the_pair_again(run):
    workdir, summary = run
    assert labor_jax.run(tiny_config("random"), workdir, weather()) == summary
    config = tiny_config("random")
    with config.unlocked():
        config.pair = "weather"
    with pytest.raises(ValueError, match="unknown data pair 'weather'"):
        labor_jax.run(config, workdir)


@pytest.mark.slow
def test_a_pair_of_other_classes_is_refused_and_changes_nothing(tmp_path):
    labor_jax.run(tiny_config("random"), tmp_path, weather())
    other = dataclasses.replace(weather(), classes=("sky", "road", "bus"))
    with pytest.raises(LabelStoreError, match="classes"):
        labor_jax.run(tiny_config("random"), tmp_path, other)
    assert labor_jax.load(tmp_path).classes == CLASSES


def test_without_an_evaluation_split_nothing_is_measured(tmp_path):
    summary = labor_jax.run(tiny_config("random"), tmp_path, weather(evaluation=False))
    assert summary["final_miou"] is None and summary["per_class_iou"] == {}
    assert [entry["miou"] for entry in summary["rounds"]] == [None, None]
    assert "\N{EN DASH}" in (tmp_path / "report.html").read_text()
    with pytest.raises(CheckpointError, match="is the best, as none has an mIoU"):
        labor_jax.load(tmp_path, "best")


@pytest.mark.slow
def test_a_finished_run_leaves_no_array_on_the_device(tmp_path):
    labor_jax.run(tiny_config("spl"), tmp_path / "first")
    gc.collect()
    before = {id(array) for array in jax.live_arrays()}
    labor_jax.run(tiny_config("spl"), tmp_path / "second")
    gc.collect()
    left = [array.shape for array in jax.live_arrays() if id(array) not in before]
    assert sum(int(np.prod(shape)) for shape in left) < 100, left
