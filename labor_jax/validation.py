"""Checks of a config before any data is read or any step compiled."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from labor_jax.acquisition import strategies
from labor_jax.adaptation import adversarial
from labor_jax.data import DataError
from labor_jax.training import optimizers
from labor_jax.workdir import ConfigError

ANNOTATORS = ("oracle", "human")
PROTOCOLS = ("staged", "joint")


@contextlib.contextmanager
def config_errors() -> Iterator[None]:
    """Makes a ConfigError of any ValueError: what is built inside is built of the config."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_config(config: ConfigDict) -> None:
    """Raises a ConfigError that lists every field whose value can't be run.

    Args:
      config: see configs/common.py.
    """
    problems = []

    def require(fine: bool, field: str, needs: str) -> None:
        if not fine:
            value = config
            for name in field.split("."):
                value = value[name]
            problems.append(f"config.{field} is {value!r}; {needs}.")

    def one_of(field: str, value: str, valid: tuple[str, ...]) -> None:
        require(value in valid, field, f"choose one of: {', '.join(valid)}")

    one_of("annotator", config.annotator, ANNOTATORS)
    if config.annotator == "human" and config.acquisition.method in strategies.METHODS:
        require(
            not strategies.picked_by_annotator(config.acquisition.method),
            "acquisition.method",
            "people answer what is asked, they don't pick it; choose another method, or the oracle",
        )
    annotation = config.annotation
    require(
        0 <= annotation.second_opinion <= 1,
        "annotation.second_opinion",
        "it is a share from 0 to 1",
    )
    for name in ("lease_seconds", "dollars_per_hour"):
        require(annotation[name] > 0, f"annotation.{name}", "it must be above 0")
    one_of("protocol", config.protocol, PROTOCOLS)
    one_of("acquisition.method", config.acquisition.method, strategies.METHODS)
    one_of("optimizer.name", config.optimizer.name, optimizers.OPTIMIZERS)
    one_of(
        "warmup.discriminator_input",
        config.warmup.discriminator_input,
        adversarial.DISCRIMINATOR_INPUTS,
    )
    require(
        config.model.batch_norm != "frozen" or bool(config.model.pretrained or config.warm_start),
        "model.batch_norm",
        "that holds for pretrained weights; name them in model.pretrained",
    )
    for field in (
        "source_batch_size",
        "target_batch_size",
        "evaluation_batch_size",
        "gradient_accumulation",
    ):
        require(config[field] > 0, field, "it must be at least 1")
    require(
        config.per_device_batch_size is None or config.per_device_batch_size > 0,
        "per_device_batch_size",
        "it must be at least 1, or None for no limit",
    )
    for field in ("rounds", "preview_images", "seed"):
        require(config[field] >= 0, field, "it can't be negative")
    for field in ("log_every", "checkpoint_every"):
        require(config[field] > 0, field, "it must be at least 1")
    for phase in ("source", "warmup", "selector", "round"):
        require(config[phase].steps >= 0, f"{phase}.steps", "it can't be negative")
        require(config[phase].learning_rate > 0, f"{phase}.learning_rate", "it must be above 0")
    joint = config.protocol == "joint"
    query_steps = config.joint.query_steps
    if joint:
        _check_joint(config, require)
    require(
        config.source.steps + config.warmup.steps > 0
        or (joint and any(query_steps[:1]))
        or config.model.pretrained not in ("", "imagenet"),
        "source.steps",
        "without steps there, in config.warmup or before the first of config.joint.query_steps, "
        "there is no model to start from, unless config.model.pretrained names a file of one",
    )
    require(
        not (config.warm_start and not config.rounds),
        "warm_start",
        "without rounds there is nothing to do after it",
    )
    weights = [name for name in config.round if name.endswith("_weight")]
    for field in (
        "warmup.adversarial_weight",
        "warmup.auxiliary_weight",
        "warmup.auxiliary_adversarial_weight",
        "selector.noise",
        "selector.discrepancy_weight",
        *(f"round.{name}" for name in weights),
    ):
        section, name = field.split(".")
        require(config[section][name] >= 0, field, "it can't be negative")
    if config.rounds:
        require(
            any(config.round[name] > 0 for name in weights),
            "round.target_weight",
            "with every weight of config.round 0, the rounds learn nothing",
        )
        require(
            joint or config.round.steps > 0, "round.steps", "rounds without steps learn nothing"
        )
        if config.acquisition.method in strategies.METHODS and strategies.uses_selector(
            config.acquisition.method
        ):
            require(
                config.selector.steps > 0,
                "selector.steps",
                f"{config.acquisition.method} needs a trained pixel selector",
            )
            require(
                config.selector.noise > 0 or config.selector.feature_dropout > 0,
                "selector.noise",
                "with selector.feature_dropout 0 as well, the two classifiers stay copies",
            )
    _check_inference(config, require)
    require(
        0 <= config.selector.feature_dropout < 1,
        "selector.feature_dropout",
        "it is a share from 0 to below 1",
    )
    if problems:
        raise ConfigError("The config can't be run:\n  " + "\n  ".join(problems))


def _check_inference(config: ConfigDict, require: Callable[[bool, str, str], None]) -> None:
    """What evaluation needs of the fields of that name, and scoring of the windows."""
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


def _check_joint(config: ConfigDict, require: Callable[[bool, str, str], None]) -> None:
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
