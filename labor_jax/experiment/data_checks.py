"""Checks of a config against the data's sizes, before anything is written."""

import logging
import math

from ml_collections import ConfigDict

from labor_jax import output_files, user_code
from labor_jax.acquisition import Budget, Method
from labor_jax.active import strategies
from labor_jax.annotation import Oracle
from labor_jax.data import ROLES, Augment, DataError, Pair, Split, label_sets, messages, pipeline
from labor_jax.data.base import holds_a_class
from labor_jax.experiment import batch_inputs, held_out, size_checks, warm_start
from labor_jax.experiment import budget as budget_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase
from labor_jax.experiment.workdir import ConfigError, Workdir

logger = logging.getLogger(__name__)


def check_workdir(folder: Workdir, pair: Pair) -> None:
    """Refuses to begin a run in a folder that it reads, where its pictures would be images.

    A run that has begun there may go on: its data are compared with those that it began with.

    Raises:
      ConfigError: the workdir is, or lies in, such a folder.
    """
    if folder.begun:
        return
    for role in ROLES:
        around = output_files.enclosing(folder.path, getattr(getattr(pair, role), "folders", ()))
        if around is not None:
            raise ConfigError(
                f"The run reads {around.absolute()} as data.{role}, so the workdir "
                f"{folder.path.absolute()} can't be there: the pictures that a run writes would "
                "become images of it. Nothing was written. Choose a --workdir outside of it."
            )


def check_data(components: Components) -> None:
    """Raises what training on the splits would raise later, and warns of a crop that is too large.

    Raises:
      DataError, ValueError: see `pipeline.check_training` and `Oracle.check`; or the labels to
        train or measure on are void everywhere.
    """
    config, phases = components.config, warm_start.own_phases(components.config)
    held_out.check_held_out(config, components.pair)
    too_small = []
    if components.pair.source is None and "source" in _domains(config):
        raise ValueError(
            f"The pair {components.pair.name} has no source images, but the config trains on some. "
            "Set config.supervised.steps and config.warmup.steps to 0, and the terms of "
            "config.round.terms that read the source, such as source_labels."
        )
    for domain in sorted(_domains(config)):
        images = batch_inputs.training_images(components, domain)
        pipeline.check_training(images, batch_inputs.training_spec(components, domain))
        too_small += _smaller_than_crop(domain, images.split, images.augment, config.data)
    if too_small:
        logger.warning(
            "config.data.augment.crop is %s, which is larger than %s. They are padded with void to "
            "that size, which costs time and teaches nothing; choose a smaller crop.",
            messages.dimensions(config.data.augment.crop),
            " and ".join(too_small),
        )
    size_checks.check_image_sizes(components, phases)
    size_checks.check_target_batches(components, phases)
    size_checks.check_whole_images(components, phases)
    _check_classes_in_labels(components, phases)
    if config.rounds and config.annotator == "oracle":
        Oracle(components.pair.pool).check()
    most, classes = label_sets.MAX_CLASSES, components.pair.num_classes
    if config.rounds and strategies.asks_sets(config) and classes > most:
        raise ValueError(
            f"config.acquisition.method {config.acquisition.method} asks for all classes of a "
            f"part, which works with at most {most}; the pair {config.pair} has {classes}."
        )


def _check_classes_in_labels(components: Components, phases: tuple[Phase, ...]) -> None:
    """Refuses labels to train or measure on that are void everywhere, before hours of training."""
    pair = components.pair
    if "source" in _domains(components.config) and not holds_a_class(pair.source):
        raise DataError(
            f"The labels of all {len(pair.source)} source images are void everywhere, so the model "
            "learns nothing from them. Put classes in them, or leave the source out."
        )
    measured = any(KINDS[phase.kind].evaluates for phase in phases)
    if measured and pair.evaluation is not None and not holds_a_class(pair.evaluation):
        raise DataError(
            f"The labels of all {len(pair.evaluation)} evaluation images are void everywhere, so "
            "they have no mIoU. Put classes in them, or leave the evaluation images out."
        )


def roles_in_use(config: ConfigDict) -> set[str]:
    """The splits whose images a run reads; RIPU without source reads none of the source."""
    return {"pool", "evaluation"} | ({"source"} & _domains(config))


def _domains(config: ConfigDict) -> set[str]:
    """The domains whose training images a run reads."""
    return {
        domain
        for phase in warm_start.own_phases(config)
        for domain in KINDS[phase.kind].domains(config, phase)
    }


def check_budget(components: Components) -> None:
    """Refuses a budget that doesn't hold a single pick a round; warns if it does in some images.

    It also warns if the budget holds more picks than the method can find. Call it after the
    config's budget was found to be of the method's kind.

    Raises:
      ValueError: it holds none in any image; the message says the smallest budget that does.
    """
    config, pool = components.config, components.pair.pool
    method = strategies.method(config.acquisition.method)
    if not config.rounds or pool is None or method.picked_by_annotator:
        return
    radius = config.acquisition.radius
    if config.acquisition.max_fraction and method.budget != "cap":
        logger.warning(
            "config.acquisition.max_fraction is %g, but it limits masks such as SPL's alone: %s "
            "doesn't follow it.",
            config.acquisition.max_fraction,
            method.name,
        )
    budget = budget_lib.build(components)
    if method.budget == "images":
        _check_images_budget(budget, len(pool))
        return
    sizes = [tuple(pool.size(number)) for number in range(len(pool))]
    _warn_of_unspent(config.acquisition, budget, method, sizes)
    if config.acquisition.scope == "pool":
        _check_pool_budget(config.acquisition, budget, method, sizes)
        return
    holds = {size: budget.holds_a_pick(method.budget, size, radius=radius) for size in set(sizes)}
    if all(holds.values()):
        return
    # Seconds of the whole pool, which each image has a part of.
    images = len(sizes) if config.acquisition.seconds else None
    largest = max(sizes, key=math.prod)
    if not holds[largest]:
        raise ValueError(_too_small(budget, method, largest, radius, images))
    few = sum(not holds[size] for size in sizes)
    smallest = min(sizes, key=math.prod)
    nothing = method.budget == "cap" or budget.seconds is not None
    happens = "nothing is asked" if nothing else "more than the budget is asked"
    problem = _too_small(budget, method, smallest, radius, images)
    logger.warning("In %d of the pool's %d images %s. %s", few, len(sizes), happens, problem)


