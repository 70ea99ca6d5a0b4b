"""The whole method on tiny embedded data: results, resume after kill -9, no leak of labels."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from labor_jax import components, experiment, restored
from labor_jax.annotation import LabelStore
from labor_jax.data import Pair, load_pair, street
from labor_jax.phases import plan
from labor_jax.training.checkpoints import Checkpoints
from labor_jax.workdir import ConfigError, Workdir
from tests.conftest import ROOT
from tests.tiny import tiny_config

RUN = """
import sys
from labor_jax import experiment
from tests.tiny import tiny_config
experiment.run(tiny_config(sys.argv[2]), sys.argv[1])
"""


def store_digest(workdir):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.digest()


@pytest.fixture(scope="module")
def spl(tmp_path_factory):
    """A run of SPL that nothing interrupted: (workdir, summary)."""
    workdir = tmp_path_factory.mktemp("spl")
    return workdir, experiment.run(tiny_config("spl"), workdir)


@pytest.fixture(scope="module")
def ripu(tmp_path_factory):
    """The same of RIPU's joint training."""
    workdir = tmp_path_factory.mktemp("ripu")
    return workdir, experiment.run(tiny_config("ripu_ra"), workdir)


def comparable(summary):
    """A summary without what a clock measured."""
    rounds = [{k: v for k, v in r.items() if k != "wall_seconds"} for r in summary["rounds"]]
    return {**summary, "rounds": rounds, "wall_seconds": None}


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


def test_metrics_hold_every_phase(spl):
    workdir, _ = spl
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    trained = {line["phase"] for line in lines if "loss" in line}
    assert trained == {"source", "warmup", "round_1/train", "round_2/train"}
    assert {line["phase"] for line in lines if "discrepancy" in line} == {
        "round_1/selector",
        "round_2/selector",
    }
    assert {line["phase"] for line in lines if "miou" in line} == trained


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


def test_a_finished_run_is_not_run_again(spl):
    workdir, summary = spl
    started = time.monotonic()
    assert experiment.run(tiny_config("spl"), workdir) == summary
    assert time.monotonic() - started < 60


def test_another_config_in_the_same_workdir_is_refused(spl):
    workdir, _ = spl
    config = tiny_config("spl")
    config.round.learning_rate = 0.5
    with pytest.raises(ConfigError, match=r"config\.round\.learning_rate: .* there, 0\.5 now"):
        experiment.run(config, workdir)


def kill_when(process, condition, deadline=120):
    """Sends SIGKILL as soon as the condition holds; False if the process ended before that."""
    end = time.monotonic() + deadline
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            return False
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return True


def reached(workdir, phase):
    """Whether the metrics file tells of a phase."""
    path = workdir / "metrics.jsonl"
    return path.exists() and f'"{phase}"' in path.read_text()


def answered_images(workdir, round_number):
    try:
        with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
            return store.statistics(round_number).answered_images
    except (ValueError, RuntimeError):
        return 0


@pytest.mark.parametrize(
    "moment",
    [
        lambda workdir: reached(workdir, "source"),
        lambda workdir: reached(workdir, "round_1/selector"),
        lambda workdir: answered_images(workdir, 1) > 0,
        lambda workdir: reached(workdir, "round_1/train"),
        lambda workdir: answered_images(workdir, 2) > 0,
    ],
    ids=["source", "selector", "query", "train", "second query"],
)
def test_kill_and_resume_ends_as_if_never_killed(spl, tmp_path, moment):
    check_kill_and_resume("spl", spl, tmp_path, moment)


@pytest.mark.parametrize(
    "moment",
    [lambda workdir: reached(workdir, "joint"), lambda workdir: answered_images(workdir, 2) > 0],
    ids=["before the first query", "second query"],
)
def test_joint_training_resumes_as_if_never_killed(ripu, tmp_path, moment):
    check_kill_and_resume("ripu_ra", ripu, tmp_path, moment)


def check_kill_and_resume(method, uninterrupted, tmp_path, moment):
    whole, summary = uninterrupted
    command = [sys.executable, "-c", RUN, str(tmp_path), method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {
        "cwd": ROOT,
        "env": environment,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
    }
    killed = kill_when(subprocess.Popen(command, **options), lambda: moment(tmp_path))
    assert killed, "the run ended before the moment came"
    assert not (tmp_path / "summary.json").exists()
    resumed = experiment.run(tiny_config(method), tmp_path)
    assert comparable(resumed) == comparable(summary)
    assert store_digest(tmp_path) == store_digest(whole)


class GarbledOutside:
    """A pool whose labels are right where a run asked, and garbage everywhere else."""

    def __init__(self, split, workdir):
        self._split, self.names = split, split.names
        with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES) as store:
            self._asked = {name: store.asked(name) for name in self.names}
        self._garbage = np.random.default_rng(0)

    def __len__(self):
        return len(self._split)

    def size(self, i):
        return self._split.size(i)

    def image(self, i):
        return self._split.image(i)

    def label(self, i):
        right = self._split.label(i)
        garbage = self._garbage.integers(0, len(street.CLASSES), right.shape, np.uint8)
        return np.where(self._asked[self.names[i]], right, garbage)


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


class Unlabelled(GarbledOutside):
    """A pool whose labels nobody may read."""

    def __init__(self, split):
        self._split, self.names = split, split.names

    def label(self, i):
        raise AssertionError("a label of the pool was read")


def test_warm_up_never_reads_the_pools_labels(tmp_path):
    config = tiny_config("warmup")
    pair = load_pair("street", config.data)
    unlabelled = Pair(
        "street", pair.classes, pair.palette, pair.source, Unlabelled(pair.pool), pair.evaluation
    )
    summary = experiment.run(config, tmp_path, pair=unlabelled)
    assert summary["rounds"] == []
    assert summary["final_miou"] == summary["warmup_miou"]


