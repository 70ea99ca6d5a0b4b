"""The papers' protocols as configs, and their programs' shapes at the papers' sizes."""

import jax
import numpy as np
import pytest

from labor_jax import experiment, get_config, models
from labor_jax.data import Pair
from labor_jax.data.driving import cityscapes
from labor_jax.experiment import components
from labor_jax.experiment.config_checks import check_config
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import plan
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training.step import make_train_step
from tests.driving import driving_data
from tests.experiment.protocol_rows import ROWS, row_config
from tests.experiment.protocols_run_test import tiny_row


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return driving_data(tmp_path_factory.mktemp("driving")).root


@pytest.mark.parametrize("pair", ["gtav", "synthia"])
def test_ripus_numbers(pair):
    regions, points = get_config("ripu_ra", pair), get_config("ripu_pa", pair)
    for config in (regions, points):
        assert config.joint.to_dict() == {
            "steps": 40_000,
            "schedule_steps": 62_500,
            "query_steps": (10_000, 12_000, 14_000, 16_000, 18_000),
            "learning_rate": 2.5e-4,
        }
        assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.9)
        assert (config.optimizer.weight_decay, config.optimizer.head_multiplier) == (5e-4, 10)
        assert components.terms(config, "round").weights == {
            "source_labels": 1.0,
            "answers": 1.0,
            "local_consistency": 0.1,
            "negative_learning": 1.0,
        }
        assert config.source_batch_size == config.target_batch_size == 2
        assert config.model.batch_norm == "frozen" and config.evaluation_flip
        assert not config.data.augment.flip and config.data.source_sampling == "balanced"
        assert config.acquisition.reference_size == (640, 1280)
        assert config.data.source_size == (720, 1280)
        assert config.data.target_size == config.data.evaluation_size == (640, 1280)
    assert (regions.acquisition.radius, regions.acquisition.fraction) == (1, 0.022)
    assert (points.acquisition.radius, points.acquisition.points) == (32, 40)


def test_adaptsegnets_two_levels():
    config = get_config("warmup", "synthia")
    assert components.terms(config, "supervised").weights == {
        "source_labels": 1.0,
        "auxiliary_source_labels": 0.1,
    }
    assert components.terms(config, "warmup").weights == {
        "source_labels": 1.0,
        "auxiliary_source_labels": 0.1,
        "adversarial": 1e-3,
        "auxiliary_adversarial": 2e-4,
    }


@pytest.mark.parametrize("name", ["spl", "ppl", "random", "supervised", "warmup"])
def test_labors_rows_have_iasts_settings(name):
    config = get_config(name, "gtav")
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.weight_decay) == ("adam", 5e-4)
    rates = {
        section: config[section].learning_rate * optimizer.head_multiplier
        for section in ("supervised", "warmup", "round")
    }
    assert rates == pytest.approx({"supervised": 1e-4, "warmup": 2e-5, "round": 2.5e-5})
    heights = [config.data.augment.crop[0] / scale for scale in config.data.augment.scale]
    assert heights == pytest.approx([950, 341])
    height, width = config.data.evaluation_size
    sizes = [(scale * width, scale * height) for scale in config.evaluation_scales]
    assert sizes == [(1024, 512), (1280, 640), (1536, 768), (1800, 900), (2048, 1024)]
    for section in ("supervised", "warmup", "round"):
        assert not components.terms(config, section).uses_auxiliary_head
    weights = components.terms(config, "round").weights
    assert weights["adversarial"] == config.warmup.terms.adversarial == 0.05
    assert config.terms.adversarial.objective == "least_squares"
    assert config.terms.self_training.thresholds == "instance_adaptive"


@pytest.mark.parametrize("name", ["active:spl", "active:random", "ripu_ra", "source_only"])
def test_other_rows_have_not(name):
    config = get_config(name, "gtav")
    assert config.optimizer.name == "sgd" and config.data.augment.crop is None
    assert config.round.terms.adversarial == 0


