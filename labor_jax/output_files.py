"""Output files of commands, none of which replaces a file that the package did not write.

What the package writes is listed in `.labor_jax.jsonl`, in the folder it writes to: each file's
name, size, hash and what made it (`key`). Only a file that is listed there and unchanged since is
ever replaced, and only if the user says so. A file appears under its name once it is whole.

A command that writes one file:

    output_files.check_file(path, overwrite=overwrite)  # before the work
    ...
    with output_files.writing_file(path, overwrite=overwrite) as temporary:
        picture.save(temporary)

A command that writes many takes an `OutputFolder`, one that makes a whole new folder `new_folder`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

LISTED = ".labor_jax.jsonl"
"""The file, in an output folder, that lists what the package wrote there."""

LARGEST_SIDES = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}
"""Pixels that a side of a picture may have, in the formats that bound them."""

_SHOWN = 5  # files that an error names


class OutputError(ValueError):
    """A place that a command must not write to."""


class OutputFolder:
    """A folder that a command writes files to. It is made with the first of them.

    Its methods may be called from several threads.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        inputs: Iterable[str | os.PathLike] = (),
        overwrite: bool = False,
    ):
        """Names the folder and checks where it lies.

        Args:
          path: The folder; it need not exist.
          inputs: Folders and files that the command reads. The output neither is nor lies in such a
            folder, and replaces no such file.
          overwrite: Whether files that the package wrote before may be replaced.

        Raises:
          OutputError: If it is, or lies in, an input folder, or if it is a file.
        """
        self.path = Path(path).expanduser()
        inputs = [Path(each).expanduser() for each in inputs]
        self._folders = [each for each in inputs if each.is_dir()]
        self._files = {_identity(each.stat()) for each in inputs if each.is_file()}
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._records: dict[str, list[dict[str, Any]]] | None = None
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; the output needs a folder.")
        check_outside(self.path, self._folders)

    def remaining(self, keys: Mapping[str, str]) -> list[str]:
        """Says which files are still to be written. Call it before the work, with all of them.

        Args:
          keys: What makes each file, by its name below the folder, with "/": a text that differs
            if the file would. A file that the same key made is whole and not written again; an
            empty key is never the same.

        Returns:
          The names of the others, in order.

        Raises:
          OutputError: If a file is in the way: one that the package did not write, that was changed
            since, that the command reads, or, without `overwrite`, that another key made.
        """
        left, foreign, other = [], [], []
        parents = {(self.path / name).parent for name in keys}
        for parent in sorted(parents):
            check_outside(parent, self._folders)
        for name, key in keys.items():
            path = self.path / name
            if not os.path.lexists(path):
                left.append(name)
                continue
            record = self._record_of(name)
            if record is None or _identity(path.stat()) in self._files:
                foreign.append(name)
            elif key and record["key"] == key:
                continue
            else:
                left.append(name)
                other.append(name)
        if foreign:
            raise OutputError(
                f"{_counted(foreign, self.path)} in the way, and labor-jax did not write "
                f"{'it' if len(foreign) == 1 else 'them'}, or not as {_now(foreign)} now. Nothing "
                "was written. Choose another --output, or move what is there."
            )
        if other and not self._overwrite:
            raise OutputError(
                f"{_counted(other, self.path)} there already, from an earlier command. Nothing was "
                "written. --overwrite replaces what labor-jax wrote; or choose another --output."
            )
        return left

    def wrote(self, name: str) -> bool:
        """Whether the package wrote a file, and it is unchanged since."""
        return self._record_of(name) is not None

    def existing(self, below: str = ".") -> list[str]:
        """The names of the files in this folder, or one below it, sorted; hidden ones left out."""
        folder = self.path / below
        if not folder.is_dir():
            return []
        names = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
        return sorted((PurePosixPath(below) / name).as_posix() for name in names)

    def remove(self, name: str) -> None:
        """Removes a file that the package wrote; raises what `remaining` raises of it."""
        self.remaining({name: ""})
        (self.path / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def writing(self, name: str, key: str = "") -> Iterator[Path]:
        """Writes a file: yields the path to write to, and gives it its name at the block's end.

        Nothing is left of it if the block raises.

        Args:
          name: Its name below the folder.
          key: What makes it, see `remaining`.

        Raises:
          OutputError: As `remaining`.
        """
        self.remaining({name: ""})  # what came meanwhile is not replaced either
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".writing_{os.getpid()}_{path.name}")
        try:
            yield temporary
            record = {"file": name, **_described(temporary), "key": key}
            with self._lock:
                # Listed first: a kill between the two lines leaves no file that looks foreign.
                _append(self.path / LISTED, record)
                if self._records is not None:
                    self._records.setdefault(name, []).append(record)
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _record_of(self, name: str) -> dict[str, Any] | None:
        """The record of a file as it is now; None if the package did not write it like this."""
        with self._lock:
            if self._records is None:
                self._records = _read_records(self.path / LISTED)
            records = self._records.get(name, ())
        return next((each for each in reversed(records) if _is_as(self.path / name, each)), None)


