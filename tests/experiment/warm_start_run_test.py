"""Runs that go on from another run's end: they end as one whole run, or say why they can't."""

import json
import shutil

import pytest

from labor_jax import experiment
from labor_jax.data import DataError
from labor_jax.experiment import warm_start
from labor_jax.experiment.plan import before_rounds, plan
from labor_jax.experiment.workdir import ConfigError
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config


def finished(workdir, method, **fields):
    """A finished run of a method without rounds: its workdir."""
    config = tiny_config(method)
    config.rounds = 0
    config.update_from_flattened_dict(fields)
    experiment.run(config, workdir)
    return str(workdir)


@pytest.fixture(scope="module")
def source_only(tmp_path_factory):
    """The workdir of a finished run on the source alone."""
    return finished(tmp_path_factory.mktemp("source_only") / "run", "source_only")


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A warm-up that started from nothing: (workdir, summary)."""
    workdir = tmp_path_factory.mktemp("warm")
    return workdir, experiment.run(tiny_config("warmup"), workdir)


@pytest.mark.slow
def test_a_warm_up_goes_on_from_training_on_the_source_alone(warm, source_only, tmp_path):
    config = tiny_config("warmup")
    config.warm_start = source_only
    assert comparable(experiment.run(config, tmp_path)) == comparable(warm[1])


@pytest.mark.slow
def test_an_auxiliary_head_that_only_the_warm_up_trains_is_drawn(source_only, tmp_path):
    def config():
        config = tiny_config("warmup")
        config.warmup.terms.update(auxiliary_source_labels=0.1, auxiliary_adversarial=2e-4)
        return config

    whole = experiment.run(config(), tmp_path / "whole")
    started = config()
    started.warm_start = source_only
    assert comparable(experiment.run(started, tmp_path / "started")) == comparable(whole)


@pytest.mark.slow
def test_a_run_goes_on_between_the_stages_of_retraining(tmp_path):
    def config(stages):
        config = tiny_config("source_only")
        config.retraining.update(stages=stages, steps=2)
        config.retraining.terms.update(source_labels=1.0, min_entropy=0.1)
        return config

    whole = experiment.run(config(2), tmp_path / "whole")
    experiment.run(config(1), tmp_path / "one")
    started = config(2)
    started.warm_start = str(tmp_path / "one")
    assert comparable(experiment.run(started, tmp_path / "started")) == comparable(whole)


def test_settings_of_a_term_that_another_one_uses_are_compared():
    ours, theirs = (tiny_config("uda:dacs") for _ in range(2))
    assert not warm_start.differences(ours, theirs, "warmup")
    theirs.terms.mean_teacher.decay = 0.5
    assert warm_start.differences(ours, theirs, "warmup") == {
        "terms.mean_teacher.decay": (0.5, 0.99)
    }


def test_joint_training_shares_terms_and_statistics_with_the_rounds():
    ours, theirs = tiny_config("ripu_ra"), tiny_config("ripu_ra")
    first = before_rounds(plan(ours))[-1].name
    theirs.round.steps += 1  # of staged rounds alone
    assert warm_start.differences(ours, theirs, first) == {}
    theirs.round.running_statistics = "all"
    theirs.round.terms.min_entropy = 0.1
    assert warm_start.differences(ours, theirs, first) == {
        "round.running_statistics": ("all", "target"),
        "round.terms.min_entropy": (0.1, None),
    }


@pytest.mark.parametrize(
    ("term", "settings", "matters"),
    [
        ("clan", {}, True),
        ("conditional_prior", {}, True),
        ("class_mix", {}, False),
        ("class_mix", {"mean_teacher.start": 0.3}, True),
    ],
)
def test_the_length_of_joint_training_matters_to_terms_that_follow_it(term, settings, matters):
    ours, theirs = tiny_config("ripu_ra"), tiny_config("ripu_ra")
    for config in (ours, theirs):
        config.round.terms[term] = 1.0
        config.terms.update_from_flattened_dict(settings)
    theirs.joint.steps += 1
    first = before_rounds(plan(ours))[-1].name
    differing = warm_start.differences(ours, theirs, first)
    assert set(differing) == ({"joint.steps"} if matters else set())


@pytest.mark.slow
def test_a_run_that_started_from_another_resumes_without_its_folder(warm, source_only, tmp_path):
    shutil.copytree(source_only, tmp_path / "start")
    config = tiny_config("warmup")
    config.warm_start = str(tmp_path / "start")
    interrupt_training(config, tmp_path / "run", "warmup", 3)
    shutil.rmtree(tmp_path / "start")
    assert comparable(experiment.run(config, tmp_path / "run")) == comparable(warm[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"evaluation_flip": True},
        {"evaluation_scales": (0.5, 1.0)},
    ],
)
def test_a_start_that_was_measured_another_way_is_measured_anew(
    fields, source_only, tmp_path, caplog
):
    def config():
        config = tiny_config("warmup")
        config.update_from_flattened_dict(fields)
        return config

    whole = experiment.run(config(), tmp_path / "whole")
    started = config()
    started.warm_start = source_only
    with caplog.at_level("WARNING"):
        interrupt_training(started, tmp_path / "started", "warmup", 3)
    assert "measured is left out, as this run measures another way" in caplog.text
    assert comparable(experiment.run(started, tmp_path / "started")) == comparable(whole)


def warmup_from_other_data(source_only, tmp_path, role, part):
    """The config of a warm-up from a run that began with other images or labels of a role."""
    start = tmp_path / "start"
    shutil.copytree(source_only, start)
    data = json.loads((start / "data.json").read_text())
    for image in data[role].values():
        image[part]["sha256"] = "0"
    (start / "data.json").write_text(json.dumps(data))
    config = tiny_config("warmup")
    config.warm_start = str(start)
    return config


@pytest.mark.slow
def test_a_start_that_was_measured_on_other_images_is_measured_anew(source_only, tmp_path, caplog):
    config = warmup_from_other_data(source_only, tmp_path, "evaluation", "label")
    with caplog.at_level("WARNING"):
        found = experiment.run(config, tmp_path / "run")
    assert "measures another way (the evaluation images or labels)" in caplog.text
    assert found["source_only_miou"] is not None
    lines = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert [line["miou"] for line in lines if "miou" in line and line["phase"] == "supervised"] == [
        found["source_only_miou"]
    ]


@pytest.mark.slow
def test_of_what_was_measured_another_way_the_last_phase_alone_is_measured(warm, tmp_path):
    config = tiny_config("spl")
    config.rounds = 1
    config.evaluation_flip = True
    config.warm_start = str(warm[0])
    found = experiment.run(config, tmp_path)
    assert warm[1]["source_only_miou"] is not None and found["source_only_miou"] is None
    assert found["unmeasured"] == ["source_only_miou"] and found["warmup_miou"] is not None


@pytest.mark.parametrize("field", ["images", "pattern", "label_coding"])
def test_how_evaluation_images_are_named_and_coded_is_of_measuring_alone(field):
    ours, theirs = (tiny_config("spl", "folders") for _ in range(2))
    ours.data.evaluation[field] = "another"
    assert not warm_start.differences(ours, theirs, "warmup")
    assert warm_start.measured_otherwise(ours, theirs) == [f"data.evaluation.{field}"]


def test_how_many_evaluation_scenes_there_are_is_of_measuring_alone():
    ours, theirs = tiny_config("spl"), tiny_config("spl")
    ours.data.evaluation_count = 8
    assert not warm_start.differences(ours, theirs, "warmup")
    assert warm_start.measured_otherwise(ours, theirs) == ["data.evaluation_count"]


def test_an_overlap_of_no_windows_is_no_other_way_to_measure():
    ours, theirs = tiny_config("spl"), tiny_config("spl")
    theirs.evaluation_overlap = 7
    assert warm_start.measured_otherwise(ours, theirs) == []
    theirs.evaluation_window = ours.evaluation_window = (16, 16)
    assert warm_start.measured_otherwise(ours, theirs) == ["evaluation_overlap"]


@pytest.mark.parametrize(
    ("start", "fields", "says"),
    [
        (
            {"optimizer.weight_decay": 0.5},
            {},
            r"configured differently up to the end of phase supervised: "
            r"config\.optimizer\.weight_decay is 0\.5 there and 0\.01 here",
        ),
        pytest.param(
            {"supervised.steps": 3},
            {},
            r"config\.supervised\.steps is 3 there and 4 here",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"retraining.steps": 2, "retraining.terms.source_labels": 1.0},
            {},
            r"ends its training in phase retraining_1 .* \(its phases before the rounds: "
            r"supervised, warmup\)",
            marks=pytest.mark.slow,
        ),
        ({}, {"warmup.steps": 0, "rounds": 0}, r"config\.warm_start .* nothing to do after it"),
    ],
)
def test_a_start_that_does_not_fit_says_why(start, fields, says, source_only, tmp_path):
    config = tiny_config("spl")
    config.update_from_flattened_dict(fields)
    config.warm_start = source_only
    if start:
        config.warm_start = finished(tmp_path / "start", "source_only", **start)
    with pytest.raises(ConfigError, match=says):
        experiment.run(config, tmp_path / "run")


def test_a_start_after_which_nothing_is_left_says_so(warm, tmp_path):
    config = tiny_config("warmup")
    config.warm_start = str(warm[0])
    with pytest.raises(ConfigError, match="ends where this run would: nothing is left to do"):
        experiment.run(config, tmp_path)


def test_a_start_that_has_not_finished_is_refused(tmp_path):
    interrupt_training(tiny_config("warmup"), tmp_path / "start", "warmup", 2)
    config = tiny_config("spl")
    config.warm_start = str(tmp_path / "start")
    with pytest.raises(ConfigError, match="last checkpoint is not the end of phase warmup"):
        experiment.run(config, tmp_path / "run")


def test_a_changed_pool_may_be_accepted(source_only, tmp_path, caplog):
    config = warmup_from_other_data(source_only, tmp_path, "pool", "image")
    with pytest.raises(DataError, match="accept_changes=True"):
        experiment.run(config, tmp_path / "run")
    config.data.accept_changes = True
    with caplog.at_level("WARNING"):
        experiment.run(config, tmp_path / "run")
    assert "Going on with other data. pool: " in caplog.text


def test_other_evaluation_folders_are_another_way_to_measure():
    ours, theirs = tiny_config("spl", "folders"), tiny_config("spl", "folders")
    ours.data.evaluation.update(images="new/images", labels="new/labels")
    assert warm_start.differences(ours, theirs, "warmup") == {}
    assert warm_start.measured_otherwise(ours, theirs) == [
        "data.evaluation.images",
        "data.evaluation.labels",
    ]
