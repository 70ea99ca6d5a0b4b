"""The folder of an exported model. Files that were edited, or that others wrote, stay."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from labor_jax import output_files
from labor_jax.deployment.errors import ExportError

FILES = ("README.md", "classes.csv", "model.json")
"""What lies beside the model."""


def check(path: Path, model: str, *, overwrite: bool) -> None:
    """Checks that a model may be written to a folder.

    Args:
      path: the folder; it need not exist.
      model: the model's file name.
      overwrite: whether an earlier export of the same format may be replaced.

    Raises:
      ExportError: the folder is a file, holds files that the package did not write or that were
        changed since, or an export without `overwrite`.
    """
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise ExportError(f"{path} is a file; --output names a folder. Choose another.")
    there = {each.name for each in path.iterdir()} - {output_files.LISTED}
    foreign = sorted(there - {model, *FILES})
    if foreign or (there and "model.json" not in there):
        name = (foreign or sorted(there))[0]
        raise ExportError(
            f"{path} holds {name}, which is of no export to {model}; choose another --output."
        )
    if not there:
        return
    if not (path / output_files.LISTED).is_file():
        raise ExportError(
            f"{path} has no list of what labor-jax wrote there ({output_files.LISTED}): an older "
            "version wrote it, or another program did. Its files may have been edited, so it isn't "
            "replaced. Delete it, or choose another --output."
        )
    written = output_files.OutputFolder(path)
    changed = [name for name in sorted(there) if not written.wrote(name)]
    if changed:
        raise ExportError(
            f"{path / changed[0]} isn't as labor-jax wrote it, so the folder isn't replaced. Move "
            "that file away, or choose another --output."
        )
    if not overwrite:
        raise ExportError(
            f"{path} holds an exported model already. --overwrite replaces it; or choose another "
            "--output."
        )


@contextlib.contextmanager
def writing(path: Path, model: str, *, overwrite: bool) -> Iterator[Path]:
    """Writes a folder as a whole: yields a temporary one, which gets its name at the block's end.

    Raises:
      ExportError: see `check`.
    """
    path = path.resolve()  # to replace the folder that a link leads to, not the link
    with output_files.folder_beside(path) as temporary:
        yield temporary
        output_files.list_files(temporary)
        check(path, model, overwrite=overwrite)  # what came meanwhile is not replaced either
        if path.is_dir():
            shutil.rmtree(path)
        temporary.rename(path)
