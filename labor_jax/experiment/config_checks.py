"""Checks of a config before any data is read or any step compiled."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.active import strategies
from labor_jax.annotation.formats import EXISTING_FORMATS
from labor_jax.data import PAIRS, DataError, class_sampling
from labor_jax.experiment.plan import before_rounds, plan
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training import optimizers
from labor_jax.training.terms import RUNNING_STATISTICS

ANNOTATORS = ("oracle", "human")
PROTOCOLS = ("staged", "joint")
_OF_CLASSES = ("candidate_classes", "prototypical_pixels")
"""The terms that learn from answers of several classes."""

_OF_ANSWERS = ("answers", *_OF_CLASSES)
"""The terms that learn from answers alone."""


@contextlib.contextmanager
def config_errors() -> Iterator[None]:
    """Turns any ValueError of what is built inside from the config into a ConfigError."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


Require = Callable[[bool, str, str], None]
"""`require(fine, field, needs)`: notes a problem of a field that isn't fine."""


def check_config(config: ConfigDict) -> None:
    """Raises a ConfigError that lists every field with a value that can't be run.

    Args:
      config: see `labor_jax.config`.
    """
    problems = []

    def require(fine: bool, field: str, needs: str) -> None:
        if not fine:
            value = config
            for name in field.split("."):
                value = value[name]
            shown = "{…}" if isinstance(value, ConfigDict) else repr(value)
            problems.append(f"config.{field} is {shown}; {needs}.")

    _check_choices(config, require)
    _check_numbers(config, require)
    _check_optimizer(config, require)
    _check_random_rounds(config, require)
    _check_annotation(config, require)
    for section, fields in config.items():
        if isinstance(fields, ConfigDict) and "terms" in fields:
            _check_training(config, section, require)
    _check_selector(config, require)
    if config.protocol == "joint":
        _check_joint(config, require)
    _check_start(config, require)
    _check_inference(config, require)
    if not problems:
        _check_phases(config, require)
    if problems:
        raise ConfigError("The config can't be run:\n  " + "\n  ".join(problems))


def _check_choices(config: ConfigDict, require: Require) -> None:
    """The fields that name one of several things."""
    for field, value, valid in (
        ("annotator", config.annotator, ANNOTATORS),
        ("protocol", config.protocol, PROTOCOLS),
        ("acquisition.method", config.acquisition.method, tuple(acquisition.METHODS)),
        ("optimizer.name", config.optimizer.name, optimizers.OPTIMIZERS),
        ("data.source_sampling", config.data.source_sampling, class_sampling.SAMPLINGS),
    ):
        require(value in valid, field, f"choose one of: {', '.join(valid)}")


def _check_numbers(config: ConfigDict, require: Require) -> None:
    """Batch sizes, and what else is counted."""
    for field in (
        "retraining.stages",
        "source_batch_size",
        "target_batch_size",
        "evaluation_batch_size",
        "gradient_accumulation",
        "log_every",
        "checkpoint_every",
    ):
        require(config[field] > 0, field, "it must be at least 1")
    require(
        config.per_device_batch_size is None or config.per_device_batch_size > 0,
        "per_device_batch_size",
        "it must be at least 1, or None for no limit",
    )
    require(
        0 <= config.data.evaluation_from_answers < 1,
        "data.evaluation_from_answers",
        "it is a share from 0 to below 1",
    )
    require(0 <= config.retraining.share <= 1, "retraining.share", "it is a share from 0 to 1")
    for field in ("rounds", "preview_images"):
        require(config[field] >= 0, field, "it can't be negative")
    require(
        isinstance(config.seed, int) and 0 <= config.seed < 2**63,
        "seed",
        "it is a whole number from 0 to below 2**63",
    )
    require(config.acquisition.samples > 0, "acquisition.samples", "it must be at least 1")


def _check_optimizer(config: ConfigDict, require: Require) -> None:
    """The optimiser's numbers, also those that its rule doesn't use."""
    require(
        0 <= config.optimizer.momentum < 1,
        "optimizer.momentum",
        "it is a share from 0 to below 1",
    )
    for name in ("weight_decay", "head_multiplier", "power", "clip_norm"):
        require(config.optimizer[name] >= 0, f"optimizer.{name}", "it can't be negative")


