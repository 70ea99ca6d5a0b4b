"""The label store's file: errors, crashes, threads and processes."""

import contextlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.label_store import schema
from tests.annotation.examples import CLASSES, SHAPE, query_of, random_labels


def filled(path):
    with LabelStore(path, classes=CLASSES) as store:
        names = [f"image {i}" for i in range(40)]
        store.open_round(1, names)
        items = [
            (n, random_labels(i, (64, 64)) < 3, random_labels(i, (64, 64)), None)
            for i, n in enumerate(names)
        ]
        store.ask_and_answer_many(1, items)
        return store.digest()


def test_closing_leaves_one_file_that_reopens_the_same(path):
    digest = filled(path)
    assert os.listdir(path.parent) == ["labels.sqlite"]
    for read_only in (False, True):
        with LabelStore(path, classes=CLASSES, read_only=read_only) as store:
            assert store.digest() == digest and store.classes == CLASSES and store.path == path


def test_read_only_refuses_to_write_and_to_create(path):
    with pytest.raises(LabelStoreError, match=r"there is no label store .*labels\.sqlite"):
        LabelStore(path, classes=CLASSES, read_only=True)
    assert not path.exists()
    filled(path)
    with LabelStore(path, classes=CLASSES, read_only=True) as store:
        with pytest.raises(LabelStoreError, match="opened for reading only"):
            store.open_round(2, ["a"])
        assert store.rounds() == [1]


def test_foreign_files_are_refused_and_left_alone(path):
    path.write_text("a list of labels, by hand\n" * 100)
    with pytest.raises(LabelStoreError, match=r"labels\.sqlite: file is not a database"):
        LabelStore(path, classes=CLASSES)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(LabelStoreError, match="not a label store"):
        LabelStore(path, classes=CLASSES)
    assert path.read_bytes() == before


def test_another_schema_is_refused(path):
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LabelStoreError, match=r"schema version 99.*reads version 4"):
        LabelStore(path, classes=CLASSES)


# The file as version 2 of the schema made it.
VERSION_2 = """
CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE round_images (
    round INTEGER NOT NULL, image TEXT NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (round, image)
) WITHOUT ROWID;
CREATE TABLE queries (
    image TEXT NOT NULL, round INTEGER NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    pixels INTEGER NOT NULL, clicks INTEGER NOT NULL, mask BLOB NOT NULL,
    PRIMARY KEY (image, round),
    FOREIGN KEY (round, image) REFERENCES round_images (round, image)
);
CREATE TABLE answers (
    image TEXT NOT NULL, round INTEGER NOT NULL, void_pixels INTEGER NOT NULL, labels BLOB NOT NULL,
    PRIMARY KEY (image, round),
    FOREIGN KEY (image, round) REFERENCES queries (image, round)
);
INSERT INTO metadata SELECT * FROM new.metadata;
INSERT INTO round_images SELECT * FROM new.round_images;
INSERT INTO queries SELECT image, round, height, width, pixels, clicks, mask FROM new.queries;
INSERT INTO answers SELECT image, round, void_pixels, labels FROM new.answers;
PRAGMA application_id = 0x4C414252;
PRAGMA user_version = 2;
"""


