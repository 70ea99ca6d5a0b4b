"""From predictions to a query: the acquisition methods that a config can name.

A strategy is a pure function from a `PoolImage` to the `Query`; a batch is its `jax.vmap`. `build`
looks it up by `config.acquisition.method` and binds its settings.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax.acquisition import budget, scores, windows
from labor_jax.acquisition.core_set import select_core_set
from labor_jax.acquisition.representative import DISTANCES, select_representative_points
from labor_jax.acquisition.selection import (
    Selection,
    select_inconsistent,
    select_points,
    select_regions,
)


class PoolImage(NamedTuple):
    """What a strategy may look at: one image of the pool at its label's resolution H x W.

    Attributes:
      logits: f32[H, W, C], the model's.
      features: f32[h, w, D], the backbone's last features at their own resolution, or None
        where the strategy doesn't read them, see `uses_features`.
      selector_logits: (f32[H, W, C], f32[H, W, C]), the pixel selector's two classifiers', or None.
      available: bool[H, W], pixels not asked in an earlier round.
      key: a JAX random key, of this image and round alone.
    """

    logits: jax.Array
    features: jax.Array | None
    selector_logits: tuple[jax.Array, jax.Array] | None
    available: jax.Array
    key: jax.Array


class Query(NamedTuple):
    """What a strategy asks.

    Attributes:
      pixels: bool[H, W], the pixels asked; always available ones.
      picks: i32[], the points or regions that they are, each a click for who answers; -1 where they
        are a mask.
      candidates: bool[H, W], those that it chose among (LabOR: the inconsistency mask of Eq. 2).
      guess: uint8[H, W], the classes that the model predicts, where whoever asks wants them; else
        None, as strategies leave it.
    """

    pixels: jax.Array
    picks: jax.Array
    candidates: jax.Array
    guess: jax.Array | None = None


_A_MASK = np.int32(-1)

Strategy = Callable[[PoolImage], Query]
Count = Callable[[int, int], int]  # of picks a round in an image of this height and width


def build(config: ConfigDict, rounds: int) -> Strategy | None:
    """Looks up a strategy and binds its settings.

    Args:
      config: the run's `config.acquisition`; see configs/common.py.
      rounds: how many rounds share the budget.

    Returns:
      The strategy; None where `picked_by_annotator(config.method)`.

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


def uses_features(method: str) -> bool:
    """Whether a method reads `PoolImage.features`, which otherwise need not be kept.

    Raises:
      ValueError: unknown method.
    """
    _check_method(method)
    return method == "core_set"


def picked_by_annotator(method: str) -> bool:
    """Whether the annotator picks the pixels, and not the model: `Oracle.point_of_each_class`.

    Raises:
      ValueError: unknown method.
    """
    _check_method(method)
    return method == "human_points"


def asks_regions(method: str) -> bool:
    """Whether a method asks square regions, and not single pixels or a mask.

    Raises:
      ValueError: unknown method.
    """
    _check_method(method)
    return method in ("ripu_ra", "impurity", "uncertainty", "random_regions")


def answered_as(method: str) -> str:
    """How a person answers a method's query, as `labor_jax.annotation.cost` charges it.

    Raises:
      ValueError: unknown method.
    """
    _check_method(method)
    if asks_regions(method):
        return "regions"
    return {"spl": "mask", "all": "full"}.get(method, "points")


def _check_method(method: str) -> None:
    if method not in _STRATEGIES:
        raise ValueError(
            f"config.acquisition.method is {method!r}; choose one of: {', '.join(_STRATEGIES)}."
        )


def _spl(config: ConfigDict, rounds: int) -> Strategy:
    """LabOR's SPL: all of the inconsistency mask, or its pixels of largest discrepancy."""
    _check_no_budget(config)
    _check_share("max_fraction", config.max_fraction)

    def most_pixels(shape):
        if not config.max_fraction:
            return None
        return budget.pixel_cap(*shape, fraction=config.max_fraction, rounds=rounds)

    def strategy(image: PoolImage) -> Query:
        mask = scores.inconsistency_mask(*image.selector_logits)
        chosen = select_inconsistent(
            mask,
            scores.discrepancy_map(*image.selector_logits),
            image.available,
            max_pixels=most_pixels(mask.shape),
        )
        return Query(chosen.query, _A_MASK, mask)

    return strategy


def _ppl(config: ConfigDict, rounds: int) -> Strategy:
    """LabOR's PPL: SelectPt within the inconsistency mask, by the un-primed model's softmax."""
    del rounds
    _check_no_budget(config)
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
        return Query(chosen.query, jnp.sum(chosen.valid), mask)

    return strategy


def _scored_points(score: Callable[[PoolImage], jax.Array]) -> Callable[..., Strategy]:
    """Single pixels of largest score."""

    def build(config: ConfigDict, rounds: int) -> Strategy:
        point_count = _point_count(config, rounds)

        def strategy(image: PoolImage) -> Query:
            count = point_count(*image.available.shape)
            return _query(select_points(score(image), image.available, count=count), image)

        return strategy

    return build


def _scored_regions(score: Callable[[PoolImage, int], jax.Array]) -> Callable[..., Strategy]:
    """Regions of largest score, as RIPU-RA asks them: none shares a pixel with another.

    By impurity or by uncertainty alone they are the ablation of RIPU's score, at its own budget.
    """

    def build(config: ConfigDict, rounds: int) -> Strategy:
        region_count = _region_count(config, rounds)

        def strategy(image: PoolImage) -> Query:
            chosen = select_regions(
                score(image, config.radius),
                _outside_earlier_windows(image, config.radius),
                count=region_count(*image.available.shape),
                radius=config.radius,
                suppression_radius=2 * config.radius,
            )
            return _query(chosen, image)

        return strategy

    return build


