"""A SQLite file that many threads and processes share, with errors that people understand."""

import concurrent.futures
import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

# "LABR" in the file's header distinguishes our files from other programs' databases.
_APPLICATION_ID = 0x4C414252
_METADATA = "CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

_Result = TypeVar("_Result")

# How long a writer waits for another process's transaction.
_BUSY_SECONDS = 30.0

# SQLite's connections don't survive a fork, and a child must not even close them.
_inherited_connections = []


class LabelStoreError(RuntimeError):
    """The file can't be used: damaged, full, locked, closed, not a label store or another run's."""


class _ThreadConnection:
    """A thread's connection, closed when the thread ends."""

    def __init__(self, connection: sqlite3.Connection):
        self.connection = connection
        self._process = os.getpid()
        self._current_process = os.getpid  # at exit the module's names are gone

    def close(self) -> None:
        if self._process == self._current_process():
            self.connection.close()
        else:
            _inherited_connections.append(self.connection)

    __del__ = close


class Database:
    """A label store's SQLite file.

    Each thread of each process opens a connection of its own, also after pickling and after a fork.
    Readers never wait (WAL), writers wait for each other. A transaction has reached the disk when
    it ends: `synchronous=FULL`. WAL's usual `NORMAL` may lose the last ones in a power cut.

    Attributes:
      path: The file.
      version: Version of the file's schema. It is older than requested only if the file is open for
        reading only.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        version: int,
        schema: Sequence[str],
        metadata: Mapping[str, str],
        migrations: Mapping[int, Sequence[str]] | None = None,
        read_only: bool = False,
    ):
        """Opens the file. Creates it if it is missing.

        Args:
          path: The file.
          version: Version of the schema, kept in the file and checked.
          schema: The statements that create its tables.
          metadata: The metadata of a new file, see `metadata`.
          migrations: The statements that update a file to the next version, by its version. They
            only add tables and columns, so that code for the older version can read both.
          read_only: Refuse to write, and to create the file.

        Raises:
          LabelStoreError: If the file is missing (and `read_only`), is damaged, is not a label
            store, or is of another version.
        """
        self.path = Path(path).absolute()
        self._read_only = read_only
        self._reset_connections()
        if read_only and not self.path.exists():
            raise LabelStoreError(f"there is no label store {self.path}")
        if not self.path.parent.is_dir():
            raise LabelStoreError(
                f"label store {self.path} can't be created: {self.path.parent} is not a directory"
            )
        try:
            with self.explaining_errors():
                if not read_only and self._is_empty():
                    self._create(version, schema, metadata)
                self._check(version, migrations or {})
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes this process's connections, of all threads; it can't be used afterwards."""
        with self._lock:
            self._closed = True
            for connection in list(self._connections):
                connection.close()

    def metadata(self) -> dict[str, str]:
        """Facts about the file as a whole, by name."""
        return dict(self.read("SELECT key, value FROM metadata"))

    def set_metadata(self, key: str, value: str) -> None:
        """Adds or changes one entry of `metadata`."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (key, value))

    def read(self, statement: str, parameters: Sequence | Mapping = ()) -> list[tuple]:
        """All rows of a statement's result."""
        with self.explaining_errors():
            return self.connection().execute(statement, parameters).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Opens a transaction on this thread's connection, or joins the one that is open."""
        with self.explaining_errors():
            connection = self.connection()
            if connection.in_transaction:
                yield connection
                return
            # Threads take turns here: SQLite waits for a lock by sleeping, longer each time.
            with self._writing:
                # IMMEDIATE takes the write lock before anything is read, so that checks still hold
                # when the rows are written.
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    self._check_in_place()
                    connection.execute("COMMIT")
                except BaseException:
                    connection.rollback()
                    raise

    def fold_log(self) -> None:
        """Moves the transactions in the `-wal` file into the file, unless readers hold it up."""
        if self._read_only:
            return
        with self.explaining_errors():
            connection = self.connection()
            connection.execute("PRAGMA busy_timeout = 1000")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")

    def absorb(self, path: Path, tables: Sequence[str]) -> None:
        """Copies the rows of another such file in one transaction; existing rows stay.

        Args:
          path: The other file, of the same schema.
          tables: The tables to copy, parents before children.

        Raises:
          LabelStoreError: If an existing row has other contents; then nothing is copied.
        """
        with self.explaining_errors():
            self.connection().execute("ATTACH DATABASE ? AS other", (str(path),))
            try:
                with self.transaction() as connection:
                    for table in tables:
                        connection.execute(
                            f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table}"
                        )
                        missing = connection.execute(
                            f"SELECT COUNT(*) FROM (SELECT * FROM other.{table} "
                            f"EXCEPT SELECT * FROM main.{table})"
                        ).fetchone()[0]
                        if missing:
                            raise LabelStoreError(
                                f"{missing} of the {table} in {path} contradict those in "
                                f"{self.path}; to continue without them, move {path.name} away"
                            )
            finally:
                self.connection().execute("DETACH DATABASE other")

    def write_copy(self, path: Path) -> None:
        """Writes a copy of the file to `path`, replacing a file that is there."""
        replacement = path.with_name(path.name + ".tmp")
        replacement.unlink(missing_ok=True)
        with self.explaining_errors():
            self.connection().execute("VACUUM INTO ?", (str(replacement),))
            # No write-ahead log: it needs shared memory, which readers on other hosts don't have.
            with contextlib.closing(sqlite3.connect(replacement)) as copy:
                copy.execute("PRAGMA journal_mode = DELETE")
        os.replace(replacement, path)

    def grouped(self, call: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Runs a function in a transaction that it may share with functions of other threads.

        All functions that arrive during one transaction share the next, and so one sync of the
        disk. If one of them raises, only its own changes are undone. `grouped` returns when the
        transaction has reached the disk.

        Args:
          call: The function. It may run in another thread and gets that thread's connection. It
            must not start threads.

        Returns:
          The function's result.
        """
        waiting = concurrent.futures.Future()
        self.connection()  # after a fork, this creates new locks
        with self._queue_lock:
            self._queue.append((call, waiting))
        with self.explaining_errors():
            # The thread that gets the lock runs the functions of all that wait for it.
            with self._writing:
                if not waiting.done():
                    with self._queue_lock:
                        queue, self._queue = self._queue, []
                    self._commit(queue)
            return waiting.result()

    def _commit(self, queue: list[tuple[Callable, concurrent.futures.Future]]) -> None:
        """Runs functions in one transaction, and hands out their results once it is committed."""
        results = []
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for call, waiting in queue:
                connection.execute("SAVEPOINT call")
                try:
                    results.append((waiting.set_result, call(connection)))
                except BaseException as error:
                    # If the disk is full or fails, SQLite rolls back the whole transaction itself.
                    if not connection.in_transaction:
                        raise
                    connection.execute("ROLLBACK TO call")
                    results.append((waiting.set_exception, error))
                connection.execute("RELEASE call")
            self._check_in_place()
            connection.execute("COMMIT")
        except BaseException as error:
            connection.rollback()
            for _, waiting in queue:
                waiting.set_exception(error)
            return
        for deliver, result in results:
            deliver(result)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        if self._process != os.getpid():
            closed = self._closed
            self._reset_connections()
            self._closed = closed
        if self._closed:
            raise LabelStoreError(f"label store {self.path} is closed")
        try:
            return self._local.held.connection
        except AttributeError:
            pass
        # Only the first connection may make the file: one that vanished later must not be replaced
        # by an empty one.
        mode = "rwc" if self._files is None else "rw"
        if self._read_only:
            mode = "ro"
            wal = self.path.with_name(self.path.name + "-wal")
            # On a disk that can't be written SQLite can't make the files that WAL needs.
            if not os.access(self.path.parent, os.W_OK) and not wal.exists():
                mode = "ro&immutable=1"
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # for `close`
        )
        self._local.held = _ThreadConnection(connection)
        with self._lock:
            if not self._connections:
                # Without a connection, SQLite removes the -wal file.
                self._files = {self.path: _identity(self.path)}
            self._connections.add(self._local.held)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A commit that finds this many pages in the -wal file moves them, which takes long.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        return connection

    def _check_in_place(self) -> None:
        """Raises unless what is written goes to the files that lie at the path now.

        On Linux and macOS an open file that is deleted or replaced can be written on, and all that
        is written is lost.
        """
        wal = self.path.with_name(self.path.name + "-wal")
        if self._files.get(wal) is None:  # SQLite makes it with the first write
            self._files[wal] = _identity(wal)
        displaced = self._displaced()
        if displaced:
            raise LabelStoreError(displaced)

    def _displaced(self) -> str | None:
        """The message for a file that is open but no longer lies at its path; None without one."""
        for path, opened in (self._files or {}).items():
            found = _identity(path)
            if found is None or found != opened:
                problem = "is missing" if found is None else "is another file now"
                return (
                    f"label store {self.path} was moved, replaced or deleted while it was open: "
                    f"{path.name} {problem}. Nothing was stored; put it back and start this "
                    "program again"
                )
        return None

    @contextlib.contextmanager
    def explaining_errors(self) -> Iterator[None]:
        """Turns SQLite's errors into `LabelStoreError`s that name the file and the remedy."""
        try:
            yield
        except sqlite3.Error as error:
            # SQLite calls it a disk error if it is the first to notice that a file is gone.
            raise LabelStoreError(self._displaced() or self._explained(error)) from error

    def _is_empty(self) -> bool:
        (objects,) = self.connection().execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        return objects == 0 and self._pragma("application_id") == 0

    def _create(self, version: int, schema: Sequence[str], metadata: Mapping[str, str]) -> None:
        self.connection().execute("PRAGMA journal_mode = WAL")
        # Everything is one transaction: a process that is killed meanwhile leaves an empty file,
        # which the next process treats as new.
        with self.transaction() as connection:
            if not self._is_empty():
                return
            for statement in (_METADATA, *schema):
                connection.execute(statement)
            connection.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {version}")

    def _check(self, version: int, migrations: Mapping[int, Sequence[str]]) -> None:
        if self._pragma("application_id") != _APPLICATION_ID:
            raise LabelStoreError(
                f"{self.path} is a database, but not a label store; move it away or choose another "
                "working directory"
            )
        self.version = self._pragma("user_version")
        if self.version != version and self.version not in migrations:
            raise LabelStoreError(
                f"label store {self.path} has schema version {self.version}; this version of "
                f"labor_jax reads version {version}"
            )
        # Once per run, so that damage is found before anything depends on it.
        if not self._read_only:
            result = self._pragma("quick_check(1)")
            if result != "ok":
                raise LabelStoreError(self._explained(sqlite3.DatabaseError(result)))
            self._migrate(version, migrations)

    def _migrate(self, version: int, migrations: Mapping[int, Sequence[str]]) -> None:
        if self.version == version:
            return
        # One transaction: a process that is killed meanwhile leaves the older version.
        with self.transaction() as connection:
            self.version = self._pragma("user_version")  # another process may have updated it
            while self.version != version:
                for statement in migrations[self.version]:
                    connection.execute(statement)
                self.version += 1
                connection.execute(f"PRAGMA user_version = {self.version}")

    def _pragma(self, name: str) -> int | str:
        return self.connection().execute(f"PRAGMA {name}").fetchone()[0]

    def _reset_connections(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue = []
        self._local = threading.local()
        # Weak references: a connection lives only as long as its thread.
        self._connections = weakref.WeakSet()
        # Device and inode of the file and its -wal file; None before the first connection.
        self._files: dict[Path, tuple[int, int] | None] | None = None
        self._closed = False

    def __getstate__(self) -> dict:
        return {"path": self.path, "version": self.version, "_read_only": self._read_only}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._reset_connections()

    def _explained(self, error: sqlite3.Error) -> str:
        # The low byte is SQLite's primary code; errors of Python's wrapper have no code.
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL:
                advice = "the last call stored nothing; free some space and run it again"
            case sqlite3.SQLITE_NOTADB:
                advice = "the file is not a label store; move it away or restore it"
            case sqlite3.SQLITE_CORRUPT:
                advice = "the file is damaged; restore it from a copy (with its -wal file)"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                advice = f"another process has been writing for {_BUSY_SECONDS:.0f} s; stop it"
            case sqlite3.SQLITE_READONLY:
                advice = "it was opened for reading only, or its directory is not writable"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_PERM:
                advice = "check the disk, and that the file and its directory are writable"
            case _ if self._closed:
                advice = "it was closed in the meantime"
            case _:
                advice = "the file may be damaged; restore it from a copy (with its -wal file)"
        return f"label store {self.path}: {error}; {advice}"


def _identity(path: Path) -> tuple[int, int] | None:
    """A file's device and inode; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
