"""Files that a kill or a power cut leaves as they were, or as they were to be."""

import contextlib
import os
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file so that a kill leaves the old content or the new, never a part."""
    # Of this process alone: another one may write the same file, as reports are.
    replacement = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with replacement.open("wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(replacement, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            replacement.unlink()
        error.filename = str(path)  # the one that users know
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Brings the names in a folder to the disk, so that a power cut doesn't undo a new one."""
    with contextlib.suppress(OSError):  # not every file system can
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