def filled_in_version_2(path):
    digest = filled(path.with_name("new.sqlite"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("ATTACH ? AS new", (str(path.with_name("new.sqlite")),))
        connection.executescript(VERSION_2)
        connection.commit()
    return digest


def test_an_older_file_is_read_as_it_is_and_brought_up_to_date_by_writers(path):
    digest = filled_in_version_2(path)
    with LabelStore(path, classes=CLASSES, read_only=True) as store:
        assert store.digest() == digest and store.round_complete(1)
        assert store.kind("image 0", 1) == "mask" and store.guess("image 0", 1) is None
        assert store.parts("image 0", 1) is None and store.candidates("image 0", 1) is None
    for _ in range(2):
        with LabelStore(path, classes=CLASSES) as store:
            assert store.digest() == digest
            assert store.kind("image 0", 1) == "mask" and store.guess("image 0", 1) is None
            store.open_round(2, ["image 0"])
    with LabelStore(path, classes=CLASSES) as store:
        assert store.parts("image 0", 1) is None and store.candidates("image 0", 1) is None
        query = ~store.asked("image 0")
        store.ask("image 0", 2, query, kind="points", guess=np.zeros((64, 64), np.uint8))
        assert store.kind("image 0", 2) == "points" and store.guess("image 0", 2).max() == 255


def test_an_update_that_is_cut_off_leaves_the_older_file(path, monkeypatch):
    digest = filled_in_version_2(path)
    steps = (*schema.MIGRATIONS[2], "SELECT no_such_column FROM queries")
    with monkeypatch.context() as patched:
        patched.setitem(schema.MIGRATIONS, 2, steps)
        with pytest.raises(LabelStoreError, match="no such column"):
            LabelStore(path, classes=CLASSES)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchall()
    with LabelStore(path, classes=CLASSES) as store:
        assert store.digest() == digest


def test_a_missing_folder_and_a_folder_as_file_are_named(tmp_path):
    with pytest.raises(LabelStoreError, match="nowhere is not a directory"):
        LabelStore(tmp_path / "nowhere" / "labels.sqlite", classes=CLASSES)
    with pytest.raises(LabelStoreError, match="unable to open database file"):
        LabelStore(tmp_path, classes=CLASSES)


def test_a_creation_that_was_cut_off_is_taken_as_new(path):
    path.touch()
    with LabelStore(path, classes=CLASSES) as store:
        store.open_round(0, ["a"])


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_an_error(path, keep):
    filled(path)
    with open(path, "r+b") as file:
        file.truncate(int(path.stat().st_size * keep))
    with pytest.raises(LabelStoreError, match=r"labels\.sqlite.*(damaged|restore)"):
        LabelStore(path, classes=CLASSES)


def test_a_full_disk_is_an_error_that_loses_nothing_stored(path, store):
    store.open_round(1, [str(i) for i in range(200)])
    # The same error SQLite gives for a full disk.
    pages = path.stat().st_size // 4096 + 20
    store._database.connection().execute(f"PRAGMA max_page_count = {pages}")
    labels = np.random.default_rng(0).integers(0, 3, (64, 64)).astype(np.uint8)
    stored = []
    with pytest.raises(LabelStoreError, match=r"labels\.sqlite: database or disk is full.*free"):
        for image in store.images(1):
            store.ask_and_answer_many(1, [(image, np.ones((64, 64), bool), labels, None)])
            stored.append(image)
    assert stored and store.unasked(1) == store.images(1)[len(stored) :]
    np.testing.assert_array_equal(store.labels(stored[-1]), labels)
    store._database.connection().execute("PRAGMA max_page_count = 1000000")
    store.ask_and_answer_many(1, [(store.unasked(1)[0], np.ones((64, 64), bool), labels, None)])


def test_a_closed_store_says_so(path):
    store = LabelStore(path, classes=CLASSES)
    store.close()
    store.close()
    with pytest.raises(LabelStoreError, match="is closed"):
        store.rounds()


WRITER = """
import sys, numpy as np
from labor_jax.annotation import LabelStore
store = LabelStore(sys.argv[1], classes=["a", "b"])
names = [str(i) for i in range(100_000)]
store.open_round(1, names)
for i, name in enumerate(names):
    labels = np.random.default_rng(i).integers(0, 2, (32, 32))
    store.ask_and_answer_many(1, [(name, labels == labels, labels, None)])
    print(name, flush=True)
"""


def test_a_killed_process_loses_nothing_it_acknowledged(path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    acknowledged = [process.stdout.readline().strip() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split("\n")[:-1]
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    with LabelStore(path, classes=["a", "b"]) as store:
        for name in acknowledged:
            expected = np.random.default_rng(int(name)).integers(0, 2, (32, 32))
            np.testing.assert_array_equal(store.labels(name), expected)
        assert store.pending(1) == []
        assert len(acknowledged) <= store.statistics(1).answered_images <= len(acknowledged) + 1


# Threads and processes.


def test_threads_read_while_another_writes(store):
    names = [str(i) for i in range(20)]
    store.open_round(1, names)
    full = np.ones(SHAPE, bool)
    errors, done = [], threading.Event()

    def read():
        try:
            while not done.is_set():
                for i, name in enumerate(names):
                    labels = store.labels(name, shape=SHAPE)
                    assert (labels == i % 3).all() or (labels == 255).all()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i, name in enumerate(names):
        store.ask_and_answer_many(1, [(name, full, np.full(SHAPE, i % 3, np.uint8), None)])
    done.set()
    for thread in threads:
        thread.join()
    assert not errors and store.round_complete(1)
    # The threads' connections went with them.
    assert len(store._database._connections) == 1


def test_calls_that_wait_share_a_transaction_and_fail_alone(store, path):
    database = store.database
    commits = []
    database.connection().set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )
    outcomes = {}

    def call(number):
        def write(connection):
            connection.execute("INSERT INTO metadata VALUES (?, '')", (f"call {number}",))
            if number % 3 == 0:
                raise ValueError(f"no {number}")
            return number

        try:
            outcomes[number] = database.grouped(write)
        except ValueError as error:
            outcomes[number] = str(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(1, 9)]

    def first(connection):
        for thread in threads:
            thread.start()
        while len(database._queue) < len(threads):
            time.sleep(0.001)
        return "first"

    assert database.grouped(first) == "first"
    for thread in threads:
        thread.join()
    expected = {number: f"no {number}" if number % 3 == 0 else number for number in range(1, 9)}
    assert outcomes == expected
    kept = {key for key in database.metadata() if key.startswith("call")}
    assert kept == {f"call {number}" for number in range(1, 9) if number % 3}
    assert commits == ["COMMIT"]  # this thread's; the others' calls were made by one of them
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT COUNT(*) FROM metadata WHERE key LIKE 'call%'").fetchone() == (
            len(kept),
        )


def test_a_shared_transaction_that_fails_fails_for_all(store, path):
    database = store.database
    limit = path.stat().st_size // 4096 + 30
    errors = []

    def call(number):
        def write(connection):
            connection.execute(f"PRAGMA max_page_count = {limit}")
            size = 10**6 if number == 3 else 1
            connection.execute("INSERT INTO metadata VALUES (?, ?)", (f"call {number}", "x" * size))

        try:
            database.grouped(write)
        except LabelStoreError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]

    def first(connection):
        for thread in threads:
            thread.start()
        while len(database._queue) < len(threads):
            time.sleep(0.001)

    database.grouped(first)
    for thread in threads:
        thread.join()
    stored = [key for key in database.metadata() if key.startswith("call")]
    assert "call 3" not in stored and len(stored) == 6 - len(errors)
    assert all("full" in error for error in errors) and errors


CREATOR = """
import sys, numpy as np
from labor_jax.annotation import LabelStore
sys.stdin.read(1)
with LabelStore(sys.argv[1], classes=["a", "b"]) as store:
    store.open_round(1, ["0", "1", "2"])
    store.ask(sys.argv[2], 1, np.ones((3, 3), bool))
"""


def test_processes_create_and_fill_one_file_together(path):
    processes = [
        subprocess.Popen([sys.executable, "-c", CREATOR, path, image], stdin=subprocess.PIPE)
        for image in "012"
    ]
    for process in processes:
        process.stdin.close()
    assert [process.wait() for process in processes] == [0, 0, 0]
    with LabelStore(path, classes=["a", "b"]) as store:
        assert store.pending(1) == ["0", "1", "2"]


def test_works_after_pickling_and_after_a_fork(store):
    store.open_round(1, ["a", "b"])
    store.ask("a", 1, query_of((0, 0)))
    with pickle.loads(pickle.dumps(store)) as copy:
        assert copy.digest() == store.digest()
        copy.ask("b", 1, query_of())
    # A bare fork that ends without Python's clean-up, as a forked worker does.
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            store.answer("a", 1, np.zeros(SHAPE, np.uint8))
            store.close()
            code = 0
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert store.round_complete(1) and store.labels("a")[0, 0] == 0


@pytest.mark.parametrize("name", ["labels.sqlite", "labels.sqlite-wal"])
def test_a_missing_file_is_said_also_where_sqlite_finds_a_disk_error_first(path, name):
    store = LabelStore(path, classes=CLASSES)
    store.open_round(1, ["a"])
    (path.parent / name).unlink()
    with (
        pytest.raises(LabelStoreError, match=f"moved, replaced or deleted .*: {name} is missing"),
        store.database.explaining_errors(),
    ):
        raise sqlite3.OperationalError("disk I/O error")


def test_a_disk_error_of_files_in_place_is_one(path):
    with (
        LabelStore(path, classes=CLASSES) as store,
        pytest.raises(LabelStoreError, match="disk I/O error"),
        store.database.explaining_errors(),
    ):
        raise sqlite3.OperationalError("disk I/O error")
