"""What labelling costs in people's time and money: counts of what they do, times seconds of each.

`work_of` counts what a person does to answer a query, from the query and its answer: `Work`.
`Rates` are the seconds of one of each, and `seconds` is their product. A run's report shows the
time by both of them, beside the time that was measured:

- `PUBLISHED`, from studies that timed people. The price follows what was answered: a segment of a
  mask that straddles three classes is three clicks, and a whole image costs an outline an object.
- `LABOR`, LabOR's estimate, from the totals of its cost table. It charges a mask by its share of
  the image, whatever is in it, which suits thin masks on images of 1024x2048 pixels and no others.
- `measured_cost`, from the labelling tool's own clock, once people have answered. It has no rates:
  people's seconds are counted, not what they do.

References:
  LabOR: Shin et al., ICCV 2021, arXiv 2108.05570, and the talk's cost table.
  Bearman et al., What's the Point: Semantic Segmentation with Point Supervision, ECCV 2016.
  Lin et al., Microsoft COCO, ECCV 2014. Cordts et al., Cityscapes, CVPR 2016.
  Papadopoulos et al., We Don't Need No Bounding-Boxes: Training Object Class Detectors Using Only
  Human Verification, CVPR 2016.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy import ndimage

from labor_jax.annotation.parts import commonest

Kind = Literal["points", "regions", "mask", "full", "superpixels", "classes", "corrections"]
"""How a query is answered. "points" and "regions": each class of a point or a region is named.
"mask": each connected part of one class is named.
"superpixels": each part gets its commonest class. "classes": every class of a part is named.
"corrections": the model's guess of a part is confirmed or replaced. "full": the image is outlined.
"""

KINDS_OF_PARTS: tuple[Kind, ...] = ("superpixels", "classes", "corrections")
"""Kinds whose queries say which part each pixel is of."""

LEAST_OBJECT = 1e-4
"""The share of an image below which a speck of a whole image's label is no outline of its own."""

_EIGHT = np.ones((3, 3))  # pixels that touch at a corner are connected

# LabOR's cost table, for the 2,975 training images of Cityscapes: PPL with 40 points an image, SPL
# with 2.2% of the pixels, and full labels.
_IMAGES = 2_975
_POINTS_PER_IMAGE = 40
_MASK_FRACTION = 0.022
_POINT_SECONDS = 223_115
_MASK_SECONDS = 3_599_750
_FULL_SECONDS = 16_065_000

FULL_SECONDS_PER_IMAGE = _FULL_SECONDS / _IMAGES
"""Time of one full label of Cityscapes, 1.5 hours."""

_SECONDS_OF_WHOLE_MASK = _MASK_SECONDS / (_IMAGES * _MASK_FRACTION)

DOLLARS_PER_FULL_LABEL = 30.0
"""Price of one full label, from LabOR's talk."""

DOLLARS_PER_HOUR = DOLLARS_PER_FULL_LABEL / FULL_SECONDS_PER_IMAGE * 3600
"""20 $: the price of a full label divided by its time on Cityscapes. The talk cites both, from two
references, but no wage."""


class Work(NamedTuple):
    """Counts of what people do to answer one query, or several together.

    Attributes:
      images: Images opened: those that are asked anything.
      points: Classes named for points, regions and superpixels: a region that holds two classes
        takes two.
      segments: Classes named for a mask: its 8-connected parts of one class each, void included.
      further_classes: Where all classes of a part are asked, those beyond its first, which is
        counted as a point.
      confirmed: Guesses called right.
      corrected: Guesses replaced by a class.
      outlines: Objects outlined in whole images: 8-connected parts of one class of at least
        `LEAST_OBJECT` of the image.
      whole_images: Images labelled as a whole.
      mask_share: Shares of images that masks ask, summed; LabOR's estimate charges these.
    """

    images: int = 0
    points: int = 0
    segments: int = 0
    further_classes: int = 0
    confirmed: int = 0
    corrected: int = 0
    outlines: int = 0
    whole_images: int = 0
    mask_share: float = 0.0

    @property
    def clicks(self) -> int:
        """One for each class named, guess confirmed and object outlined, two for a correction."""
        named = self.points + self.segments + self.further_classes
        return named + self.confirmed + 2 * self.corrected + self.outlines


