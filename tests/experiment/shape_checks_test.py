"""What methods and terms need is traced before anything is trained."""

import dataclasses

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


class Sizes:
    """A pool of images that nobody may read."""

    names = ("middle", "large", "small")

    def __len__(self):
        return 3

    def size(self, i):
        return ((64, 128), (1080, 1920), (40, 50))[i]


@pytest.mark.parametrize(
    ("method", "fields", "says"),
    [
        (
            "superpixels",
            {"acquisition.superpixel_size": 4},
            "fails on an image of 1080x1920 pixels: 129600 superpixels may occur",
        ),
        ("of_a_window", {"acquisition.points": 5}, "fails on an image of 40x50 pixels: too small"),
    ],
)
def test_the_largest_and_the_smallest_image_of_the_pool_are_checked(
    method, fields, says, monkeypatch
):
    def of_a_window(logits):
        if len(logits) < 60:
            raise ValueError("too small")
        return logits[..., 0]

    entry = acquisition.Method("of_a_window", of_a_window, parameters=("logits",))
    monkeypatch.setitem(acquisition.METHODS, "of_a_window", entry)
    config = tiny_config("active:superpixels")
    config.acquisition.method = method
    config.update_from_flattened_dict(fields)
    built = components.build(config)
    built = dataclasses.replace(built, pair=dataclasses.replace(built.pair, pool=Sizes()))
    with pytest.raises(ValueError, match=says):
        shape_checks.check_shapes(built)


@pytest.mark.parametrize(
    ("method", "field", "value", "says"),
    [
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
