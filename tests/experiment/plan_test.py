"""The list of phases that each method's config means."""

import pytest

from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import before_rounds, plan
from tests.tiny import tiny_config


def names(config):
    return [phase.name for phase in plan(config)]


WARMUP = ["supervised", "warmup"]


def rounds(count, *kinds):
    return [f"round_{number}/{kind}" for number in range(1, count + 1) for kind in kinds]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("source_only", ["supervised"]),
        ("warmup", WARMUP),
        ("spl", WARMUP + rounds(2, "selector", "query", "train")),
        ("ppl", WARMUP + rounds(2, "selector", "query", "train")),
        ("random", WARMUP + rounds(2, "query", "train")),
        ("supervised", WARMUP + rounds(2, "query", "train")),
        ("ripu_ra", ["joint", *rounds(2, "query", "train")]),
        ("ripu_source_free", ["supervised", *rounds(2, "query", "train")]),
        ("active:spl", ["joint", *rounds(2, "selector", "query", "train")]),
    ],
)
def test_methods(method, expected):
    assert names(tiny_config(method)) == expected


def test_steps_are_numbered_through_the_run():
    config = tiny_config("spl")
    config.supervised.steps, config.warmup.steps = 5, 4
    config.selector.steps, config.round.steps = 3, 7
    phases = plan(config)
    assert [(p.first_step, p.last_step) for p in phases] == [
        (0, 5),
        (5, 9),
        (9, 12),
        (12, 13),
        (13, 20),
        (20, 23),
        (23, 24),
        (24, 31),
    ]
    assert [p.round for p in phases] == [0, 0, 1, 1, 1, 2, 2, 2]
    trained = [p.section for p in phases if KINDS[p.kind].evaluates]
    assert trained == ["supervised", "warmup", "round", "round"]


def test_retraining_comes_in_stages():
    config = tiny_config("warmup")
    config.retraining.update(stages=2, steps=5)
    phases = plan(config)
    assert [phase.name for phase in phases] == [*WARMUP, "retraining_1", "retraining_2"]
    assert [phase.stage for phase in phases] == [0, 0, 0, 1]
    assert before_rounds(phases) == phases


def test_rounds_are_stages_of_their_section():
    phases = [phase for phase in plan(tiny_config("spl")) if phase.section == "round"]
    assert [phase.stage for phase in phases] == [0, 1]


def test_joint_training_asks_at_the_steps_that_the_config_names():
    config = tiny_config("ripu_ra")
    config.joint.update(steps=20, schedule_steps=30, query_steps=(7, 9, 14, 15))
    config.rounds = 3
    trained = {phase.name: phase.steps for phase in plan(config) if phase.kind == "train_model"}
    assert trained == {"joint": 7, "round_1/train": 2, "round_2/train": 5, "round_3/train": 6}
    config.rounds = 0
    assert [(phase.name, phase.steps) for phase in plan(config)] == [("joint", 7)]


@pytest.mark.parametrize(
    ("method", "before"),
    [("spl", WARMUP), ("ripu_ra", ["joint"]), ("ripu_source_free", ["supervised"])],
)
def test_what_comes_before_the_rounds(method, before):
    assert [phase.name for phase in before_rounds(plan(tiny_config(method)))] == before


def test_phases_without_steps_are_left_out():
    config = tiny_config("spl")
    config.supervised.steps = 0
    assert names(config)[0] == "warmup"
    config.rounds = 0
    assert names(config) == ["warmup"]


def test_an_unknown_method_is_an_error():
    config = tiny_config("spl")
    config.acquisition.method = "guess"
    with pytest.raises(ValueError, match=r"acquisition\.method is 'guess'.*spl"):
        plan(config)
