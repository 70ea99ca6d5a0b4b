"""The label store of a run that several processes share.

SQLite files can't be written from several hosts. So each process records the answers of its share
of the pool in a file of its own, next to `labels.sqlite`, which belongs to the first process. The
first process merges these files into it, exactly once however often it is killed, and writes a copy
that the other processes read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from labor_jax.annotation.label_store.store import LabelStore


class SharedStore:
    """One process's access to the shared label store.

    Attributes:
      reader: The store with every answer up to the last `synchronise`.
    """

    def __init__(
        self,
        path: Path,
        *,
        classes: Sequence[str],
        process_index: int = 0,
        process_count: int = 1,
        wait_for_all: Callable[[str], None] = lambda place: None,
    ):
        """Opens the files and merges those that an earlier run left. All processes call it.

        Args:
          path: The run's `labels.sqlite`, in a folder that all processes share.
          classes: See `LabelStore`.
          process_index: This process's number.
          process_count: The number of processes.
          wait_for_all: Returns when all processes have called it with the same name.

        Raises:
          LabelStoreError: As `LabelStore`.
        """
        self._path, self._classes = Path(path), tuple(classes)
        self._is_first, self._alone = process_index == 0, process_count == 1
        self._wait_for_all = wait_for_all
        self._shard = shard_path(self._path, process_index)
        self._open: list[LabelStore] = []
        self._writer: LabelStore | None = None
        if self._is_first:
            self.reader = self._writer = self._opened(self._path)
        self.synchronise()

    @property
    def writer(self) -> LabelStore:
        """The store in which this process records queries and answers."""
        if self._writer is None:
            self._writer = self._opened(self._shard)
        return self._writer

    def synchronise(self) -> None:
        """Lets every process read the answers of all. All processes call it."""
        if not self._is_first:
            self.close()  # a closed file is complete, with no -wal file
        self._wait_for_all("answers are written")
        if self._is_first:
            for shard in sorted(self._path.parent.glob(shard_path(self._path, "*").name)):
                self.reader.merge(shard)
                # A process killed before this merges the file again, which has no effect.
                _delete(shard)
            if not self._alone:
                self.reader.write_copy(self._copy)
        self._wait_for_all("answers are merged")
        if not self._is_first:
            self.reader = self._opened(self._copy, read_only=True)

    def unasked(self, round: int, images: Sequence[str]) -> list[str]:
        """The images of a round that no process had asked by the last `synchronise`."""
        return self.reader.unasked(round) if round in self.reader.rounds() else list(images)

    def finish(self) -> None:
        """Closes the files once no process needs them. All processes call it."""
        self._wait_for_all("answers are read")
        self.close()
        if self._is_first:
            self._copy.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes this process's files."""
        self._writer = None
        while self._open:
            self._open.pop().close()

    @property
    def _copy(self) -> Path:
        return self._path.with_name(f"{self._path.stem}-copy.sqlite")

    def _opened(self, path: Path, **options: bool) -> LabelStore:
        store = LabelStore(path, classes=self._classes, **options)
        self._open.append(store)
        return store


def shard_path(path: Path, process_index: int | str) -> Path:
    """The file in which a process other than the first records its answers."""
    return path.with_name(f"{path.stem}-process{process_index}.sqlite")


def _delete(path: Path) -> None:
    for suffix in ("-wal", "-shm", ""):  # the file itself last: the next run finds the others by it
        path.with_name(path.name + suffix).unlink(missing_ok=True)
