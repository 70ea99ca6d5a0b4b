"""Where there are no evaluation labels, a share of the answers measures and never trains."""

import dataclasses
import functools
import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from labor_jax.experiment import components, report
from labor_jax.experiment.held_out import AnsweredSplit, held_out_numbers
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training.checkpoints import CheckpointError
from tests.experiment import human_run_test
from tests.runs import OtherLabels, check_resumes, comparable, interrupt_training
from tests.tiny import tiny_config


@functools.cache
def pair():
    """The tiny street scenes without evaluation labels."""
    return dataclasses.replace(components.build(tiny_config("ripu_ra")).pair, evaluation=None)


def config_of(method="ripu_ra", share=0.5, **fields):
    config = tiny_config(method)
    config.data.evaluation_from_answers = share
    config.update(fields)
    return config


def held_out(config):
    return held_out_numbers(config, pair().pool)


def run(workdir, *, config=None, pair=pair):
    return experiment.run(config or config_of(), workdir, pair=pair())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, run(workdir)


def labels_of(workdir):
    return LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True)


@hypothesis.given(
    seed=st.integers(0, 9),
    share=st.floats(0.05, 0.95),
    names=st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=20),
    more=st.sets(st.text(min_size=1, max_size=5), max_size=20),
)
def test_the_choice_is_by_name_and_stays_when_pool_or_share_grow(seed, share, names, more):
    def chosen(names, share):
        config = config_of(share=share, seed=seed)
        pool = types.SimpleNamespace(names=tuple(names))
        return {pool.names[number] for number in held_out_numbers(config, pool)}

    assert chosen(names, share) == chosen(names | more, share) & names
    assert chosen(names, share) <= chosen(names, min(share + 0.1, 1.0))


def test_the_share_is_about_as_large_as_asked_for():
    pool = types.SimpleNamespace(names=[f"image {number}" for number in range(4000)])
    found = [len(held_out_numbers(config_of(share=0.3, seed=seed), pool)) for seed in (0, 1)]
    assert all(1100 < count < 1300 for count in found) and found[0] != found[1]
    assert held_out_numbers(config_of(share=0.0), pool) == ()


class OthersAnswers(OtherLabels):
    """The pool, with other labels in the held-out images."""

    def label(self, i):
        label = self._split.label(i)
        return (label + 1) % len(street.CLASSES) if i in held_out(config_of()) else label


def test_their_answers_never_train_and_mean_iou_is_measured_on_them(whole, tmp_path):
    workdir, summary = whole
    numbers = held_out(config_of())
    assert 0 < len(numbers) < len(pair().pool)
    with labels_of(workdir) as store:
        for entry in summary["rounds"]:
            split = AnsweredSplit(pair().pool, numbers, store, entry["round"])
            count = split.count()
            assert count == {
                "images": entry["measured_images"],
                "pixels": entry["measured_pixels"],
            }
            assert count["images"] == len(numbers) and 0 < entry["miou"] < 1
    first, last = (entry["measured_pixels"] for entry in summary["rounds"])
    assert first < last
    # With other answers there, the model is the same, and so is what it asks.
    other = dataclasses.replace(pair(), pool=OthersAnswers(pair().pool))
    changed = run(tmp_path / "other", pair=lambda: other)
    assert changed["rounds"][-1]["miou"] != summary["rounds"][-1]["miou"]
    with labels_of(workdir) as store, labels_of(tmp_path / "other") as others:
        for name in pair().pool.names:
            np.testing.assert_array_equal(store.query(name, 2), others.query(name, 2))
    for phase in ("round_1_train", "round_2_train"):
        images = [
            np.asarray(Image.open(folder / "previews" / phase / "0.png"))
            for folder in (workdir, tmp_path / "other")
        ]
        np.testing.assert_array_equal(*images)


