"""Sentences for ordinary errors of files: a full disk, a folder that can't be written."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("no space left", "disk is full", "disk full", "disk quota exceeded")

_PROBLEMS = {
    errno.EACCES: "{path} can't be opened: permission denied. Change its permissions, or name "
    "another place.",
    errno.EROFS: "{path} can't be written: its file system is read-only. Name another place.",
    errno.EEXIST: "{path} is a file, but a folder is needed there. Name another place.",
    errno.ENOTDIR: "{path} can't be opened: a part of that path is a file and no folder. Name "
    "another place.",
    errno.EISDIR: "{path} is a folder, but a file is needed there. Name another place.",
    errno.ENAMETOOLONG: "{path} is too long a name for the file system. Name a shorter one.",
    errno.EMFILE: "{path} can't be opened: this process has too many open files. Allow more "
    "(ulimit -n).",
    errno.EIO: "{path} can't be read or written: input/output error. Check the disk.",
    errno.ESTALE: "{path} can't be read or written: the network file system lost it. Run the same "
    "command again.",
}
_PROBLEMS[errno.EPERM] = _PROBLEMS[errno.EACCES]

# TensorStore, which reads and writes checkpoints, raises ValueError:
# … local file "FOLDER" … Failed to open: "PATH": … [os_error_code='13'] …, or [OS error 13: …
_TENSORSTORE = re.compile(r"\[(?:OS error |os_error_code=')(\d+)")
_NAMED_PATH = re.compile(r'(?:^|[ "])(/[^":]+)[":]')


def describe(error: BaseException) -> str | None:
    """Says what is wrong with a file, and what to do.

    Args:
      error: any error.

    Returns:
      A sentence or two; None if neither the error nor one that caused it is such an error.
    """
    chain = list(_chain(error))
    if is_disk_full(error):
        full = [each for each in chain if _says_full(each)]
        path = next(filter(None, map(_path, full)), "")
        return (
            f"The disk is full{f': {path} could not be written' if path else ''}. Free some space "
            "and run the same command; a run resumes from its last checkpoint, and no answer in "
            "the label store is lost."
        )
    for each in chain:
        path = _path(each) or "A file"
        if _number(each) == errno.ENOENT:
            missing = Path(path)
            while not missing.parent.exists():
                missing = missing.parent
            return f"There is no {missing}." if path != "A file" else None
        if _number(each) in _PROBLEMS:
            return _PROBLEMS[_number(each)].format(path=path)
    return None


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that no space is left."""
    return any(map(_says_full, _chain(error)))


def _says_full(error: BaseException) -> bool:
    text = str(error).lower()
    return _number(error) in _DISK_FULL or any(words in text for words in _FULL_WORDS)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int | None:
    """The operating system's number of an error."""
    if isinstance(error, OSError):
        return error.errno
    found = _TENSORSTORE.search(str(error))
    return int(found[1]) if found else None


def _path(error: BaseException) -> str:
    if isinstance(error, OSError):
        return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    text = str(error)
    number = _TENSORSTORE.search(text)
    # The last one before the number is the file; those before it are folders around it. TensorStore
    # writes NUL where it is about to make a folder.
    found = _NAMED_PATH.findall(text[: number.start()] if number else text)
    return found[-1].replace("\0", "/") if found else ""
