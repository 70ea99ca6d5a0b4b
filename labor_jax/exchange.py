"""Exchanges rounds with other tools: `labor-jax exchange --workdir DIR --export FORMAT`.

Exports a round's queries for another labelling tool, and imports the answers with
`--import FORMAT --input DIR_OR_FILE`. Each module of `labor_jax.annotation.formats` describes its
files. The run and the labelling tool may be running meanwhile.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line
from labor_jax.annotation import LabelStore
from labor_jax.annotation.answer_import import import_answers
from labor_jax.annotation.formats import FORMATS
from labor_jax.annotation.formats.exported_round import ExportedRound
from labor_jax.annotation.labelling_tool.checks import checked_annotator
from labor_jax.annotation.round_export import describe_round, export_round
from labor_jax.data import DataError
from labor_jax.experiment.workdir import ConfigError, Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_EXPORT = flags.DEFINE_enum("export", None, list(FORMATS), "Write a round in this format.")
_IMPORT = flags.DEFINE_enum("import", None, list(FORMATS), "Read answers in this format.")
_OUTPUT = flags.DEFINE_string("output", None, "With --export: a new folder, or an empty one.")
_INPUT = flags.DEFINE_string("input", None, "With --import: the file, zip archive or folder.")
_ROUND = flags.DEFINE_integer("round", None, "The round's number; by default the newest.")
_NO_IMAGES = flags.DEFINE_bool("no-images", False, "With --export: leave out the images.")
_SKIP_INVALID = flags.DEFINE_bool(
    "skip-invalid", False, "With --import: store the valid answers even if others are invalid."
)
_CLIP = flags.DEFINE_bool(
    "clip",
    False,
    "With --import: ignore answers at pixels that were not asked, instead of refusing the image.",
)
_REPLACE = flags.DEFINE_bool(
    "replace", False, "With --import: overwrite stored answers that differ."
)
_ANNOTATOR = flags.DEFINE_string("annotator", "import", "With --import: who answered.")


def main(argv: Sequence[str]) -> None:
    """Exports a round or imports its answers."""
    if len(argv) > 1 or not _WORKDIR.value or bool(_EXPORT.value) == bool(_IMPORT.value):
        raise app.UsageError("Give --workdir, and either --export or --import with a format.")
    if not (_OUTPUT.value if _EXPORT.value else _INPUT.value):
        raise app.UsageError("Give --output with --export, and --input with --import.")
    try:
        checked_annotator(_ANNOTATOR.value)
    except ValueError as error:
        raise app.UsageError(f"--annotator: {error}.") from error
    folder = Workdir.existing(_WORKDIR.value)
    pair = folder.load_pair()
    if not folder.labels.exists():
        raise ConfigError(f"{folder.path} has asked nothing yet: there is no {folder.labels}.")
    read_only = bool(_EXPORT.value)
    with LabelStore(folder.labels, classes=pair.classes, read_only=read_only) as store:
        opened = store.rounds()
        if not opened:
            raise ConfigError(f"{folder.path} has asked nothing yet.")
        round = opened[-1] if _ROUND.value is None else _ROUND.value
        exported = describe_round(store, pair.classes, pair.palette, round)
        if _EXPORT.value:
            export_round(
                store,
                exported,
                _EXPORT.value,
                Path(_OUTPUT.value),
                pool=None if _NO_IMAGES.value else pair.pool,
            )
            print(f"Wrote the {len(exported.names)} images of round {round} to {_OUTPUT.value}")
        else:
            _import(store, exported)


def _import(store: LabelStore, exported: ExportedRound) -> None:
    result = import_answers(
        store,
        exported,
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
        f"Round {exported.round}, {len(exported.names)} images: {len(result.imported)} imported, "
        f"{len(result.unchanged)} stored before, {len(result.waiting)} without answers"
    )
    if result.clipped:
        print(f"Left out {result.clipped} pixels that were not asked")
    if result.violations and not _SKIP_INVALID.value:
        raise DataError(
            f"{len(result.violations)} violations, listed above, so nothing was imported. Have "
            "them fixed, or import the rest with --skip-invalid"
        )
    if result.violations:
        raise DataError(f"{len(result.violations)} violations, listed above; the rest was imported")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
