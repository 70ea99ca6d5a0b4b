"""A label store that lost or changed something is refused, wherever the run is."""

import contextlib
import shutil
import sqlite3

import pytest

from benchmarks.human_runs import write_run
from labor_jax import experiment
from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.label_store import record
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.data import street
from tests.faults.conftest import config


def execute(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


DAMAGES = {
    "half of a round": (
        ["DELETE FROM answers WHERE image IN (SELECT image FROM answers LIMIT 2)"],
        "answers to 2 of 4 images are missing in round 1",
    ),
    "all answers": (["DELETE FROM answers"], "answers to 4 of 4 images are missing in round 1"),
    "queries": (
        [
            "DELETE FROM answers WHERE image = (SELECT MIN(image) FROM queries)",
            "DELETE FROM queries WHERE image = (SELECT MIN(image) FROM queries)",
        ],
        "queries of 1 of 4 images are missing in round 1",
    ),
    "a round": (
        ["DELETE FROM answers", "DELETE FROM queries", "DELETE FROM round_images"],
        "round 1 with its 4 images is missing",
    ),
    "other answers": (
        ["UPDATE answers SET labels = (SELECT labels FROM answers ORDER BY image DESC LIMIT 1)"],
        "answers of round 1 were changed by hand",
    ),
    "other queries": (
        ["UPDATE queries SET mask = (SELECT mask FROM queries ORDER BY image DESC LIMIT 1)"],
        "round 1 asks other pixels than before",
    ),
}


@pytest.fixture
def store(interrupted, tmp_path):
    shutil.copy(interrupted / "labels.sqlite", tmp_path)
    with LabelStore(tmp_path / "labels.sqlite", classes=street.CLASSES) as opened:
        yield opened


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_missing_or_changed_is_named(store, damage):
    statements, message = DAMAGES[damage]
    before = record.take(store)
    execute(store.path, *statements)
    with pytest.raises(LabelStoreError, match=message) as caught:
        record.check(store, before, record.take(store))
    assert str(store.path) in str(caught.value) and "copy" in str(caught.value)


def test_a_record_survives_json(store):
    taken = record.take(store)
    assert record.StoreRecord.from_json(taken.to_json()) == taken
    assert record.check(store, taken, record.take(store)) == []


def test_a_correction_is_no_damage(store):
    before = record.take(store)
    execute(
        store.path,
        *DAMAGES["other answers"][0],
        "INSERT INTO events (round, image, opinion, annotator, time, kind, seconds) "
        "SELECT round, image, 1, 'ann', 0.0, 'submit', 1.0 FROM queries LIMIT 1",
    )
    assert record.check(store, before, record.take(store)) == [1]


def test_steps_of_annotators_that_are_missing_are_counted(store):
    insert = (
        "INSERT INTO events (round, image, opinion, annotator, time, kind, seconds) "
        "SELECT round, image, 1, 'ann', 0.0, 'mark', 1.0 FROM queries LIMIT 2"
    )
    older = record.take(store)
    execute(store.path, insert)
    with pytest.raises(LabelStoreError, match="2 steps of annotators are missing"):
        record.check(store, record.take(store), older)


def test_another_or_a_new_store_is_refused(store, tmp_path):
    before = record.take(store)
    with (
        LabelStore(tmp_path / "new.sqlite", classes=street.CLASSES) as other,
        pytest.raises(LabelStoreError, match="not the label store of this run, but an empty one"),
    ):
        record.check(other, before, record.take(other))


@pytest.mark.parametrize("damage", ["half of a round", "the file"])
def test_a_run_does_not_train_on_what_is_left(workdir, damage):
    if damage == "the file":
        (workdir / "labels.sqlite").unlink()
    else:
        execute(workdir / "labels.sqlite", *DAMAGES[damage][0])
    metrics = (workdir / "metrics.jsonl").read_text()
    with pytest.raises(LabelStoreError, match=r"labels\.sqlite is not"):
        experiment.run(config(), workdir)
    assert (workdir / "metrics.jsonl").read_text() == metrics
    assert not (workdir / "summary.json").exists()


def test_after_a_round_nothing_is_left_in_the_log(interrupted):
    log = interrupted / "labels.sqlite-wal"
    assert not log.exists() or log.stat().st_size == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET content = x'00' WHERE kind = 'mark'",
        "UPDATE events SET content = NULL WHERE kind = 'mark'",
        "UPDATE events SET kind = 'undo' WHERE kind = 'mark'",
        "UPDATE queries SET mask = x'00' WHERE image = (SELECT image FROM events)",
    ],
)
def test_an_item_that_is_damaged_is_set_aside(tmp_path, damage, caplog):
    folder = write_run(tmp_path / "run", images=2)
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        service = LabellingService(store)
        damaged = service.next("ann")
        first = int(service.reader.question(damaged.item).asked.starts[0])
        service.mark(damaged.item, damaged.token, "request", 3, [first, 1])
    execute(folder.labels, damage)
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        service = LabellingService(store)
        other = service.next("ann")
        assert other.item != damaged.item and damaged.item.image in caplog.text
        service.skip(other.item, other.token, "skip")
        assert service.next("ann").item == other.item
        assert service.next("ben") is None
