"""What a report is made of: a run's results, its pool and its answers, read from its workdir."""

import json
from typing import Any, NamedTuple

import numpy as np

from labor_jax.annotation import LabelStore
from labor_jax.data import DataError, Pair, Split
from labor_jax.experiment.previews import preview_numbers
from labor_jax.experiment.report import saved
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training.checkpoints import read_best

_SAMPLE, _FEWEST = 32, 8  # images
_SAMPLED_PIXELS = 2**24


class RunFiles(NamedTuple):
    """A run, as far as its report shows it.

    Attributes:
      folder: its workdir.
      config: the fields of its config; of an older version's run some are missing.
      summary: what `summary.json` holds, or would.
      classes: names, in label order.
      palette: `uint8[C, 3]`.
      store: its label store.
      pool: its pool; None where the images can't be read.
      metrics: the lines of `metrics.jsonl`.
      best: the phase whose checkpoint has the best mIoU of those that are there, and that mIoU;
        None where none was measured.
    """

    folder: Workdir
    config: dict[str, Any]
    summary: dict[str, Any]
    classes: tuple[str, ...]
    palette: np.ndarray
    store: LabelStore
    pool: Split | None
    metrics: list[dict[str, Any]]
    best: tuple[str, float] | None

    @property
    def asks_people(self) -> bool:
        """Whether people answer."""
        return self.config.get("annotator") == "human"

    def truth(self, number: int) -> np.ndarray | None:
        """The label uint8[H, W] of a pool image.

        None where there is none, and where no oracle has read it: before the first round is over,
        and where people answer.
        """
        if self.asks_people or not self.summary["rounds"] or self.pool is None:
            return None
        try:
            return self.pool.label(number)
        except DataError:
            return None


def sampled_truths(run: RunFiles) -> list[np.ndarray]:
    """Labels uint8[H, W] of some images that are spread over the pool; none where they are unknown.

    There are 32, or fewer of large images, so that reading them takes a second or two at most.
    """
    if run.pool is None or not len(run.pool):
        return []
    height, width = run.pool.size(0)
    count = min(max(_SAMPLED_PIXELS // (height * width), _FEWEST), _SAMPLE)
    found = [run.truth(number) for number in preview_numbers(len(run.pool), count)]
    return [] if any(each is None for each in found) else found


def gather(folder: Workdir, summary: dict[str, Any], pair: Pair, store: LabelStore) -> RunFiles:
    """Reads what a report shows beside the arguments.

    Args:
      folder: the run's.
      summary: what `summary.json` holds, or would.
      pair: the run's; without a pool the report has no pictures.
      store: the run's.
    """
    best = read_best(folder.checkpoints)
    return RunFiles(
        folder=folder,
        config=_read_config(folder),
        summary=summary,
        classes=pair.classes,
        palette=pair.palette,
        store=store,
        pool=pair.pool,
        metrics=read_metrics(folder),
        best=None if best is None else (best[0]["phase"], best[1]),
    )


def _read_config(folder: Workdir) -> dict[str, Any]:
    """The config's fields, of an older version's run, too."""
    try:
        return folder.read_config().to_dict()
    except ConfigError as error:
        try:
            return saved.read_config(folder)
        except ConfigError:
            raise error from None


def read_metrics(folder: Workdir) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`, without damaged ones such as one that is being written."""
    found = []
    if folder.metrics.exists():
        for line in folder.metrics.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and {"step", "phase"} <= record.keys():
                found.append(record)
    return found
