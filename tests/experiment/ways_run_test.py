"""Whole runs of ways of asking that are not single pixels, regions or masks."""

import numpy as np
import pytest

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from tests.runs import comparable, interrupt_query
from tests.tiny import tiny_config

KINDS = {
    "superpixels": "superpixels",
    "multi_hot": "classes",
    "corrections": "corrections",
    "image_entropy": "full",
    "image_core_set": "full",
    "bald": "points",
}


def config_of(method):
    config = tiny_config(f"active:{method}")
    config.acquisition.update(samples=2, superpixel_size=8, superpixel_iterations=1)
    if KINDS[method] == "full":
        config.acquisition.update(fraction=0.5)
    else:
        config.acquisition.update(points=4)
    if method == "bald":
        config.model.dropout = 0.5
    return config


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_a_way_of_asking_runs_to_its_end(method, tmp_path):
    summary = experiment.run(config_of(method), tmp_path)
    last = summary["rounds"][-1]
    assert np.isfinite(summary["final_miou"]) and last["labelled_pixels"] > 0
    with LabelStore(tmp_path / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        asked = [name for name in store.images(1) if store.query(name, 1).any()]
        assert asked and {store.kind(name, 1) for name in asked} == {KINDS[method]}
        if method in ("superpixels", "multi_hot", "corrections"):
            assert all(store.parts(name, 1).max() + 1 in (1, 2) for name in asked)
    work = last["work"]
    if KINDS[method] == "full":
        assert len(asked) == 1 and work["whole_images"] == 2 < work["outlines"]
    elif method == "corrections":
        assert work["confirmed"] + work["corrected"] == 16 <= last["clicks"]
    elif method == "multi_hot":
        assert 4 <= work["points"] <= 16 and work["further_classes"] > 0
    else:
        assert 0 < work["points"] <= 16


@pytest.mark.slow
def test_the_model_before_the_first_round_outlives_a_kill(tmp_path):
    summary = experiment.run(config_of("superpixels"), tmp_path / "whole")
    interrupt_query(config_of("superpixels"), tmp_path / "cut", 2)
    resumed = experiment.run(config_of("superpixels"), tmp_path / "cut")
    assert comparable(resumed) == comparable(summary)
