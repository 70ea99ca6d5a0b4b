import contextlib

import jax
import numpy as np
import pytest

from labor_jax import data, experiment
from labor_jax.experiment import components, open_fields, plan, size_checks
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config


def _pair(*sizes):
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    split = (images, [image[..., 0] for image in images])
    return data.pair_from_arrays("x", ("a", "b"), source=split, pool=split)


def _check(config, pair):
    size_checks.check_image_sizes(components.build(config, pair), plan.plan(config))


def test_an_image_smaller_than_a_discriminator_needs_is_named(tmp_path):
    config = tiny_config("spl")
    with pytest.raises(ConfigError, match=r"source image source_0000 has 1x1 .* least 32x32\. L"):
        experiment.run(config, tmp_path / "run", _pair((1, 1)))
    assert not (tmp_path / "run").exists()
    config.data.update(source_size=(32, 128), target_size=(32, 31))
    with pytest.raises(ValueError, match=r"config\.data\.target_size has 32x31 .*enlarge them"):
        _check(config, _pair((1, 1)))
    config.data.target_size = (32, 32)
    _check(config, _pair((1, 1)))


def test_a_crop_counts():
    config = tiny_config("spl")
    config.data.augment.crop = (16, 32)
    with pytest.raises(ValueError, match=r"config\.data\.augment\.crop has 16x32"):
        _check(config, _pair((64, 64)))


def test_without_such_a_term_any_size_will_do():
    config = tiny_config("spl")
    config.warmup.terms.adversarial = 0.0
    _check(config, _pair((1, 1)))


def test_answers_are_pasted_only_where_a_device_takes_two_images_at_once():
    config = tiny_config("spl")
    config.round.terms.class_mix = 1.0
    config.terms.class_mix.paste = "source_and_answers"
    devices, pair = jax.devices()[:1], _pair((64, 64))
    built = components.build(config, pair, devices=devices)
    size_checks.check_target_batches(built, plan.plan(config))
    config.gradient_accumulation = 2
    built = components.build(config, pair, devices=devices)
    with pytest.raises(ValueError, match=r"class_mix .*needs 2 .*is 2 and cut into 2 .*least 4"):
        size_checks.check_target_batches(built, plan.plan(config))
    config.terms.class_mix.paste = "source"
    size_checks.check_target_batches(built, plan.plan(config))


@pytest.mark.parametrize(
    ("crop", "scale", "enough"),
    [
        (None, None, None),
        ((64, 64), None, None),
        ((64, 63), None, (64, 64)),
        ((32, 80), None, (64, 80)),
        ((64, 64), (0.5, 1.0), None),
        ((64, 64), (0.5, 1.1), (70, 70)),
    ],
)
def test_answers_are_complete_in_whole_images_alone(crop, scale, enough):
    config, pair = tiny_config("uda:wda"), _pair((32, 32), (64, 64))
    config.data.augment.update(crop=crop, scale=scale)
    config.data.target_size = None
    built = components.build(config, pair)
    size_checks.check_whole_images(built, plan.plan(config))
    config.terms.weak_labels.complete_answers = True
    if enough:
        says = "crop cuts parts of the target image pool_0001, but the term weak_labels .*whole "
        with pytest.raises(ValueError, match=rf"{says}images.*crop to \({enough[0]}, {enough[1]}"):
            size_checks.check_whole_images(built, plan.plan(config))
        config.data.augment.crop = enough
    size_checks.check_whole_images(components.build(config, pair), plan.plan(config))


def test_own_images_may_be_trained_whole_as_the_error_says():
    """None would be a crop that own images choose."""
    config, pair = tiny_config("uda:wda", "folders"), _pair((672, 32))
    config.data.update(long_side=1024, target_size=None)
    config.terms.weak_labels.complete_answers = True
    for crop, says in ((None, r"augment\.crop to \(672, 32\), which"), ((672, 32), None)):
        config.data.augment.crop = crop
        built = components.build(open_fields.filled(config, pair), pair)
        with pytest.raises(ValueError, match=says) if says else contextlib.nullcontext():
            size_checks.check_whole_images(built, plan.plan(built.config))
