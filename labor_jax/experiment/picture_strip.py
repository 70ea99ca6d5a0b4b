"""The picture strip of one image: what was asked of it, and what that changed."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from labor_jax.annotation import LabelStore
from labor_jax.data import IGNORE_LABEL, Pair
from labor_jax.experiment.preview_files import read_candidates, read_preview, trained_phases
from labor_jax.experiment.workdir import Workdir

MASK, ASKED, ANSWERS = "inconsistency mask", "asked pixels", "asked labels"
"""Captions of what was asked."""

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
    arrays = strip_arrays(folder, pair, store, number)
    image = arrays["image"]
    panels = []
    for caption, array in arrays.items():
        if caption == ASKED:
            continue  # the asked labels show them
        if caption == MASK:
            array = np.where(array[..., None], 255, image // 3)
        elif caption == ANSWERS:
            array = _colours(thick(array), pair.palette, background=image // 3)
        elif array.ndim == 2:
            array = _colours(array, pair.palette)
        panels.append((caption, array))
    return _side_by_side(panels, scale)


def strip_arrays(
    folder: Workdir,
    pair: Pair,
    store: LabelStore,
    number: int,
    *,
    up_to_round: int | None = None,
) -> dict[str, np.ndarray]:
    """What was asked of an image and what that changed, by caption.

    Args:
      folder: the run's.
      pair: its data.
      store: its label store.
      number: which image of the pool; one with previews.
      up_to_round: the last round to include; None for all that are answered.

    Returns:
      "image", uint8[H, W, 3]. Once a round is answered: "inconsistency mask", bool[H, W], unless
      all pixels were candidates; "asked pixels", bool[H, W]; "asked labels", uint8[H, W], 255 where
      there is no answer. As far as the run has come, "prediction before the rounds" and
      "prediction after", uint8[H, W].

    Raises:
      ConfigError: the run wrote no previews of that image, or one of them is damaged.
    """
    name, image = pair.pool.names[number], pair.pool.image(number)
    rounds = [
        each
        for each in store.rounds()
        if store.round_complete(each) and (up_to_round is None or each <= up_to_round)
    ]
    arrays = {"image": image}
    shape = image.shape[:2]
    if rounds:
        candidates = read_candidates(folder, rounds, number, shape)
        if not candidates.all():
            arrays[MASK] = candidates
        size = pair.pool.size(number)
        arrays[ASKED] = store.asked(name, rounds[-1], size)
        arrays[ANSWERS] = store.labels(name, rounds[-1], size)
    captions = ("prediction before the rounds", "prediction after")
    for caption, phase in zip(captions, trained_phases(folder, rounds, number), strict=True):
        if phase is not None:
            arrays[caption] = read_preview(folder, phase, number, shape, len(pair.palette))
    return arrays


def _colours(
    labels: np.ndarray, palette: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Label map uint8[H, W] to uint8[H, W, 3]; unlabelled pixels show the background."""
    known = labels != IGNORE_LABEL
    colours = palette[np.where(known, labels, 0)]
    rest = np.zeros_like(colours) if background is None else background
    return np.where(known[..., None], colours, rest)


def visible(labels: np.ndarray) -> np.ndarray:
    """Labels of few points widened, so that they are seen at any size.

    Args:
      labels: uint8[H, W], 255 where unlabelled.
    """
    sparse = np.mean(labels != IGNORE_LABEL) < 0.01
    return thick(labels, min(labels.shape) // 64 if sparse else None)


def thick(labels: np.ndarray, times: int | None = None) -> np.ndarray:
    """Single labelled pixels widened on larger images, where a strip would lose them from sight.

    Args:
      labels: uint8[H, W], 255 where unlabelled.
      times: by how many pixels in each direction; None: by the image's size.
    """
    for _ in range(min(labels.shape) // 200 if times is None else times):
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
