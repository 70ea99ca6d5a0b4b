"""A strategy: runs a method on one image under its budget, and selects pixels by its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax import user_code
from labor_jax.acquisition.argument_checks import check_mask, check_natural
from labor_jax.acquisition.budget import Budget
from labor_jax.acquisition.class_weights import weighted
from labor_jax.acquisition.pool_image import MASK, PoolImage, Query, ScoredPixels
from labor_jax.acquisition.registry import Method, function_name
from labor_jax.acquisition.selection import (
    MaskSelection,
    ScoredSelection,
    Selection,
    clear_of_asked,
    select_inconsistent,
    select_regions,
)

Strategy = Callable[..., Query]
"""`strategy(image, class_weights=None) -> Query` of a `PoolImage`; weights are f32[C]."""


def bind(
    method: Method,
    budget: Budget,
    *,
    radius: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Strategy:
    """Binds a method to its budget and settings.

    Args:
      method: A method that has a function.
      budget: What the method may ask over all rounds.
      radius: Radius of the regions asked, and the function's `radius`; static, >= 0.
      settings: Values of `method.settings`; the others keep their defaults.

    Returns:
      A pure function of one image; use `jax.vmap` for a batch. It raises a ValueError when traced
      if the method reads a field that is None, or if its function fails or returns none of what
      `register` allows.
    """

    def strategy(image: PoolImage, class_weights: jax.Array | None = None) -> Query:
        picks = budget.picks(method.budget, image.available.shape, radius=radius)
        found = run_method(
            method, image, picks, radius=radius, settings=settings, class_weights=class_weights
        )
        query = _as_query(method, found, image, picks, radius)
        pixels = query.pixels & image.available
        parts = None if query.parts is None else jnp.where(pixels, query.parts, -1)
        return query._replace(pixels=pixels, parts=parts)

    return strategy


def run_method(
    method: Method,
    image: PoolImage,
    count: int | None,
    *,
    radius: int,
    settings: Mapping[str, Any] | None,
    class_weights: jax.Array | None,
) -> Any:
    """Calls a method's function.

    Args:
      method: A method that has a function.
      image: The image.
      count: The number of picks, see `register`.
      radius: See `bind`.
      settings: See `bind`.
      class_weights: The weights f32[C] of the predicted classes, by which the scores are
        multiplied; None for none.

    Returns:
      What the function returned, after checking its shapes and types. A score is wrapped:
      `ScoredPixels`, with a suppression radius.

    Raises:
      ValueError: See `bind`.
    """
    for field in method.reads:
        if getattr(image, field) is None:
            raise ValueError(
                f"acquisition method {method.name!r} reads {field}, which is not given."
            )
    given = {**image._asdict(), "radius": radius, "count": count, "class_weights": class_weights}
    given.update(settings or {})
    arguments = {key: given[key] for key in method.parameters if key in given}
    try:
        found = method.function(**arguments)
    except Exception as error:
        height, width = image.available.shape
        raise ValueError(
            f"the acquisition function {function_name(method.function)} of method "
            f"{method.name!r} fails on an image of {height}x{width} pixels: {user_code.said(error)}"
        ) from error
    return _weighed(method, _checked(method, found, image, count, radius), image, class_weights)


def _weighed(method: Method, found: Any, image: PoolImage, class_weights: jax.Array | None) -> Any:
    """Multiplies the scores by the weights f32[C] of the predicted classes, if there are any.

    Raises:
      ValueError: The method selects for itself, so that its scores can't be weighted any more.
    """
    if class_weights is None or "class_weights" in method.parameters:  # weighed by the function
        return found
    if not isinstance(found, ScoredPixels):
        raise ValueError(
            f"acquisition method {method.name!r} selects for itself, so class weights can't change "
            "its scores; set config.acquisition.class_weights to 'none', or let its function "
            "return a score or ScoredPixels, or take class_weights"
        )
    return found._replace(score=weighted(found.score, image.logits, class_weights))


def pick(
    method: Method, scored: ScoredPixels, available: jax.Array, *, count: int, radius: int
) -> ScoredSelection:
    """Selects points or regions by their scores.

    Args:
      method: A method that asks points or regions.
      scored: From `run_method`.
      available: bool[H, W], the pixels that may be picked and were not asked in earlier rounds.
      count: The number of picks, static.
      radius: Radius of a region.
    """
    reach = radius if method.asks == "regions" else 0
    free = clear_of_asked(available, max(scored.suppression_radius - reach, 0))
    found = select_regions(
        scored.score,
        free if scored.candidates is None else free & scored.candidates,
        count=count,
        radius=reach,
        suppression_radius=scored.suppression_radius,
    )
    return ScoredSelection(*found, scores=_scores_at(scored.score, found.centers))


def _scores_at(score: jax.Array, centers: jax.Array) -> jax.Array:
    """Scores of centres, f32[count]; any number where a centre is (-1, -1)."""
    if not score.size:
        return jnp.zeros(centers.shape[0], jnp.float32)
    return score[centers[:, 0], centers[:, 1]].astype(jnp.float32)


def _checked(
    method: Method, found: Any, image: PoolImage, count: int | None, radius: int
) -> ScoredPixels | Query | Selection | ScoredSelection | MaskSelection | jax.Array:
    shape = image.available.shape
    name = function_name(method.function)
    mask = method.asks in ("mask", "full")
    in_parts = method.asks in ("superpixels", "classes")
    if method.asks == "images":
        return _whole_image(method, found, image.available)
    if method.asks == "corrections" and isinstance(found, Query) and found.parts is None:
        expected = "a score f32[H, W], ScoredPixels, a Selection or a Query with parts"
        raise _wrong_result(method, expected, found, shape)
    if isinstance(found, Query) and not (in_parts and found.parts is None):
        check_mask(f"the pixels of the query of {name}", found.pixels, shape)
        if found.parts is not None and not _is_array(found.parts, shape, jnp.integer):
            raise _wrong_result(method, "parts int32[H, W]", found.parts, shape)
        return found
    if in_parts:
        raise _wrong_result(method, "a Query with parts", found, shape)
    if isinstance(found, (Selection, ScoredSelection, MaskSelection)):
        check_mask(f"the query of the selection of {name}", found.query, shape)
        return found
    if isinstance(found, ScoredPixels):
        if found.candidates is not None:
            check_mask(f"the candidates of {name}", found.candidates, shape)
        score, suppression_radius = found.score, found.suppression_radius
    else:
        score, suppression_radius = found, None
        if mask:
            if not _is_array(found, shape, jnp.bool_):
                expected = "a mask bool[H, W], ScoredPixels, a Selection or a Query"
                raise _wrong_result(method, expected, found, shape)
            if count is not None:
                expected = f"ScoredPixels, as its budget of {count} pixels needs their order"
                raise _wrong_result(method, expected, found, shape)
            return found
    if count is None and not mask:
        expected = (
            f"a Selection or a Query, as the budget {method.budget!r} gives no number of picks"
        )
        raise _wrong_result(method, expected, found, shape)
    if not _is_array(score, shape, jnp.floating):
        expected = "a score f32[H, W], ScoredPixels, a Selection or a Query"
        raise _wrong_result(method, expected, score, shape)
    score = jnp.asarray(score)
    if suppression_radius is None:
        suppression_radius = 2 * radius if method.asks == "regions" else 0
    try:
        check_natural("suppression_radius", suppression_radius)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the acquisition function {name} of method {method.name!r} returned ScoredPixels, but "
            f"{error}"
        ) from None
    return ScoredPixels(score, getattr(found, "candidates", None), suppression_radius)


def _whole_image(method: Method, found: Any, available: jax.Array) -> Query:
    """The query of an image that competes with the others by its score or its vector."""
    vector, shape = None, getattr(found, "shape", ())
    if len(shape) == 1 and _is_array(found, shape, jnp.floating):
        vector, found = jnp.asarray(found, jnp.float32), jnp.float32(0)
    if not _is_array(found, (), jnp.floating):
        expected = "a score f32[] or a vector f32[D]"
        raise _wrong_result(method, expected, found, available.shape)
    # As with superpixels: of an image that is labelled already, what is left is not worth opening.
    enough = 2 * jnp.sum(available) >= available.size
    score = jnp.where(enough, jnp.asarray(found, jnp.float32), -jnp.inf)
    return Query(available, MASK, available, scores=score[None], vector=vector)


def _as_query(
    method: Method, found: Any, image: PoolImage, picks: int | None, radius: int
) -> Query:
    """Turns what the function returned into a query."""
    if isinstance(found, Query):
        return found
    candidates = image.available
    if isinstance(found, ScoredPixels):
        if found.candidates is not None:
            candidates = found.candidates
        if method.asks in ("mask", "full"):
            found = select_inconsistent(candidates, found.score, image.available, max_pixels=picks)
        else:
            found = pick(method, found, image.available, count=picks, radius=radius)
    if isinstance(found, MaskSelection):
        return Query(found.query, MASK, candidates)
    if not isinstance(found, (Selection, ScoredSelection)):
        return Query(found, MASK, found)
    parts, scores = None, getattr(found, "scores", None)
    if method.asks != "mask":
        parts = _parts(found, image.available.shape, radius if method.asks == "regions" else 0)
    if scores is not None:
        scores = jnp.where(found.valid, scores, -jnp.inf)
    return Query(
        found.query, jnp.sum(found.valid, dtype=jnp.int32), candidates, parts=parts, scores=scores
    )


def _parts(
    selection: Selection | ScoredSelection, shape: tuple[int, int], radius: int
) -> jax.Array:
    """The number of the pick that asks each pixel, -1 for none: int32[H, W].

    Windows that share pixels, which those of `select_regions` don't, give them to any of their
    picks.
    """
    offset = jnp.arange(-radius, radius + 1)
    rows = (selection.centers[:, 0, None] + offset)[:, :, None]
    columns = (selection.centers[:, 1, None] + offset)[:, None, :]
    inside = selection.valid[:, None, None] & (rows >= 0) & (columns >= 0)
    rank = jnp.cumsum(selection.valid.astype(jnp.int32)) - 1
    return (
        jnp.full(shape, -1, jnp.int32)
        .at[jnp.where(inside, rows, shape[0]), columns]
        .set(rank[:, None, None], mode="drop")
    )


def _is_array(found: Any, shape: tuple[int, ...], dtype: Any) -> bool:
    is_array = isinstance(found, jax.Array) or hasattr(found, "__array__")
    return is_array and found.shape == shape and jnp.issubdtype(found.dtype, dtype)


def _wrong_result(method: Method, expected: str, found: Any, shape: tuple[int, ...]) -> ValueError:
    has_shape = hasattr(found, "shape") and hasattr(found, "dtype")
    returned = f"{found.dtype}{list(found.shape)}" if has_shape else type(found).__name__
    return ValueError(
        f"the acquisition function {function_name(method.function)} of method {method.name!r} "
        f"returned {returned} for an image of {shape[0]}x{shape[1]} pixels; return {expected}"
    )
