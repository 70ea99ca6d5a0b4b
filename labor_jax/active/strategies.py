"""Builds the strategy that a config names, after checking its budget and settings."""

from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.acquisition import Budget, Method, Strategy


def method(name: str) -> Method:
    """Looks up what `config.acquisition.method` names.

    Returns:
      The method; its `asks`, `reads`, `budget` and `picked_by_annotator` say what a round needs.

    Raises:
      ValueError: unknown method; the message lists all methods.
    """
    return acquisition.method(name, field="config.acquisition.method")


def asks_sets(config: ConfigDict) -> bool:
    """Whether answers may be sets of classes: of the run's config, if it asks "classes"."""
    return method(config.acquisition.method).asks == "classes"


def build(config: ConfigDict, rounds: int) -> Strategy | None:
    """Binds the method that a config names to its budget and settings.

    Args:
      config: the run's `config.acquisition`.
      rounds: number of rounds that share the budget.

    Returns:
      The strategy, a function of one `PoolImage` that returns its `Query`. None if the annotator
      picks the pixels.

    Raises:
      ValueError: unknown method, or a setting that makes no sense for it.
    """
    entry = method(config.method)
    _check_values(config)
    _check_budget(config, entry)
    if entry.picked_by_annotator:
        return None
    return acquisition.bind(
        entry,
        budget(config, rounds),
        radius=config.radius,
        settings={name: config[name] for name in entry.settings if name in config},
    )


def budget(config: ConfigDict, rounds: int) -> Budget:
    """Returns what all rounds together may ask of an image.

    Args:
      config: the run's `config.acquisition`.
      rounds: number of rounds that share the budget.

    Raises:
      ValueError: unknown method.
    """
    fraction = config.max_fraction if method(config.method).budget == "cap" else config.fraction
    size = config.reference_size
    return Budget(fraction or None, config.points or None, rounds, size and tuple(size))


def _check_values(config: ConfigDict) -> None:
    """Checks each field by itself, whichever method reads it."""
    for field in ("fraction", "max_fraction"):
        if not 0 <= config[field] <= 1:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]}; it is a share from 0 to 1."
            )
    for field in ("points", "radius"):
        if config[field] < 0:
            raise ValueError(
                f"config.acquisition.{field} is {config[field]}; it can't be negative."
            )
    size = config.reference_size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(
            f"config.acquisition.reference_size is {size}; it is the (height, width) in pixels of "
            "the image that config.acquisition.points refers to, or None."
        )
    if config.distance not in acquisition.DISTANCES:
        raise ValueError(
            f"config.acquisition.distance is {config.distance!r}; choose one of: "
            f"{', '.join(acquisition.DISTANCES)}."
        )


def _check_budget(config: ConfigDict, entry: Method) -> None:
    """Checks that a method gets the budget it takes, and no other."""
    got = f"got fraction {config.fraction} and points {config.points}"
    if entry.budget == "regions" and (config.points or not config.fraction):
        raise ValueError(
            f"config.acquisition.method {entry.name} asks regions; its budget is "
            "config.acquisition.fraction, the share of an image's pixels over all rounds; "
            f"{got}: set fraction above 0 and points to 0."
        )
    if entry.budget == "points" and bool(config.points) == bool(config.fraction):
        raise ValueError(
            f"config.acquisition.method {entry.name} needs one budget: either "
            "config.acquisition.fraction, the share of an image's pixels, or "
            "config.acquisition.points, the number of them, both over all rounds; "
            f"{got}: set one above 0 and the other to 0."
        )
    if entry.budget in ("cap", "own"):
        for field in ("fraction", "points"):
            if config[field]:
                raise ValueError(
                    f"config.acquisition.{field} is {config[field]}, but {entry.name} asks without "
                    "that budget; set it to 0."
                )
