"""Looks at a folder of your data: `labor-jax check DIR`.

Says what photos and labels are below the folder, how the labels code classes, and what is wrong
with the files. Then prints the command that uses them. The exit status is 1 if something would stop
a run.
"""

import dataclasses
import functools
import logging
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence

from absl import app, flags

from labor_jax import command_line

_SAMPLE = flags.DEFINE_integer(
    "sample", 50, "Number of labels in each folder whose pixels are read, evenly chosen."
)
_WRITE_CLASSES = flags.DEFINE_string(
    "write_classes", None, "Write a class table of the values or colours found to this new file."
)


def main(argv: Sequence[str]) -> None:
    """Inspects a folder, and prints what was found and the command that uses it."""
    if len(argv) != 2:
        raise app.UsageError("Name one folder: labor-jax check DIR.")
    if _SAMPLE.value < 1:
        raise app.UsageError(f"--sample is {_SAMPLE.value}; it is a number of labels, at least 1.")
    sys.stdout.reconfigure(errors="backslashreplace")  # names need not be text
    from labor_jax.data import DataError
    from labor_jax.data.inspection import class_table_template, description, suggestion
    from labor_jax.data.inspection.inspection import inspect

    table = None
    if _WRITE_CLASSES.value:
        # As a whole path, since a run looks below the data's folder first.
        table = pathlib.Path(_WRITE_CLASSES.value).expanduser().absolute()
    if table is not None and (table.exists() or not table.parent.is_dir()):
        problem = "exists already" if table.exists() else "is in a folder that does not exist"
        raise app.UsageError(f"--write_classes: {table} {problem}. Name a new file.")
    root = pathlib.Path(argv[1]).expanduser()
    inspection = inspect(root, _SAMPLE.value, _progress)
    if table is not None:
        class_table_template.write(inspection.coding, table)
    name = str(table) if table else suggestion.existing_class_table(inspection)
    fields = suggestion.suggest_fields(inspection, name)
    problem = None if inspection.problems else _trial(fields, inspection.roles)
    if problem:
        if any(one.contents.num_files < len(one.labels.files) for one in inspection.labels):
            problem += f" More labels may tell more: --sample={10 * _SAMPLE.value}."
        inspection = dataclasses.replace(inspection, problems=(problem,))
    print(description.describe(inspection))
    print(f"\n{suggestion.describe(inspection, fields, name, is_new=table is not None)}")
    if inspection.problems:
        count = len(inspection.problems)
        raise DataError(
            f"{count} problem{'s' if count > 1 else ''} would stop a run, see the top of the list."
        )


def _progress(what: str) -> Callable[[Iterable], Iterable]:
    from tqdm import tqdm

    return functools.partial(tqdm, desc=what, unit="file", disable=None, leave=False)


def _trial(fields: dict[str, str], roles: Iterable[str]) -> str:
    """Reads the data as a run would; returns what stops it, or an empty text."""
    if not roles:
        return ""
    from labor_jax import config_argument, data
    from labor_jax.data.inspection import suggestion

    if fields["data.classes"] == suggestion.UNKNOWN_CLASSES:
        fields = {**fields, "data.classes": "one,another"}  # as many as there must be
    config = config_argument.load("ppl:folders")
    arguments = [f"--config.{name}={value}" for name, value in fields.items()]
    config_argument.override(config, ["check", *arguments])
    logging.disable(logging.WARNING)  # all of this is told in other words
    try:
        pair = data.load_pair(config.pair, config.data, list(roles))
        if config.annotation.existing_labels:
            from labor_jax.annotation import LabelStore
            from labor_jax.experiment import existing_labels, workdir

            with tempfile.TemporaryDirectory() as temporary:
                folder = workdir.Workdir(temporary)
                with LabelStore(folder.labels, classes=pair.classes) as store:
                    existing_labels.read_configured(folder, config, pair, store)
    except ValueError as error:  # DataErrors among them
        return str(error)
    finally:
        logging.disable(logging.NOTSET)
    return ""


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
