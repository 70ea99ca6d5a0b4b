"""Pictures of the pool: the best, the median and the worst of the previewed images."""

import logging
from typing import NamedTuple

import numpy as np

from labor_jax.data import IGNORE_LABEL
from labor_jax.evaluation.confusion import intersection_over_union
from labor_jax.experiment.picture_strip import visible
from labor_jax.experiment.preview_files import (
    read_candidates,
    read_preview,
    read_uncertainty,
    trained_phases,
)
from labor_jax.experiment.previews import preview_numbers
from labor_jax.experiment.report import page, pictures
from labor_jax.experiment.report.page import Html
from labor_jax.experiment.report.run_files import RunFiles
from labor_jax.experiment.workdir import ConfigError

logger = logging.getLogger(__name__)

LARGEST = 6_000_000
"""Characters that all pictures of a page may take; larger images are shown at half their size."""


_PLACES = {
    "mIoU": ("Best", "Median", "Worst"),
    "uncertainty": ("Surest", "Median", "Least sure"),
    "": ("", "", ""),
}
"""What the first, the middle and the last image are called, by what they are ordered by."""


class Previewed(NamedTuple):
    """A pool image with what the run predicts of it.

    Attributes:
      number: which image of the pool.
      candidates: bool[H, W], the pixels that its rounds chose among; None before the first.
      predictions: uint8[H, W] by the words that say when they were made, the last one last.
      uncertainty: uint8[H, W] of the last one; None in a run of an older version.
      truth: uint8[H, W]; None if unknown.
      miou: the last prediction's over the classes of the truth; None if that is unknown.
    """

    number: int
    candidates: np.ndarray | None
    predictions: dict[str, np.ndarray]
    uncertainty: np.ndarray | None
    truth: np.ndarray | None
    miou: float | None


def section(run: RunFiles) -> Html:
    """The section of the page; nothing where the pool can't be read, or nothing was predicted."""
    images = _previewed(run)
    chosen = choose(images)
    budget = LARGEST // max(len(chosen), 1)
    entries = [_entry(run, image, words, budget) for words, image in chosen]
    order, ranked = _ranked(images)
    by, needed = {
        "mIoU": (", ordered by mIoU", "labels"),
        "uncertainty": (", ordered by mean uncertainty, for want of ground truth", "uncertainty"),
        "": ("", ""),
    }[order]
    without = len(images) - len(ranked)
    left_out = f" Left out: {without} without {needed}." if without else ""
    return page.section(
        "Images of the pool",
        *entries,
        lead=f"Of the {len(images)} previewed images{by}.{left_out} Click on a "
        "picture to see it in its own size. Uncertainty is the entropy of the predicted "
        "probabilities: dark is sure, bright is unsure.",
    )


