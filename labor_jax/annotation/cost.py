"""What a round costs in people's time and money: measured, or by published rates.

The labelling tool measures people's active time (`measured_cost`). Without it, as with an oracle, a
round is charged by published rates (`round_cost`). LabOR's cost table has three of them, for the
2,975 training images of Cityscapes:

- `points` (PPL, PA, single pixels): 223,115 s for 40 points per image, 1.87 s per point. A point
  costs the same in images of any size.
- `regions` (RA): no table has them. A region of a few pixels takes one click, so it is charged as a
  point. If it holds several classes, it takes longer than that.
- `mask` (SPL): 3,599,750 s for 2.2% of the pixels, 1,210 s per image. The rate is scaled by the
  *share* of the image that is asked, not by the number of pixels: at half the resolution people see
  the same objects with the same outlines, in a quarter of the pixels. (For 1024x2048 pixels it is
  0.026 s per pixel.) The rate is that of thin masks. A whole image would cost ten times its full
  label, so a query never costs more than a full label.
- `full` (supervised): 16,065,000 s, 5,400 s per image.

The table only gives totals. We assume that time is proportional to points and to the share.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy import ndimage

Kind = Literal["points", "regions", "mask", "full"]
Basis = Literal["measured", "partly measured", "published"]

# LabOR (Shin et al., ICCV 2021, https://arxiv.org/abs/2108.05570) and the talk's cost table.
_IMAGES = 2_975
_POINTS_PER_IMAGE = 40
_MASK_FRACTION = 0.022
_POINT_SECONDS = 223_115
_MASK_SECONDS = 3_599_750
_FULL_SECONDS = 16_065_000

SECONDS_PER_POINT = _POINT_SECONDS / (_IMAGES * _POINTS_PER_IMAGE)
"""Time of one point, from PPL's total."""

MASK_SECONDS_PER_IMAGE = _MASK_SECONDS / (_IMAGES * _MASK_FRACTION)
"""Time of a mask divided by its share of the image, from SPL's total."""

FULL_SECONDS_PER_IMAGE = _FULL_SECONDS / _IMAGES
"""Time of one full label."""

DOLLARS_PER_FULL_LABEL = 30.0
"""Price of one full label, from the talk."""

DOLLARS_PER_HOUR = DOLLARS_PER_FULL_LABEL / FULL_SECONDS_PER_IMAGE * 3600
"""20 $: the price of a full label divided by its time on Cityscapes. The talk cites both, from two
references, but no wage."""


class RoundCost(NamedTuple):
    """The cost of a round.

    Attributes:
      clicks: The number of points, regions or connected segments that were asked.
      seconds: Their time.
      dollars: Their pay.
    """

    clicks: int
    seconds: float
    dollars: float


