"""What a config builds: modules, variables and keys that depend on it alone."""

import jax
import numpy as np
import pytest

from labor_jax.evaluation.inference import Inference
from labor_jax.experiment import batch_inputs, components, size_checks
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import plan
from labor_jax.training import mesh as mesh_lib
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def built():
    return components.build(tiny_config("spl"))


def test_builds_what_the_config_names(built):
    config = built.config
    assert built.pair.name == "street"
    assert len(built.pair.source) == config.data.source_count
    assert built.segmenter.num_classes == built.pair.num_classes
    assert built.segmenter.backbone.batch_norm == "trained"
    assert built.segmenter.backbone.axis_name == mesh_lib.BATCH_AXIS
    assert built.frozen_segmenter.backbone.batch_norm == "frozen"
    assert built.mesh.size == jax.device_count()


@pytest.fixture
def devices():
    return jax.devices()[:1] * 8  # nothing is computed on them


@pytest.mark.parametrize(("images", "used"), [(1, 8), (8, 8), (9, 16), (16, 16)])
def test_the_evaluations_batch_takes_no_device_from_training(built, devices, images, used):
    config = tiny_config("spl")
    config.update(source_batch_size=8, target_batch_size=16, evaluation_batch_size=images)
    run = components.build(config, built.pair, devices=devices)
    assert run.mesh.size == 8
    assert run.evaluation_batch_size == used
    assert batch_inputs.inference_spec(run, "target").batch_size == used
    assert config.evaluation_batch_size == images
    config.source_batch_size = 2
    assert components.build(config, built.pair, devices=devices).mesh.size == 2


def _without_source(config):
    config.supervised.steps = config.warmup.steps = 0
    for term in config.round.terms:
        config.round.terms[term] = float(term == "answers")


def test_a_domain_that_no_phase_trains_on_limits_nothing(built, devices):
    config = tiny_config("active:margin")
    _without_source(config)
    config.update(source_batch_size=3, target_batch_size=16, per_device_batch_size=1)
    run = components.build(config, built.pair, devices=devices)
    assert (run.mesh.size, run.microbatches) == (8, 2)
    config = tiny_config("source_only")
    config.update(source_batch_size=16, target_batch_size=3, per_device_batch_size=1)
    run = components.build(config, built.pair, devices=devices)
    assert (run.mesh.size, run.microbatches) == (8, 2)
    size_checks.check_target_batches(run, plan(config))


def test_a_pair_may_stand_in(built):
    assert components.build(tiny_config("spl"), built.pair).pair is built.pair


@pytest.mark.parametrize("method", ["spl", "active:spl"])
def test_terms_know_the_steps_of_their_phase_or_of_all_joint_training(method):
    config = tiny_config(method)
    config.joint.update(steps=9, query_steps=(3, 5))
    run = components.build(config)
    steps = {}
    for phase in plan(config):
        if phase.section:
            training = KINDS[phase.kind].build_training(run, phase)
            steps.setdefault(phase.section, set()).add(training.setup.steps)
    assert steps.pop("round") == ({9} if config.protocol == "joint" else {3})
    assert steps.pop("selector") == {3}
    assert steps == {section: {config[section].steps} for section in steps}


def test_inference_is_what_the_config_says(built):
    assert built.inference == Inference(overlap=256)
    config = tiny_config("spl")
    fields = {"flip": True, "scales": (0.5, 1.0), "window": (64, 48), "overlap": 16}
    config.update({f"evaluation_{name}": value for name, value in fields.items()})
    assert components.build(config, built.pair).inference == Inference(**fields)


def test_an_unknown_model_is_an_error(built):
    config = tiny_config("spl")
    config.model.backbone = "vgg"
    with pytest.raises(ValueError, match=r"config\.model\.backbone is 'vgg'"):
        components.build(config, built.pair)


def test_initial_variables_depend_on_the_seed_alone(built):
    first, again = (components.initial_variables(built) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    config = tiny_config("spl")
    config.seed = 1
    other = components.initial_variables(components.build(config, built.pair))
    for module in ("backbone", "head"):
        first_kernels, other_kernels = (
            [
                leaf
                for path, leaf in jax.tree_util.tree_leaves_with_path(tree["params"][module])
                if "kernel" in jax.tree_util.keystr(path)
            ]
            for tree in (first, other)
        )
        assert all(np.any(a != b) for a, b in zip(first_kernels, other_kernels, strict=True))
    # They fit the networks, the frozen one too, at the pool's size.
    images = jax.ShapeDtypeStruct((1, 32, 64, 3), "float32")
    outputs = jax.eval_shape(lambda x: built.frozen_segmenter.apply(first, x), images)
    assert outputs.logits.shape == (1, 32, 64, built.pair.num_classes)


def test_a_term_of_the_auxiliary_head_gives_the_network_one(built):
    config = tiny_config("spl")
    config.warmup.terms.auxiliary_adversarial = 2e-4
    drawn = components.initial_variables(components.build(config, built.pair))
    one_level = components.initial_variables(built)
    assert set(one_level["params"]) == {"backbone", "head"}
    assert set(drawn["params"]) == {"auxiliary_head", "backbone", "head"}
    # Whatever the phases are, so that runs with and without rounds have one kind of checkpoint.
    config.update(rounds=0)
    config.warmup.steps = 0
    assert components.build(config, built.pair).segmenter.auxiliary_head is not None


def test_without_a_name_no_weights_are_loaded(built):
    variables = {"params": {"backbone": 1}}
    assert components.load_pretrained(built, variables) is variables


def test_terms_are_those_of_the_section_with_their_settings():
    config = tiny_config("ripu_ra")
    config.round.terms.adversarial = 0.5
    config.terms.adversarial.input = "self_information"
    terms = components.terms(config, "round")
    assert terms.weights == {
        "adversarial": 0.5,
        "answers": 1.0,
        "local_consistency": 0.1,
        "negative_learning": 1.0,
        "source_labels": 1.0,
    }
    assert terms.terms["adversarial"].input == "self_information"
