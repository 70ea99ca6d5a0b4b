"""The report of a run from its files alone: of a run that is over, waits, or was stopped."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from labor_jax import output_files
from labor_jax.annotation import LabelStore
from labor_jax.data import Pair
from labor_jax.experiment import summary
from labor_jax.experiment.report import run_report, saved, stages
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training import metrics
from labor_jax.training.checkpoints import read_progress


def write(workdir: str | os.PathLike, output: Path | None = None) -> Path:
    """Writes the report of what a run's files hold now.

    Args:
      workdir: the run's; another process may be running in it.
      output: the file to write; `report.html` in the workdir if None.

    Returns:
      The file.

    Raises:
      ConfigError: there is no run in `workdir`, or it has no result yet.
      DataError: the pool's images can't be read.
      LabelStoreError: nor can the answers.
      OutputError: `output` is there, and the package did not write it as it is.
    """
    folder = Workdir.existing(workdir)
    if output is not None and output.resolve() != folder.report.resolve():
        output.parent.stat()  # no folder is made for it
        output_files.check_file(output, overwrite=True)
        with output_files.writing_file(output, overwrite=True) as temporary:
            _write(folder, temporary)
        return output
    _write(folder, folder.report)
    return folder.report


def _write(folder: Workdir, output: Path) -> None:
    progress = None if folder.summary.exists() else _progress(folder)
    pair, note = _pair(folder)
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        described, phase = _results(folder, progress, store)
        if phase is not None:
            note = f"{stages.where_it_is(phase, store)} {note}".strip()
        run_report.write_report(
            folder, described, pair, store, output=output, note=note, over=phase is None
        )


def _pair(folder: Workdir) -> tuple[Pair, str]:
    """The run's pair with its pool, or without it and why.

    A run that is over has results, even if it is of an older version or nobody has registered its
    pair.
    """
    try:
        return folder.load_pair(["pool"]), ""
    except ConfigError as error:
        if not (folder.summary.exists() and folder.pair.exists()):
            raise
        try:
            described = json.loads(folder.pair.read_text())
            palette = np.array(described["palette"], np.uint8)
            pair = Pair(described["name"], tuple(described["classes"]), palette, None, None, None)
        except (KeyError, TypeError, ValueError) as damage:
            raise ConfigError(
                f"{folder.pair} is damaged ({type(damage).__name__}: {damage}); restore it."
            ) from damage
        return pair, f"There are no pictures. {error}"


def _progress(folder: Workdir) -> dict[str, Any]:
    """The progress of a run that isn't over."""
    progress = read_progress(folder.checkpoints)
    if progress is None:
        raise ConfigError(
            f"{folder.path} has no result yet; let the run end its first phase, or reach "
            "config.checkpoint_every steps."
        )
    return progress


def _results(
    folder: Workdir, progress: dict[str, Any] | None, store: LabelStore
) -> tuple[dict[str, Any], str | None]:
    """What the summary holds, or would; and the last phase of a run that isn't over."""
    if progress is None:
        return saved.read_summary(folder, ("method", "pair")), None
    results = summary.Results.from_json(progress["results"])
    described = summary.summarise(folder.read_config(), results, store.existing())
    return metrics.jsonable(described), progress["phase"]
