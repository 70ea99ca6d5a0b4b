"""What is said about the images and about a choice."""

import pytest

from labor_jax.data import load_pair
from labor_jax.data.own_data import Choice, Facts, facts_of
from tests.tiny import tiny_config


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        (((60, 80),), "1 image of the pool, 60x80"),
        (((60, 80),) * 1200, "1,200 images of the pool, 60x80"),
        (((60, 80), (60, 80), (30, 80)), "3 images of the pool, mostly 60x80"),
        (
            ((60, 80), (60, 80), (80, 60)),
            "3 images of the pool, mostly 60x80, upright and sideways",
        ),
    ],
)
def test_a_split_in_words(sizes, text):
    assert Facts({"pool": sizes}).described("pool") == text


def test_a_choice_in_words():
    fields = {"data.source_size": (32, 64), "round.steps": 3, "warmup.steps": 4}
    assert str(Choice(fields, "why")) == (
        "config.data.source_size = (32, 64), config.round.steps = 3, config.warmup.steps = 4: why"
    )
    assert str(Choice(fields, "why", ("round.steps",))) == (
        "config.round.steps = 3, 2 fields that go with it: why"
    )


def test_facts_are_those_of_the_splits():
    pair = load_pair("street", tiny_config().data, ["source", "pool"])
    facts = facts_of(pair, ["resnet18"])
    assert facts.sizes == {"source": ((32, 64),) * 8, "pool": ((32, 64),) * 4}
    assert facts.count("evaluation") == 0 and facts.installed_weights == ["resnet18"]
