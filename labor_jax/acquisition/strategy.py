"""A strategy: runs a method on one image under its budget, and selects pixels by its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax.acquisition.argument_checks import check_mask
from labor_jax.acquisition.budget import Budget
from labor_jax.acquisition.pool_image import MASK, PoolImage, Query
from labor_jax.acquisition.registry import Method, function_name
from labor_jax.acquisition.selection import (
    MaskSelection,
    Selection,
    clear_of_asked,
    select_points,
    select_regions,
)

Strategy = Callable[[PoolImage], Query]


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

    def strategy(image: PoolImage) -> Query:
        for field in method.reads:
            if getattr(image, field) is None:
                raise ValueError(
                    f"acquisition method {method.name!r} reads {field}, which is not given."
                )
        picks = budget.picks(method.budget, image.available.shape, radius=radius)
        given = {**image._asdict(), "radius": radius, "count": picks, **(settings or {})}
        arguments = {key: given[key] for key in method.parameters if key in given}
        try:
            found = method.function(**arguments)
        except (TypeError, ValueError) as error:
            height, width = image.available.shape
            raise ValueError(
                f"the acquisition function {function_name(method.function)} of method "
                f"{method.name!r} fails on an image of {height}x{width} pixels: {error}"
            ) from error
        query = _as_query(method, found, image, picks, radius)
        pixels = query.pixels & image.available
        parts = None if query.parts is None else jnp.where(pixels, query.parts, -1)
        return query._replace(pixels=pixels, parts=parts)

    return strategy


def _as_query(
    method: Method, found: Any, image: PoolImage, picks: int | None, radius: int
) -> Query:
    """Turns what the function returned into a query, after checking it."""
    shape = image.available.shape
    name = function_name(method.function)
    in_parts = method.asks in ("superpixels", "classes")
    if isinstance(found, Query) and not (in_parts and found.parts is None):
        check_mask(f"the pixels of the query of {name}", found.pixels, shape)
        if found.parts is not None and not _is_array(found.parts, shape, jnp.integer):
            raise _wrong_result(method, "parts int32[H, W]", found.parts, shape)
        return found
    if in_parts:
        raise _wrong_result(method, "a Query with parts", found, shape)
    if method.asks == "images":
        if not _is_array(found, (), jnp.floating):
            raise _wrong_result(method, "a score f32[] or a Query", found, shape)
        # An image that is asked to the last pixel has nothing left to ask.
        score = jnp.where(jnp.any(image.available), jnp.asarray(found, jnp.float32), -jnp.inf)
        return Query(image.available, MASK, image.available, scores=score[None])
    if isinstance(found, (Selection, MaskSelection)):
        check_mask(f"the query of the selection of {name}", found.query, shape)
        if isinstance(found, MaskSelection):
            return Query(found.query, MASK, image.available)
    elif method.asks in ("mask", "full"):
        if not _is_array(found, shape, jnp.bool_):
            raise _wrong_result(method, "a mask bool[H, W], a Selection or a Query", found, shape)
        return Query(found, MASK, found)
    elif picks is None:
        expected = (
            f"a Selection or a Query, as the budget {method.budget!r} gives no number of picks"
        )
        raise _wrong_result(method, expected, found, shape)
    elif not _is_array(found, shape, jnp.floating):
        raise _wrong_result(method, "a score f32[H, W], a Selection or a Query", found, shape)
    elif method.asks in ("points", "corrections"):
        found = select_points(found, image.available, count=picks)
    else:
        found = select_regions(
            found,
            clear_of_asked(image.available, radius),
            count=picks,
            radius=radius,
            suppression_radius=2 * radius,
        )
    parts, scores = None, found.scores
    if method.asks != "mask":
        parts = _parts(found, shape, radius if method.asks == "regions" else 0)
    if scores is not None:
        scores = jnp.where(found.valid, scores, -jnp.inf)
    return Query(found.query, jnp.sum(found.valid), image.available, parts=parts, scores=scores)


def _parts(selection: Selection, shape: tuple[int, int], radius: int) -> jax.Array:
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
