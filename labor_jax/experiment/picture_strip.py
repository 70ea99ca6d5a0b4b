"""The picture strip of one image: what was asked of it, and what that changed."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from labor_jax.annotation import LabelStore
from labor_jax.data import IGNORE_LABEL, Pair
from labor_jax.experiment.previews import preview_path
from labor_jax.experiment.workdir import ConfigError, Workdir

_GAP = 4
_CAPTION = 14


def draw_strip(
    folder: Workdir, pair: Pair, store: LabelStore, number: int, *, scale: int = 1
) -> Image.Image:
    """Draws image, candidates, asked labels, prediction before the rounds and after, side by side.

    Args:
      folder: the run's.
      pair: its data.
      store: its label store.
      number: which image of the pool; one with previews.
      scale: pixels of the strip for one of the image.

    Raises:
      ConfigError: the run wrote no previews of that image, or one of them is damaged.
    """
    name = pair.pool.names[number]
    image = pair.pool.image(number)
    asked_rounds = [r for r in store.rounds() if store.round_complete(r)]
    panels = [("image", image)]
    candidates = np.zeros(image.shape[:2], bool)
    for each in asked_rounds:
        candidates |= _read(folder, f"round_{each}/query", number, candidates.shape) > 0
    if asked_rounds and not candidates.all():
        panels.append(("inconsistency mask", np.where(candidates[..., None], 255, image // 3)))
    if asked_rounds:
        labels = store.labels(name, shape=pair.pool.size(number))
        asked = _colours(_thick(labels), pair.palette, background=image // 3)
        panels.append(("asked labels", asked))
    rounds = [f"round_{each}/train" for each in asked_rounds]
    stages = sorted(each.name for each in folder.previews.glob("retraining_*"))
    trained = [
        phase
        for phase in ("supervised", "warmup", *stages, "joint", *rounds)
        if preview_path(folder.previews, phase, number).exists()
    ]
    before = [phase for phase in trained if not phase.startswith("round")][-1:]
    after = [phase for phase in trained if phase.startswith("round")][-1:]
    captions = ("prediction before the rounds", "prediction after")
    for caption, phases in zip(captions, (before, after), strict=True):
        for phase in phases:
            labels = _read(folder, phase, number, candidates.shape, len(pair.palette))
            panels.append((caption, _colours(labels, pair.palette)))
    return _side_by_side(panels, scale)


def _read(
    folder: Workdir, phase: str, number: int, shape: tuple[int, int], num_classes: int = 255
) -> np.ndarray:
    path = preview_path(folder.previews, phase, number)
    if not path.exists():
        raise ConfigError(
            f"{path} is missing: the run wrote no preview of that image in phase {phase}."
        )
    try:
        with Image.open(path) as preview:
            labels = np.asarray(preview)
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ConfigError(f"{path} is damaged ({error}), so it can't be shown.") from error
    if labels.shape != shape or labels.max(initial=0) >= num_classes:
        raise ConfigError(f"{path} is damaged: it is no preview of this image of {shape} pixels.")
    return labels


def _colours(
    labels: np.ndarray, palette: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Label map uint8[H, W] to uint8[H, W, 3]; unlabelled pixels show the background."""
    known = labels != IGNORE_LABEL
    colours = palette[np.where(known, labels, 0)]
    rest = np.zeros_like(colours) if background is None else background
    return np.where(known[..., None], colours, rest)


def _thick(labels: np.ndarray) -> np.ndarray:
    """Single labelled pixels widened on larger images, where a strip would lose them from sight."""
    for _ in range(min(labels.shape) // 200):
        padded = np.pad(labels, 1, constant_values=IGNORE_LABEL)
        height, width = labels.shape
        for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
            neighbour = padded[row : row + height, column : column + width]
            labels = np.where(labels == IGNORE_LABEL, neighbour, labels)
    return labels


def _side_by_side(panels: Sequence[tuple[str, np.ndarray]], scale: int) -> Image.Image:
    height, width = (scale * side for side in panels[0][1].shape[:2])
    strip = Image.new(
        "RGB", (len(panels) * (width + _GAP) - _GAP, height + _CAPTION), (255, 255, 255)
    )
    draw = ImageDraw.Draw(strip)
    for i, (caption, pixels) in enumerate(panels):
        left = i * (width + _GAP)
        panel = Image.fromarray(np.asarray(pixels, np.uint8))
        strip.paste(panel.resize((width, height), Image.Resampling.NEAREST), (left, _CAPTION))
        draw.text((left + 2, 1), caption, fill=(0, 0, 0))
    return strip
