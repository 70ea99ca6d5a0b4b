"""Runs that start with labels: they train from the first round, cost nothing, and resume."""

import functools

import numpy as np
import pytest
from PIL import Image

from labor_jax import exchange, experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import DataError, street
from labor_jax.experiment import components, existing_labels, report
from labor_jax.experiment.session import Session
from labor_jax.experiment.workdir import ConfigError, Workdir
from tests.experiment import human_run_test
from tests.runs import (
    comparable,
    interrupt_query,
    interrupt_training,
    store_digest,
)
from tests.tiny import tiny_config

METHOD = "ripu_ra"


@functools.cache
def pair():
    return components.build(tiny_config(METHOD)).pair


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Label maps of two pool images: one whole, one half."""
    folder = tmp_path_factory.mktemp("given")
    for number in (0, 2):
        label = pair().pool.label(number).copy()
        if number:
            label[16:] = 255
        Image.fromarray(label).save(folder / f"{pair().pool.names[number]}.png")
    return folder


def config_with(given, method=METHOD, **fields):
    config = tiny_config(method)
    config.annotation.existing_labels = str(given)
    config.update(fields)
    return config


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, experiment.run(config_with(given), workdir)


def labels_of(workdir):
    return LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True)


@pytest.mark.slow
def test_they_are_never_asked_free_and_train(whole, given, tmp_path):
    workdir, summary = whole
    plain = experiment.run(tiny_config(METHOD), tmp_path / "plain")
    with labels_of(workdir) as store, labels_of(tmp_path / "plain") as other:
        assert store.rounds() == [1, 2]
        known = {name: store.asked(name, 0) for name in store.existing_images()}
        assert known.keys() == {pair().pool.names[0], pair().pool.names[2]}
        for name, pixels in known.items():
            for round_number in (1, 2):
                assert not (store.query(name, round_number) & pixels).any()
        # The budget of a round is that of a run without them, where there is room for it.
        free = pair().pool.names[1]
        for round_number in (1, 2):
            assert store.query(free, round_number).sum() == other.query(free, round_number).sum()
        pixels = store.existing().pixels
        asked = sum(int(store.query(n, 1).sum()) for n in pair().pool.names)
    assert summary["existing_labels"] == {"images": 2, "pixels": pixels}
    assert plain["existing_labels"] is None
    assert summary["rounds"][0]["labelled_pixels"] == asked < pixels
    assert summary["rounds"][0]["annotation_seconds"] <= plain["rounds"][0]["annotation_seconds"]
    assert summary["rounds"][-1]["miou"] != plain["rounds"][-1]["miou"]  # they train
    before = [folder / "previews" / "joint" / "0.png" for folder in (workdir, tmp_path / "plain")]
    assert before[0].read_bytes() == before[1].read_bytes()  # from the first round on
    told = f"Labelled before the run: {pixels:,} pixels in 2 images. They are free"
    assert told in report.text_table(summary)
    assert told in (workdir / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["query", "training"])
def test_a_run_resumes_as_if_nothing_had_happened(whole, given, tmp_path, where):
    workdir, expected = whole
    config = config_with(given)
    if where == "query":
        interrupt_query(config, tmp_path / "run", 1)
    else:
        interrupt_training(config, tmp_path / "run", "round_1/train", 2)
    # The files were read when the run started; they need not be there any more.
    moved = given.rename(given.parent / "moved")
    try:
        summary = experiment.run(config, tmp_path / "run")
    finally:
        moved.rename(given)
    assert comparable(summary) == comparable(expected)
    assert store_digest(tmp_path / "run") == store_digest(workdir)


@pytest.mark.slow
def test_a_warm_start_takes_them_over(whole, given, tmp_path):
    experiment.run(config_with(given, rounds=0), tmp_path / "start")
    config = tiny_config(METHOD)
    config.warm_start = str(tmp_path / "start")
    summary = experiment.run(config, tmp_path / "run")
    assert summary["rounds"][-1]["miou"] == whole[1]["rounds"][-1]["miou"]
    assert store_digest(tmp_path / "run") == store_digest(whole[0])


def test_what_cannot_be_read_ends_the_run_before_it_trains(tmp_path):
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / f"{pair().pool.names[0]}.png")
    with pytest.raises(DataError, match="the image is 3x3 in the file and 64x32 in the run"):
        experiment.run(config_with(tmp_path), tmp_path / "run")
    # The same workdir then takes another config, and no label is left over.
    config = tiny_config(METHOD)
    config.update(rounds=0)
    assert experiment.run(config, tmp_path / "run")["existing_labels"] is None
    with pytest.raises(ConfigError, match=r"existing_format is 'jpg'; choose one of: png, coco"):
        config = config_with(tmp_path)
        config.annotation.existing_format = "jpg"
        experiment.run(config, tmp_path / "other")


def test_labels_of_a_warm_start_that_failed_are_no_other_runs(given, tmp_path):
    start = Workdir.open(tmp_path / "start", config_with(given, rounds=0))
    start.close()
    with LabelStore(start.labels, classes=street.CLASSES) as store:
        existing_labels.read_configured(start, config_with(given, rounds=0), pair(), store)
        expected = store.existing()
    config = tiny_config(METHOD)
    config.warm_start = str(start.path)
    for _ in range(2):  # which has trained nothing
        with pytest.raises(
            ConfigError, match="whose last checkpoint is not the end of phase joint"
        ):
            experiment.run(config, tmp_path / "run")
    with LabelStore(tmp_path / "run/labels.sqlite", classes=street.CLASSES) as store:
        assert store.existing() == expected
    config.warm_start = ""
    with pytest.raises(ConfigError, match=r"existing labels of another config .*warm_start"):
        experiment.run(config, tmp_path / "run")


def test_a_run_that_has_begun_takes_over_none(given, tmp_path):
    start = Workdir.open(tmp_path / "start", config_with(given, rounds=0))
    start.close()
    with LabelStore(start.labels, classes=street.CLASSES) as store:
        existing_labels.read_configured(start, config_with(given, rounds=0), pair(), store)
    config = tiny_config(METHOD)
    config.warm_start = str(start.path)
    folder = Workdir.open(tmp_path / "run", config)
    folder.close()
    folder.metrics.write_text("{}\n")
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        existing_labels.read_configured(folder, config, pair(), store)
        assert not store.existing_images()


def test_labels_of_a_config_that_never_ran(given, tmp_path):
    folder = Workdir.open(tmp_path, config_with(given))
    folder.close()
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        existing_labels.read_configured(folder, config_with(given), pair(), store)
    with pytest.raises(ConfigError, match="existing labels of another config"):
        experiment.run(tiny_config(METHOD), tmp_path)


class Command:
    """The command exchange, in this process."""

    def __init__(self, monkeypatch, capsys):
        self._patch, self._capsys = monkeypatch, capsys

    def __call__(self, workdir, given, format="png", **options):
        flags = {"workdir": str(workdir), "import": format, "input": str(given), "round": 0}
        for name, value in {**flags, **options}.items():
            self._patch.setattr(exchange.flags.FLAGS[name], "value", value)
        exchange.main(["exchange"])
        return self._capsys.readouterr().out


@pytest.fixture
def command(monkeypatch, capsys):
    exchange.flags.FLAGS.mark_as_parsed()
    return Command(monkeypatch, capsys)


@pytest.mark.slow
def test_a_round_that_waits_gets_them_too(given, tmp_path, command):
    workdir = tmp_path / "run"
    with pytest.raises(experiment.RoundWaits):
        human_run_test.run(workdir)
    said = command(workdir, given)
    assert "2 images imported, 0 stored before" in said and "a round asks them already" in said
    with labels_of(workdir) as store:
        assert len(store.pending(1)) == 4  # its questions stay
        overlap = [store.asked(name, 0) & store.query(name, 1) for name in pair().pool.names[:1]]
        assert not np.any(overlap)
    human_run_test.answer(workdir, 1)
    with pytest.raises(experiment.RoundWaits):
        human_run_test.run(workdir)  # it trains, and asks round 2
    with labels_of(workdir) as store:
        name = pair().pool.names[0]
        assert not store.query(name, 2).any()  # all of it is known
        assert len(store.pending(2)) == 3
    with pytest.raises(ConfigError, match="has the answers of round 1 already"):
        command(workdir, given)


def test_once_the_oracle_has_answered_it_is_too_late(given, tmp_path, command):
    run_phase = Session.run_phase

    def run_until_training(self, phase, *before):
        if phase.name == "round_1/train":
            raise KeyboardInterrupt
        return run_phase(self, phase, *before)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Session, "run_phase", run_until_training)
        experiment.run(config_with(given), tmp_path / "run")
    with pytest.raises(ConfigError, match="has the answers of round 1 already"):
        command(tmp_path / "run", given, replace=True)


def test_the_command_refuses_a_run_that_is_running(given, tmp_path, command):
    folder = Workdir.open(tmp_path, tiny_config(METHOD))
    with pytest.raises(ConfigError, match="Another process is running"):
        command(tmp_path, given)
    folder.close()
    command(tmp_path, given)  # before the run's first step
    with labels_of(tmp_path) as store:
        assert store.existing().images == 2 and store.rounds() == []
    with pytest.raises(exchange.app.UsageError, match="give --round 0"):
        command(tmp_path, given, "cityscapes", round=None)
    with pytest.raises(ConfigError, match="has asked nothing yet"):
        command(tmp_path, given, round=None)


def test_the_command_names_a_workdir_without_a_run(given, tmp_path, command):
    with pytest.raises(ConfigError, match="holds no run"):
        command(tmp_path, given)
