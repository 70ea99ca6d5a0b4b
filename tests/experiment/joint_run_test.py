"""RIPU's joint training, in which rounds ask while training goes on, as whole runs."""

import contextlib
import math

import jax
import numpy as np
import pytest

from labor_jax import experiment
from labor_jax.data import Pair, load_pair
from labor_jax.experiment import components, restore
from labor_jax.experiment.plan import plan
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training.checkpoints import Checkpoints
from tests.runs import (
    GarbledOutside,
    answered_images,
    check_kill_and_resume,
    check_resumes,
    comparable,
    interrupt_query,
    metrics,
    store_digest,
)
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def ripu(tmp_path_factory):
    """A run of RIPU that nothing interrupted: (workdir, summary)."""
    workdir = tmp_path_factory.mktemp("ripu")
    return workdir, experiment.run(tiny_config("ripu_ra"), workdir)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The workdir of a run that ended at its first query."""
    workdir = tmp_path_factory.mktemp("start")
    config = tiny_config("active:random")
    config.rounds = 0
    experiment.run(config, workdir)
    return workdir


@pytest.mark.slow
def test_regions_are_charged_by_the_region(ripu):
    _, summary = ripu
    images, regions = 4, math.ceil(0.022 * 32 * 64 / 2 / 9)
    for entry in summary["rounds"]:
        asked = images * regions * entry["round"]
        assert asked <= entry["clicks"] == entry["work"]["points"]  # one that holds two is two
        assert entry["labelled_pixels"] <= 9 * asked


def test_kill_and_resume_ends_as_if_never_killed(tmp_path):
    whole = tmp_path / "whole"
    summary = experiment.run(tiny_config("active:spl"), whole)
    check_kill_and_resume(
        "active:spl",
        (whole, summary),
        tmp_path / "killed",
        lambda workdir: answered_images(workdir, 2) > 0,
    )


@pytest.mark.slow
def test_a_run_interrupted_while_the_annotator_picks_resumes(tmp_path):
    config, whole = tiny_config("active:human_points"), tmp_path / "whole"
    summary = experiment.run(config, whole)
    interrupt_query(config, tmp_path / "cut", 1)
    check_resumes(config, (whole, summary), tmp_path / "cut")


@pytest.mark.slow
def test_a_run_starts_from_another_runs_first_query(ripu, start, tmp_path):
    whole, summary = ripu
    config = tiny_config("ripu_ra")
    config.warm_start = str(start)
    started = experiment.run(config, tmp_path / "started")
    assert comparable(started) == comparable(summary)
    assert store_digest(tmp_path / "started") == store_digest(whole)

    config.round.terms.negative_learning = 0.5
    with pytest.raises(ConfigError, match=r"config\.round\.terms\.negative_learning is 1\.0 there"):
        experiment.run(config, tmp_path / "other")


def test_the_rounds_go_on_with_one_optimiser_and_schedule(ripu):
    workdir, _ = ripu
    config = tiny_config("ripu_ra")
    assert optimizer_count(workdir) == config.joint.steps
    # Asking counts as a step of the run, and is none of the schedule.
    joint, lines = config.joint, [each for each in metrics(workdir) if "learning_rate" in each]
    rates = {each["step"]: each["learning_rate"] for each in lines if each["phase"] != "supervised"}
    before = config.supervised.steps + config.warmup.steps
    asked = {2: 0, 3: 0, 5: 1, 7: 2, 9: 2}
    expected = {
        before + taken + queries: joint.learning_rate
        * (1 - (taken - 1) / joint.schedule_steps) ** config.optimizer.power
        for taken, queries in asked.items()
    }
    assert rates == pytest.approx(expected)


def optimizer_count(workdir):
    """Steps that the schedule of a finished joint run has seen."""
    config = Workdir.existing(workdir).read_config()
    built, phases = components.build(config), plan(config)
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    with contextlib.closing(checkpoints):
        _, tree, _ = checkpoints.restore_latest(
            lambda progress: restore.checkpoint_template(built, phases, progress)
        )
    optimizer = tree["handover"].ongoing.optimizer
    (count,) = {int(leaf) for leaf in jax.tree.leaves(optimizer) if leaf.dtype == "int32"}
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


@pytest.mark.slow
@pytest.mark.parametrize("method", ["human_points", "core_set", "ppl"])
def test_other_ways_of_asking_run_under_joint_training(method, start, tmp_path):
    config = tiny_config(f"active:{method}")
    config.update(rounds=1, warm_start=str(start))
    summary = experiment.run(config, tmp_path)
    (entry,) = summary["rounds"]
    pair = load_pair("street", config.data)
    classes = [len(set(np.unique(pair.pool.label(i))) - {255}) for i in range(len(pair.pool))]
    asked = entry["pixels_per_image"]
    assert {
        "human_points": asked == np.mean(classes),
        "core_set": asked == 40,
        "ppl": 0 < asked <= 19,
    }[method]
    assert entry["clicks"] == entry["labelled_pixels"]
