"""Steps, chosen from the numbers of images."""

import itertools

import pytest

from labor_jax import get_config
from labor_jax.data import own_data


def steps(config, source, pool):
    size = (64, 64)
    facts = own_data.Facts({"source": (size,) * source, "pool": (size,) * pool})
    choices = own_data.resolve(config, facts)
    fields = {name: value for choice in choices for name, value in choice.fields.items()}
    return {name: value for name, value in fields.items() if name.endswith("steps")}


@pytest.mark.parametrize(
    ("source", "pool", "supervised", "warmup", "selector", "training"),
    [
        (305, 62, 760, 150, 30, 460),
        (1, 1, 400, 100, 20, 300),
        (25_000, 500, 3000, 400, 200, 1000),
        (300, 6000, 750, 150, 200, 3000),  # every answer is trained on, twice
    ],
)
def test_the_numbers_of_images_decide(source, pool, supervised, warmup, selector, training):
    assert steps(get_config("spl", "folders"), source, pool) == {
        "supervised.steps": supervised,
        "warmup.steps": warmup,
        "selector.steps": selector,
        "round.steps": training,
    }


@pytest.mark.parametrize(
    ("method", "warmup", "retraining"),
    [
        ("advent", 760, None),
        ("cbst", None, 190),
        ("intrada", 380, 380),
        ("bdl", 380, 190),
        ("iast", 304, 152),
    ],
)
def test_a_methods_phases_take_as_many_steps_as_the_source_model(method, warmup, retraining):
    found = steps(get_config(f"uda:{method}", "folders"), 305, 62)
    assert found.get("warmup.steps") == warmup
    assert found.get("retraining.steps") == retraining
    for section in ("warmup", "retraining"):  # setting one of both does not move the other
        for own in (0, 7):
            config = get_config(f"uda:{method}", "folders")
            config[section].steps = own
            left = {name: value for name, value in found.items() if name != f"{section}.steps"}
            assert steps(config, 305, 62) == left


def test_before_rounds_a_method_takes_a_warmups_steps():
    config = get_config("uda:intrada", "folders")
    config.rounds = 3
    found = steps(config, 305, 62)
    assert (found["warmup.steps"], found["retraining.steps"]) == (75, 75)


def test_larger_batches_take_fewer_steps():
    config = get_config("spl", "folders")
    config.source_batch_size = config.target_batch_size = 8
    found = steps(config, 800, 200)
    assert (found["supervised.steps"], found["round.steps"]) == (1000, 750)


def test_what_is_set_and_what_a_method_leaves_out_stays():
    config = get_config("source_only", "folders")
    config.round.steps = 7
    assert steps(config, 305, 62) == {"supervised.steps": 760, "selector.steps": 30}
    config = get_config("spl", "folders")
    config.supervised.steps = 1000
    assert steps(config, 305, 62)["warmup.steps"] == 200


@pytest.mark.parametrize("method", ["ripu_ra", "active:random", "ripu_source_free"])
@pytest.mark.parametrize("rounds", [0, 1, 5, 9])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"steps": 40},
        {"query_steps": tuple(range(10, 100, 10))},
        {"schedule_steps": 9999},
        {"schedule_steps": 300},
    ],
)
def test_joint_training_asks_in_time(method, rounds, given):
    config = get_config(method, "folders")
    config.rounds = rounds
    config.joint.update(given)
    found = steps(config, 305, 62)
    fields = ("steps", "schedule_steps", "query_steps")
    joint = {name: found.get(f"joint.{name}", given.get(name)) for name in fields}
    asking = joint["query_steps"][:rounds]
    assert len(asking) == rounds
    assert all(early < late for early, late in itertools.pairwise(asking))
    assert all(0 <= step < joint["steps"] for step in asking)
    assert joint["schedule_steps"] >= joint["steps"]
    assert not any(f"joint.{name}" in found for name in given)


def test_joint_training_is_as_long_as_the_staged_rounds():
    found = steps(get_config("ripu_ra", "folders"), 305, 62)
    assert found["joint.steps"] == 760 + 3 * 460
    assert found["joint.query_steps"][0] == 760 and found["joint.query_steps"][-1] < 1450
    alone = steps(get_config("ripu_source_free", "folders"), 305, 62)
    assert alone["supervised.steps"] == 760
    assert alone["joint.steps"] == 3 * 460 and alone["joint.query_steps"][0] == 0


@pytest.mark.parametrize("method", ["spl", "ppl", "warmup"])
def test_without_rounds_a_warm_up_is_as_long_as_before_rounds(method):
    config = get_config(method, "folders")
    config.rounds = 0
    assert steps(config, 305, 62)["warmup.steps"] == 150
