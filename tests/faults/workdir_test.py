"""Damaged files of a workdir: what can be made again is, and no run ends because of it."""

import json
import logging
import shutil

import pytest

from labor_jax import experiment
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training.checkpoints import Checkpoints
from labor_jax.training.metrics import MetricsFile
from tests import runs
from tests.faults.conftest import config
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same run without an interruption, and its summary."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    return workdir, experiment.run(config(), workdir)


@pytest.fixture(scope="module")
def mended(interrupted, tmp_path_factory):
    """The interrupted run, resumed after its config, metrics and a preview were damaged."""
    workdir = shutil.copytree(interrupted, tmp_path_factory.mktemp("mended") / "run")
    for name in ("config.json", "metrics.jsonl"):
        content = (workdir / name).read_bytes()
        (workdir / name).write_bytes(b"\xff" + content[:1] + content[2:])
    preview = workdir / "previews" / "warmup" / "0.png"
    preview.write_bytes(preview.read_bytes()[:40])
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("labor_jax").addHandler(handler)
    try:
        summary = experiment.run(config(), workdir)
    finally:
        logging.getLogger("labor_jax").removeHandler(handler)
    return workdir, summary, messages


@pytest.mark.slow
def test_the_run_ends_as_if_nothing_had_happened(mended, whole):
    assert runs.comparable(mended[1]) == runs.comparable(whole[1])
    assert runs.store_digest(mended[0]) == runs.store_digest(whole[0])


def test_each_damage_is_told(mended):
    workdir, _, messages = mended
    for start in (
        f"{workdir / 'config.json'} is damaged",
        f"1 damaged lines of {workdir / 'metrics.jsonl'}",
        "The report leaves out an image",
    ):
        assert any(message.startswith(start) for message in messages), start


def test_the_config_is_written_again(mended, whole):
    assert (mended[0] / "config.json").read_text() == (whole[0] / "config.json").read_text()


def test_metrics_after_an_interruption_are_those_without_one(interrupted, whole, tmp_path):
    workdir = shutil.copytree(interrupted, tmp_path / "run")
    experiment.run(config(), workdir)
    assert runs.metrics(workdir) == runs.metrics(whole[0])


def test_a_damaged_config_of_another_run_is_not_taken_for_this_one(workdir):
    (workdir / "config.json").write_text("{")
    other = config()
    other.round.steps = 5
    with pytest.raises(ConfigError, match=r"config\.round\.steps: 3 there, 5 now"):
        experiment.run(other, workdir)
    # Neither is its config written over it.
    assert Workdir.existing(workdir).read_config().round.steps == 3


def test_checkpoints_of_another_run_are_refused(workdir):
    described = json.loads((workdir / "config.json").read_text())
    described["seed"] = 7
    (workdir / "config.json").write_text(json.dumps(described))
    other = config()
    other.seed = 7
    with pytest.raises(ConfigError, match=r"checkpoints holds .*\n.*config\.seed: 0 there, 7 now"):
        experiment.run(other, workdir)


def test_metrics_reach_the_disk_before_each_checkpoint(tmp_path, monkeypatch):
    events = []
    save, sync = Checkpoints.save, MetricsFile.sync

    def recorded_save(self, step, *arguments, **options):
        events.append(("checkpoint", step))
        save(self, step, *arguments, **options)

    def recorded_sync(self):
        sync(self)
        *_, last = (tmp_path / "metrics.jsonl").read_text().splitlines()
        events.append(("metrics", json.loads(last)["step"]))

    monkeypatch.setattr(Checkpoints, "save", recorded_save)
    monkeypatch.setattr(MetricsFile, "sync", recorded_sync)
    source_only = tiny_config("source_only")
    source_only.update(checkpoint_every=2, log_every=1)
    experiment.run(source_only, tmp_path)
    steps = (2, 4)
    expected = [(kind, step) for step in steps for kind in ("metrics", "checkpoint")]
    assert events[: len(expected)] == expected