def _check_random_rounds(config: ConfigDict, require: Require) -> None:
    """That something asks at random what the method asks, if rounds are at random."""
    rounds, method = config.acquisition.random_rounds, config.acquisition.method
    field = "acquisition.random_rounds"
    require(rounds >= 0, field, "it can't be negative")
    if rounds > 0 and method in acquisition.METHODS:
        require(
            strategies.at_random(acquisition.METHODS[method]) is not None,
            field,
            f"nothing asks at random what {method} asks, so it must be 0",
        )


def _check_annotation(config: ConfigDict, require: Require) -> None:
    """The labelling tool's fields, and whether people can answer the method."""
    annotation, method = config.annotation, acquisition.METHODS.get(config.acquisition.method)
    if config.annotator == "human" and method is not None:
        require(
            not method.picked_by_annotator,
            "acquisition.method",
            "people answer what is asked, they don't pick it; choose another method, or the oracle",
        )
    require(
        0 <= annotation.second_opinion <= 1,
        "annotation.second_opinion",
        "it is a share from 0 to 1",
    )
    for name, valid in (
        ("existing_format", tuple(EXISTING_FORMATS)),
        ("existing_unknown", ("error", "void")),
    ):
        require(
            annotation[name] in valid, f"annotation.{name}", f"choose one of: {', '.join(valid)}"
        )
    for name in ("lease_seconds", "dollars_per_hour"):
        require(annotation[name] > 0, f"annotation.{name}", "it must be above 0")


def _check_start(config: ConfigDict, require: Require) -> None:
    """What the model starts from."""
    require(
        config.model.batch_norm != "frozen" or bool(config.model.pretrained or config.warm_start),
        "model.batch_norm",
        "frozen batch norm needs pretrained weights; name them in model.pretrained",
    )
    method = acquisition.METHODS.get(config.acquisition.method)
    can_be_random = method is not None and strategies.at_random(method) is not None
    at_random = can_be_random and config.acquisition.random_rounds > 0
    needs_model = method is None or (method.needs_model and not at_random)
    if (
        not needs_model
        or config.supervised.steps + config.warmup.steps + config.retraining.steps > 0
        or (config.protocol == "joint" and any(config.joint.query_steps[:1]))
        or config.model.pretrained not in ("", "imagenet")
    ):
        return
    ways = ["name the file of a whole model in config.model.pretrained"]
    if can_be_random:
        ways.append("set config.acquisition.random_rounds above 0")
    if config.pair in PAIRS and not PAIRS[config.pair].has_source:
        field, why = "acquisition.method", f"the pair {config.pair} has no source to train on first"
        starting = [
            name
            for name, entry in acquisition.METHODS.items()
            if not entry.needs_model
            and not (entry.picked_by_annotator and config.annotator == "human")
        ]
        ways.append(f"choose a method that needs no model ({', '.join(starting)})")
    else:
        ways.insert(0, "set it above 0")
        field = "supervised.steps"
        why = (
            "there are none in config.warmup, in config.retraining or before the first of "
            "config.joint.query_steps either"
        )
    remedies = f"{', '.join(ways[:-1])}, or {ways[-1]}"
    require(False, field, f"{why}, so there is no model to start from; {remedies}")


def _check_selector(config: ConfigDict, require: Require) -> None:
    """The pixel selector's fields, and what a method that reads it needs."""
    selector, method = config.selector, acquisition.METHODS.get(config.acquisition.method)
    for name in ("noise", "reversal"):
        require(selector[name] >= 0, f"selector.{name}", "it can't be negative")
    require(
        0 <= selector.feature_dropout < 1,
        "selector.feature_dropout",
        "it is a share from 0 to below 1",
    )
    if config.rounds and method is not None and "selector_logits" in method.reads:
        require(
            selector.steps > 0, "selector.steps", f"{method.name} needs a trained pixel selector"
        )
        require(
            selector.noise > 0 or selector.feature_dropout > 0,
            "selector.noise",
            "with selector.feature_dropout 0 as well, the two heads stay copies",
        )


