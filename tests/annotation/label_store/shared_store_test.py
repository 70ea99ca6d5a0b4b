"""Several processes' answers come together exactly once, whenever one of them is killed."""

import threading

import numpy as np
import pytest

from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.label_store.shared_store import SharedStore, shard_path

CLASSES = ("road", "sky", "tree")
NAMES = [f"image {number}" for number in range(6)]
QUERY = np.eye(3, 4, dtype=bool)


def record(store, numbers, label=1, round_number=1):
    store.open_round(round_number, NAMES)
    labels = np.full(QUERY.shape, label)
    store.ask_and_answer_many(
        round_number, [(NAMES[number], QUERY, labels, None) for number in numbers]
    )


def opened(path, index, count, barrier):
    return SharedStore(
        path,
        classes=CLASSES,
        process_index=index,
        process_count=count,
        wait_for_all=lambda place: barrier.wait(timeout=30),
    )


def in_processes(count, work):
    """Runs `work(index, barrier)` in as many threads, as if they were processes."""
    barrier, problems = threading.Barrier(count), []

    def target(index):
        try:
            work(index, barrier)
        except BaseException as error:
            problems.append(error)
            barrier.abort()

    threads = [threading.Thread(target=target, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def test_every_process_sees_every_answer(tmp_path):
    path, digests = tmp_path / "labels.sqlite", {}

    def work(index, barrier):
        store = opened(path, index, 3, barrier)
        record(store.writer, range(index, 6, 3), label=index)
        store.synchronise()
        assert store.reader.round_complete(1)
        labels = [store.reader.labels(name)[0, 0] for name in NAMES]
        assert labels == [0, 1, 2, 0, 1, 2]
        digests[index] = store.reader.digest()
        store.finish()

    in_processes(3, work)
    assert len(set(digests.values())) == 1
    alone = SharedStore(path, classes=CLASSES)
    assert alone.reader is alone.writer
    assert alone.reader.digest() == digests[0]
    alone.close()
    assert [each.name for each in tmp_path.iterdir()] == ["labels.sqlite"]


def test_the_file_of_a_killed_process_is_merged_by_fewer(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path, classes=CLASSES) as store:
        record(store, [0, 1])
    for index, numbers in ((1, [2, 3]), (2, [4, 5])):
        shard = LabelStore(shard_path(path, index), classes=CLASSES)
        record(shard, numbers)  # and never closed
    merged = SharedStore(path, classes=CLASSES)
    assert merged.reader.round_complete(1)
    assert not list(tmp_path.glob("*process*"))
    merged.close()


def test_merging_twice_changes_nothing(tmp_path):
    """As after a kill between the merge and the deletion of what was merged."""
    first, second = tmp_path / "labels.sqlite", tmp_path / "other.sqlite"
    with LabelStore(second, classes=CLASSES) as other:
        record(other, [1, 2])
    with LabelStore(first, classes=CLASSES) as store:
        record(store, [0])
        store.merge(second)
        once = store.digest()
        store.merge(second)
        assert store.digest() == once
        assert store.statistics(1).answered_images == 3


def test_contradictions_are_refused_whole(tmp_path):
    first, second = tmp_path / "labels.sqlite", tmp_path / "other.sqlite"
    with LabelStore(second, classes=CLASSES) as other:
        record(other, [0, 1], label=2)
    with LabelStore(first, classes=CLASSES) as store:
        record(store, [0], label=1)
        before = store.digest()
        with pytest.raises(LabelStoreError, match=r"1 of the answers in .*other\.sqlite"):
            store.merge(second)
        assert store.digest() == before
        record(store, [2])  # it still works


def test_stores_of_other_classes_are_refused(tmp_path):
    with LabelStore(tmp_path / "other.sqlite", classes=("one", "two")):
        pass
    with (
        LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store,
        pytest.raises(LabelStoreError, match="2 classes"),
    ):
        store.merge(tmp_path / "other.sqlite")
