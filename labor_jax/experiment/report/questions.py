"""What was asked: of which classes, how lumped, and where; statistics, charts and tables of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from labor_jax.data import IGNORE_LABEL
from labor_jax.experiment import amounts
from labor_jax.experiment.previews import preview_numbers
from labor_jax.experiment.report import asked, charts, page, pictures
from labor_jax.experiment.report.page import Html
from labor_jax.experiment.report.run_files import RunFiles

_UNKNOWN = "\N{EN DASH}"  # before the answers
_CLASSES = 40  # the commonest ones, which the chart shows
_PICTURE = 1024  # pixels of the longer side of the picture of lumps


class Questions(NamedTuple):
    """What a run asked, and what there was to ask.

    Attributes:
      statistics: of the label store.
      present: of some images that are spread over the pool; None where their labels are unknown.
    """

    statistics: asked.Statistics
    present: asked.Present | None

    def share(self, number: int) -> float:
        """The share of a class among the answered pixels that have one."""
        return self.statistics.total.class_pixels[number] / max(
            self.statistics.total.class_pixels.sum(), 1
        )


def read(run: RunFiles, truths: Sequence[np.ndarray]) -> Questions:
    """Describes what a run asked.

    Args:
      run: the run.
      truths: labels uint8[H, W] of some images of the pool; none where they are unknown.
    """
    counts = [np.bincount(each.reshape(-1), minlength=256)[: len(run.classes)] for each in truths]
    present = asked.present(np.array(counts)) if counts else None
    return Questions(asked.statistics(run.store), present)


def section(run: RunFiles, found: Questions) -> Html:
    """The section of the page; nothing before something was asked."""
    if not found.statistics.total.pixels:
        return Html("")
    return page.section(
        "What was asked",
        _table(found),
        page.side_by_side(
            [
                _class_chart(run, found),
                page.stacked(_lump_chart(found), _places(found)),
                _lump_picture(run),
            ]
        ),
        lead="Answers teach more if they are of many classes and don't lie in lumps. A lump is a "
        "connected piece of what was asked. The effective number of classes is how many equally "
        "frequent ones would be as diverse.",
    )


def _table(found: Questions) -> Html:
    described = [(f"round {number}", each) for number, each in found.statistics.rounds.items()]
    if len(described) > 1:
        described.append(("all rounds", found.statistics.total))
    rows = [
        (
            name,
            f"{each.asked_images:,}",
            f"{each.pixels:,}",
            *(
                (f"{each.classes_per_image:.1f}", f"{each.effective_classes:.1f}")
                if each.answered_pixels
                else (_UNKNOWN, _UNKNOWN)
            ),
            amounts.count(each.lumps_per_image),
            amounts.count(each.pixels_per_lump),
            f"{100 * each.share_in_largest:.0f}%",
            f"{100 * each.void_fraction:.1f}%" if each.answered_pixels else _UNKNOWN,
        )
        for name, each in described
    ]
    if found.present is not None:
        there = (f"{found.present.classes_per_image:.1f}", f"{found.present.effective_classes:.1f}")
        rows.append(("whole images", "", "", *there, "", "", "", ""))
    header = (
        "",
        "images",
        "pixels",
        "classes an image",
        "effective classes",
        "lumps an image",
        "pixels a lump",
        "share in the largest",
        "void",
    )
    return page.table(header, rows)


def _class_chart(run: RunFiles, found: Questions) -> Html:
    counts = found.statistics.total.class_pixels
    if not counts.sum():
        return Html("")
    series = {"of the answers": counts / counts.sum()}
    if found.present is not None and found.present.class_pixels.sum():
        series["of the pool"] = found.present.class_pixels / found.present.class_pixels.sum()
    order = np.argsort(-list(series.values())[-1], kind="stable")[:_CLASSES]
    return charts.bar_chart(
        "Classes asked" + (" and present" if len(series) > 1 else ""),
        [run.classes[number] for number in order],
        {name: shares[order] for name, shares in series.items()},
        x_label="share of the pixels",
        percent=True,
    )


def _lump_chart(found: Questions) -> Html:
    pixels = found.statistics.total.lump_pixels
    last = int(np.flatnonzero(pixels).max()) + 1
    names = [f"{2**i:,}" if i == 0 else f"{2**i:,} to {2 ** (i + 1) - 1:,}" for i in range(last)]
    return charts.bar_chart(
        "Asked pixels by the size of their lump",
        names,
        {"pixels": pixels[:last] / pixels.sum()},
        percent=True,
    )


def _lump_picture(run: RunFiles) -> Html:
    """One image's question, with its largest lump marked."""
    if run.pool is None:
        return Html("")
    for number in preview_numbers(len(run.pool), run.config.get("preview_images", 0)):
        name = run.pool.names[number]
        pixels = run.store.asked(name, shape=run.pool.size(number))
        if not pixels.any():
            continue
        lumps, count = ndimage.label(pixels, structure=np.ones((3, 3)))
        sizes = np.bincount(lumps.reshape(-1))[1:]
        largest = lumps == sizes.argmax() + 1
        shown = np.select([largest, pixels], [1, 0], IGNORE_LABEL).astype(np.uint8)
        by = -(-max(shown.shape) // _PICTURE)
        palette = np.array([(255, 255, 255), (255, 150, 60)], np.uint8)
        uri = pictures.labels(pictures.resized(shown, by), palette)
        words = (
            f"{name}: {count:,} lumps in {pixels.sum():,} asked pixels; the largest, orange, has "
            f"{sizes.max():,}"
        )
        return page.stacked(
            page.heading("Lumps in one image"), pictures.panel(words, uri, on_dark=True)
        )
    return Html("")


def _places(found: Questions) -> Html:
    places = found.statistics.total.places
    if found.statistics.total.pixels == 0 or np.allclose(places, places.mean()):
        return Html("")
    words = (
        f"The brightest place was asked {places.max():.1f} times as often as the mean of all, the "
        f"darkest {places.min():.1f} times."
    )
    return pictures.places(words, places)