def _check_phases(config: ConfigDict, require: Require) -> None:
    """That each phase learns something, and that there are some after another run's."""
    phases = plan(config)
    require(
        bool(phases),
        "rounds",
        "no phase before the rounds has steps, so that there is nothing to do; set it to 1 or more",
    )
    if config.rounds and config.protocol == "staged":
        require(config.round.steps > 0, "round.steps", "rounds without steps learn nothing")
    without_answers = {phase.section for phase in before_rounds(phases)}
    for section in sorted({phase.section for phase in phases} - {""}):
        terms = {name for name, weight in config[section].terms.items() if weight}
        require(
            bool(terms),
            f"{section}.terms",
            "every weight in it is 0, so that its steps would learn nothing",
        )
        require(
            section not in without_answers or not terms or not terms.issubset(_OF_ANSWERS),
            f"{section}.terms",
            f"only {', '.join(sorted(terms))} has a weight, and there are no answers before the "
            "rounds, so that its steps would learn nothing (existing labels train from round 1 on)"
            + ("; let config.joint.query_steps start at 0" if section == "round" else ""),
        )
    method = acquisition.METHODS.get(config.acquisition.method)
    if config.rounds and method is not None and method.asks == "classes":
        require(
            any(config.round.terms[name] for name in _OF_CLASSES),
            "round.terms.candidate_classes",
            f"config.acquisition.method {method.name} asks all classes of a part, which no other "
            "term learns from; MulActSeg's weights are candidate_classes 0.5 and "
            "prototypical_pixels 0.0625",
        )
    require(
        not config.warm_start or len(plan(config)) > 1,
        "warm_start",
        "without rounds or another phase there is nothing to do after it",
    )


def _check_training(config: ConfigDict, section: str, require: Require) -> None:
    """What a section of training needs of its steps, its rate and its terms."""
    own = config[section]
    require(own.steps >= 0, f"{section}.steps", "it can't be negative")
    require(own.learning_rate > 0, f"{section}.learning_rate", "it must be above 0")
    require(
        own.get("running_statistics", "target") in RUNNING_STATISTICS,
        f"{section}.running_statistics",
        f"choose one of: {', '.join(RUNNING_STATISTICS)}",
    )
    for name, weight in own.terms.items():
        require(weight >= 0, f"{section}.terms.{name}", "a weight can't be negative")
    method = acquisition.METHODS.get(config.acquisition.method)
    for name in _OF_CLASSES:
        require(
            not own.terms[name] or (method is not None and method.asks == "classes"),
            f"{section}.terms.{name}",
            "it learns from answers that name several classes, which config.acquisition.method "
            f"{config.acquisition.method} doesn't ask for; multi_hot does",
        )


def _check_inference(config: ConfigDict, require: Require) -> None:
    """What evaluation needs of the fields `evaluation_…`; scoring takes the same windows."""
    scales, window = config.evaluation_scales, config.evaluation_window
    require(
        len(scales) > 0 and all(isinstance(scale, float | int) and scale > 0 for scale in scales),
        "evaluation_scales",
        "it holds factors above 0, at least one: (1.0,) for the images as they are",
    )
    overlap = config.evaluation_overlap
    require(overlap >= 0, "evaluation_overlap", "it can't be negative")
    if window is None:
        return
    least = overlap + 2 * config.model.output_stride
    require(
        len(window) == 2 and all(isinstance(side, int) and side >= least for side in window),
        "evaluation_window",
        f"it is (height, width), each at least {least} pixels, evaluation_overlap and twice "
        "model.output_stride, or None for whole images",
    )


def _check_joint(config: ConfigDict, require: Require) -> None:
    """What joint training needs of `config.joint`."""
    joint = config.joint
    for field in ("steps", "schedule_steps"):
        require(isinstance(joint[field], int), f"joint.{field}", "it is a whole number")
    require(
        all(isinstance(step, int) for step in joint.query_steps),
        "joint.query_steps",
        "they are whole numbers",
    )
    asking = tuple(joint.query_steps)[: config.rounds]
    require(joint.learning_rate > 0, "joint.learning_rate", "it must be above 0")
    require(
        len(joint.query_steps) >= max(config.rounds, 1),
        "joint.query_steps",
        f"it must name the step of each round, and config.rounds is {config.rounds}",
    )
    require(
        all(step >= 0 for step in asking)
        and all(early < late for early, late in itertools.pairwise(asking)),
        "joint.query_steps",
        "they must ascend from 0 or more",
    )
    require(
        all(step < joint.steps for step in asking),
        "joint.steps",
        f"training must go on after the last query, at step {max(asking, default=0)}",
    )
    require(
        joint.steps <= joint.schedule_steps,
        "joint.schedule_steps",
        f"the schedule can't end before training does, at step {joint.steps}",
    )