def _check_images_budget(budget: Budget, images: int) -> None:
    if not sum(budget.images(images, number + 1) for number in range(budget.rounds)):
        price = "" if budget.price is None else f" of about {budget.price.pick:.0f} s each"
        raise ValueError(
            f"The budget in config.acquisition is too small for even one of the pool's {images} "
            f"whole images{price}. Raise it."
        )


def _warn_of_unspent(
    config: ConfigDict, budget: Budget, method: Method, sizes: list[tuple[int, int]]
) -> None:
    """Warns if a budget holds more picks than the method can find in an image."""
    if method.most_picks is None:
        return
    rounds = budget.rounds - config.random_rounds
    picks = {
        size: rounds * (budget.picks(method.budget, size, radius=config.radius) or 0)
        for size in set(sizes)
    }
    with user_code.naming(f"most_picks of the acquisition method {method.name!r}"):
        most = {size: int(method.most_picks(size)) for size in picks}
    short = [size for size in sizes if picks[size] > most[size]]
    if short:
        worst = max(short, key=lambda size: picks[size] / max(most[size], 1))
        logger.warning(
            "In %d of the pool's %d images the budget in config.acquisition holds more picks than "
            "%s can find: %d over %d rounds in an image of %s pixels, where it can find %d. The "
            "rest is not asked. Lower the budget, or choose another method, such as core_set.",
            len(short),
            len(sizes),
            method.name,
            picks[worst],
            rounds,
            messages.dimensions(worst),
            most[worst],
        )


def _check_pool_budget(
    config: ConfigDict, budget: Budget, method: Method, sizes: list[tuple[int, int]]
) -> None:
    if budget.pool_holds_a_pick(method.budget, sizes, radius=config.radius):
        return
    least = budget.least_of_pool(method.budget, sizes, radius=config.radius)
    fields = ("max_fraction",) if method.budget == "cap" else strategies.BUDGET_FIELDS
    field = next(name for name in fields if config[name])
    if field == "seconds_per_image":
        least = math.ceil(100 * least / len(sizes)) / 100
    reachable = field not in ("fraction", "max_fraction") or least <= 1
    raise_it = f"Set config.acquisition.{field} to {least:.10g} or more, or lower"
    raise ValueError(
        f"config.acquisition.scope is 'pool', but {field}={config[field]:.10g} of all {len(sizes)} "
        f"images together does not hold a single pick in each of {budget.rounds} rounds. "
        f"{raise_it if reachable else 'Lower'} config.rounds."
    )


def _too_small(
    budget: Budget, method: Method, size: tuple[int, int], radius: int, images: int | None
) -> str:
    least = budget.least(method.budget, size, radius=radius)
    if budget.seconds is not None:
        field, given, enough = "seconds_per_image", "", f"{least:.10g}"
        if images is not None:
            field, given = "seconds", f", {budget.seconds:g} s for each of {images} images"
            enough = f"{round(images * least, 2):.10g}"
        value = budget.seconds * (images or 1)
        return (
            f"config.acquisition.{field} is {value:.10g}{given}, over {budget.rounds} rounds. But "
            f"opening an image takes {budget.price.image:g} s a round, and a pick "
            f"{budget.price.pick:g} s. Set it to {enough} or more, lower config.rounds, or set "
            "config.acquisition.scope to 'pool'."
        )
    side, regions = 2 * radius + 1, method.budget == "regions"
    one = "superpixel" if method.budget == "superpixels" else "pixel"
    pick = f"one region of {side}x{side} pixels" if regions else f"one {one}"
    if budget.fraction is None:
        field, value = "points", budget.points
        height, width = budget.reference_size or size
        pixels = value * math.prod(size) / (height * width)
    else:
        field = "max_fraction" if method.budget == "cap" else "fraction"
        value = budget.fraction
        pixels = value * math.prod(size)
    remedy = "config.acquisition.radius or config.rounds" if regions else "config.rounds"
    enough = "Lower" if field != "points" and least > 1 else f"Set it to {least} or more, or lower"
    return (
        f"config.acquisition.{field} is {value}, over {budget.rounds} rounds. In an image of "
        f"{messages.dimensions(size)} pixels that is {pixels / budget.rounds:.2g} {one}s a round, "
        f"but the least that can be asked is {pick}. {enough} {remedy}."
    )


def _smaller_than_crop(domain: str, split: Split, augment: Augment | None, data) -> list[str]:
    """Describes a domain's images if the crop is larger than they ever are."""
    if augment is None or not augment.crop:
        return []
    largest = augment.scale[1] if augment.scale else 1.0
    resized = data[f"{domain}_size"]
    sizes = {tuple(resized)} if resized else {split.size(number) for number in range(len(split))}
    small = [
        size
        for size in sizes
        if any(crop > side * largest for crop, side in zip(augment.crop, size, strict=True))
    ]
    if not small:
        return []
    scaled = f", scaled by up to {largest:g}" if augment.scale else ""
    of_field = f" (config.data.{domain}_size)" if resized else ""
    return [
        f"the {domain} images of {messages.dimensions(min(small, key=math.prod))}{of_field}{scaled}"
    ]
