"""The command line: `python -m labor_jax.exchange --workdir runs/x --export FORMAT --output DIR`.

Writes what a round asks for another labelling tool, and takes the answers back with
`--import FORMAT --input DIR_OR_FILE`. Each module of `labor_jax.annotation.formats` describes its
files. It may run while the run waits or goes on, and beside the labelling tool.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line
from labor_jax.annotation import LabelStore
from labor_jax.annotation import exchange as rounds
from labor_jax.annotation.formats import FORMATS
from labor_jax.annotation.formats.base import Task
from labor_jax.annotation.work import checked_name
from labor_jax.data import DataError, load_pair
from labor_jax.workdir import ConfigError, Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_EXPORT = flags.DEFINE_enum("export", None, list(FORMATS), "Write a round in this format.")
_IMPORT = flags.DEFINE_enum("import", None, list(FORMATS), "Read answers in this format.")
_OUTPUT = flags.DEFINE_string("output", None, "With --export: a new folder, or an empty one.")
_INPUT = flags.DEFINE_string("input", None, "With --import: the file, zip archive or folder.")
_ROUND = flags.DEFINE_integer("round", None, "Which round; without it, the newest.")
_NO_IMAGES = flags.DEFINE_bool("no-images", False, "With --export: leave the images out.")
_SKIP_INVALID = flags.DEFINE_bool(
    "skip-invalid", False, "With --import: store the valid answers although others are violated."
)
_CLIP = flags.DEFINE_bool(
    "clip", False, "With --import: leave out answers outside of what is asked, refuse no image."
)
_REPLACE = flags.DEFINE_bool(
    "replace", False, "With --import: correct answers that are stored already."
)
_ANNOTATOR = flags.DEFINE_string("annotator", "import", "With --import: who answered.")


def main(argv: Sequence[str]) -> None:
    """Exports a round or imports its answers."""
    if len(argv) > 1 or not _WORKDIR.value or bool(_EXPORT.value) == bool(_IMPORT.value):
        raise app.UsageError("Give --workdir, and either --export or --import with a format.")
    if not (_OUTPUT.value if _EXPORT.value else _INPUT.value):
        raise app.UsageError("Give --output with --export, and --input with --import.")
    try:
        checked_name(_ANNOTATOR.value)
    except ValueError as error:
        raise app.UsageError(f"--annotator: {error}.") from error
    folder = Workdir.existing(_WORKDIR.value)
    config = folder.read_config()
    pair = load_pair(config.pair, config.data)
    if not folder.labels.exists():
        raise ConfigError(f"{folder.path} has asked nothing yet: there is no {folder.labels}.")
    read_only = bool(_EXPORT.value)
    with LabelStore(folder.labels, classes=pair.classes, read_only=read_only) as store:
        opened = store.rounds()
        if not opened:
            raise ConfigError(f"{folder.path} has asked nothing yet.")
        round = opened[-1] if _ROUND.value is None else _ROUND.value
        task = rounds.describe_round(store, pair.classes, pair.palette, round)
        if _EXPORT.value:
            rounds.export_round(
                store,
                task,
                _EXPORT.value,
                Path(_OUTPUT.value),
                pool=None if _NO_IMAGES.value else pair.pool,
            )
            print(f"Wrote the {len(task.names)} images of round {round} to {_OUTPUT.value}")
        else:
            _import(store, task)


def _import(store: LabelStore, task: Task) -> None:
    result = rounds.import_answers(
        store,
        task,
        _IMPORT.value,
        Path(_INPUT.value),
        annotator=_ANNOTATOR.value,
        skip_invalid=_SKIP_INVALID.value,
        clip=_CLIP.value,
        replace=_REPLACE.value,
    )
    for violation in result.violations:
        print(violation, file=sys.stderr)
    print(
        f"Round {task.round}, {len(task.names)} images: {len(result.imported)} imported, "
        f"{len(result.unchanged)} stored before, {len(result.waiting)} without answers"
    )
    if result.clipped:
        print(f"Left out {result.clipped} pixels that were not asked")
    if result.violations and not _SKIP_INVALID.value:
        raise DataError(
            f"{len(result.violations)} violations, listed above, so nothing was imported. Have "
            "them mended, or import the rest with --skip-invalid"
        )
    if result.violations:
        raise DataError(f"{len(result.violations)} violations, listed above; the rest was imported")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
