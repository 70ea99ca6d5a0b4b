"""Finished runs, read from their workdirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from labor_jax.active import strategies
from labor_jax.experiment import data_identity
from labor_jax.experiment.data_identity import RunData
from labor_jax.experiment.report import costs, saved, stages
from labor_jax.experiment.workdir import ConfigError, Workdir


class ResultsError(Exception):
    """Workdirs that no table can be made of; its message is for people."""


class Stage(NamedTuple):
    """How good a run was after a round, and what it had asked by then.

    Attributes:
      round: its number; 0 before the first query.
      miou: from 0 to 1; None where none was measured.
      labelled_fraction: share of the pool's pixels asked.
      clicks_per_image: a pool image's; None where whole images were asked.
      seconds_per_image: people's time by published rates, a pool image's.
    """

    round: int
    miou: float | None
    labelled_fraction: float
    clicks_per_image: float | None
    seconds_per_image: float


class Result(NamedTuple):
    """A finished run.

    Attributes:
      workdir: the run's.
      config: what its config.json holds.
      seed: its seed.
      labelled_fraction: share of the pool's pixels asked, over all rounds.
      pixels_per_image: pixels asked, a pool image.
      clicks_per_image: a pool image's, see `labor_jax.annotation.cost.Work`. None where whole
        images were asked.
      seconds_per_image: people's time by published rates, a pool image's.
      annotation_hours: what the answers cost people, of the whole pool: measured where people were
        timed, else by published rates.
      annotation_source: what `annotation_hours` follow from, "measured", "partly measured" or the
        rates' name; "" where nothing was asked.
      labor_hours: the same by LabOR's estimate.
      miou: after the last round, from 0 to 1; None where none was measured.
      source_only_miou: after training on source alone; None where that was no phase.
      data: the images of each split and how labels are read; nothing where that is not known.
      classes: their names, in the order of the labels.
      per_class_iou: after the last round, by class, from 0 to 1; None where there is none.
      stages: the rounds in their order, behind what was measured before them.
      measured_on: what mIoU is measured on: "labels", "answers" or "nothing".
      device: what it computed on; "" where that is not known.
      versions: of packages, by name.
      wall_seconds: what the phases took, those of the run that it started from included; None
        where that is not known.
    """

    workdir: Path
    config: dict[str, Any]
    seed: int
    labelled_fraction: float
    pixels_per_image: float
    clicks_per_image: float | None
    seconds_per_image: float
    annotation_hours: float
    annotation_source: str
    labor_hours: float
    miou: float | None
    source_only_miou: float | None
    data: RunData
    classes: tuple[str, ...]
    per_class_iou: dict[str, float | None]
    stages: tuple[Stage, ...]
    measured_on: str
    device: str
    versions: dict[str, str]
    wall_seconds: float | None

    @property
    def pair(self) -> str:
        """The name of its data pair."""
        return self.config["pair"]

    def before_adaptation(self) -> Result:
        """The same run's result after training on source alone, whose time is not known."""
        return self._replace(
            miou=self.source_only_miou,
            labelled_fraction=0.0,
            pixels_per_image=0.0,
            clicks_per_image=0.0,
            seconds_per_image=0.0,
            annotation_hours=0.0,
            annotation_source="",
            labor_hours=0.0,
            per_class_iou={},
            stages=(),
            wall_seconds=None,
        )


def read(workdir: Path) -> Result | None:
    """Reads a run; None if it isn't finished.

    Raises:
      ResultsError: the folder holds no run, or its files are damaged.
    """
    folder = Workdir(workdir)
    if not folder.config.exists():
        raise ResultsError(f"{workdir} holds no run (no config.json in it).")
    if not folder.summary.exists():
        return None
    try:
        config = saved.read_config(folder, ("method", "pair", "acquisition"))
        summary = saved.read_summary(folder, ("source_only_miou",))
        return _result(folder, config, summary, _classes(folder, summary))
    except ConfigError as error:
        raise ResultsError(str(error)) from error
    except ValueError as error:
        raise ResultsError(f"{workdir}: pair.json is damaged: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{workdir}: config.json or summary.json is of another version of labor_jax, or "
            f"damaged ({type(error).__name__}: {error})."
        ) from error


def read_finished(workdirs: Iterable[Path], tell: Callable[[str], None]) -> list[Result]:
    """Reads the finished runs among some workdirs, and tells of each other one why it is left out.

    Args:
      workdirs: folders; one that is named twice is read once.
      tell: gets a line for each folder that is left out.
    """
    results = []
    for workdir in {Path(path).resolve(): Path(path) for path in workdirs}.values():
        try:
            result = read(workdir)
        except ResultsError as error:
            tell(f"left out: {error}")
            continue
        if result is None:
            tell(f"unfinished, left out: {workdir} (no summary.json)")
        else:
            results.append(result)
    return results


def _classes(folder: Workdir, summary: dict[str, Any]) -> tuple[str, ...]:
    """The classes; older runs without pair.json have them where IoU was measured."""
    if folder.pair.exists():
        return tuple(json.loads(folder.pair.read_text())["classes"])
    return tuple(summary["per_class_iou"] or ())


def _result(
    folder: Workdir, config: dict[str, Any], summary: dict[str, Any], classes: tuple[str, ...]
) -> Result:
    rounds = summary["rounds"]
    last = rounds[-1] if rounds else None
    whole_images, source = False, ""
    if last and last["pixels_per_image"]:
        source = costs.run_seconds(last)[0][0]
        try:
            asks = strategies.method(config["acquisition"]["method"]).asks
        except ValueError as error:
            raise ResultsError(f"{folder.path}: {error}") from error
        whole_images = asks in ("images", "full")
    asked = [_stage(entry, whole_images) for entry in rounds]
    before = stages.before_rounds(summary)
    return Result(
        workdir=folder.path,
        config=config,
        seed=summary["seed"],
        labelled_fraction=asked[-1].labelled_fraction if asked else 0.0,
        pixels_per_image=last["pixels_per_image"] if last else 0.0,
        clicks_per_image=asked[-1].clicks_per_image if asked else 0.0,
        seconds_per_image=asked[-1].seconds_per_image if asked else 0.0,
        annotation_hours=last["annotation_seconds"] / 3600 if last else 0.0,
        annotation_source=source,
        # Older runs have LabOR's estimate alone.
        labor_hours=last.get("labor_seconds", last["annotation_seconds"]) / 3600 if last else 0.0,
        miou=summary["final_miou"],
        source_only_miou=summary["source_only_miou"],
        data=data_identity.read(folder),
        classes=classes,
        per_class_iou=dict(summary["per_class_iou"] or {}),
        stages=(*([] if before is None else [Stage(0, before[1], 0.0, 0.0, 0.0)]), *asked),
        measured_on=summary.get("measured_on", "labels"),
        device=summary.get("device", ""),
        versions=dict(summary.get("versions", {})),
        wall_seconds=summary["wall_seconds"],
    )


def _stage(entry: dict[str, Any], whole_images: bool) -> Stage:
    pixels, seconds = entry["pixels_per_image"], 0.0
    clicks: float | None = 0.0
    if pixels:
        images = entry["labelled_pixels"] / pixels
        clicks = None if whole_images else entry["clicks"] / images
        seconds = entry.get("published_seconds", entry["annotation_seconds"]) / images
    return Stage(entry["round"], entry["miou"], entry["labelled_fraction"], clicks, seconds)