def test_the_measure_is_that_of_the_model_on_the_answers(whole):
    workdir, summary = whole
    from labor_jax.experiment import restore

    restored = restore.restore_model(workdir, "last", ["pool"], pair())
    with labels_of(workdir) as store:
        split = AnsweredSplit(pair().pool, held_out(config_of()), store, None)
        found = components.make_evaluation(restored.components)(restored.model, split)
    assert found.miou == summary["final_miou"] == summary["rounds"][-1]["miou"]
    with pytest.raises(CheckpointError, match="on labels and not on answers"):
        restore.restore_model(workdir, "best", ["pool"], pair())


@pytest.mark.slow
def test_it_is_told_what_is_measured_on(whole, tmp_path):
    workdir, summary = whole
    table = report.text_table(summary)
    entry = summary["rounds"][-1]
    told = f"round 2 on {entry['measured_pixels']:,} answers in {entry['measured_images']} image"
    assert told in table and told in (workdir / "report.html").read_text()
    assert "it tends to be low" in table
    staged = report.text_table(run(tmp_path / "staged", config=config_of("ppl", rounds=1)))
    stages = {line.split("  ")[0]: line for line in staged.splitlines()}
    assert all(stages[name].endswith("\N{EN DASH}") for name in ("source-only", "warm-up"))
    assert stages["round 1"].endswith("%")
    nothing = run(tmp_path, config=config_of(share=0.0, rounds=0))
    assert "\N{EN DASH}: the pair has no labels to measure on" in report.text_table(nothing)
    assert "the pair has no labels to measure on" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_run_resumes_as_if_nothing_had_happened(whole, tmp_path):
    interrupted = {"pair": pair()}
    original = experiment.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "run", functools.partial(original, **interrupted))
        interrupt_training(config_of(), tmp_path, "round_2/train", 2)
        check_resumes(config_of(), whole, tmp_path)


@pytest.mark.slow
def test_labels_from_before_the_run_measure_before_anything_is_asked(tmp_path):
    number = held_out(config_of())[0]
    other = next(n for n in range(len(pair().pool)) if n not in held_out(config_of()))
    folder = tmp_path / "given"
    folder.mkdir()
    for each in (number, other):
        Image.fromarray(pair().pool.label(each)).save(folder / f"{pair().pool.names[each]}.png")
    config = config_of("ppl", rounds=0)
    config.annotation.existing_labels = str(folder)
    summary = run(tmp_path / "run", config=config)
    assert summary["source_only_miou"] > 0 and summary["measured_on"] == "answers"


@pytest.mark.slow
def test_people_answer_them_like_the_others(whole, tmp_path):
    config = human_run_test.human_config()
    config.data.evaluation_from_answers = 0.5
    for round_number in (1, 2):
        with pytest.raises(experiment.RoundWaits) as waits:
            run(tmp_path, config=config)
        assert waits.value.images == len(pair().pool)
        human_run_test.answer(tmp_path, round_number)
    summary = run(tmp_path, config=config)
    for ours, theirs in zip(summary["rounds"], whole[1]["rounds"], strict=True):
        for field in ("miou", "measured_pixels", "measured_images", "labelled_pixels"):
            assert ours[field] == theirs[field]
    assert comparable(summary)["per_class_iou"] == comparable(whole[1])["per_class_iou"]


@pytest.mark.parametrize(
    ("share", "with_labels", "says"),
    [
        (0.5, True, "but there are 4 images with labels to measure on"),
        (0.001, False, "holds out none of the 4 images of the pool"),
        (0.999, False, "holds out all 4 images of the pool"),
        (1.0, False, "it is a share from 0 to below 1"),
        (-0.1, False, "it is a share from 0 to below 1"),
    ],
)
def test_shares_that_can_not_be(tmp_path, share, with_labels, says):
    chosen = components.build(tiny_config("ripu_ra")).pair if with_labels else pair()
    with pytest.raises(ConfigError, match=says):
        experiment.run(config_of(share=share), tmp_path / "run", pair=chosen)
    assert not (tmp_path / "run").exists()
