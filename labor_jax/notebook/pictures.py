"""Pictures for notebooks: arrays side by side, and what a run asked about an image."""

import io
import os
from collections.abc import Mapping
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from labor_jax.annotation import LabelStore
from labor_jax.data import IGNORE_LABEL, Pair
from labor_jax.experiment.picture_strip import strip_arrays, visible
from labor_jax.experiment.workdir import Workdir

_DPI = 100
_SCORES = "viridis"
_VOID = np.array([0, 0, 0], np.uint8)


class Classes(Protocol):
    """What has classes: a data pair or a trained model.

    Attributes:
      classes: their names; label value c means `classes[c]`.
      palette: a colour for each, uint8[C, 3].
    """

    classes: tuple[str, ...]
    palette: np.ndarray


Panel = np.ndarray | tuple[np.ndarray, np.ndarray]


def pictures(
    panels: Mapping[str, Panel],
    classes: Classes | None = None,
    *,
    columns: int = 4,
    width: int = 1200,
) -> Image.Image:
    """Draws arrays side by side, each with its caption; classes that occur get a legend.

    Args:
      panels: what to draw, by caption. uint8[H, W, 3] is an image, bool[H, W] a mask, integer[H, W]
        a label map (255 is black), floating[H, W] scores, from dark to bright. A pair `(image,
        mask)` or `(image, label map)` is drawn over the darkened image, 255 left out.
      classes: the data pair or the model that the label maps are of.
      columns: panels in a row.
      width: of the picture, in pixels.

    Returns:
      The picture, which a notebook shows if it is a cell's last value.

    Raises:
      ValueError: there is nothing to draw, an array is none of these, or there is a label map and
        no `classes`, or fewer than its labels name.
    """
    if not panels:
        raise ValueError("There is nothing to draw: panels is empty.")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    drawn = {caption: _drawn(caption, panel, classes) for caption, panel in panels.items()}
    tallest = max(each.array.shape[0] / each.array.shape[1] for each in drawn.values())
    shown = sorted(set().union(*(each.classes for each in drawn.values())))
    inches = width / _DPI
    legend = 0.3 * -(-len(shown) // _legend_columns(inches))
    size = (inches, rows * (inches / columns * tallest + 0.4) + legend)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (caption, each) in zip(axes, drawn.items(), strict=False):
        image = axis.imshow(each.array, **each.options)
        axis.set_title(caption, fontsize=10)
        if each.array.ndim == 2:
            figure.colorbar(image, ax=axis, shrink=0.8)
    if shown:
        figure.legend(
            handles=[
                Patch(color=classes.palette[c] / 255, label=classes.classes[c]) for c in shown
            ],
            loc="outside lower center",
            ncols=_legend_columns(inches),
            fontsize=9,
            frameon=False,
        )
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file)


def asked_about(
    workdir: str | os.PathLike,
    number: int = 0,
    *,
    pair: Pair | None = None,
    up_to_round: int | None = None,
) -> dict[str, Panel]:
    """What a run asked about an image and what that changed, as `pictures` draws it.

    Args:
      workdir: the run's; it may be over, or wait for answers.
      number: which image of the pool. A run keeps pictures of `config.preview_images` of them, the
        first and the last among them.
      pair: the run's data, if it is not what its config names.
      up_to_round: the last round to include; None for all that are answered.

    Returns:
      The image; the inconsistency mask, where the method has one; the asked pixels; their labels;
      the predictions before the rounds and after.

    Raises:
      ConfigError: there is no run in `workdir`, or it kept no pictures of that image.
      DataError: the run's data can't be read.
      LabelStoreError: its answers can't.
    """
    folder = Workdir.existing(workdir)
    pair = pair if pair is not None else folder.load_pair(["pool"])
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        arrays = strip_arrays(folder, pair, store, number, up_to_round=up_to_round)
    image = arrays["image"]
    over_image = ("inconsistency mask", "asked pixels", "asked labels")
    return {
        caption: (image, array) if caption in over_image else array
        for caption, array in arrays.items()
    }


class _Drawn:
    """An array as `imshow` takes it, and the classes that are in it."""

    def __init__(self, array: np.ndarray, classes: Any = (), **options: Any):
        self.array, self.classes = array, {int(each) for each in classes if each != IGNORE_LABEL}
        self.options = {"interpolation": "nearest", **options}


def _drawn(caption: str, panel: Panel, classes: Classes | None) -> _Drawn:
    if isinstance(panel, tuple):
        image, over = (np.asarray(each) for each in panel)
        if over.shape != image.shape[:2]:
            raise ValueError(
                f"{caption!r} is an image of {image.shape[:2]} pixels with {over.shape} over it."
            )
        dark = image // 3
        if over.dtype == bool:
            marked = visible(np.where(over, 0, IGNORE_LABEL)) != IGNORE_LABEL
            return _Drawn(np.where(marked[..., None], np.uint8(255), dark))
        labels = visible(over)
        coloured = _coloured(caption, labels, classes)
        known = (labels != IGNORE_LABEL)[..., None]
        return _Drawn(np.where(known, coloured, dark), np.unique(over))
    array = np.asarray(panel)
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        return _Drawn(array, interpolation="antialiased")
    if array.ndim == 2 and array.dtype == bool:
        return _Drawn(np.where(array[..., None], np.uint8(255), np.zeros(3, np.uint8)))
    if array.ndim == 2 and np.issubdtype(array.dtype, np.integer):
        return _Drawn(_coloured(caption, array, classes), np.unique(array))
    if array.ndim == 2:
        return _Drawn(array.astype(np.float32), cmap=matplotlib.colormaps[_SCORES])
    raise ValueError(
        f"{caption!r} is {array.dtype}{list(array.shape)}; an image is uint8[H, W, 3], and a mask, "
        "a label map or scores are [H, W]."
    )


def _coloured(caption: str, labels: np.ndarray, classes: Classes | None) -> np.ndarray:
    if classes is None:
        raise ValueError(f"{caption!r} is a label map: name the pair or the model as `classes`.")
    void = labels == IGNORE_LABEL
    known = np.where(void, 0, labels)
    if not 0 <= known.min() <= known.max() < len(classes.palette):
        raise ValueError(
            f"{caption!r} has labels from {known.min()} to {known.max()}, but `classes` has "
            f"{len(classes.palette)} classes."
        )
    return np.where(void[..., None], _VOID, classes.palette[known])


def _legend_columns(inches: float) -> int:
    return max(1, int(inches / 1.3))
