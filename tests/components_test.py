"""What a config builds: modules, variables and keys that depend on it alone."""

import jax
import numpy as np
import pytest

from labor_jax import components, models
from labor_jax.evaluation.inference import Inference
from labor_jax.training import mesh as mesh_lib
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def parts():
    return components.build(tiny_config("spl"))


def test_builds_what_the_config_names(parts):
    config = parts.config
    assert parts.pair.name == "street"
    assert len(parts.pair.source) == config.data.source_count
    assert parts.segmenter.num_classes == parts.pair.num_classes
    assert parts.segmenter.backbone.batch_norm == "trained"
    assert parts.segmenter.backbone.axis_name == mesh_lib.BATCH_AXIS
    assert parts.frozen_segmenter.backbone.batch_norm == "frozen"
    assert parts.discriminator.width == config.warmup.discriminator_width
    assert parts.mesh.size == jax.device_count()


def test_a_pair_may_stand_in(parts):
    assert components.build(tiny_config("spl"), parts.pair).pair is parts.pair


def test_inference_is_what_the_config_says(parts):
    assert parts.inference == Inference(overlap=256)
    config = tiny_config("spl")
    fields = {"flip": True, "scales": (0.5, 1.0), "window": (64, 48), "overlap": 16}
    config.update({f"evaluation_{name}": value for name, value in fields.items()})
    assert components.build(config, parts.pair).inference == Inference(**fields)


def test_an_unknown_model_is_an_error(parts):
    config = tiny_config("spl")
    config.model.backbone = "vgg"
    with pytest.raises(ValueError, match=r"config\.model\.backbone is 'vgg'"):
        components.build(config, parts.pair)


def test_initial_variables_depend_on_the_seed_alone(parts):
    first, again = (components.initial_variables(parts) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    config = tiny_config("spl")
    config.seed = 1
    other = components.initial_variables(components.build(config, parts.pair))
    for name in ("backbone", "classifier"):
        kernels = [
            leaf
            for tree in (first, other)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree["model"][name])
            if "kernel" in jax.tree_util.keystr(path)
        ]
        half = len(kernels) // 2
        assert all(np.any(a != b) for a, b in zip(kernels[:half], kernels[half:], strict=True))
    # They fit the modules, frozen ones too, at the pool's size.
    images = jax.ShapeDtypeStruct((1, 32, 64, 3), "float32")
    logits = jax.eval_shape(
        lambda x: models.apply(parts.frozen_segmenter, first["model"], x)[0], images
    )
    odds = jax.eval_shape(
        lambda x: parts.discriminator.apply({"params": first["discriminator"]["classifier"]}, x),
        logits,
    )
    assert logits.shape == (1, 32, 64, parts.pair.num_classes) and odds.shape == (1, 1, 2, 1)


def test_a_warm_up_of_two_levels_has_a_classifier_and_a_discriminator_more(parts):
    config = tiny_config("spl")
    config.warmup.two_levels = True
    drawn = components.initial_variables(components.build(config, parts.pair))
    one_level = components.initial_variables(parts)
    assert set(one_level["model"]) == {"backbone", "classifier"}
    assert set(drawn["discriminator"]) == {"classifier", "auxiliary"}
    for name, tree in one_level.items():
        jax.tree.map(
            np.testing.assert_array_equal, tree, {part: drawn[name][part] for part in tree}
        )
    kernel = drawn["model"]["auxiliary"]["params"]["rate6"]["kernel"]
    assert kernel.shape == (3, 3, config.model.width * 4, parts.pair.num_classes)
    first, second = (
        jax.tree.leaves(drawn["discriminator"][part]) for part in drawn["discriminator"]
    )
    assert any(np.any(a != b) for a, b in zip(first, second, strict=True))
    config.warmup.steps = 0
    assert components.build(config, parts.pair).segmenter.auxiliary is None


def test_without_a_name_no_weights_are_loaded(parts):
    variables = {"model": {"backbone": 1}, "discriminator": 2}
    assert components.load_pretrained(parts, variables) is variables


def test_phase_keys_depend_on_seed_and_name_alone():
    def data(seed, name):
        return tuple(np.asarray(jax.random.key_data(components.phase_key(seed, name))))

    cases = [(seed, name) for seed in (0, 1) for name in ("round_1/query", "round_2/query")]
    assert len({data(*case) for case in cases}) == len(cases)
    assert data(0, "source") == data(0, "source")


def test_data_seeds_stay_the_same_between_processes():
    # Fixed numbers: a resumed run must draw the order that the killed one drew.
    assert components.data_seed(0, "source/source") == 183345700
    seeds = {components.data_seed(seed, name) for seed in range(5) for name in ("a", "b", "c")}
    assert len(seeds) == 15 and all(0 <= seed < 2**31 for seed in seeds)
