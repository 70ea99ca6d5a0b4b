"""Builds the strategy that a config names, after checking its budget and settings."""

import math
from collections.abc import Sequence

from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.acquisition import Budget, Method, PoolLimit, Price, Ranker, Strategy
from labor_jax.acquisition.budget import BUDGETS
from labor_jax.annotation import cost

SCOPES = ("image", "pool")
"""Of a budget: each image's own, or one over the pool."""

CLASS_WEIGHTS = ("none", "answers", "predicted")

# The fields that give `Budget.seconds`.
_SECONDS = {
    "seconds": "people's seconds for the whole pool",
    "seconds_per_image": "their seconds for each image",
}
BUDGET_FIELDS = (*BUDGETS["points"], "seconds_per_image")
"""The fields of `config.acquisition` of which one is the budget; masks have `max_fraction`."""

# What a person does for a pick, where it can be planned before the answer: a part is expected to
# hold two classes, and a guess to be wrong.
_WORK = {
    "points": cost.Work(points=1),
    "regions": cost.Work(points=1),
    "superpixels": cost.Work(points=1),
    "classes": cost.Work(points=1, further_classes=1),
    "corrections": cost.Work(corrected=1),
}


def seconds_per_pick(kind: str, outlines: float | None = None) -> Price:
    """Published seconds of a pick that a query of this kind asks, and of opening an image.

    Args:
      kind: `Method.asks`.
      outlines: objects to outline in a whole image, for the kind "images".

    Raises:
      ValueError: the kind has no picks of one price, or the number of outlines is missing.
    """
    if kind == "images" and outlines is not None:
        work = cost.Work(outlines=outlines)
    elif kind in _WORK:
        work = _WORK[kind]
    else:
        raise ValueError(
            "people's seconds buy points, regions, superpixels or whole images; "
            f"{kind!r} has no price of a pick"
        )
    opened = cost.seconds(cost.Work(images=1), cost.PUBLISHED)
    return Price(pick=cost.seconds(work, cost.PUBLISHED), image=opened)


def method(name: str) -> Method:
    """Looks up what `config.acquisition.method` names.

    Returns:
      The method; its `asks`, `reads`, `budget` and `picked_by_annotator` say what a round needs.

    Raises:
      ValueError: unknown method; the message lists all methods.
    """
    return acquisition.method(name, field="config.acquisition.method")


_RANDOM = {
    ("points", "points"): "random",
    ("regions", "regions"): "random_regions",
    ("images", "images"): "random_images",
}


def at_random(entry: Method) -> str | None:
    """The method that asks the same at random under the same budget; None if there is none."""
    return _RANDOM.get((entry.asks, entry.budget))


def of_round(config: ConfigDict, number: int) -> ConfigDict:
    """Returns a run's `config.acquisition` as a round has it: the first ones may ask at random.

    Args:
      config: the run's `config.acquisition`.
      number: the round's, from 1.

    Raises:
      ValueError: unknown method, or one that nothing asks the same as at random.
    """
    if number > config.random_rounds:
        return config
    name = at_random(method(config.method))
    if name is None:
        raise ValueError(
            f"config.acquisition.random_rounds is {config.random_rounds}, but nothing asks at "
            f"random what {config.method} asks; set it to 0."
        )
    own = config.copy_and_resolve_references()
    own.method = name
    own.class_weights = "none"  # by a model's classes it would not be random
    return own


def asks_sets(config: ConfigDict) -> bool:
    """Whether answers may be sets of classes: of the run's config, if it asks "classes"."""
    return method(config.acquisition.method).asks == "classes"


def build(config: ConfigDict, rounds: int, images: int = 1) -> Strategy | None:
    """Binds the method that a config names to its budget and settings.

    Args:
      config: the run's `config.acquisition`.
      rounds: number of rounds that share the budget.
      images: number of images in the pool, which share `config.acquisition.seconds`.

    Returns:
      The strategy, a function of one `PoolImage` that returns its `Query`. None if the annotator
      picks the pixels.

    Raises:
      ValueError: unknown method, or a setting that makes no sense for it.
    """
    entry = check(config)
    if entry.picked_by_annotator:
        return None
    return acquisition.bind(
        entry,
        Budget() if entry.budget == "images" else budget(config, rounds, images),
        radius=config.radius,
        settings=_settings(config, entry),
    )


def build_ranking(config: ConfigDict, length: int | None) -> Ranker:
    """Binds the method that a config names for a budget over the pool.

    Args:
      config: the run's `config.acquisition`, of scope "pool".
      length: how many picks to list of an image; None for masks.

    Returns:
      The ranker, a function of one `PoolImage` that returns its `Ranking`.

    Raises:
      ValueError: as `build`.
    """
    entry = check(config)
    return acquisition.bind_ranking(
        entry, length, radius=config.radius, settings=_settings(config, entry)
    )


