"""What methods and terms need is traced before anything is trained."""

import pytest

from labor_jax import acquisition, experiment
from labor_jax.experiment import components, shape_checks
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config


def check(method, **fields):
    config = tiny_config(f"active:{method}")
    config.model.head = "hyperbolic" if method == "halo" else "linear"
    config.model.dropout = 0.5
    config.update_from_flattened_dict(fields)
    shape_checks.check_shapes(components.build(config))


@pytest.mark.parametrize("method", acquisition.METHODS)
def test_every_method_gets_what_it_reads(method):
    check(method)


@pytest.mark.parametrize(
    ("method", "fields", "says"),
    [
        ("halo", {"model.head": "linear"}, "set config.model.head to 'hyperbolic'"),
        ("bald", {"model.dropout": 0.0}, "set config.model.dropout above 0"),
        ("bald", {"acquisition.samples": 0}, "config.acquisition.samples is 0"),
        ("superpixels", {"acquisition.superpixel_size": 1}, "size must be from 2 to 256, got 1"),
        ("pixel_pick", {"acquisition.uncertain_share": 2.0}, "share must be above 0"),
    ],
)
def test_what_does_not_fit_is_named(method, fields, says):
    with pytest.raises(ValueError) as raised:
        check(method, **fields)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("method", "field", "value", "says"),
    [
        ("mic", "feature_distance.things", ("nothing",), r"things \(nothing\) names no class"),
        ("sim", "instance_matching.things", ("nothing",), "things names nothing"),
        ("patch_adapt", "patch_adapt.clusters", 2.5, r"config\.warmup\.terms.* fail: TypeError"),
    ],
)
def test_a_term_that_fails_does_so_before_the_first_step(method, field, value, says, tmp_path):
    config = tiny_config(f"uda:{method}")
    with config.terms.ignore_type():
        config.terms.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError, match=says):
        experiment.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
