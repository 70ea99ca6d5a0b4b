"""From predictions to a query: the acquisition methods that a config can name.

A strategy is a pure function from a `PoolImage` to the `Query`; a batch is its `jax.vmap`. `build`
looks it up by `config.acquisition.method` and binds its settings.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax.acquisition import budget, scores, windows
from labor_jax.acquisition.representative import DISTANCES, select_representative_points
from labor_jax.acquisition.selection import (
    Selection,
    select_inconsistent,
    select_points,
    select_regions,
)


class PoolImage(NamedTuple):
    """What a strategy may look at: one image of the pool at its label's resolution.

    Attributes:
      logits: f32[H, W, C], the model's.
      selector_logits: (f32[H, W, C], f32[H, W, C]), the pixel selector's two classifiers', or None.
      available: bool[H, W], pixels not asked in an earlier round.
      key: a JAX random key, of this image and round alone.
    """

    logits: jax.Array
    selector_logits: tuple[jax.Array, jax.Array] | None
    available: jax.Array
    key: jax.Array


class Query(NamedTuple):
    """What a strategy asks.

    Attributes:
      pixels: bool[H, W], the pixels asked; always available ones.
      candidates: bool[H, W], those that it chose among (LabOR: the inconsistency mask of Eq. 2).
    """

    pixels: jax.Array
    candidates: jax.Array


Strategy = Callable[[PoolImage], Query]


def build(config: ConfigDict, rounds: int) -> Strategy:
    """Looks up a strategy and binds its settings.

    Args:
      config: the run's `config.acquisition`; see configs/common.py.
      rounds: how many rounds share the budget.

    Raises:
      ValueError: unknown method, or a setting that makes no sense for it.
    """
    _check_method(config.method)
    return _STRATEGIES[config.method](config, rounds)


def uses_selector(method: str) -> bool:
    """Whether a method needs LabOR's pixel selector trained in each round.

    Raises:
      ValueError: unknown method.
    """
    _check_method(method)
    return method in ("spl", "ppl")


def _check_method(method: str) -> None:
    if method not in _STRATEGIES:
        raise ValueError(
            f"config.acquisition.method is {method!r}; choose one of: {', '.join(_STRATEGIES)}."
        )


def _spl(config: ConfigDict, rounds: int) -> Strategy:
    """LabOR's SPL: all of the inconsistency mask, or its pixels of largest discrepancy."""
    _check_share("max_fraction", config.max_fraction)

    def most_pixels(shape):
        if not config.max_fraction:
            return None
        return budget.pixel_count(*shape, fraction=config.max_fraction, rounds=rounds)

    def strategy(image: PoolImage) -> Query:
        mask = scores.inconsistency_mask(*image.selector_logits)
        chosen = select_inconsistent(
            mask,
            scores.discrepancy_map(*image.selector_logits),
            image.available,
            max_pixels=most_pixels(mask.shape),
        )
        return Query(chosen.query, mask)

    return strategy


def _ppl(config: ConfigDict, rounds: int) -> Strategy:
    """LabOR's PPL: SelectPt within the inconsistency mask, by the un-primed model's softmax."""
    del rounds
    if config.distance not in DISTANCES:
        raise ValueError(
            f"config.acquisition.distance is {config.distance!r}; choose one of: "
            f"{', '.join(DISTANCES)}."
        )

    def strategy(image: PoolImage) -> Query:
        mask = scores.inconsistency_mask(*image.selector_logits)
        chosen = select_representative_points(
            mask & image.available, jax.nn.softmax(image.logits), distance=config.distance
        )
        return Query(chosen.query, mask)

    return strategy


def _scored_points(score: Callable[[PoolImage], jax.Array]) -> Callable[..., Strategy]:
    """Single pixels of largest score: `points` an image and round, or else a `fraction` in all."""

    def build(config: ConfigDict, rounds: int) -> Strategy:
        if config.points < 0:
            raise ValueError(f"config.acquisition.points is {config.points}; it can't be negative.")
        if not config.points:
            _check_budget(config)

        def strategy(image: PoolImage) -> Query:
            count = config.points or budget.pixel_count(
                *image.available.shape, fraction=config.fraction, rounds=rounds
            )
            return _query(select_points(score(image), image.available, count=count), image)

        return strategy

    return build


def _ripu_regions(config: ConfigDict, rounds: int) -> Strategy:
    """RIPU-RA: regions of largest impurity x uncertainty, a `fraction` of the image in all."""
    _check_budget(config)

    def strategy(image: PoolImage) -> Query:
        chosen = select_regions(
            scores.ripu(image.logits, config.radius),
            _outside_earlier_windows(image, config.radius),
            count=budget.region_count(
                *image.available.shape, ratio=config.fraction, rounds=rounds, radius=config.radius
            ),
            radius=config.radius,
            suppression_radius=2 * config.radius,
        )
        return _query(chosen, image)

    return strategy


def _ripu_points(config: ConfigDict, rounds: int) -> Strategy:
    """RIPU-PA: `points` pixels an image and round, each suppressing the window of its score."""
    del rounds
    if config.points < 1:
        raise ValueError(
            f"config.acquisition.points is {config.points}; ripu_pa needs 1 or more an image and "
            "round."
        )

    def strategy(image: PoolImage) -> Query:
        chosen = select_points(
            scores.ripu(image.logits, config.radius),
            _outside_earlier_windows(image, config.radius),
            count=config.points,
            suppression_radius=config.radius,
        )
        return _query(chosen, image)

    return strategy


def _all(config: ConfigDict, rounds: int) -> Strategy:
    """Every pixel: full supervision, which the others are measured against."""
    del config, rounds
    return lambda image: Query(image.available, jnp.ones_like(image.available))


_STRATEGIES: dict[str, Callable[[ConfigDict, int], Strategy]] = {
    "spl": _spl,
    "ppl": _ppl,
    "ripu_ra": _ripu_regions,
    "ripu_pa": _ripu_points,
    "random": _scored_points(lambda image: scores.random_score(image.key, image.available.shape)),
    "entropy": _scored_points(lambda image: scores.softmax_entropy(image.logits)),
    "least_confidence": _scored_points(lambda image: scores.least_confidence(image.logits)),
    "margin": _scored_points(lambda image: scores.margin(image.logits)),
    "all": _all,
}

METHODS = tuple(_STRATEGIES)


def answered_as(method: str) -> str:
    """How a person answers a method's query, as `labor_jax.annotation.cost` charges it."""
    return {"spl": "mask", "ripu_ra": "mask", "all": "full"}.get(method, "points")


def _outside_earlier_windows(image: PoolImage, radius: int) -> jax.Array:
    """Without the windows that earlier rounds' picks made unavailable, read off their pixels.

    A region of radius r widened by r is the 2r window that it suppressed, a point widened by r the
    r window: what a round suppresses need not be stored.
    """
    return image.available & ~windows.window_any(~image.available, radius)


def _query(chosen: Selection, image: PoolImage) -> Query:
    return Query(chosen.query & image.available, image.available)


def _check_share(field: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"config.acquisition.{field} is {value}; it is a share from 0 to 1.")


def _check_budget(config: ConfigDict) -> None:
    _check_share("fraction", config.fraction)
    if not config.fraction:
        raise ValueError(
            f"config.acquisition.method {config.method} needs a budget: set "
            "config.acquisition.fraction, of an image's pixels over all rounds"
            + ("." if config.method == "ripu_ra" else ", or config.acquisition.points.")
        )
