"""Configs by name: their values, and what a misspelt or renamed field says."""

import collections
import copy
import dataclasses
import json
import pickle

import pytest

from labor_jax import adaptation, recipes
from labor_jax.config import base_config, get_config
from labor_jax.data import own_data, registry
from labor_jax.locked_config import RENAMED, LockedConfig, UnknownFieldError
from tests.conftest import ROOT

GOLDEN = json.loads((ROOT / "tests" / "golden_configs.json").read_text())
"""Fields of each config that differ from those of the config named "from"."""


def golden(name):
    entry = GOLDEN[name]
    return (golden(entry["from"]) if entry["from"] else {}) | entry["fields"]


SCHEDULES = collections.defaultdict(lambda: "full", street="short", camvid="short")
"""Of the golden configs."""


def flat(tree, prefix=""):
    fields = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            fields |= flat(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = list(value) if isinstance(value, tuple) else value
    return fields


@pytest.mark.parametrize("case", [name for name in GOLDEN if name != "base"])
def test_every_method_on_every_pair_keeps_its_values(case):
    name, _, pair = case.rpartition(":")
    config = get_config(name, pair, recipe="paper", schedule=SCHEDULES[pair])
    fields, expected = flat(config.to_dict()), golden(case)
    assert {field: fields.get(field, "no such field") for field in expected} == expected
    terms = {name for name in fields if ".terms." in name} - set(expected)
    assert all(fields[name] == 0 for name in terms)  # a term that is not named is off


def test_every_phase_lists_every_term():
    config = base_config()
    for phase in (config.supervised, config.warmup, config.selector, config.round):
        assert set(phase.terms) == set(adaptation.TERMS)
    for name in adaptation.TERMS:
        assert config.terms[name].to_dict() == adaptation.settings(name)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda config: setattr(config, "rouns", 2), ("config.rouns", "config.rounds?", "seed")),
        (lambda config: config.rouns, ("Did you mean config.rounds?",)),
        (lambda config: config.update(rouns=2), ("Did you mean config.rounds?",)),
        (lambda config: config.data.update(rot=""), ("config.data.rot", "config.data.root?")),
        (
            lambda config: config["warmup.stepz"],
            ("config.warmup are: learning_rate, running_statistics, steps",),
        ),
        (
            lambda config: setattr(config.warmup.terms, "min_entropi", 1.0),
            ("config.warmup.terms.min_entropy?",),
        ),
    ],
)
@pytest.mark.parametrize(
    "copied", [lambda c: c, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_an_unknown_field_names_those_of_its_section(change, says, copied):
    with pytest.raises(UnknownFieldError) as raised:
        change(copied(get_config("spl")))
    assert all(text in str(raised.value) for text in says)


@pytest.mark.parametrize("field", RENAMED)
def test_a_renamed_field_says_its_new_name(field):
    config = get_config("spl")
    *sections, name = field.removeprefix("config.").split(".")
    section = config[".".join(sections)] if sections else config
    with pytest.raises(AttributeError, match="is now config") as raised:
        setattr(section, name, 1)
    for word in str(raised.value).rstrip(".").replace(",", "").split():
        if word.startswith("config.") and word != field:
            assert word.removeprefix("config.") in flat(config.to_dict()) or word in (
                "config.supervised"
            )


def test_a_locked_config_is_still_a_config():
    config = get_config("spl", "camvid")
    copied = config.copy_and_resolve_references()
    assert copied == config and isinstance(copied.warmup, LockedConfig)
    assert copied.is_locked and copied.warmup.is_locked
    assert json.loads(config.to_json())["acquisition"]["method"] == "spl"
    assert config.get("no_such_field", 3) == 3 and not hasattr(config, "no_such_field")
    config.rounds = 2
    config.per_device_batch_size = 1
    config.data.augment.crop = (32, 64)
    config.evaluation_window = None
    with pytest.raises(TypeError, match=r"config\.rounds"):
        config.rounds = "many"
    with pytest.raises(TypeError, match=r"config\.data\.cache_bytes"):
        config.data.cache_bytes = "much"


@pytest.mark.parametrize(
    ("name", "pair", "says"),
    [
        ("slp", "street", ("'slp'", "spl?", "ripu_source_free")),
        ("spl:camvid", "street", ("'spl:camvid'", "spl?")),
        ("active:entropi", "street", ("'entropi'", "entropy")),
        ("active", "street", ("active needs an acquisition method", "random, random_regions")),
        ("spl", "gatv", ("'gatv'", "street", "gtav", "folders")),
    ],
)
def test_an_unknown_name_lists_the_valid_ones(name, pair, says):
    with pytest.raises(ValueError) as raised:
        get_config(name, pair)
    assert all(text in str(raised.value) for text in says)


def test_every_recipe_says_what_it_is():
    assert set(recipes.summaries()) == set(recipes.NAMES)
    assert all(line.endswith(".") for line in recipes.summaries().values())


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *((name, "recipe") for name in ("spl", "active:entropy", "ripu_ra")),
        *((name, "schedule") for name in ("spl", "active:entropy", "uda:min_entropy")),
    ],
)
def test_a_switch_sets_what_follows_it_and_nothing_else(name, field):
    value = {"recipe": "today", "schedule": "short"}[field]
    config, expected = get_config(name), get_config(name, **{field: value})
    config.rounds, expected.rounds = 7, 7
    setattr(config, field, value)
    assert config == expected
    config[field] = get_config(name)[field]
    config.rounds = get_config(name).rounds
    assert config == get_config(name)


