"""Hours, counted by hand on a tiny plan."""

import dataclasses
import logging

import pytest

from labor_jax import experiment
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import time_estimate
from labor_jax.experiment.plan import plan
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def components():
    config = tiny_config("spl")
    config.source_batch_size, config.target_batch_size = 2, 4
    return components_lib.build(config)


def test_work_is_counted_in_images(components):
    work = {phase.name: time_estimate.work(components, phase) for phase in plan(components.config)}
    assert work["supervised"] == pytest.approx(4 * 2 + 4 / 3)  # and the evaluation of 4 images
    assert work["warmup"] == pytest.approx(3 * (2 + 4) + 4 / 3)
    assert work["round_1/selector"] == pytest.approx(3 * 4)
    assert work["round_1/query"] == pytest.approx(4 * 2 / 3)  # 4 images, model and selector
    assert work["round_1/train"] == work["round_2/train"] == pytest.approx(3 * 6 + 4 / 3)


@pytest.mark.parametrize(
    ("method", "random_rounds", "networks"),
    [
        ("margin", 0, 1),
        ("superpixels", 0, 2),  # the model before the first round, too
        ("image_inconsistency", 0, 2),  # LabOR's selector
        ("image_inconsistency", 1, 1),  # at random
        ("human_points", 0, 0),
    ],
)
def test_a_query_counts_the_networks_that_its_method_reads(
    components, method, random_rounds, networks
):
    """LabOR's selector is not one of them because its steps are in every config."""
    config = tiny_config(f"active:{method}")
    config.acquisition.random_rounds = random_rounds
    asked = dataclasses.replace(components, config=config)
    (query, *_) = (phase for phase in plan(config) if phase.kind == "query")
    assert time_estimate.work(asked, query) == pytest.approx(4 * networks / 3)


def test_what_is_left_is_the_rest_of_the_phase_and_all_later_ones(components):
    phases = plan(components.config)
    total = sum(time_estimate.work(components, phase) for phase in phases)
    first, last = phases[0], phases[-1]
    left = time_estimate.seconds_left(components, phases, first, 1, pace=10.0)
    assert left == pytest.approx(10.0 * (total / 2 - 1), abs=10.0)  # rounded to whole steps
    assert time_estimate.steps_after(components, phases, last) == 0
    left = time_estimate.seconds_left(components, phases, last, 2, pace=6.0)
    assert left == pytest.approx(6.0 * (1 + 4 / 3 / 6))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (40, "about 1 min"),
        (40 * 60, "about 40 min"),
        (3600, "about 1 h"),
        (4830, "about 1 h 20 min"),
        (11.2 * 3600, "about 11 h"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert time_estimate.in_words(seconds) == words


def test_a_run_says_once_how_long_it_takes(tmp_path, caplog):
    config = tiny_config("source_only")
    config.supervised.steps = 8
    with caplog.at_level(logging.INFO, logger="labor_jax"):
        experiment.run(config, tmp_path)
    said = [line for line in caplog.messages if "on this machine" in line]
    assert len(said) == 1 and said[0].startswith("The step to go takes less than a minute on")
    assert "8 steps in 1 phase to go." in caplog.messages
