"""Every field that can't be run is named, all in one error."""

import re

import pytest

import labor_jax
from labor_jax import acquisition
from labor_jax.experiment import open_fields
from labor_jax.experiment.config_checks import check_config
from labor_jax.experiment.keys import named_key
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config

METHODS = (
    "ppl",
    "random",
    "ripu_pa",
    "ripu_ra",
    "ripu_source_free",
    "source_only",
    "spl",
    "supervised",
    "warmup",
    *(f"active:{method}" for method in acquisition.METHODS),
)

BAD = {
    "annotator": "crowd",
    "protocol": "mixed",
    "acquisition.method": "guess",
    "optimizer.name": "lion",
    "warmup.terms.auxiliary_source_labels": -0.1,
    "warmup.terms.auxiliary_adversarial": -2e-4,
    "round.terms.answers": -1.0,
    "source_batch_size": 0,
    "warmup.running_statistics": "both",
    "target_batch_size": -3,
    "evaluation_batch_size": -2,
    "gradient_accumulation": 0,
    "per_device_batch_size": 0,
    "evaluation_scales": (1.0, 0.0),
    "evaluation_overlap": -1,
    "evaluation_window": (6, 64),
    "rounds": -1,
    "preview_images": -1,
    "seed": -5,
    "log_every": 0,
    "checkpoint_every": 0,
    "supervised.steps": -1,
    "warmup.steps": -2,
    "selector.steps": -3,
    "round.steps": -4,
    "supervised.learning_rate": 0.0,
    "warmup.learning_rate": -1.0,
    "selector.learning_rate": 0.0,
    "round.learning_rate": 0.0,
    "selector.feature_dropout": 1.0,
    "selector.reversal": -1.0,
    "acquisition.samples": 0,
    "optimizer.momentum": 1.0,
    "optimizer.weight_decay": -1e-4,
    "optimizer.head_multiplier": -3.0,
    "optimizer.power": -1.0,
    "optimizer.clip_norm": -0.5,
}


def with_fields(config, fields):
    config.update_from_flattened_dict(fields)
    return config


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_config_is_fine(method):
    check_config(tiny_config(method))


@pytest.mark.parametrize(("field", "value"), BAD.items())
def test_one_bad_field_is_named_with_its_value(field, value):
    with pytest.raises(ConfigError) as caught:
        check_config(with_fields(tiny_config("spl"), {field: value}))
    assert f"config.{field} is {value!r}; " in str(caught.value)


def test_a_seed_is_what_random_keys_take():
    config = tiny_config("spl")
    config.seed = 2**63 - 1
    check_config(config)
    named_key(config.seed, "initial")
    config.seed = 2**63
    with pytest.raises(ConfigError, match=r"config\.seed is 9223372036854775808; .* below 2\*\*63"):
        check_config(config)


def test_all_bad_fields_are_in_one_error():
    with pytest.raises(ConfigError) as caught:
        check_config(with_fields(tiny_config("spl"), BAD))
    for field, value in BAD.items():
        assert f"config.{field} is {value!r}; " in str(caught.value)


def test_choices_are_listed():
    config = with_fields(tiny_config("spl"), {"optimizer.name": "lion"})
    with pytest.raises(ConfigError, match="choose one of: sgd, adam, adamw"):
        check_config(config)


def no_terms(section):
    return {f"{section}.terms.{name}": 0.0 for name in tiny_config().round.terms}


