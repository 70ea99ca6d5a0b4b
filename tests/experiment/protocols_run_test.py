"""The papers' protocols as whole runs: one of each distinct program, in tiny official folders."""

import json

import pytest

from labor_jax import experiment
from tests.driving import driving_data
from tests.experiment.protocol_rows import ROWS, row_config
from tests.tiny import tiny_config

pytestmark = pytest.mark.slow

SIZE = (64, 64)


def tiny_row(row, root):
    """A row's config at a size for tests, with the network that compiles fastest."""
    config, tiny = row_config(row), tiny_config()
    config.model.update(
        backbone="two_layers", width=4, output_stride=4, head_channels=8, batch_norm="trained"
    )
    if config.model.head == "deeplab_v2":
        config.model.head = "linear"
    config.source_batch_size = config.target_batch_size = config.evaluation_batch_size = 2
    config.preview_images, config.log_every = 1, 2
    config.data.update(
        root=str(root),
        cache_folder=str(root / "cache"),
        source_size=SIZE,
        target_size=SIZE,
        evaluation_size=SIZE,
    )
    if config.data.augment.crop:
        config.data.augment.crop = SIZE
        config.evaluation_scales = config.evaluation_scales[:2]
    for section in (config.supervised, config.warmup, config.selector, config.round):
        section.steps = min(section.steps, 2)
    config.terms.update(tiny.terms)
    config.rounds = min(config.rounds, 2)
    steps = (0, 2) if config.joint.query_steps[0] == 0 else (2, 4)
    config.joint.update(steps=6, schedule_steps=9, query_steps=steps)
    if config.acquisition.fraction:  # of tiny label maps, the papers' shares are no region
        config.acquisition.fraction = 0.5
    config.acquisition.reference_size = None
    return config


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return driving_data(tmp_path_factory.mktemp("driving")).root


def check_summary(config, summary):
    assert summary["pair"] == config.pair
    assert [each["round"] for each in summary["rounds"]] == list(range(1, config.rounds + 1))
    assert not config.rounds or summary["rounds"][-1]["labelled_pixels"] > 0
    synthia = config.pair == "synthia"
    assert set(summary["subset_miou"]) == ({"16", "13"} if synthia else set())
    if synthia:
        iou = [value for value in summary["per_class_iou"].values() if value is not None]
        assert 0 <= summary["subset_miou"]["13"] <= max(iou)


def test_rounds_start_from_a_warm_up_that_trains_two_levels(root, tmp_path):
    config = tiny_row(("warmup:synthia",), root)
    check_summary(config, experiment.run(config, tmp_path / "warmup"))
    metrics = (tmp_path / "warmup" / "metrics.jsonl").read_text()
    losses = [each for each in map(json.loads, metrics.splitlines()) if "loss" in each]
    assert {each["phase"] for each in losses} == {"supervised", "warmup"}
    for each in losses:
        weights = {"source_labels": 1.0, "auxiliary_source_labels": 0.1}
        if each["phase"] == "warmup":
            assert each["auxiliary_adversarial_discriminator"] > 0
            weights |= {"adversarial": 1e-3, "auxiliary_adversarial": 2e-4}
        total = sum(weight * each[name] for name, weight in weights.items())
        assert each["loss"] == pytest.approx(total, rel=1e-4)
    config = tiny_row(("spl:synthia",), root)
    config.warm_start = str(tmp_path / "warmup")
    check_summary(config, experiment.run(config, tmp_path / "spl"))


@pytest.mark.parametrize(
    "row",
    [
        ("ppl:gtav",),
        ("ripu_pa:gtav",),
        next(row for row in ROWS if len(row) > 1 and "synthia" in row[0]),
        ("ripu_source_free:gtav",),
        ("supervised:synthia",),
    ],
    ids=lambda row: row[0],
)
def test_a_row_runs(row, root, tmp_path):
    config = tiny_row(row, root)
    config.warmup.steps = 0  # that of two levels is tested above
    check_summary(config, experiment.run(config, tmp_path))
