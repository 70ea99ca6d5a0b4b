"""A label store that lost or changed something is refused, wherever the run is."""

import contextlib
import shutil
import sqlite3

import numpy as np
import pytest

from benchmarks.human_runs import write_run
from labor_jax import experiment
from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.label_store import record
from labor_jax.annotation.label_store.questions import AnsweredQuestion
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


@pytest.fixture
def classes(tmp_path):
    """A store whose round asks for all classes of two parts of an image, and has its answer."""
    query, parts = np.ones((2, 3), bool), np.array([[0, 0, 1], [0, 0, 1]])
    held, void = np.array([[True, True, False], [True, False, True]]), np.full((2, 3), 255)
    with LabelStore(tmp_path / "labels.sqlite", classes=("road", "car", "sky")) as store:
        store.open_round(1, ["a", "b"])
        store.ask("b", 1, query, kind="corrections", parts=parts, guess=np.zeros((2, 3), int))
        answered = AnsweredQuestion("a", query, void, parts=parts, candidates=held)
        store.ask_and_answer_many(1, [answered], kind="classes")
        yield store


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("candidates", "answers of round 1 were changed by hand"),
        ("parts", "round 1 asks other parts"),
        ("guess", "round 1 asks other parts, or shows other guesses"),
    ],
)
def test_parts_guesses_and_sets_of_classes_are_recorded(classes, column, message):
    before = record.take(classes)
    table = "answers" if column == "candidates" else "queries"
    execute(classes.path, f"UPDATE {table} SET {column} = x'00' WHERE {column} NOT NULL")
    after = record.take(classes)
    with pytest.raises(LabelStoreError, match=message):
        record.check(classes, before, after)
    # What an earlier version recorded says nothing of them, and stays valid.
    described = before.to_json()
    for name in ("parts", "candidates"):
        del described["rounds"][1][name]
    assert record.check(classes, record.StoreRecord.from_json(described), after) == []


def test_a_correction_of_a_set_of_classes_is_noticed(classes):
    before = record.take(classes)
    held = np.array([[True, True, False], [True, True, True]])
    labels = np.full((2, 3), 255)
    service = LabellingService(classes)
    service.import_answer("a", 1, labels, candidates=held, annotator="ann", replace=True)
    assert record.check(classes, before, record.take(classes)) == [1]


def test_more_queries_and_answers_are_no_damage(classes):
    before = record.take(classes)
    classes.answer("b", 1, np.zeros((2, 3), int))
    answered = record.take(classes)
    assert record.check(classes, before, answered) == []
    classes.open_round(2, ["c", "d"])
    for name in "cd":
        before = record.take(classes)
        classes.ask(name, 2, np.ones((2, 3), bool), kind="superpixels", parts=np.zeros((2, 3), int))
        assert record.check(classes, before, record.take(classes)) == []


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


def test_a_second_opinion_is_no_correction(store):
    before = record.take(store)
    execute(
        store.path,
        *DAMAGES["other answers"][0],
        "INSERT INTO events (round, image, opinion, annotator, time, kind, seconds) "
        "SELECT round, image, 2, 'ann', 0.0, 'submit', 1.0 FROM queries LIMIT 1",
    )
    with pytest.raises(LabelStoreError, match="answers of round 1 were changed by hand"):
        record.check(store, before, record.take(store))


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
        "UPDATE events SET label = 300 WHERE kind = 'mark'",
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


@pytest.mark.parametrize("submitted", [False, True])
def test_a_second_opinion_that_is_damaged_is_set_aside(tmp_path, submitted, caplog):
    path, names = tmp_path / "labels.sqlite", [str(number) for number in range(3)]

    def opened():
        return LabelStore(path, classes=("road", "car"))

    with opened() as store:
        store.open_round(1, names)
        for name in names:
            store.ask(name, 1, np.ones((1, 1), bool))
            store.answer(name, 1, np.zeros((1, 1), int))
        service = LabellingService(store, second_opinion=1.0)
        damaged = service.next("ann")
        assert damaged.item.opinion == 2
        service.mark(*damaged, "mark", 1, [0, 1])
        if submitted:
            service.submit(*damaged, "submit")
        else:
            service.skip(*damaged, "skip")
    execute(path, "UPDATE events SET content = x'00' WHERE kind = 'mark'")
    with opened() as store:
        service = LabellingService(store, second_opinion=1.0)
        given = service.next("ann", prefer=damaged.item)
        assert given.item != damaged.item
        service.mark(*given, "mark 2", 0, [0, 1])
        service.submit(*given, "submit 2")
        for _ in range(2):
            agreement = service.progress.of_round(1).agreement
            assert (agreement.items, agreement.equal[0]) == (1, 1)
        assert service.next("bob").item.image not in (given.item.image, damaged.item.image)
        assert service.next("cem") is None
    assert caplog.text.count("event 1") == 1 and f"image {damaged.item.image!r}" in caplog.text