@pytest.mark.parametrize("name", ["random", "supervised", "active:margin", "active:pixel_pick"])
def test_the_short_schedule_is_a_third_without_a_source_too(name):
    full, short = (get_config(name, "camvid_pool", schedule=each) for each in ("full", "short"))
    assert 3 * short.round.steps == full.round.steps


def test_without_a_source_a_step_has_camvids_target_images_alone():
    camvid, pool = (get_config("random", pair) for pair in ("camvid", "camvid_pool"))
    assert camvid.source_batch_size == camvid.target_batch_size == pool.target_batch_size == 4
    assert camvid.round.terms.source_labels and not pool.round.terms.source_labels


@pytest.mark.parametrize("name", ["source_only", "warmup", "ripu_source_free", "uda:min_entropy"])
def test_what_has_no_rounds_to_add_to_has_the_papers_recipe_alone(name, monkeypatch):
    for change in (
        lambda: get_config(name, recipe="today"),
        lambda: setattr(get_config(name), "recipe", "today"),
    ):
        says = f"in the rounds, and {name} has none"
        if name.startswith("uda"):
            says = f"but {name} has a recipe of its own.*set config.round.terms.class_mix=1"
        with pytest.raises(ValueError, match=says):
            change()
    settings = dataclasses.replace(registry.pair_settings("street"), recipe="today")
    monkeypatch.setitem(registry._PAIRS, "street", settings)
    assert get_config(name).recipe == "paper"
    assert get_config("spl").round.terms.class_mix == 1


@pytest.mark.parametrize(("pair", "steps"), [("street", 500), ("camvid", 300), ("gtav", 60_000)])
def test_a_method_of_adaptation_trains_at_least_as_long_as_its_source_model(pair, steps):
    assert get_config("uda:advent", pair).warmup.steps == steps
    assert get_config("uda:intrada", pair).retraining.steps == steps // 2


def test_a_switch_leaves_what_somebody_has_set():
    config = get_config("spl")
    assert get_config("spl", schedule="short").round.steps != config.round.steps != 77
    config.round.steps = 77
    config.schedule = "short"
    assert config.round.steps == 77 and config.supervised == get_config("spl").supervised


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: get_config("spl", recipe="old"), "config.recipe is 'old'; choose one of: today"),
        (lambda: get_config("spl", "gtav", schedule="short"), "the pair 'gtav' has no short one"),
        (lambda: setattr(get_config("spl"), "schedule", "shrt"), "config.schedule is 'shrt'"),
    ],
)
def test_a_switch_has_two_values(change, says):
    with pytest.raises(ValueError, match=says):
        change()


def test_a_pair_is_chosen_with_the_config_alone():
    config = get_config("spl")
    before = config.to_dict()
    with pytest.raises(ValueError, match=r"'street' to 'camvid'.*get_config"):
        config.pair = "camvid"
    config.pair = "street"
    assert config.to_dict() == before


def test_a_section_is_no_value():
    config = get_config("spl")
    with pytest.raises(AttributeError, match=r"config\.round is a section.*mean config\.rounds"):
        config.round = 2
    config.round = {"steps": 7}
    assert config.round.steps == 7


def test_none_is_a_value_of_placeholders_alone():
    config = get_config("spl")
    config.model.dropout = None
    with pytest.raises(TypeError, match=r"config\.round\.steps can't be None"):
        config.round.steps = None
    assert config.model.dropout is None and config.round.steps > 0


@pytest.mark.parametrize("pair", ["street", "camvid", "gtav", "synthia", "folders"])
@pytest.mark.parametrize("name", ["ppl", "spl", "random", "supervised"])
def test_todays_recipe_has_nothing_adversarial(name, pair):
    switched = get_config(name, pair, recipe="paper")
    switched.recipe = "today"
    for config in (get_config(name, pair, recipe="today"), switched):
        weights = {term: weight for term, weight in config.round.terms.items() if weight}
        assert config.warmup.steps == 0
        assert set(weights) - {"answers"} == {"source_labels", "class_mix"}


@pytest.mark.parametrize("method", ["pixel_pick", "all", "entropy"])
def test_joint_training_in_rounds_has_a_schedule(method):
    config = get_config(f"active:{method}", "camvid_pool")
    config.schedule = "short"
    assert config == get_config(f"active:{method}", "camvid_pool", schedule="short")


def test_a_config_of_another_name_has_no_recipe():
    config = get_config("spl")
    config.method = "mine"
    with pytest.raises(ValueError, match="'mine', which is no method of the package, so"):
        config.recipe = "today"


def test_a_pair_whose_settings_are_chosen_from_its_images_has_a_longest_side(monkeypatch):
    entry = registry.RegisteredPair(lambda config, roles: None, chosen_from_data=True)
    monkeypatch.setitem(registry._PAIRS, "longest_side", entry)
    config = get_config("ppl", "longest_side")
    assert config.data.long_side == get_config("ppl", "folders").data.long_side
    sizes = {"source": ((600, 800),), "pool": ((600, 800),)}
    assert own_data.resolve(config, own_data.Facts(sizes))


def test_a_recipe_of_ones_own_images_is_set_either_way():
    config = get_config("spl", "folders", recipe="today")
    config.recipe = "paper"
    assert config == get_config("spl", "folders", recipe="paper")
    config.recipe = "today"
    assert config == get_config("spl", "folders", recipe="today")