def choose(images: list[Previewed]) -> list[tuple[str, Previewed]]:
    """The best, the median and the worst image, each once, with these words.

    Without ground truth they are the surest, the median and the least sure. An image whose truth is
    void alone is none of them.
    """
    if not images:
        return []
    order, ordered = _ranked(images)
    best, median, worst = _PLACES[order]
    last = len(ordered) - 1
    places = {0: best, last // 2: median, last: worst}
    if last < 2:  # of one or two images none is the median
        places = {0: best, last: worst} if last else {0: ""}
    return [(words, ordered[place]) for place, words in sorted(places.items())]


def _ranked(images: list[Previewed]) -> tuple[str, list[Previewed]]:
    """What images are ordered by, see `_PLACES`, and those that have it, the best first."""
    goodness = {
        "mIoU": [image.miou for image in images],
        "uncertainty": [
            None if image.uncertainty is None else -float(image.uncertainty.mean())
            for image in images
        ],
    }
    for order, values in goodness.items():
        known = [place for place, value in enumerate(values) if value is not None]
        if known:
            known.sort(key=lambda place, values=values: values[place], reverse=True)
            return order, [images[place] for place in known]
    return "", images


def image_miou(prediction: np.ndarray, truth: np.ndarray, num_classes: int) -> float | None:
    """The mIoU of one image over the classes of its truth; None if nothing in it is labelled.

    Args:
      prediction: uint8[H, W].
      truth: uint8[H, W], 255 where unlabelled.
      num_classes: C.
    """
    known = truth != IGNORE_LABEL
    cells = truth[known].astype(np.int64) * num_classes + prediction[known]
    confusion = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    present = confusion.sum(axis=1) > 0
    return float(intersection_over_union(confusion)[present].mean()) if present.any() else None


def _previewed(run: RunFiles) -> list[Previewed]:
    if run.pool is None:
        return []
    rounds = tuple(each for each in run.store.rounds() if run.store.round_complete(each))
    found = []
    for number in preview_numbers(len(run.pool), run.config.get("preview_images", 0)):
        try:
            image = _read(run, number, rounds)
        except ConfigError as error:  # a picture less is no reason to lose the report
            logger.warning("The report leaves out an image: %s", error)
            continue
        if image is not None:
            found.append(image)
    return found


def _read(run: RunFiles, number: int, rounds: tuple[int, ...]) -> Previewed | None:
    shape = run.pool.size(number)
    before, after = trained_phases(run.folder, rounds, number)
    phases = {"prediction before the rounds": before, "prediction after": after}
    if not rounds:
        phases = {"prediction": before}
    phases = {words: phase for words, phase in phases.items() if phase is not None}
    if not phases:
        return None
    predictions = {
        words: read_preview(run.folder, phase, number, shape, len(run.classes))
        for words, phase in phases.items()
    }
    *_, last = phases.values()
    *_, prediction = predictions.values()
    truth = run.truth(number)
    return Previewed(
        number=number,
        candidates=read_candidates(run.folder, rounds, number, shape) if rounds else None,
        predictions=predictions,
        uncertainty=read_uncertainty(run.folder, last, number, shape),
        truth=truth,
        miou=None if truth is None else image_miou(prediction, truth, len(run.classes)),
    )


def _entry(run: RunFiles, image: Previewed, words: str, budget: int) -> Html:
    """A heading and the image's panels, in no more than `budget` characters."""
    name = run.pool.names[image.number]
    heading = page.heading(f"{words}: {name}" if words else name)
    by = 1
    while max(_first(image).shape) > by * pictures.LARGEST_SIDE:
        by *= 2
    while len(panels := _panels(run, image, by)) > budget and by < 16:
        by *= 2
    facts = [] if image.miou is None else [f"mIoU {100 * image.miou:.1f}%"]
    if image.uncertainty is not None:
        facts.append(f"mean uncertainty {image.uncertainty.mean() / 255:.2f} of 1")
    if by > 1:
        facts.append(f"shown at 1/{by} of its size")
    said = page.paragraph(", ".join(facts), kind="muted") if facts else ""
    return page.joined([heading, said, panels])


def _panels(run: RunFiles, image: Previewed, by: int) -> Html:
    photo = f"--photo-{image.number}"
    pixels = pictures.photo(pictures.resized(run.pool.image(image.number), by))
    empty = pictures.mask(np.zeros(pictures.resized(_first(image), by).shape, bool))

    def labels(values: np.ndarray) -> str:
        return pictures.labels(pictures.resized(values, by), run.palette)

    panels = [pictures.panel("image", empty, photo=photo)]
    shown = [*image.predictions.values()]
    if image.truth is not None:
        panels.append(pictures.panel("ground truth", labels(image.truth), photo=photo, dim=True))
        shown.append(image.truth)
    name, shape = run.pool.names[image.number], _first(image).shape
    if image.candidates is not None and not image.candidates.all():
        small = pictures.mask(pictures.resized(image.candidates, by))
        panels.append(pictures.panel("candidates to ask", small, photo=photo, dim=True))
    asked = run.store.asked(name, shape=shape)
    if asked.any():
        seen = visible(np.where(asked, 0, IGNORE_LABEL).astype(np.uint8)) == 0
        small = pictures.mask(pictures.resized(seen, by))
        share = f"asked: {asked.sum():,} pixels"
        panels.append(pictures.panel(share, small, photo=photo, dim=True))
        answers = run.store.labels(name, shape=shape)
        if (answers != IGNORE_LABEL).any():
            panels.append(
                pictures.panel("answers", labels(visible(answers)), photo=photo, dim=True)
            )
            shown.append(answers)
    panels += [
        pictures.panel(words, labels(prediction)) for words, prediction in image.predictions.items()
    ]
    if image.uncertainty is not None:
        shades = pictures.shades(pictures.resized(image.uncertainty, by))
        panels.append(pictures.panel("uncertainty", shades))
    counts = sum(np.bincount(each.reshape(-1), minlength=256) for each in shown)
    keys = page.joined(
        f"<li>{page.swatch(run.palette[number], run.classes[number])}</li>"
        for number in np.flatnonzero(counts[: len(run.classes)])
    )
    return Html(
        f'<div class="gallery" style="{photo}:url({pixels})">{page.joined(panels)}</div>\n'
        f'<ul class="legend">{keys}</ul>\n'
    )


def _first(image: Previewed) -> np.ndarray:
    return next(iter(image.predictions.values()))
