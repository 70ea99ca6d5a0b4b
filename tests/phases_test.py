"""The list of phases that each method's config means."""

import pytest

from labor_jax.phases import plan
from tests.tiny import tiny_config


def names(config):
    return [phase.name for phase in plan(config)]


WARMUP = ["source", "warmup"]


def rounds(count, *kinds):
    return [f"round_{number}/{kind}" for number in range(1, count + 1) for kind in kinds]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("source_only", ["source"]),
        ("warmup", WARMUP),
        ("spl", WARMUP + rounds(2, "selector", "query", "train")),
        ("ppl", WARMUP + rounds(2, "selector", "query", "train")),
        ("random", WARMUP + rounds(2, "query", "train")),
        ("supervised", WARMUP + rounds(2, "query", "train")),
    ],
)
def test_methods(method, expected):
    assert names(tiny_config(method)) == expected


def test_steps_are_numbered_through_the_run():
    config = tiny_config("spl")
    config.source.steps, config.warmup.steps = 5, 4
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
    assert [p.kind for p in phases if p.evaluates] == ["source", "warmup", "train", "train"]


def test_phases_without_steps_are_left_out():
    config = tiny_config("spl")
    config.source.steps = 0
    assert names(config)[0] == "warmup"
    config.rounds = 0
    assert names(config) == ["warmup"]


def test_an_unknown_method_is_an_error():
    config = tiny_config("spl")
    config.acquisition.method = "guess"
    with pytest.raises(ValueError, match=r"acquisition\.method is 'guess'.*spl"):
        plan(config)