@pytest.mark.parametrize("method", ["ppl", "random", "supervised"])
def test_methods_start_from_one_warm_up(method, tmp_path):
    warm = experiment.run(tiny_config("warmup"), tmp_path / "warmup")
    config = tiny_config(method)
    config.warm_start = str(tmp_path / "warmup")
    started = experiment.run(config, tmp_path / "started")
    assert started["source_only_miou"] == warm["source_only_miou"]
    assert started["warmup_miou"] == warm["warmup_miou"]
    assert len(started["rounds"]) == 2
    config.warm_start = ""
    whole = experiment.run(config, tmp_path / "whole")
    assert whole["final_miou"] == started["final_miou"]
    asked = whole["rounds"][-1]["pixels_per_image"]
    assert {
        "ppl": 0 < asked <= 2 * 19,
        "random": asked == 2 * int(0.05 * 32 * 64 / 2),
        "supervised": asked == 32 * 64,
    }[method]


def test_a_warm_start_of_another_warm_up_is_refused(tmp_path):
    experiment.run(tiny_config("warmup"), tmp_path / "warmup")
    config = tiny_config("ppl")
    config.warm_start = str(tmp_path / "warmup")
    config.source.learning_rate = 0.123
    with pytest.raises(ConfigError, match=r"config\.source\.learning_rate is .* 0\.123 here"):
        experiment.run(config, tmp_path / "started")


def test_joint_training_starts_from_another_runs_first_query(ripu, tmp_path):
    whole, summary = ripu
    start = tiny_config("active:random")
    start.rounds = 0
    experiment.run(start, tmp_path / "start")
    config = tiny_config("ripu_ra")
    config.warm_start = str(tmp_path / "start")
    started = experiment.run(config, tmp_path / "started")
    assert comparable(started) == comparable(summary)
    assert store_digest(tmp_path / "started") == store_digest(whole)

    config.round.negative_learning_weight = 0.5
    with pytest.raises(ConfigError, match=r"config\.round\.negative_learning_weight is 1\.0 there"):
        experiment.run(config, tmp_path / "other")


def test_joint_training_goes_on_with_its_optimiser_and_schedule(ripu):
    workdir, _ = ripu
    assert optimizer_count(workdir) == tiny_config("ripu_ra").joint.steps


def optimizer_count(workdir):
    """Steps that the schedule of a finished joint run has seen."""
    config = Workdir.existing(workdir).read_config()
    parts, phases = components.build(config), plan(config)
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    with contextlib.closing(checkpoints):
        _, tree, _ = checkpoints.restore_latest(
            lambda progress: restored.checkpoint_template(parts, phases, progress)
        )
    model, _ = tree["carry"]["optimizers"]
    (count,) = {int(leaf) for leaf in jax.tree.leaves(model) if leaf.dtype == "int32"}
    return count


def test_source_free_training_reads_no_source_image_after_the_source_phase(tmp_path):
    config = tiny_config("ripu_source_free")
    pair = load_pair("street", config.data)
    start = tiny_config("ripu_source_free")
    start.rounds = 0
    experiment.run(start, tmp_path / "start", pair=pair)
    config.warm_start = str(tmp_path / "start")
    hidden = Pair(
        "street", pair.classes, pair.palette, Hidden(pair.source), pair.pool, pair.evaluation
    )
    summary = experiment.run(config, tmp_path / "run", pair=hidden)
    assert summary["method"] == "ripu_source_free"
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]


class Hidden(GarbledOutside):
    """A split of which nobody may read an image or a label."""

    def __init__(self, split):
        self._split, self.names = split, split.names

    def image(self, i):
        raise AssertionError("a source image was read")

    label = image


@pytest.mark.parametrize("method", ["human_points", "core_set", "random_regions", "ppl"])
def test_every_way_of_asking_runs_under_joint_training(method, tmp_path):
    config = tiny_config(f"active:{method}")
    config.acquisition.points = 40 if method == "core_set" else 0
    config.rounds = 1
    summary = experiment.run(config, tmp_path)
    asked = summary["rounds"][0]["pixels_per_image"]
    pair = load_pair("street", config.data)
    classes = [len(set(np.unique(pair.pool.label(i))) - {255}) for i in range(len(pair.pool))]
    assert {
        "human_points": asked == np.mean(classes),
        "core_set": asked == 40,
        "random_regions": 0 < asked <= 9 * np.ceil(0.022 * 32 * 64 / 9),
        "ppl": 0 < asked <= 19,
    }[method]


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(spl, tmp_path, caplog):
    _, summary = spl
    command = [sys.executable, "-c", RUN, str(tmp_path), "spl"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert kill_when(process, lambda: reached(tmp_path, "round_1/train"))
    newest = max(
        (p for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()),
        key=lambda p: int(p.name),
    )
    for file in (newest / "state" / "d").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    for file in (newest / "state" / "ocdbt.process_0" / "d").iterdir():
        os.truncate(file, file.stat().st_size // 2)
    resumed = experiment.run(tiny_config("spl"), tmp_path)
    assert f"{newest} cannot be read" in caplog.text
    assert comparable(resumed) == comparable(summary)


def test_more_devices_give_the_same_losses(spl, tmp_path):
    """Eight devices and batches of 2: the run takes two of them, and learns what one learns."""
    whole, _ = spl
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path), "spl"],
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
            if '"phase": "source"' in line and '"loss"' in line
        ]
        for workdir in (whole, tmp_path)
    )
    np.testing.assert_allclose(two, one, rtol=1e-3)
