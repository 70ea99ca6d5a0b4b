"""Acquisition strategies by name: pairs of a score and a selection, for a batch at once.

`acquire` is one compiled call for a batch of images; nothing goes back to the host in between.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax

from labor_jax.acquisition import scores
from labor_jax.acquisition.representative import select_representative_points
from labor_jax.acquisition.selection import (
    MaskSelection,
    select_inconsistent,
    select_points,
    select_regions,
)


class Predictions(NamedTuple):
    """What the strategies choose from.

    Attributes:
      logits: f32[B, H, W, C] of the model itself.
      logits_a: f32[B, H, W, C] of one classifier of LabOR's pixel selector; `spl` and `ppl` only.
      logits_b: f32[B, H, W, C] of the other.
    """

    logits: jax.Array
    logits_a: jax.Array | None = None
    logits_b: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """A round's settings for one image; each strategy reads those that it names.

    Attributes:
      count: Picks an image: regions of `ripu_ra`, points of the other scores.
      radius: Window radius of RIPU's score, and of the region asked by `ripu_ra`.
      suppression_radius: Radius made unavailable around a pick: 2 * radius in RIPU's `ripu_ra`,
        radius in its `ripu_pa`, 0 for the plain scores.
      max_pixels: The most pixels `spl` asks in an image; None for all inconsistent ones.
      distance: The distance of `ppl`, "euclidean" or "cosine".
    """

    count: int = 0
    radius: int = 1
    suppression_radius: int = 0
    max_pixels: int | None = None
    distance: str = "euclidean"


Strategy = Callable[[Predictions, jax.Array, jax.Array, Settings], MaskSelection]


def region_count(height: int, width: int, *, ratio: float, rounds: int, radius: int) -> int:
    """Regions an image and round under RIPU's region budget.

    `ceil(H W (ratio / rounds) / (2 radius + 1)^2)`: 1026 for 1024x2048, 2.2% and 5 rounds.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      ratio: Share of the pixels asked over all rounds, such as 0.022.
      rounds: Number of rounds.
      radius: Radius of a region.

    Returns:
      The count.
    """
    return math.ceil(height * width * (ratio / rounds) / (2 * radius + 1) ** 2)


def point_count(
    height: int,
    width: int,
    *,
    pixels: int,
    rounds: int,
    reference_size: tuple[int, int] = (640, 1280),
) -> int:
    """Points an image and round under RIPU's pixel budget.

    `pixels` are meant at the size that the network sees and grow with the area:
    `ceil(pixels / rounds / (640 * 1280) * H W)` is 21 for 40 pixels, 5 rounds and 1024x2048.

    Args:
      height: Image height in pixels.
      width: Image width in pixels.
      pixels: Pixels asked over all rounds in an image of `reference_size`.
      rounds: Number of rounds.
      reference_size: (height, width) that `pixels` refers to.

    Returns:
      The count.
    """
    reference_height, reference_width = reference_size
    return math.ceil(pixels / rounds / (reference_height * reference_width) * (height * width))


@functools.partial(jax.jit, static_argnames=("strategy", "settings"))
def acquire(
    strategy: str,
    predictions: Predictions,
    available: jax.Array,
    key: jax.Array,
    settings: Settings,
) -> MaskSelection:
    """Scores a batch of images and selects the pixels to ask in each.

    Args:
      strategy: A name in `STRATEGIES`, static.
      predictions: The models' logits for the batch.
      available: bool[B, H, W], the pixels that may still be picked.
      key: A `jax.random` key; only `random` uses it.
      settings: The budget of an image, static.

    Returns:
      `query` and `available`, bool[B, H, W] each.

    Raises:
      ValueError: If the strategy is unknown or needs logits that are not there.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}; valid: {', '.join(sorted(STRATEGIES))}")
    return STRATEGIES[strategy](predictions, available, key, settings)


def _points(score: jax.Array, available: jax.Array, settings: Settings) -> MaskSelection:
    select = functools.partial(
        select_points, count=settings.count, suppression_radius=settings.suppression_radius
    )
    selection = jax.vmap(select)(score, available)
    return MaskSelection(selection.query, selection.available)


def _score_strategy(score: Callable[[jax.Array], jax.Array]) -> Strategy:
    def strategy(predictions, available, key, settings):
        del key
        return _points(score(predictions.logits), available, settings)

    return strategy


def _random(predictions, available, key, settings):
    del predictions
    return _points(scores.random_score(key, available.shape), available, settings)


def _ripu_points(predictions, available, key, settings):
    del key
    return _points(scores.ripu(predictions.logits, settings.radius), available, settings)


def _ripu_regions(predictions, available, key, settings):
    del key
    select = functools.partial(
        select_regions,
        count=settings.count,
        radius=settings.radius,
        suppression_radius=settings.suppression_radius,
    )
    score = scores.ripu(predictions.logits, settings.radius)
    selection = jax.vmap(select)(score, available)
    return MaskSelection(selection.query, selection.available)


def _spl(predictions, available, key, settings):
    del key
    logits_a, logits_b = _classifiers("spl", predictions)
    select = functools.partial(select_inconsistent, max_pixels=settings.max_pixels)
    return jax.vmap(select)(
        scores.inconsistency_mask(logits_a, logits_b),
        scores.discrepancy_map(logits_a, logits_b),
        available,
    )


def _ppl(predictions, available, key, settings):
    del key
    logits_a, logits_b = _classifiers("ppl", predictions)
    mask = scores.inconsistency_mask(logits_a, logits_b) & available
    select = functools.partial(select_representative_points, distance=settings.distance)
    query = jax.vmap(select)(mask, jax.nn.softmax(predictions.logits)).query
    return MaskSelection(query, available & ~query)


def _classifiers(name: str, predictions: Predictions) -> tuple[jax.Array, jax.Array]:
    if predictions.logits_a is None or predictions.logits_b is None:
        raise ValueError(
            f"{name} needs the logits of both classifiers of the pixel selector: "
            "give Predictions.logits_a and Predictions.logits_b"
        )
    return predictions.logits_a, predictions.logits_b


STRATEGIES: dict[str, Strategy] = {
    "random": _random,
    "entropy": _score_strategy(scores.softmax_entropy),
    "least_confidence": _score_strategy(scores.least_confidence),
    "margin": _score_strategy(scores.margin),
    "ripu_pa": _ripu_points,
    "ripu_ra": _ripu_regions,
    "spl": _spl,
    "ppl": _ppl,
}
