"""Reads the pictures that a run has written of some pool images, see `previews`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from labor_jax.experiment.previews import preview_path, uncertainty_path
from labor_jax.experiment.workdir import ConfigError, Workdir


def trained_phases(
    folder: Workdir, rounds: Sequence[int], number: int
) -> tuple[str | None, str | None]:
    """The last phases with a prediction of an image: before the rounds, and in them.

    Args:
      folder: the run's.
      rounds: the rounds to look at.
      number: which image of the pool.

    Returns:
      Their names; None where there is none.
    """
    stages = sorted(
        (each.name for each in folder.previews.glob("retraining_*")),
        key=lambda name: int(name.removeprefix("retraining_")),
    )
    found = [
        [phase for phase in phases if preview_path(folder.previews, phase, number).exists()]
        for phases in (
            ("supervised", "warmup", *stages, "joint"),
            [f"round_{each}/train" for each in rounds],
        )
    ]
    before, after = (phases[-1] if phases else None for phases in found)
    return before, after


def read_preview(
    folder: Workdir, phase: str, number: int, shape: tuple[int, int], num_classes: int = 255
) -> np.ndarray:
    """The preview of an image at a phase's end, uint8[H, W]: classes, or a mask of 0 and 1.

    Args:
      folder: the run's.
      phase: the phase.
      number: which image of the pool.
      shape: its (H, W).
      num_classes: what its values lie below.

    Raises:
      ConfigError: it is missing or damaged.
    """
    path = preview_path(folder.previews, phase, number)
    if not path.exists():
        raise ConfigError(
            f"{path} is missing: the run wrote no preview of that image in phase {phase}."
        )
    labels = _read(path, shape)
    if labels.max(initial=0) >= num_classes:
        raise _of_another_image(path, shape)
    return labels


def read_candidates(
    folder: Workdir, rounds: Sequence[int], number: int, shape: tuple[int, int]
) -> np.ndarray:
    """The pixels of an image that some rounds chose among, bool[H, W].

    Raises:
      ConfigError: as `read_preview`.
    """
    candidates = np.zeros(shape, bool)
    for each in rounds:
        candidates |= read_preview(folder, f"round_{each}/query", number, shape) > 0
    return candidates


def read_uncertainty(
    folder: Workdir, phase: str, number: int, shape: tuple[int, int]
) -> np.ndarray | None:
    """How unsure the prediction of an image is at a phase's end, uint8[H, W].

    Returns:
      The entropy of the classes' probabilities, 255 where all are alike; None for a run of an older
      version.

    Raises:
      ConfigError: the file is damaged.
    """
    path = uncertainty_path(folder.previews, phase, number)
    return _read(path, shape) if path.exists() else None


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        with Image.open(path) as preview:
            values = np.asarray(preview)
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ConfigError(f"{path} is damaged ({error}), so it can't be shown.") from error
    if values.shape != shape:
        raise _of_another_image(path, shape)
    return values


def _of_another_image(path: Path, shape: tuple[int, int]) -> ConfigError:
    return ConfigError(f"{path} is damaged: it is no preview of this image of {shape} pixels.")