class Rates(NamedTuple):
    """Seconds of each thing that `Work` counts.

    Attributes:
      name: What tables call the rates.
      seconds: Of one of each, under `Work`'s names.
    """

    name: str
    seconds: Work


_NAME_CLASS = 2.4  # Bearman et al.: a point on a class's first object, found and named
_CLASS_PRESENT = 1.0  # Bearman et al.: whether one class is in the image
_VERIFY = 1.6  # Papadopoulos et al.: yes or no to a box
_OUTLINE = 79.2  # Lin et al.: 22 hours for 1,000 outlines; Jain and Grauman (2013) measured 54 s

PUBLISHED = Rates(
    "published",
    Work(
        images=_CLASS_PRESENT,  # no study times it alone: a look at the image, as for one class
        points=_NAME_CLASS,
        segments=_NAME_CLASS,
        further_classes=_CLASS_PRESENT,
        confirmed=_VERIFY,
        corrected=_VERIFY + _NAME_CLASS,
        outlines=_OUTLINE,
    ),
)
"""Rates of studies that timed people. With them a Cityscapes label of 1.5 hours is 68 outlines."""

_LABOR_POINT = _POINT_SECONDS / (_IMAGES * _POINTS_PER_IMAGE)

LABOR = Rates(
    "LabOR's estimate",
    Work(
        points=_LABOR_POINT,
        further_classes=_LABOR_POINT,
        confirmed=_LABOR_POINT,
        corrected=2 * _LABOR_POINT,
        whole_images=FULL_SECONDS_PER_IMAGE,
        mask_share=_SECONDS_OF_WHOLE_MASK,
    ),
)
"""LabOR's totals, taken as proportional to points and to the masks' share: 1.87 s a point, 1,210 s
for 2.2% of an image, 5,400 s an image. It knows no other kinds: their clicks count as points, and a
correction is two."""

_LARGEST_CHARGED_SHARE = FULL_SECONDS_PER_IMAGE / _SECONDS_OF_WHOLE_MASK


def seconds(work: Work, rates: Rates) -> float:
    """The time of some work."""
    return float(sum(map(operator.mul, work, rates.seconds)))


def total(works: Iterable[Work]) -> Work:
    """The sum of several works."""
    summed = Work()
    for work in works:
        summed = Work(*map(sum, zip(summed, work, strict=True)))
    return summed


def segments(query: np.ndarray) -> int:
    """Counts the 8-connected segments of a query, whatever classes are in them.

    Args:
      query: The asked pixels, `bool[H, W]`.

    Returns:
      The number of segments, 0 for an empty query.

    Raises:
      ValueError: If the query isn't `bool[H, W]`.
    """
    query = np.asarray(query)
    if query.dtype != bool or query.ndim != 2 or not query.size:
        raise ValueError(f"a query is bool[H, W], not {query.dtype} of shape {query.shape}")
    _, count = ndimage.label(query, structure=_EIGHT)
    return int(count)


