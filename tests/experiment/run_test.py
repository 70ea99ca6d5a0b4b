"""The whole method on tiny embedded data: results, resume after kill -9, no leak of labels."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from labor_jax import devices, experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import Pair, load_pair, street
from labor_jax.evaluation.confusion import intersection_over_union
from labor_jax.experiment import summary as summary_lib
from labor_jax.experiment import tensorboard
from labor_jax.experiment.workdir import ConfigError
from tests.conftest import ROOT
from tests.runs import (
    RUN,
    GarbledOutside,
    Unlabelled,
    Writer,
    check_resumes,
    comparable,
    interrupt_query,
    interrupt_training,
    kill_when,
    reached,
    store_digest,
)
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def spl(tmp_path_factory):
    """A run of SPL that nothing interrupted: (workdir, summary)."""
    workdir = tmp_path_factory.mktemp("spl")
    return workdir, experiment.run(tiny_config("spl"), workdir)


def test_the_workdir_holds_what_readme_promises(spl):
    workdir, summary = spl
    assert json.loads((workdir / "summary.json").read_text()) == summary
    assert {path.name for path in workdir.iterdir()} >= {
        "config.json",
        "metrics.jsonl",
        "labels.sqlite",
        "checkpoints",
        "report.html",
        "summary.json",
    }
    assert (summary["method"], summary["pair"], summary["seed"]) == ("spl", "street", 0)
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]
    assert summary["final_miou"] == summary["rounds"][-1]["miou"]
    assert set(summary["per_class_iou"]) == set(street.CLASSES)
    assert summary["rounds"][-1]["per_class_iou"] == summary["per_class_iou"]
    assert summary["rounds"][0]["per_class_iou"] != summary["per_class_iou"]
    confusion = np.array(summary["confusion"])
    iou = intersection_over_union(confusion)
    assert summary["per_class_iou"]["road"] == pytest.approx(iou[0]) and confusion.shape == (19, 19)
    assert summary["miou_error"] is None and summary["device"].endswith("float32")  # four images


def logged(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_metrics_tell_the_time_the_rate_and_the_pace(spl):
    lines = logged(spl[0])
    times = [line["time"] for line in lines]
    assert times == sorted(times) and 0 < time.time() - times[0] < 3600
    trained = [line for line in lines if "loss" in line]
    assert all(0 < line["images_per_second"] < 1e6 for line in trained)
    rates = {(line["phase"], line["step"]): line["learning_rate"] for line in trained}
    config, first_step = tiny_config("spl"), 4 + 3 + 3 + 1
    for phase, before, section, steps in (
        ("supervised", 0, config.supervised, (2, 4)),
        ("round_1/train", first_step, config.round, (2, 3)),
    ):
        for taken in steps:
            left = 1 - (taken - 1) / section.steps
            expected = section.learning_rate * left**config.optimizer.power
            assert rates[phase, before + taken] == pytest.approx(expected)


def test_metrics_hold_every_phase(spl):
    workdir, _ = spl
    lines = logged(workdir)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    trained = {line["phase"] for line in lines if "loss" in line}
    assert trained - {"round_1/selector", "round_2/selector"} == {
        "supervised",
        "warmup",
        "round_1/train",
        "round_2/train",
    }
    assert {line["phase"] for line in lines if "discrepancy" in line} == {
        "round_1/selector",
        "round_2/selector",
    }
    evaluated = {line["phase"] for line in lines if "miou" in line}
    assert evaluated == {"supervised", "warmup", "round_1/train", "round_2/train"}


def test_spl_charges_what_it_asked_and_no_pixel_twice(spl):
    workdir, summary = spl
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES) as store:
        for entry in summary["rounds"]:
            images = store.images(entry["round"])
            asked = sum(int(store.asked(name, entry["round"]).sum()) for name in images)
            assert asked == entry["labelled_pixels"] > 0
            assert entry["labelled_fraction"] == pytest.approx(asked / (4 * 32 * 64))
            assert entry["pixels_per_image"] == pytest.approx(asked / 4)
        for name in store.images(1):
            assert not (store.query(name, 1) & store.query(name, 2)).any()
    assert summary["rounds"][-1]["labelled_fraction"] <= 0.05


def test_a_finished_run_is_not_run_again(spl, monkeypatch):
    workdir, summary = spl
    # On another machine it still says what it was computed with.
    monkeypatch.setattr(devices, "describe", lambda *_: "1 XPU, float32")
    monkeypatch.setattr(summary_lib, "package_versions", lambda: {"jax": "another"})
    assert experiment.run(tiny_config("spl"), workdir) == summary


def test_a_report_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    from labor_jax.experiment import report

    def fail(*arguments, **options):
        raise ValueError("a picture is too wide")

    monkeypatch.setattr(report, "write_report", fail)
    summary = experiment.run(tiny_config("source_only"), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert f"report.html was not written: a picture is too wide. labor-jax report {tmp_path}" in (
        caplog.text
    )
    assert experiment.run(tiny_config("source_only"), tmp_path) == summary


def test_another_config_in_the_same_workdir_is_refused(spl):
    workdir, _ = spl
    config = tiny_config("spl")
    config.round.learning_rate = 0.5
    with pytest.raises(ConfigError, match=r"config\.round\.learning_rate: .* there, 0\.5 now"):
        experiment.run(config, workdir)


@pytest.mark.slow
def test_a_run_interrupted_while_the_selector_trains_resumes(spl, tmp_path):
    interrupt_training(tiny_config("spl"), tmp_path, "round_1/selector", 3)
    check_resumes(tiny_config("spl"), spl, tmp_path)


def test_a_run_interrupted_in_the_middle_of_a_query_resumes(spl, tmp_path):
    interrupt_query(tiny_config("spl"), tmp_path, 1)
    check_resumes(tiny_config("spl"), spl, tmp_path)


def test_labels_that_were_not_asked_cannot_leak(spl, tmp_path):
    workdir, summary = spl
    config = tiny_config("spl")
    pair = load_pair("street", config.data)
    pool = GarbledOutside(pair.pool, workdir)
    assert any((pool.label(i) != pair.pool.label(i)).any() for i in range(len(pool)))
    garbled = Pair("street", pair.classes, pair.palette, pair.source, pool, pair.evaluation)
    again = experiment.run(config, tmp_path, pair=garbled)
    assert comparable(again) == comparable(summary)
    assert store_digest(tmp_path) == store_digest(workdir)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A warm-up in TensorBoard, traced, on a pool whose labels nobody may read.

    (workdir, summary, TensorBoard's writer)
    """
    workdir, config, writer = tmp_path_factory.mktemp("warm"), tiny_config("warmup"), Writer()
    pair = load_pair("street", config.data)
    pair = dataclasses.replace(pair, pool=Unlabelled(pair.pool))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorboard, "check_installed", lambda: None)
        patch.setattr(tensorboard, "open_writer", lambda folder: writer)
        summary = experiment.run(config, workdir, pair, tensorboard=True, profile="warmup:2-3")
    return workdir, summary, writer