def test_frozen_batch_norm_needs_weights():
    config = get_config("spl", "gtav")
    with pytest.raises(ConfigError, match=r"model\.batch_norm is 'frozen'; .*model\.pretrained"):
        check_config(config)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_row_takes_its_steps(row):
    config = row_config(row, "--config.model.pretrained=resnet101.pth")
    check_config(config)
    assert plan(config)[-1].last_step // 100 * 100 == ROWS[row]
    v3plus = len(row) > 1
    segmenter = models.build_segmenter(config.model, 19)
    assert segmenter.backbone.layout == "resnet101"
    assert segmenter.head.dropout == (0.1 if v3plus else 0.0)
    assert config.model.head == ("deeplab_v3plus" if v3plus else "deeplab_v2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("row", "phase_names"),
    [
        (("spl:gtav",), ("warmup",)),
        (next(row for row in ROWS if len(row) > 1), ("joint",)),
    ],
    ids=["labor", "ripu-v3plus"],
)
def test_a_row_can_be_traced_at_the_papers_size(row, phase_names):
    config = row_config(row, "--config.model.pretrained=resnet101.pth")
    pair = Pair("gtav", cityscapes.CLASSES, cityscapes.PALETTE, None, None, None)
    built = components.build(config, pair)
    key = jax.random.key(0)

    def images(domain):
        size = config.data.augment.crop or config.data[f"{domain}_size"]
        return {
            "image": jax.ShapeDtypeStruct((2, *size, 3), np.uint8),
            "label": jax.ShapeDtypeStruct((2, *size), np.int32),
        }

    model = jax.eval_shape(lambda: components.initial_variables(built))
    handover = Handover(model=model, players={})
    for phase in (phase for phase in plan(config) if phase.name in phase_names):
        kind = KINDS[phase.kind]
        training = kind.build_training(built, phase)
        state = jax.eval_shape(
            lambda each, kind=kind, phase=phase: kind.first_state(built, phase, each, key), handover
        )
        step = make_train_step(
            training.network,
            training.optimizer,
            training.terms,
            players=training.players,
            axis_name=None,
        )
        batch = {domain: images(domain) for domain in training.terms.domains}
        after, metrics = jax.eval_shape(step, state, batch)
        assert set(training.terms.weights) < set(metrics)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
            lambda x: (x.shape, x.dtype), state
        )


@pytest.mark.slow
def test_a_published_source_model_stands_in_for_the_supervised_phase(root, tmp_path):
    config = tiny_row(("ripu_source_free:gtav",), root)
    config.model.update(backbone="resnet18", stem="small", output_stride=8, head="deeplab_v2")
    built = components.build(config)
    models.save_weights(
        tmp_path / "source.npz", built.segmenter, components.initial_variables(built)
    )
    config.supervised.steps = 0
    with pytest.raises(ConfigError, match=r"supervised\.steps"):
        check_config(config)
    config.model.pretrained = str(tmp_path / "source.npz")
    summary = experiment.run(config, tmp_path / "run")
    assert summary["source_only_miou"] is None
    assert len(summary["rounds"]) == 2


def test_the_balanced_source_is_read_once(root):
    config = tiny_row(("ripu_ra:gtav",), root)
    config.data.cache_folder = str(root / "once")
    built = components.build(config)
    counts = built.source_class_counts
    assert counts.shape == (3, 19) and counts.all()
    assert built.source_class_counts is counts
    assert len(list((root / "once").iterdir())) == 1
    assert components.build(tiny_row(("spl:gtav",), root)).source_class_counts is None


def test_the_other_targets(root):
    for target, images in (("acdc", 2), ("bdd100k", 1)):
        config = tiny_row(("ripu_ra:gtav",), root)
        config.data.target = target
        pair = components.build(config).pair
        assert len(pair.pool) == images
        assert np.isin(pair.pool.label(0), [*range(19), 255]).all()