def parts_of_one_class(labels: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The sizes of the 8-connected parts of a query that hold one label each.

    Args:
      labels: `integer[H, W]`; only asked pixels are looked at, and void is a label like others.
      query: The asked pixels, `bool[H, W]`.

    Returns:
      `int64[parts]`, in pixels.
    """
    sizes = [np.zeros(0, np.int64)]
    for label in np.unique(labels[query]):
        parts, count = ndimage.label(query & (labels == label), structure=_EIGHT)
        sizes.append(np.bincount(parts.ravel(), minlength=count + 1)[1:])
    return np.concatenate(sizes)


def mean_outlines(labels: Iterable[np.ndarray]) -> float:
    """How many objects there are to outline in a whole image, on average.

    Args:
      labels: Label maps `integer[H, W]` of some images, 255 for void; at least one.
    """
    works = [work_of("full", np.ones(each.shape, bool), each) for each in labels]
    return total(works).outlines / len(works)


def work_of(
    kind: Kind,
    query: np.ndarray,
    answer: np.ndarray,
    *,
    picks: int = 0,
    parts: np.ndarray | None = None,
    guess: np.ndarray | None = None,
    candidates: np.ndarray | None = None,
) -> Work:
    """Counts what a person does to answer the query of one image.

    Args:
      kind: How it is answered.
      query: The asked pixels, `bool[H, W]`.
      answer: Their labels, `integer[H, W]`, 255 for void; values elsewhere are ignored.
      picks: How many points or regions were asked, where their `parts` are not known, as in older
        label stores. Then connected parts of one class are counted, and at least `picks`. That is
        too few where regions of several classes touch.
      parts: Which part an asked pixel is of, `integer[H, W]`: which point, region or superpixel.
        Values elsewhere are ignored. "superpixels", "classes" and "corrections" need it.
      guess: Of "corrections": the labels that were shown, `integer[H, W]`.
      candidates: Of "classes": whether a part holds a class, `bool[parts, C]`.

    Returns:
      The image's work; all 0 if nothing is asked.

    Raises:
      ValueError: If the kind is unknown, or what it needs is missing.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"unknown kind {kind!r}; valid are {', '.join(get_args(Kind))}")
    if not query.any():
        return Work()
    match kind:
        case "points" | "regions":
            if parts is not None:
                named = 256 * parts[query].astype(np.int64) + answer[query]
                return Work(images=1, points=len(np.unique(named)))
            if picks < np.count_nonzero(query):  # else there can't be more parts than picks
                picks = max(picks, len(parts_of_one_class(answer, query)))
            return Work(images=1, points=picks)
        case "mask":
            share = min(float(query.mean()), _LARGEST_CHARGED_SHARE)
            found = len(parts_of_one_class(answer, query))
            return Work(images=1, segments=found, mask_share=share)
        case "full":
            sizes = parts_of_one_class(answer, query & (answer != 255))
            outlines = int(np.count_nonzero(sizes >= LEAST_OBJECT * query.size))
            return Work(images=1, outlines=outlines, whole_images=1)
    if parts is None:
        raise ValueError(f"the work of {kind!r} needs the parts of the query")
    _, first = np.unique(parts[query], return_index=True)
    if kind == "superpixels":
        return Work(images=1, points=len(first))
    if kind == "classes":
        if candidates is None:
            raise ValueError("the work of 'classes' needs the classes that each part holds")
        named = np.maximum(np.count_nonzero(candidates, axis=1), 1)  # one key where all is void
        return Work(images=1, points=len(first), further_classes=int((named - 1).sum()))
    if guess is None:
        raise ValueError("the work of 'corrections' needs the guesses that were shown")
    shown, _ = commonest(guess[query], parts[query])  # of a part, as it is answered as a whole
    right = int(np.count_nonzero(shown == answer[query][first]))
    return Work(images=1, confirmed=right, corrected=len(first) - right)


class MeasuredCost(NamedTuple):
    """The cost of a round by measured times.

    Attributes:
      items: The number of images that were asked something.
      measured: How many of them have a measured time.
      seconds: The time of all; those without a measured time count as the mean of the others.
    """

    items: int
    measured: int
    seconds: float


