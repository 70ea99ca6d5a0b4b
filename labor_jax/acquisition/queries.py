"""From predictions to a query: the acquisition methods that a config can name.

A strategy is a pure function from a `PoolImage` to the `Query`; a batch is its `jax.vmap`. `build`
looks it up by `config.acquisition.method` and binds its settings.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax.acquisition import scores
from labor_jax.acquisition.representative import select_representative_points
from labor_jax.acquisition.selection import select_inconsistent, select_points


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

    def strategy(image: PoolImage) -> Query:
        mask = scores.inconsistency_mask(*image.selector_logits)
        chosen = select_inconsistent(
            mask,
            scores.discrepancy_map(*image.selector_logits),
            image.available,
            max_pixels=_pixels_a_round(config.max_fraction, mask.shape, rounds),
        )
        return Query(chosen.query, mask)

    return strategy


def _ppl(config: ConfigDict, rounds: int) -> Strategy:
    """LabOR's PPL: SelectPt within the inconsistency mask, by the un-primed model's softmax."""
    del rounds

    def strategy(image: PoolImage) -> Query:
        mask = scores.inconsistency_mask(*image.selector_logits)
        chosen = select_representative_points(
            mask & image.available, jax.nn.softmax(image.logits), distance=config.distance
        )
        return Query(chosen.query, mask)

    return strategy


def _random(config: ConfigDict, rounds: int) -> Strategy:
    """Random pixels: `points` an image and round, or else a `fraction` of the image in all."""
    if config.points < 0:
        raise ValueError(f"config.acquisition.points is {config.points}; it can't be negative.")
    if not config.points:
        _check_share("fraction", config.fraction)
        if not config.fraction:
            raise ValueError(
                "Random acquisition needs a budget: set config.acquisition.fraction (of all pixels,"
                " over all rounds) or config.acquisition.points (an image and round)."
            )

    def strategy(image: PoolImage) -> Query:
        shape = image.available.shape
        chosen = select_points(
            scores.random_score(image.key, shape),
            image.available,
            count=config.points or _pixels_a_round(config.fraction, shape, rounds),
        )
        return Query(chosen.query, image.available)

    return strategy


def _all(config: ConfigDict, rounds: int) -> Strategy:
    """Every pixel: full supervision, which the others are measured against."""
    del config, rounds
    return lambda image: Query(image.available, jnp.ones_like(image.available))


_STRATEGIES: dict[str, Callable[[ConfigDict, int], Strategy]] = {
    "spl": _spl,
    "ppl": _ppl,
    "random": _random,
    "all": _all,
}

METHODS = tuple(_STRATEGIES)

ANSWERED_AS = {"spl": "mask", "ppl": "points", "random": "points", "all": "full"}
"""How a person answers a method's query, as `labor_jax.annotation.cost` charges it."""


def _check_share(field: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"config.acquisition.{field} is {value}; it is a share from 0 to 1.")


def _pixels_a_round(fraction: float, shape: tuple[int, ...], rounds: int) -> int | None:
    """A round's pixels of an image; None (no limit) for a fraction of 0."""
    return math.floor(fraction * math.prod(shape) / rounds) if fraction else None