def _ripu_points(config: ConfigDict, rounds: int) -> Strategy:
    """RIPU-PA: pixels of largest impurity x uncertainty, each suppressing its score's window.

    RIPU's code leaves out the division of PA's entropies by log C; that is one factor for all
    pixels, so the pixels asked are the same.
    """
    point_count = _point_count(config, rounds)
    _check_radius(config)

    def strategy(image: PoolImage) -> Query:
        chosen = select_points(
            scores.ripu(image.logits, config.radius),
            _outside_earlier_windows(image, config.radius),
            count=point_count(*image.available.shape),
            suppression_radius=config.radius,
        )
        return _query(chosen, image)

    return strategy


def _core_set(config: ConfigDict, rounds: int) -> Strategy:
    """Pixels that cover the image's others in feature space; each costs a pass over the image."""
    point_count = _point_count(config, rounds)

    def strategy(image: PoolImage) -> Query:
        count = point_count(*image.available.shape)
        return _query(select_core_set(image.features, image.available, count=count), image)

    return strategy


def _human_points(config: ConfigDict, rounds: int) -> None:
    """WDA's points, one pixel of each class present: the annotator's choice at no set budget."""
    del rounds
    _check_no_budget(config)


def _all(config: ConfigDict, rounds: int) -> Strategy:
    """Every pixel: full supervision, which the others are measured against."""
    del rounds
    _check_no_budget(config)
    return lambda image: Query(image.available, _A_MASK, jnp.ones_like(image.available))


_STRATEGIES: dict[str, Callable[[ConfigDict, int], Strategy | None]] = {
    "spl": _spl,
    "ppl": _ppl,
    "ripu_ra": _scored_regions(lambda image, radius: scores.ripu(image.logits, radius)),
    "ripu_pa": _ripu_points,
    "impurity": _scored_regions(lambda image, radius: scores.region_impurity(image.logits, radius)),
    "uncertainty": _scored_regions(
        lambda image, radius: scores.prediction_uncertainty(image.logits, radius)
    ),
    "random": _scored_points(lambda image: scores.random_score(image.key, image.available.shape)),
    "random_regions": _scored_regions(
        lambda image, _: scores.random_score(image.key, image.available.shape)
    ),
    "entropy": _scored_points(lambda image: scores.softmax_entropy(image.logits)),
    "least_confidence": _scored_points(lambda image: scores.least_confidence(image.logits)),
    "margin": _scored_points(lambda image: scores.margin(image.logits)),
    "core_set": _core_set,
    "human_points": _human_points,
    "all": _all,
}

METHODS = tuple(_STRATEGIES)


def _outside_earlier_windows(image: PoolImage, radius: int) -> jax.Array:
    """Without the windows that earlier rounds' picks made unavailable, read off their pixels.

    A region of radius r widened by r is the 2r window that it suppressed, a point widened by r the
    r window: what a round suppresses need not be stored.
    """
    return image.available & ~windows.window_any(~image.available, radius)


def _query(chosen: Selection, image: PoolImage) -> Query:
    return Query(chosen.query & image.available, jnp.sum(chosen.valid), image.available)


def _check_share(field: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"config.acquisition.{field} is {value}; it is a share from 0 to 1.")


def _check_no_budget(config: ConfigDict) -> None:
    for field in ("fraction", "points"):
        if config[field]:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]}, but how much "
                f"{config.method} asks is not a budget's choice; set it to 0."
            )


def _check_radius(config: ConfigDict) -> None:
    if config.radius < 0:
        raise ValueError(f"config.acquisition.radius is {config.radius}; it can't be negative.")


def _region_count(config: ConfigDict, rounds: int) -> Count:
    """Binds the budget of a method that asks regions: a `fraction` of an image's pixels."""
    _check_share("fraction", config.fraction)
    _check_radius(config)
    if config.points or not config.fraction:
        raise ValueError(
            f"config.acquisition.method {config.method} asks regions, whose budget is "
            "config.acquisition.fraction, of an image's pixels over all rounds; got fraction "
            f"{config.fraction} and points {config.points}: set fraction above 0 and points to 0."
        )

    def count(height: int, width: int) -> int:
        return budget.region_count(
            height, width, ratio=config.fraction, rounds=rounds, radius=config.radius
        )

    return count


def _point_count(config: ConfigDict, rounds: int) -> Count:
    """Binds the budget of a method that asks single pixels: `fraction` or `points`."""
    _check_share("fraction", config.fraction)
    if config.points < 0:
        raise ValueError(f"config.acquisition.points is {config.points}; it can't be negative.")
    if bool(config.points) == bool(config.fraction):
        raise ValueError(
            f"config.acquisition.method {config.method} needs one budget: either "
            "config.acquisition.fraction, of an image's pixels, or config.acquisition.points, a "
            f"number of them, both over all rounds; got fraction {config.fraction} and points "
            f"{config.points}: set one above 0 and the other to 0."
        )
    size = config.reference_size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(
            f"config.acquisition.reference_size is {size}; it is the (height, width) in pixels "
            "that config.acquisition.points are meant at, or None."
        )

    def count(height: int, width: int) -> int:
        if config.fraction:
            return budget.pixel_count(height, width, fraction=config.fraction, rounds=rounds)
        return budget.point_count(
            height, width, pixels=config.points, rounds=rounds, reference_size=size
        )

    return count
