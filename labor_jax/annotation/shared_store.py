"""The label store of a run that several processes share.

SQLite's files are not for writers on several hosts. So each process records the answers of its part
of the pool in a file of its own, beside the first one's `labels.sqlite`; the first process merges
them, exactly once however often it is killed meanwhile, and leaves a copy that the others read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from labor_jax.annotation.store import LabelStore


class SharedStore:
    """The label store as one of several processes sees it.

    Attributes:
      reader: every answer up to the last `synchronise`.
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
        """Opens the files and merges what an earlier run left unmerged. All processes call it.

        Args:
          path: the run's `labels.sqlite`, in a folder that all processes share.
          classes: see `LabelStore`.
          process_index: this process's number.
          process_count: how many there are.
          wait_for_all: returns when all processes have called it with this name.

        Raises:
          LabelStoreError: see `LabelStore`.
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
        """Where this process records queries and answers."""
        if self._writer is None:
            self._writer = self._opened(self._shard)
        return self._writer

    def synchronise(self) -> None:
        """Brings the answers of all processes to all of them. All processes call it."""
        if not self._is_first:
            self.close()  # a closed file is whole, without a log beside it
        self._wait_for_all("answers are written")
        if self._is_first:
            for shard in sorted(self._path.parent.glob(shard_path(self._path, "*").name)):
                self.reader.merge(shard)
                # Only now: a kill before this merges it again, which changes nothing.
                _delete(shard)
            if not self._alone:
                self.reader.write_copy(self._copy)
        self._wait_for_all("answers are merged")
        if not self._is_first:
            self.reader = self._opened(self._copy, read_only=True)

    def unasked(self, round: int, images: Sequence[str]) -> list[str]:
        """Those of a round's images that no process has asked up to the last `synchronise`."""
        return self.reader.unasked(round) if round in self.reader.rounds() else list(images)

    def finish(self) -> None:
        """Closes the files when no process needs them any more. All processes call it."""
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
    for suffix in ("-wal", "-shm", ""):  # the file last: by it the next run finds the rest
        path.with_name(path.name + suffix).unlink(missing_ok=True)
