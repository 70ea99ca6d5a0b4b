"""The sizes that images are resized to, and what follows from the images' own sizes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from ml_collections import ConfigDict

from labor_jax.data.own_data.facts import Choice, Facts, Size

LONG_SIDE = 512
"""Longest side, in pixels, of the sizes that are chosen, where a pair sets no other."""

_MULTIPLE = 32  # of every chosen side
_CROP = 512  # sides of the training window, for chosen sizes well beyond it
_LARGEST_UNCROPPED = 640
_PIXELS_AT_ONCE = 2**23  # of label maps whose scores are in memory together: 8 of 1024x1024
_PUBLISHED_ROWS = 1024  # of Cityscapes
# What a query's parts measure at these rows, and the least and the most that they may.
_AT_PUBLISHED_ROWS = {
    "acquisition.radius": ("RIPU's radius", 32, 1, math.inf),
    "acquisition.superpixel_size": ("superpixels", 32, 4, 256),
}


def common_size(sizes: Sequence[Size], long_side: int) -> Size:
    """Chooses the one size that images of several sizes are resized to.

    It has the median of their aspect ratios and of their areas, no side longer than `long_side`,
    and sides that are multiples of 32. So nothing is enlarged, but for that rounding.

    Args:
      sizes: (height, width) of each image, at least one.
      long_side: the longest side, in pixels.
    """
    aspect = math.exp(statistics.median(math.log(height / width) for height, width in sizes))
    area = statistics.median(height * width for height, width in sizes)
    height, width = math.sqrt(area * aspect), math.sqrt(area / aspect)
    longest = long_side // _MULTIPLE * _MULTIPLE  # rounding makes no side longer
    shrink = min(1.0, longest / max(height, width))
    return tuple(
        max(_MULTIPLE, round(side * shrink / _MULTIPLE) * _MULTIPLE) for side in (height, width)
    )


def choose(config: ConfigDict, facts: Facts) -> Iterator[Choice]:
    """Chooses sizes, the window of training, the evaluation's batch and the parts of a query.

    Args:
      config: see `labor_jax.config`; `data.long_side` is the longest side of the sizes chosen, 0 to
        leave them open, which means the images' own sizes.
      facts: see `Facts`.

    Raises:
      ValueError: data.long_side is neither 0 nor at least 32.
    """
    data = config.data
    if data.long_side and data.long_side < _MULTIPLE:
        raise ValueError(
            f"data.long_side is {data.long_side}; it is the longest side in pixels of the sizes "
            f"chosen, at least {_MULTIPLE}, or 0 for the images' own sizes."
        )
    chosen = {
        f"data.{domain}_size": (role, common_size(facts.sizes[role], data.long_side))
        for domain, role in (("source", "source"), ("target", "pool"))
        if data.long_side and facts.count(role)
    }
    for field, (role, size) in chosen.items():
        yield Choice({field: size}, facts.described(role))
    if data.long_side:
        yield from _evaluation_size(config, facts, chosen)
        yield from _crop(config, chosen)
    yield from _parts(config, facts)
    largest = max(
        (h * w for role in ("pool", "evaluation") for h, w in facts.sizes.get(role, ())), default=1
    )
    if 8 * largest > _PIXELS_AT_ONCE:  # 8 are the base config's
        batch = next(n for n in (4, 2, 1) if n * largest <= _PIXELS_AT_ONCE or n == 1)
        why = f"memory holds their scores, and the largest image has {largest / 1e6:.1f} megapixels"
        yield Choice({"evaluation_batch_size": batch}, why)


def _parts(config: ConfigDict, facts: Facts) -> Iterator[Choice]:
    """How large the parts of a query are, where that is open."""
    shown = [facts.sizes[role] for role in ("pool", "evaluation") if facts.count(role)]
    if not shown:
        return
    rows = statistics.median(height for height, _ in shown[0])
    for field, (what, pixels, least, most) in _AT_PUBLISHED_ROWS.items():
        if config[field] is None:
            why = f"{what} of {pixels} at {_PUBLISHED_ROWS} rows, scaled to {rows:.0f}"
            scaled = round(pixels * rows / _PUBLISHED_ROWS)
            yield Choice({field: min(max(least, scaled), most)}, why)


def _evaluation_size(config: ConfigDict, facts: Facts, chosen) -> Iterator[Choice]:
    if config.data.target_size or "data.target_size" in chosen:
        size = tuple(config.data.target_size or chosen["data.target_size"][1])
        yield Choice({"data.evaluation_size": size}, "the size that the model trains at")
    elif facts.count("evaluation"):
        size = common_size(facts.sizes["evaluation"], config.data.long_side)
        yield Choice({"data.evaluation_size": size}, facts.described("evaluation"))


def _crop(config: ConfigDict, chosen) -> Iterator[Choice]:
    own = [size for field, (_, size) in chosen.items() if config[field] is None]
    if not own or max(map(max, own)) <= _LARGEST_UNCROPPED:
        return
    sizes = [tuple(config[field] or size) for field, (_, size) in chosen.items()]
    crop = tuple(min(_CROP, *sides) for sides in zip(*sizes, strict=True))
    yield Choice({"data.augment.crop": crop}, "windows of larger images, for training")
