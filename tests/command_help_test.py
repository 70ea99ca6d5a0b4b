"""`--help` of a config: its fields, their values and the comments of the source."""

import pytest

import labor_jax
from labor_jax import command_help, config_comments
from labor_jax.data import ROLES, registry
from labor_jax.experiment.workdir import _flatten


def flat(config):
    return dict(_flatten(config.to_dict()))


@pytest.mark.parametrize("pair", registry.PAIRS)
def test_every_field_has_a_meaning(pair):
    name = "spl" if registry.PAIRS[pair].has_source else "active:margin"
    config = labor_jax.get_config(name, pair)
    meanings = config_comments.read(config)
    missing = {name for name in flat(config) if ".terms." not in name and not meanings.get(name)}
    assert not missing


def test_meanings_are_the_comments_and_docstrings_of_the_source():
    meanings = config_comments.read(labor_jax.get_config("ppl", "synthia"))
    assert meanings["log_every"] == "steps"  # behind the field
    assert meanings["annotator"].startswith('Who answers queries. "oracle"')  # above it, two lines
    assert meanings["annotator"].endswith("the run stops until they are done.")
    assert meanings["annotation"] == "of people's answers, and of labels that exist"  # a section
    assert meanings["optimizer.momentum"] == "of SGD"  # of a local name for a section
    assert meanings["data.num_classes"] == "16 or 19"  # the pair's own
    assert meanings["data.skip"] == "names of images to leave out"  # by a function that it calls
    assert (
        "below which a class counts as improbable" in meanings["terms.negative_learning.threshold"]
    )
    assert meanings["acquisition.distance"].endswith('mean of its class: "euclidean" or "cosine".')
    assert meanings["acquisition.points"] == meanings["acquisition.fraction"]  # one comment above
    assert "mirror left and right" in meanings["data.augment.flip"]


def test_a_pairs_reason_for_a_value_is_not_the_fields_meaning():
    meanings = config_comments.read(labor_jax.get_config("ppl", "gtav"))
    for field in ("round.steps", "selector.steps", "evaluation_flip", "data.cache_bytes"):
        assert meanings[field] == config_comments.read(labor_jax.get_config("ppl"))[field]


def test_meanings_of_a_users_pair(tmp_path):
    def defaults(config):
        data = config.data
        data.weather = "rain"  # or snow
        # How wet,
        # in millimetres.
        data.amount = 3

    registry.register_pair("wet", defaults=defaults)(lambda config, roles: None)
    try:
        config = labor_jax.get_config("spl", "wet")
        meanings = config_comments.read(config)
    finally:
        del registry._PAIRS["wet"]
    assert meanings["data.weather"] == "or snow"
    assert meanings["data.amount"] == "How wet, in millimetres."


@pytest.mark.parametrize("columns", [50, 100])
def test_fields_are_flags_with_values_within_the_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    config = labor_jax.get_config("spl", "camvid")
    shown = command_help.fields(config, config_comments.read(config))
    words = shown.split()
    assert "--config.supervised.steps=300" in words
    assert "--config.data.source_size='(120, 160)'" in shown
    assert "--config.warmup.terms.adversarial=0.001" in words
    assert "--config.warmup.terms.NAME=0.0" in words and "min_entropy," in words
    assert shown.count("Average predictions") == 1  # a comment above two fields is shown once
    long = [line for line in shown.splitlines() if len(line) > columns]
    assert all(line.startswith("  --config.") for line in long)  # those can't be broken


def test_a_flag_as_it_is_shown_sets_the_field():
    import shlex

    from labor_jax import config_argument

    config = labor_jax.get_config("ppl", "camvid")
    shown = command_help.fields(config, {})
    arguments = [
        shlex.split(line)[0]
        for line in shown.splitlines()
        if line.startswith("  --config.") and "terms.NAME" not in line and "=None" not in line
    ]
    copied = labor_jax.get_config("ppl", "camvid")
    assert config_argument.override(copied, ["main", *arguments]) == ["main"]
    changed = {
        name: (value, flat(copied)[name])
        for name, value in flat(config).items()
        if flat(copied)[name] != value
    }
    assert not changed


def test_a_weight_that_is_open_is_shown_as_such():
    shown = command_help.fields(labor_jax.get_config("uda:mic", "folders"), {}).split()
    assert "--config.warmup.terms.feature_distance=None" in shown


def test_the_coding_of_a_role_is_told_as_its_own():
    meanings = config_comments.read(labor_jax.get_config("ppl", "folders"))
    for role in ROLES:
        assert meanings[f"data.{role}.label_map"] == "empty: as data.label_map"
    assert "data.long_side" in meanings["data.source_size"]


def test_a_list_wraps_descriptions(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shown = command_help.listed(
        "Title:", [("a", "one two three four five six seven"), ("b", "")], 10
    )
    assert shown.splitlines() == [
        "Title:",
        "  a       one two three four five six",
        "          seven",
        "  b",
    ]