def budget(
    config: ConfigDict, rounds: int, images: int = 1, outlines: float | None = None
) -> Budget:
    """Returns what all rounds together may ask of an image, or of the pool's images.

    Args:
      config: the run's `config.acquisition`.
      rounds: number of rounds that share the budget.
      images: number of images in the pool.
      outlines: objects to outline in a whole image, where seconds buy whole images.

    Raises:
      ValueError: unknown method, or one whose clicks have no price.
    """
    entry = method(config.method)
    if not _budget_fields(entry):
        fraction = config.max_fraction if entry.budget == "cap" else None
        return Budget(fraction or None, None, rounds)
    seconds = config.seconds_per_image or config.seconds / images
    size = config.reference_size
    return Budget(
        fraction=config.fraction or None,
        points=config.points or None,
        rounds=rounds,
        reference_size=size and tuple(size),
        seconds=seconds or None,
        price=seconds_per_pick(entry.asks, outlines) if seconds else None,
    )


def pool_limit(config: ConfigDict, rounds: int, sizes: Sequence[tuple[int, int]]) -> PoolLimit:
    """Returns what a round may ask of the whole pool.

    Args:
      config: the run's `config.acquisition`, of scope "pool".
      rounds: number of rounds that share the budget.
      sizes: (height, width) of each image of the pool.

    Raises:
      ValueError: as `build`.
    """
    entry = check(config)
    return budget(config, rounds, len(sizes)).pool(entry.budget, sizes, radius=config.radius)


def check(config: ConfigDict) -> Method:
    """Checks the values of a run's `config.acquisition`, and returns the method that it names.

    Raises:
      ValueError: unknown method, or a setting that makes no sense for it.
    """
    entry = method(config.method)
    _check_values(config, entry)
    _check_budget(config, entry)
    _check_scope(config, entry)
    return entry


def _settings(config: ConfigDict, entry: Method) -> dict[str, object]:
    return {name: config[name] for name in entry.settings if name in config}


def _check_values(config: ConfigDict, entry: Method) -> None:
    """Checks each field by itself."""
    for field in ("fraction", "max_fraction"):
        if not 0 <= config[field] <= 1:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]}; it is a share from 0 to 1."
            )
    for field in ("points", "radius", "seconds_per_image", "seconds"):
        if not 0 <= config[field] < math.inf:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]}; it can't be "
                f"{'negative' if config[field] < 0 else 'infinite'}."
            )
    size = config.reference_size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(
            f"config.acquisition.reference_size is {size}; it is the (height, width) in pixels of "
            "the image that config.acquisition.points refers to, or None."
        )
    for field, valid in (("scope", SCOPES), ("class_weights", CLASS_WEIGHTS)):
        if config[field] not in valid:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]!r}; choose one of: "
                f"{', '.join(valid)}."
            )


def _budget_fields(entry: Method) -> dict[str, str]:
    """The fields that may give a method's budget, with what they mean; without `max_fraction`."""
    takes = BUDGETS[entry.budget]
    if entry.budget == "cap":
        return {}
    return takes | _SECONDS if "seconds" in takes else takes


def _check_budget(config: ConfigDict, entry: Method) -> None:
    """Checks that a method gets one budget that it takes, and no other."""
    allowed = _budget_fields(entry)
    if not allowed:
        for field in BUDGET_FIELDS:
            if config[field]:
                raise ValueError(
                    f"config.acquisition.{field} is {config[field]}, but {entry.name} asks without "
                    "that budget; set it to 0."
                )
        return
    given = [field for field in BUDGET_FIELDS if config[field]]
    if len(given) == 1 and given[0] in allowed:
        return
    choices = [f"config.acquisition.{field}, {meaning}" for field, meaning in allowed.items()]
    got = ", ".join(f"{field} {config[field]}" for field in BUDGET_FIELDS)
    raise ValueError(
        f"config.acquisition.method {entry.name} asks {entry.asks}; it needs one budget over all "
        f"rounds: {'; '.join(choices[:-1])}; or {choices[-1]}. Got {got}: set one of these above 0 "
        "and the others to 0."
    )


def _check_scope(config: ConfigDict, entry: Method) -> None:
    """Checks that a method has scores where the config needs them."""
    if entry.picked_by_annotator and config.class_weights != "none":
        raise ValueError(
            f"config.acquisition.class_weights is {config.class_weights!r}, but the annotator "
            f"picks what {entry.name} asks; set it to 'none'."
        )
    if entry.budget == "cap" and not config.max_fraction and config.class_weights != "none":
        raise ValueError(
            f"config.acquisition.class_weights is {config.class_weights!r}, but without "
            f"config.acquisition.max_fraction {entry.name} asks all that it finds; set "
            "max_fraction above 0, or class_weights to 'none'."
        )
    if config.scope == "image":
        return
    if entry.budget == "cap" and not config.max_fraction:
        raise ValueError(
            "config.acquisition.scope is 'pool', but without config.acquisition.max_fraction "
            f"{entry.name} asks all that it finds; set max_fraction above 0, or scope to 'image'."
        )
    if entry.asks == "mask" and entry.budget == "points" and "count" in entry.parameters:
        raise ValueError(
            f"config.acquisition.scope is 'pool', but {entry.name} has to know how many pixels it "
            "may ask of an image, which the pool's budget doesn't say; set scope to 'image'."
        )
    if entry.budget == "own":
        raise ValueError(
            f"config.acquisition.scope is 'pool', but {entry.name} asks without a budget that "
            "images could share; set scope to 'image'."
        )