def check_file(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Raises an `OutputError` if `writing_file` would; call it before the work."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise OutputError(f"{path} is a folder; --output names a file.")
    OutputFolder(path.parent, overwrite=overwrite).remaining({path.name: ""})


@contextlib.contextmanager
def writing_file(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """Writes one file: yields the path to write to, see `OutputFolder.writing`."""
    path = Path(path).expanduser()
    with OutputFolder(path.parent, overwrite=overwrite).writing(path.name) as temporary:
        yield temporary


@contextlib.contextmanager
def new_folder(
    path: str | os.PathLike, *, inputs: Iterable[str | os.PathLike] = ()
) -> Iterator[Path]:
    """Makes a folder as a whole: yields a temporary one, which gets its name at the block's end.

    Args:
      path: The folder. It must not exist, or be empty.
      inputs: Folders that the command reads; the new one neither is nor lies in one of them.

    Raises:
      OutputError: If it exists and is not empty, or lies in an input folder.
    """
    path = Path(path).expanduser()
    if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} already exists and isn't an empty folder; choose another.")
    check_outside(path, inputs)
    path = path.resolve()  # to replace the folder that a link leads to, not the link
    with folder_beside(path) as temporary:
        yield temporary
        temporary.rename(path)  # an empty folder gives way


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Makes a temporary folder to rename to `path`; nothing is left of it if that isn't done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing_{os.getpid()}_{path.name}")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def list_files(folder: Path) -> None:
    """Lists all files of a folder from `folder_beside` as written by the package."""
    for path in sorted(folder.iterdir()):
        _append(folder / LISTED, {"file": path.name, **_described(path), "key": ""})


def check_outside(path: str | os.PathLike, folders: Iterable[str | os.PathLike]) -> None:
    """Raises an `OutputError` if a path is, or lies in, one of the folders that a command reads."""
    folder = enclosing(path, folders)
    if folder is not None:
        path = Path(path).expanduser().resolve()
        same = path.exists() and path.samefile(folder)
        raise OutputError(
            f"The output {path} {'is' if same else 'lies in'} the input folder {folder}, where "
            "no file may change. Nothing was written. Choose an --output outside of it."
        )


def enclosing(path: str | os.PathLike, folders: Iterable[str | os.PathLike]) -> Path | None:
    """The first of some folders that a path is, or lies in; None if there is none.

    Links are followed, and folders compared as the file system knows them, so that another way to
    spell a folder's name makes no difference.
    """
    path = Path(path).expanduser().resolve()
    above = {_identity(each.stat()) for each in (path, *path.parents) if each.exists()}
    for folder in folders:
        folder = Path(folder).expanduser()
        if folder.exists() and _identity(folder.stat()) in above:
            return folder
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _described(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"bytes": status.st_size, "time": status.st_mtime_ns, "sha256": _sha256(path)}


def _is_as(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether a file is as its record says."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size != record["bytes"]:
        return False
    return status.st_mtime_ns == record["time"] or _sha256(path) == record["sha256"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("ab+") as file:
        # A line that a kill cut off must not spoil the next one.
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")


def _read_records(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The records of each file, oldest first. Lines that can't be read count for nothing."""
    records: dict[str, list[dict[str, Any]]] = {}
    if path.is_file():
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                described = {name: record[name] for name in ("bytes", "time", "sha256", "key")}
                records.setdefault(str(record["file"]), []).append(described)
            except (KeyError, TypeError, ValueError):
                continue
    return records


def _counted(names: list[str], folder: Path) -> str:
    if len(names) == 1:
        return f"{folder / names[0]} is"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} files ({', '.join(names[:_SHOWN])}{more}) in {folder} are"


def _now(names: list[str]) -> str:
    return "it is" if len(names) == 1 else "they are"