def segments(query: np.ndarray) -> int:
    """Counts the 8-connected segments of a query: the clicks that a mask takes.

    The labelling tool may divide them along edges of the image, which takes more clicks; measured
    times have those in them.

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
    _, count = ndimage.label(query, structure=np.ones((3, 3)))
    return int(count)


def annotation_seconds(kind: Kind, *, clicks: int, fraction: float) -> float:
    """Estimates how long a person takes to answer the query of one image in one round.

    Args:
      kind: How it is answered: "points" and "regions" are charged per click, "mask" by the share of
        the image, and "full" as a full label if anything is asked.
      clicks: The number of clicks that it takes.
      fraction: The share of the image that it asks.

    Returns:
      The time in seconds, at most that of a full label.

    Raises:
      ValueError: If the kind is unknown.
    """
    match kind:
        case "points" | "regions":
            seconds = SECONDS_PER_POINT * clicks
        case "mask":
            seconds = MASK_SECONDS_PER_IMAGE * float(fraction)
        case "full":
            seconds = FULL_SECONDS_PER_IMAGE if fraction > 0 else 0.0
        case _:
            raise ValueError(f"unknown kind {kind!r}; valid are {', '.join(get_args(Kind))}")
    return min(seconds, FULL_SECONDS_PER_IMAGE)


def round_cost(
    kind: Kind,
    queries: Iterable[tuple[int, float]],
    *,
    dollars_per_hour: float = DOLLARS_PER_HOUR,
) -> RoundCost:
    """Adds up the cost of a round.

    Args:
      kind: How it is answered, see `annotation_seconds`.
      queries: Clicks and share of the image of each query, see `LabelStore.query_sizes`.
      dollars_per_hour: The annotators' pay.

    Returns:
      The round's clicks, seconds and dollars.

    Raises:
      ValueError: As `annotation_seconds`.
    """
    total_clicks, seconds = 0, 0.0
    for clicks, fraction in queries:
        total_clicks += clicks
        seconds += annotation_seconds(kind, clicks=clicks, fraction=fraction)
    return RoundCost(total_clicks, seconds, seconds / 3600 * dollars_per_hour)


class MeasuredCost(NamedTuple):
    """The cost of a round by measured times.

    Attributes:
      items: The number of images that were asked something.
      measured: How many of them have a measured time.
      seconds: The time of all; those without a measured time count as the mean of the others.
      dollars: The pay for it.
    """

    items: int
    measured: int
    seconds: float
    dollars: float


def measured_cost(
    seconds: Iterable[float], *, items: int, dollars_per_hour: float = DOLLARS_PER_HOUR
) -> MeasuredCost | None:
    """Adds up measured times.

    Args:
      seconds: People's active time on each image that they worked on, see
        `LabelStore.measured_seconds`.
      items: The number of images that were asked something. Some may have been answered where no
        time is measured.
      dollars_per_hour: The annotators' pay.

    Returns:
      The cost of all items; None if no time was measured.

    Raises:
      ValueError: If a time is negative or not finite, or if there are more times than items.
    """
    times = np.fromiter(seconds, float)
    if not np.isfinite(times).all() or (times < 0).any():
        raise ValueError(f"measured times are seconds of 0 or more, not {times.tolist()}")
    if times.size > items:
        raise ValueError(f"{times.size} times were measured for {items} items")
    if not times.size:
        return None
    total = float(times.mean()) * items
    return MeasuredCost(items, times.size, total, total / 3600 * dollars_per_hour)


def cost_so_far(
    published: RoundCost, measured: MeasuredCost | None, before: Mapping[str, Any]
) -> dict[str, Any]:
    """A round's entries in `summary.json`, each the sum of all rounds up to this one.

    Args:
      published: The round's cost by the published rates.
      measured: Its measured cost, which is used if there is one.
      before: The entries of the round before; empty for the first.

    Returns:
      "clicks", "annotation_seconds" and "annotation_dollars"; "published_seconds", the
      seconds by the published rates alone; "annotation_source", a `Basis`.
    """
    counted = published if measured is None else measured
    if measured is None:
        basis = "published"
    else:
        basis = "measured" if measured.measured == measured.items else "partly measured"
    # A round that asked nothing does not change the basis.
    earlier = before.get("annotation_source", "published") if before.get("clicks") else basis
    if not published.clicks:
        basis = earlier
    return {
        "clicks": published.clicks + before.get("clicks", 0),
        "annotation_seconds": counted.seconds + before.get("annotation_seconds", 0.0),
        "annotation_dollars": counted.dollars + before.get("annotation_dollars", 0.0),
        "published_seconds": published.seconds + before.get("published_seconds", 0.0),
        "annotation_source": basis if basis == earlier else "partly measured",
    }


class CostRow(NamedTuple):
    """A line of a cost table.

    Attributes:
      name: What is labelled, and how.
      basis: Whether the time was measured or follows from published rates.
      images: The number of images.
      seconds_per_image: The mean time of one.
      hours: The time of all.
      dollars: The pay for it.
    """

    name: str
    basis: Basis
    images: int
    seconds_per_image: float
    hours: float
    dollars: float


def cost_row(
    name: str,
    basis: Basis,
    seconds: float,
    *,
    images: int,
    dollars_per_hour: float = DOLLARS_PER_HOUR,
) -> CostRow:
    """A line of a cost table, given the seconds of all its images."""
    hours = seconds / 3600
    return CostRow(name, basis, images, seconds / max(images, 1), hours, hours * dollars_per_hour)


def published_table(dollars_per_hour: float = DOLLARS_PER_HOUR) -> list[CostRow]:
    """LabOR's cost table: Cityscapes' training images by PPL, by SPL and in full."""
    return [
        cost_row(name, "published", seconds, images=_IMAGES, dollars_per_hour=dollars_per_hour)
        for name, seconds in (
            ("PPL", _POINT_SECONDS),
            ("SPL", _MASK_SECONDS),
            ("full labels", _FULL_SECONDS),
        )
    ]