def measured_cost(times: Iterable[float], *, items: int) -> MeasuredCost | None:
    """Adds up measured times.

    Args:
      times: People's active seconds on each image that they answered, see
        `LabelStore.measured_seconds` and `timed_images`. Second opinions, which no `Work` counts,
        are not among them.
      items: The number of images that were asked something. Some may have been answered where no
        time is measured.

    Returns:
      The cost of all items; None if no time was measured.

    Raises:
      ValueError: If a time is negative or not finite, or if there are more times than items.
    """
    times = np.fromiter(times, float)
    if not np.isfinite(times).all() or (times < 0).any():
        raise ValueError(f"measured times are seconds of 0 or more, not {times.tolist()}")
    if times.size > items:
        raise ValueError(f"{times.size} times were measured for {items} items")
    if not times.size:
        return None
    return MeasuredCost(items, times.size, float(times.mean()) * items)


def cost_so_far(
    work: Work,
    measured: MeasuredCost | None,
    before: Mapping[str, Any],
    *,
    dollars_per_hour: float = DOLLARS_PER_HOUR,
) -> dict[str, Any]:
    """A round's entries in `summary.json`, each the sum of all rounds up to this one.

    Args:
      work: The round's.
      measured: Its measured cost, which is used if there is one.
      before: The entries of the round before; empty for the first.
      dollars_per_hour: The annotators' pay.

    Returns:
      "work", by the fields of `Work`; "clicks"; "annotation_seconds" and "annotation_dollars", by
      measured times where there are any and by `PUBLISHED` otherwise; "annotation_source",
      "measured", "partly measured" or "published"; "published_seconds" and "labor_seconds", by
      these rates alone; "measured_seconds", of the rounds whose time was measured.
    """
    published = seconds(work, PUBLISHED)
    counted = published if measured is None else measured.seconds
    if measured is None:
        basis = "published"
    else:
        basis = "measured" if measured.measured == measured.items else "partly measured"
    # A round that asked nothing does not change the basis.
    asked_before = before.get("work", {}).get("images") or before.get("clicks")
    earlier = before.get("annotation_source", "published") if asked_before else basis
    if not work.images:
        basis = earlier
    together = total([Work(**before.get("work", {})), work])
    return {
        "work": together._asdict(),
        "clicks": together.clicks,
        "annotation_seconds": counted + before.get("annotation_seconds", 0.0),
        "annotation_dollars": counted / 3600 * dollars_per_hour
        + before.get("annotation_dollars", 0.0),
        "annotation_source": basis if basis == earlier else "partly measured",
        "published_seconds": published + before.get("published_seconds", 0.0),
        "labor_seconds": seconds(work, LABOR) + before.get("labor_seconds", 0.0),
        "measured_seconds": (measured.seconds if measured else 0.0)
        + before.get("measured_seconds", 0.0),
    }


class CostRow(NamedTuple):
    """A line of a cost table.

    Attributes:
      name: What is labelled, and how.
      basis: What the time follows from: measured, or the rates' name.
      images: The number of images.
      seconds_per_click: The mean time of a click, if clicks are known.
      seconds_per_image: The mean time of one.
      hours: The time of all.
      dollars: The pay for it.
    """

    name: str
    basis: str
    images: int
    seconds_per_click: float | None
    seconds_per_image: float
    hours: float
    dollars: float


def cost_row(
    name: str,
    basis: str,
    seconds: float,
    *,
    images: int,
    clicks: int | None = None,
    dollars_per_hour: float = DOLLARS_PER_HOUR,
) -> CostRow:
    """A line of a cost table, given the seconds of all its images."""
    hours = seconds / 3600
    each = seconds / clicks if clicks else None
    per_image = seconds / max(images, 1)
    return CostRow(name, basis, images, each, per_image, hours, hours * dollars_per_hour)


def labor_table(dollars_per_hour: float = DOLLARS_PER_HOUR) -> list[CostRow]:
    """LabOR's cost table: Cityscapes' training images by PPL, by SPL and in full."""
    return [
        cost_row(name, LABOR.name, seconds, images=_IMAGES, dollars_per_hour=dollars_per_hour)
        for name, seconds in (
            ("PPL", _POINT_SECONDS),
            ("SPL", _MASK_SECONDS),
            ("full labels", _FULL_SECONDS),
        )
    ]