@pytest.fixture(scope="module")
def warm(watched):
    """A finished warm-up: (workdir, summary)."""
    return watched[:2]


def test_warm_up_never_reads_the_pools_labels(warm):
    _, summary = warm
    assert summary["rounds"] == []
    assert summary["final_miou"] == summary["warmup_miou"]


def test_tensorboard_gets_the_lines_of_the_metrics_file_and_pictures(watched):
    workdir, _, writer = watched
    assert writer.scalars == [(line["step"], tensorboard.scalars(line)) for line in logged(workdir)]
    assert [step for step, _ in writer.images] == [4, 4 + 3]


def test_the_named_phase_is_traced(watched):
    (trace,) = (watched[0] / "profile").rglob("*.xplane.pb")
    assert trace.relative_to(watched[0]).parts[:2] == ("profile", "warmup")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppl", "random", "supervised"])
def test_methods_start_from_one_warm_up(method, warm, tmp_path):
    config = tiny_config(method)
    config.warm_start = str(warm[0])
    started = experiment.run(config, tmp_path)
    assert started["source_only_miou"] == warm[1]["source_only_miou"]
    assert started["warmup_miou"] == warm[1]["warmup_miou"]
    assert len(started["rounds"]) == 2
    asked = started["rounds"][-1]["pixels_per_image"]
    assert {
        "ppl": 0 < asked <= 2 * 19,
        "random": asked == 2 * math.ceil(0.05 * 32 * 64 / 2),
        "supervised": asked == 32 * 64,
    }[method]


def test_a_warm_start_ends_as_the_whole_run(spl, warm, tmp_path):
    config = tiny_config("spl")
    config.warm_start = str(warm[0])
    assert experiment.run(config, tmp_path)["final_miou"] == spl[1]["final_miou"]
    assert store_digest(tmp_path) == store_digest(spl[0])


def test_a_warm_start_of_another_warm_up_is_refused(warm, tmp_path):
    config = tiny_config("ppl")
    config.warm_start = str(warm[0])
    config.supervised.learning_rate = 0.123
    with pytest.raises(ConfigError, match=r"config\.supervised\.learning_rate is .* 0\.123 here"):
        experiment.run(config, tmp_path / "started")


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(spl, tmp_path, caplog):
    command = [sys.executable, "-c", RUN, str(tmp_path), "spl"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert kill_when(process, lambda: reached(tmp_path, "round_1/train"))
    assert not (tmp_path / "summary.json").exists()
    newest = max(
        (p for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()),
        key=lambda p: int(p.name),
    )
    for file in (newest / "state" / "d").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    for file in (newest / "state" / "ocdbt.process_0" / "d").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    check_resumes(tiny_config("spl"), spl, tmp_path)
    assert f"{newest} cannot be read" in caplog.text


@pytest.mark.slow
def test_more_devices_give_the_same_losses(spl, tmp_path):
    """Eight devices and batches of 2: the run takes two of them, and learns what one learns.

    The first phase, with XLA's optimisations; rounds of several devices are in processes_run_test.
    """
    whole, _ = spl
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path), "source_only"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Using 2 of 8 devices" in result.stderr
    one, two = (
        [
            json.loads(line)["loss"]
            for line in (workdir / "metrics.jsonl").read_text().splitlines()
            if '"loss"' in line and '"phase": "supervised"' in line
        ]
        for workdir in (whole, tmp_path)
    )
    assert len(one) == 2
    np.testing.assert_allclose(two, one, rtol=1e-3)
