"""What a round costs in people's time and money, by the published figures.

LabOR's cost table is of Cityscapes' 2,975 training images and tells three rates:

- `points` (PPL, PA, single pixels): 223,115 s for 40 points an image, 1.87 s a point. A point is a
  point in an image of any size.
- `regions` (RA): no table has them. A region of a few pixels is one click, as a point is, and is
  charged as one; where it holds several classes it takes longer than that.
- `mask` (SPL): 3,599,750 s for 2.2% of the pixels, 1,210 s an image. It is scaled by the
  *share* of the image that is asked, not by the number of pixels: at half the resolution a person
  sees the same objects with the same outlines, in a quarter of the pixels. (In pixels of 1024x2048
  it is 0.026 s each.) The rate is of thin masks and would make a whole image ten times as dear as
  its full label, so that no query costs more than that.
- `full` (supervised): 16,065,000 s, 5,400 s an image.

The table gives totals only: that time is proportional to points and to the share is our assumption.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import ndimage

Kind = Literal["points", "regions", "mask", "full"]

# LabOR (Shin et al., ICCV 2021, https://arxiv.org/abs/2108.05570) and the talk's cost table.
_IMAGES = 2_975
_POINTS_PER_IMAGE = 40
_MASK_FRACTION = 0.022

SECONDS_PER_POINT = 223_115 / (_IMAGES * _POINTS_PER_IMAGE)
"""Time of one point, from PPL's total."""

MASK_SECONDS_PER_IMAGE = 3_599_750 / (_IMAGES * _MASK_FRACTION)
"""Time of a mask divided by its share of the image, from SPL's total."""

FULL_SECONDS_PER_IMAGE = 16_065_000 / _IMAGES
"""Time of one full label."""

DOLLARS_PER_FULL_LABEL = 30.0
"""Price of one full label, from the talk."""

DOLLARS_PER_HOUR = DOLLARS_PER_FULL_LABEL / FULL_SECONDS_PER_IMAGE * 3600
"""20 $. The price of a full label over the time of Cityscapes' full label: the talk has both, from
two references, and no wage."""


class RoundCost(NamedTuple):
    """What a round asked of people.

    Attributes:
      clicks: Points, regions or connected segments that were asked.
      seconds: Their time.
      dollars: Their pay.
    """

    clicks: int
    seconds: float
    dollars: float


def segments(query: np.ndarray) -> int:
    """Counts the 8-connected components of a query: the clicks that a mask takes.

    Args:
      query: The asked pixels, `bool[H, W]`.

    Returns:
      The number of components, 0 for an empty query.

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
      kind: How it is asked: "points" and "regions" are charged by the click, "mask" by the share of
        the image, and "full" as a full label if anything is asked.
      clicks: The clicks that it takes.
      fraction: Share of the image that it asks.

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
      kind: How it asks, see `annotation_seconds`.
      queries: Clicks and share of the image of each query, as `LabelStore.query_sizes` tells them.
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
