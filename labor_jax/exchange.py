"""Exchanges rounds with other tools: `labor-jax exchange --workdir DIR --export FORMAT`.

Exports a round's queries for another labelling tool, and imports the answers with
`--import FORMAT --input DIR_OR_FILE`. Each module of `labor_jax.annotation.formats` describes its
files. The run and the labelling tool may be running meanwhile.

`--round 0` imports labels that existed before the run: files that name the images as the pool does.
They train from the first round on, are never asked, and cost nothing. The run must not be running.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line
from labor_jax.annotation import LabelStore
from labor_jax.annotation.answer_import import import_answers
from labor_jax.annotation.existing_labels import import_existing
from labor_jax.annotation.formats import EXISTING_FORMATS, FORMATS
from labor_jax.annotation.formats.exported_round import ExportedRound
from labor_jax.annotation.label_store import EXISTING_ROUND
from labor_jax.annotation.labelling_tool.checks import checked_annotator
from labor_jax.annotation.round_export import describe_round, export_round
from labor_jax.annotation.violations import Violation, by_cause
from labor_jax.data import DataError
from labor_jax.experiment.workdir import ConfigError, Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_EXPORT = flags.DEFINE_enum("export", None, list(FORMATS), "Write a round in this format.")
_IMPORT = flags.DEFINE_enum(
    "import",
    None,
    list(EXISTING_FORMATS),
    "Read answers in this format; cityscapes only with --round 0.",
)
_OUTPUT = flags.DEFINE_string("output", None, "With --export: a new folder, or an empty one.")
_INPUT = flags.DEFINE_string("input", None, "With --import: the file, zip archive or folder.")
_ROUND = flags.DEFINE_integer(
    "round",
    None,
    "The round's number; by default the newest. With --import, 0 is for labels that existed before "
    "the run; --clip and --annotator have no effect then.",
)
_NO_IMAGES = flags.DEFINE_bool("no_images", False, "With --export: leave out the images.")
_SKIP_INVALID = flags.DEFINE_bool(
    "skip_invalid", False, "With --import: store the valid answers even if others are invalid."
)
_CLIP = flags.DEFINE_bool(
    "clip",
    False,
    "With --import: ignore answers at pixels that were not asked, instead of refusing the image.",
)
_REPLACE = flags.DEFINE_bool(
    "replace", False, "With --import: overwrite stored answers that differ."
)
_UNKNOWN = flags.DEFINE_enum(
    "unknown",
    "error",
    ["error", "void"],
    "With --import and --round 0: a shape whose name is no class is an error, or void.",
)
_UNCLEAR = flags.DEFINE_enum(
    "unclear",
    "error",
    ["error", "void"],
    "With --import of whole images: pixels without a class, or with two, are an error, or void.",
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
    if _IMPORT.value and _ROUND.value == EXISTING_ROUND:
        _import_existing(folder)
        return
    if _IMPORT.value and _IMPORT.value not in FORMATS:
        raise app.UsageError(
            f"--import {_IMPORT.value} reads labels that existed before the run; give --round 0."
        )
    pair = folder.load_pair()
    if not folder.labels.exists():
        raise ConfigError(f"{folder.path} has asked nothing yet: there is no {folder.labels}.")
    read_only = bool(_EXPORT.value)
    with LabelStore(folder.labels, classes=pair.classes, read_only=read_only) as store:
        opened = store.rounds()
        if not opened and _ROUND.value is None:
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


def _import_existing(folder: Workdir) -> None:
    """Imports labels that existed before the run as its round 0."""
    from labor_jax.experiment import existing_labels  # with JAX, for the run's checkpoints

    config, pair = folder.read_config(), folder.load_pair(["pool"])
    existing = existing_labels.describe_pool(config, pair, unknown=_UNKNOWN.value)
    with (
        existing_labels.open_for_import(folder, config),
        LabelStore(folder.labels, classes=pair.classes) as store,
    ):
        result = import_existing(
            store,
            existing,
            _IMPORT.value,
            Path(os.path.expanduser(_INPUT.value)),
            skip_invalid=_SKIP_INVALID.value,
            replace=_REPLACE.value,
        )
    _print_violations(result.violations)
    print(
        f"Round 0, labels from before the run: {len(result.imported)} images imported, "
        f"{len(result.unchanged)} stored before, with {result.pixels:,} labelled pixels"
    )
    for count, why in (
        (result.asked, "a round asks them already"),
        (result.contradicting, "the file gives them several classes"),
    ):
        if count:
            print(f"Left out {count:,} pixels, because {why}")
    if result.empty:
        print(f"{len(result.empty)} images without a label, such as {result.empty[0]!r}")
    _check_violations(len(result.violations))


def _import(store: LabelStore, exported: ExportedRound) -> None:
    result = import_answers(
        store,
        exported,
        _IMPORT.value,
        Path(os.path.expanduser(_INPUT.value)),
        annotator=_ANNOTATOR.value,
        skip_invalid=_SKIP_INVALID.value,
        clip=_CLIP.value,
        replace=_REPLACE.value,
        unclear=_UNCLEAR.value,
    )
    _print_violations(result.violations)
    print(
        f"Round {exported.round}, {len(exported.names)} images: {len(result.imported)} imported, "
        f"{len(result.unchanged)} stored before, {len(result.waiting)} without answers"
    )
    if result.clipped:
        print(f"Left out {result.clipped} pixels that were not asked")
    if result.unclear:
        print(f"Made {result.unclear} pixels void that have no class, or several")
    if result.other_round is not None:
        raise DataError(
            f"{_INPUT.value} looks like an export of round {result.other_round}, not of round "
            f"{exported.round}, so nothing was imported. Give --round {result.other_round}"
        )
    _check_violations(len(result.violations))


def _print_violations(violations: Sequence[Violation]) -> None:
    for line in by_cause(violations):
        print(line, file=sys.stderr)


def _check_violations(count: int) -> None:
    if count and not _SKIP_INVALID.value:
        raise DataError(
            f"{count} violations, listed above, so nothing was imported. Have them fixed, or "
            "import the rest with --skip_invalid"
        )
    if count:
        raise DataError(f"{count} violations, listed above; the rest was imported")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
