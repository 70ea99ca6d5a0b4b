"""A ranking: what one image offers to a budget over the pool, by the scores of a method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax.acquisition import pixel_order
from labor_jax.acquisition.pool_image import PoolImage, Query, Ranking, ScoredPixels
from labor_jax.acquisition.registry import Method, function_name
from labor_jax.acquisition.selection import ScoredSelection
from labor_jax.acquisition.strategy import pick, run_method

Ranker = Callable[..., Ranking]
"""`ranker(image, class_weights=None, floor=nan) -> Ranking` of a `PoolImage`."""


def bind_ranking(
    method: Method,
    length: int | None,
    *,
    radius: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Ranker:
    """Binds a method to the number of picks to list, and to its settings.

    Args:
      method: A method that has a function.
      length: How many picks to list; None for a method that asks masks.
      radius: Radius of the regions asked, and the function's `radius`; static, >= 0.
      settings: Values of `method.settings`; the others keep their defaults.

    Returns:
      A pure function of one image, as `bind` returns one. It lists the greedy picks of scores of
      `floor` or more, which costs less than listing all; NaN lists `length` of them. A method that
      selects for itself ignores the floor.
    """

    def ranker(
        image: PoolImage, class_weights: jax.Array | None = None, floor: jax.Array = math.nan
    ) -> Ranking:
        found = run_method(
            method, image, length, radius=radius, settings=settings, class_weights=class_weights
        )
        candidates = image.available
        if isinstance(found, ScoredPixels):
            if found.candidates is not None:
                candidates = found.candidates
            if method.asks == "mask":
                return Ranking(found.score, candidates & image.available, None, candidates)
            # A greedy pick depends on better ones alone, so the others need not be there.
            keys = pixel_order.sort_key(found.score, True)
            high = keys >= pixel_order.sort_key(jnp.asarray(floor, jnp.float32), True)
            keep = high if found.candidates is None else high & found.candidates
            found = found._replace(candidates=keep)
            found = pick(method, found, image.available, count=length, radius=radius)
        if method.asks == "mask":
            raise _without_score(method, "ScoredPixels")
        if isinstance(found, Query) and found.parts is not None and found.scores is not None:
            valid = jnp.arange(found.scores.size) < found.picks
            return Ranking(found.scores, valid, None, found.candidates, parts=found.parts)
        if not isinstance(found, ScoredSelection):
            takes = "a score, ScoredPixels, a ScoredSelection or a Query with parts and scores"
            raise _without_score(method, takes)
        return Ranking(found.scores, found.valid, found.centers, candidates)

    return ranker


def _without_score(method: Method, takes: str) -> ValueError:
    return ValueError(
        f"the acquisition function {function_name(method.function)} of method {method.name!r} "
        "returns no score, which a budget over the pool goes by; set config.acquisition.scope to "
        f"'image', or return {takes}"
    )
