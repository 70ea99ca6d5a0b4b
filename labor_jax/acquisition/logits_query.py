"""`query`, for use outside of a run: one round of any method that needs logits alone."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from labor_jax.acquisition import registry
from labor_jax.acquisition.argument_checks import check_array, check_mask, check_natural
from labor_jax.acquisition.budget import Budget, given_budget
from labor_jax.acquisition.pool_image import PoolImage
from labor_jax.acquisition.registry import Method
from labor_jax.acquisition.strategy import bind


def query(
    logits: jax.Array,
    method: str,
    *,
    fraction: float | None = None,
    points: int | None = None,
    available: jax.Array | None = None,
    key: jax.Array | None = None,
    radius: int = 1,
) -> jax.Array:
    """Asks pixels of a batch of images for one round.

    Any method that needs logits alone: `ripu_ra`, `ripu_pa`, `ripu_pa_code`, `impurity`,
    `uncertainty`, `entropy`, `least_confidence`, `margin`, `duc`, `pixel_pick`, `corrections`,
    `random`, `random_regions`, `all`, and registered functions of logits. Safe under jit with
    static `method`, `fraction`, `points` and `radius`.

        asked = acquisition.query(logits, "ripu_ra", fraction=0.022)
        ... # label these pixels, train
        more = acquisition.query(new_logits, "ripu_ra", fraction=0.022, available=~asked)

    Args:
      logits: f32[B, H, W, C], `C >= 2`.
      method: The name of an acquisition method.
      fraction: Share of each image's pixels to ask, from 0 to 1. The budget of regions.
      points: Number of pixels to ask of each image. Methods of single pixels take either `fraction`
        or `points`.
      available: bool[B, H, W], False where earlier rounds asked: `~asked`; None for all. RIPU's
        methods and `random_regions` keep their distance from such pixels. So don't pass the
        `available` of a `Selection`, which leaves out that distance already.
      key: A JAX random key, for `pixel_pick`, `random` and `random_regions`.
      radius: RIPU's k, static, >= 0: the radius of its windows and of regions.

    Returns:
      bool[B, H, W], the pixels asked. Never more than are available.

    Raises:
      ValueError: If the method is unknown, or needs more than logits; if the budget is missing,
        given twice or not of the method's kind; if a random method has no key; or if an argument
        has a wrong shape or value.
      TypeError: If `points` or `radius` is not an integer, or an array is none, such as a list.
    """
    entry = registry.method(method)
    _check_method(entry, key)
    check_array("logits", logits)
    if logits.ndim != 4 or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"logits must be f32[B, H, W, C], got {logits.dtype}{list(logits.shape)}")
    if not math.prod(logits.shape[1:3]):
        raise ValueError(f"the images have no pixels: logits are {list(logits.shape)}")
    if available is None:
        available = jnp.ones(logits.shape[:3], bool)
    check_mask("available", available, logits.shape[:3])
    radius = check_natural("radius", radius)
    budget = _budget(entry, fraction, points)
    return _query(logits, available, key, method=entry, budget=budget, radius=radius)


@functools.partial(jax.jit, static_argnames=("method", "budget", "radius"))
def _query(logits, available, key, *, method: Method, budget: Budget, radius: int):
    strategy = bind(method, budget, radius=radius)

    def ask(number, logits, available):
        image_key = None if key is None else jax.random.fold_in(key, number)
        return strategy(PoolImage(logits, None, None, available, image_key)).pixels

    return jax.vmap(ask)(jnp.arange(logits.shape[0]), logits, available)


def _check_method(method: Method, key: jax.Array | None) -> None:
    if method.picked_by_annotator:
        raise ValueError(
            f"the pixels of {method.name} are picked by the annotator, who sees the image; logits "
            "cannot pick them."
        )
    if method.asks == "images":
        raise ValueError(
            f"{method.name} scores whole images, of which some are asked; call its score function."
        )
    missing = [field for field in method.reads if field not in ("available", "key")]
    if missing:
        raise ValueError(
            f"{method.name} reads {' and '.join(missing)}, but query has logits alone; call its "
            "selection function, or active.make_pool_query with the network."
        )
    if "key" in method.reads and key is None:
        raise ValueError(f"{method.name} draws random numbers; pass key=jax.random.key(seed).")


def _budget(method: Method, fraction: float | None, points: int | None) -> Budget:
    """The budget of one round, after checking that the method takes it."""
    given_budget(method.budget, {"fraction": fraction, "points": points}, who=method.name)
    if fraction is not None:
        fraction = float(fraction)
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction is {fraction}; it is a share from 0 to 1.")
    if points is not None:
        points = check_natural("points", points)
    return Budget(fraction, points)
