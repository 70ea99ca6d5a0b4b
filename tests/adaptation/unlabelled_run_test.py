"""Learning from the target's unlabelled pixels in whole runs, which are killed and go on."""

import pytest

from labor_jax import experiment
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config


def config_of(method):
    """All terms with the teacher, its counts of confidences and the first model's weights."""
    config = tiny_config(method)
    config.terms.mean_teacher.update(confidence="class_balanced", portion=0.5, start=0.4)
    config.terms.class_mix.paste = "source_and_answers"
    for section in (config.warmup, config.round):
        section.terms.update(class_mix=1.0, masked_consistency=0.5, feature_distance=0.005)
    config.data.source_sampling = "rare_classes"
    return config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "phase", "taken"),
    [("ppl", "round_2/train", 2), ("ripu_ra", "round_1/train", 2)],
)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(method, phase, taken, tmp_path):
    summary = experiment.run(config_of(method), tmp_path / "whole")
    interrupt_training(config_of(method), tmp_path / "cut", phase, taken)
    assert comparable(experiment.run(config_of(method), tmp_path / "cut")) == comparable(summary)