@pytest.mark.parametrize(
    ("method", "fields", "named"),
    [
        ("source_only", {"supervised.steps": 0}, "supervised.steps is 0; .*no model to start from"),
        ("spl", {"supervised.terms.source_labels": 0.0}, "supervised.terms is .*learn nothing"),
        (
            "warmup",
            {**no_terms("warmup"), "warmup.terms.answers": 1.0},
            "warmup.terms is .*only answers has a weight, .*no answers before the rounds",
        ),
        ("ripu_ra", {"rounds": 0, **no_terms("round")}, "round.terms is .*learn nothing"),
        (
            "ripu_ra",
            {**no_terms("round"), "round.terms.answers": 1.0},
            "round.terms is .*only answers has a weight, .*let config.joint.query_steps start at 0",
        ),
        ("random", {"round.steps": 0}, "round.steps is 0; rounds without steps learn nothing"),
        ("spl", {"selector.steps": 0}, "selector.steps is 0; spl needs a trained pixel selector"),
        (
            "ppl",
            {"selector.noise": 0.0, "selector.feature_dropout": 0.0},
            "selector.noise is 0.0; .*stay copies",
        ),
        ("spl", {"evaluation_scales": ()}, r"evaluation_scales is \(\); .*at least one"),
        (
            "spl",
            {"evaluation_window": (263, 512)},
            r"evaluation_window is \(263, 512\); .*each at least 264 pixels",
        ),
        ("ripu_ra", {"joint.learning_rate": 0.0}, "joint.learning_rate is 0.0; .*above 0"),
        ("ripu_ra", {"rounds": 3}, "joint.query_steps is .*config.rounds is 3"),
        ("ripu_ra", {"joint.query_steps": (5, 3)}, "joint.query_steps is .*must ascend"),
        ("ripu_ra", {"joint.query_steps": (-1, 3)}, "joint.query_steps is .*must ascend"),
        ("ripu_ra", {"joint.steps": 5}, "joint.steps is 5; .*after the last query, at step 5"),
        (
            "ppl",
            {"acquisition.method": "multi_hot"},
            "candidate_classes is 0.0; .*asks all classes of a part, which no other term learns",
        ),
        ("ripu_ra", {"joint.schedule_steps": 8}, "joint.schedule_steps is 8; .*at step 9"),
        (
            "ripu_ra",
            {"joint.query_steps": (0, 3)},
            "supervised.steps is 0; .*no model to start from",
        ),
    ],
)
def test_fields_that_do_not_go_together(method, fields, named):
    with pytest.raises(ConfigError, match=named):
        check_config(with_fields(tiny_config(method), fields))


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("warmup", {"supervised.steps": 0}),
        ("warmup", {"warmup.terms.answers": 1.0}),  # batch norm then follows the target
        ("source_only", {"round.steps": 0}),
        ("random", {"selector.steps": 0, "selector.noise": 0.0, "selector.feature_dropout": 0.0}),
        ("spl", {"selector.noise": 0.0}),
        ("spl", {"selector.feature_dropout": 0.0}),
        ("ripu_ra", {"rounds": 1}),
        ("spl", {"evaluation_window": (272, 512), "evaluation_scales": (0.5, 1, 1.5)}),
        ("ripu_ra", {"rounds": 0}),
        ("active:multi_hot", {"round.terms.candidate_classes": 0.0}),
        ("uda:advent", {"acquisition.method": "multi_hot"}),  # without rounds nothing is asked
        ("ripu_ra", {"round.steps": 0}),
        ("ripu_source_free", {"joint.query_steps": (0, 1)}),
    ],
)
def test_fields_that_go_together(method, fields):
    check_config(with_fields(tiny_config(method), fields))


@pytest.mark.parametrize("method", acquisition.METHODS)
def test_without_a_source_each_way_to_start_that_is_named_is_one(method):
    def at_once(method=method):
        config = labor_jax.get_config(f"active:{method}", "camvid_pool")
        config.acquisition.random_rounds = 0
        return config

    if not acquisition.METHODS[method].needs_model:
        check_config(at_once())
        return
    with pytest.raises(ConfigError, match="no source to train on first") as caught:
        check_config(at_once())
    said = str(caught.value)
    assert "supervised" not in said
    check_config(with_fields(at_once(), {"model.pretrained": "model.safetensors"}))
    assert "name the file of a whole model in config.model.pretrained" in said
    (starting,) = re.findall(r"choose a method that needs no model \((.+)\)", said)
    for name in starting.split(", "):
        check_config(at_once(name))
    random_first = with_fields(at_once(), {"acquisition.random_rounds": 1})
    if "set config.acquisition.random_rounds above 0" in said:
        check_config(random_first)
    else:
        with pytest.raises(ConfigError, match="nothing asks at random") as caught:
            check_config(random_first)
        assert "no source to train on first" in str(caught.value)


def test_people_are_not_told_to_start_with_what_the_oracle_picks():
    config = labor_jax.get_config("active:superpixels", "camvid_pool")
    config.annotator = "human"
    with pytest.raises(ConfigError, match=r"no model \(random, random_regions, random_images, all"):
        check_config(config)


@pytest.mark.parametrize("pair", ["street", "photos", "camvid_pool"])
def test_a_config_that_does_nothing_is_refused(pair):
    config = labor_jax.get_config("random" if pair == "street" else "active:margin", pair)
    with_fields(config, {"rounds": 0, "supervised.steps": 0, "warmup.steps": 0})
    with pytest.raises(ConfigError, match=r"config\.rounds is 0; .* nothing to do"):
        check_config(open_fields.filled(config))
