"""Reading a run from its workdir: its model, or its warm-up as another run's start."""

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec

from labor_jax import components
from labor_jax.components import Components
from labor_jax.phase_training import phase_training
from labor_jax.phases import Phase, before_rounds, hands_on_optimizer, plan
from labor_jax.training.checkpoints import CheckpointError, Checkpoints
from labor_jax.workdir import FREE_FIELDS, ConfigError, Workdir, differing_fields

# What the phases before the rounds depend on; the rest of two configs may differ.
_WARMUP_FIELDS = (
    "data",
    "model",
    "optimizer",
    "pair",
    "seed",
    "source",
    "source_batch_size",
    "target_batch_size",
    "warmup",
)
# The same of joint training before it first asks, with the weights of config.round.
_JOINT_FIELDS = ("learning_rate", "schedule_steps")


class RestoredModel(NamedTuple):
    """A run's model.

    Attributes:
      parts: the run's components.
      model: `{"backbone": variables, "classifier": variables}`, and maybe "auxiliary".
      phase: name of the phase that the checkpoint is of.
      step: its global step.
    """

    parts: Components
    model: dict[str, Any]
    phase: str
    step: int


def checkpoint_template(
    parts: Components, phases: tuple[Phase, ...], progress: dict[str, Any]
) -> dict[str, Any]:
    """What a checkpoint holds, as shapes: `{"carry": carry or None, "training": state or None}`.

    Args:
      parts: the run's components.
      phases: the run's.
      progress: the checkpoint's.
    """
    phase = next(each for each in phases if each.name == progress["phase"])
    replicated = NamedSharding(parts.mesh, PartitionSpec())

    def shapes():
        carry = {**components.initial_variables(parts), "selector": None, "optimizers": None}
        if hands_on_optimizer(phases, phase):
            state = phase_training(parts, "train").create(carry, jax.random.key(0))
            carry["optimizers"] = (state.optimizer, state.discriminator_optimizer)
        if progress["taken"] == phase.steps:
            if phase.kind == "selector":
                model = carry["model"]
                classifiers = (model["classifier"], model["classifier"])
                carry["selector"] = {"backbone": model["backbone"], "classifiers": classifiers}
            return {"carry": carry, "training": None}
        training = phase_training(parts, phase.kind).create(carry, jax.random.key(0))
        return {"carry": carry if phase.kind == "selector" else None, "training": training}

    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
        jax.eval_shape(shapes),
    )


def restore_model(workdir: Path, which: str, roles: Collection[str]) -> RestoredModel:
    """Reads the model of a run, finished or not.

    Args:
      workdir: the run's.
      which: "best" (by mIoU on the evaluation split) or "last".
      roles: the splits that the caller needs; files of the others need not be there.

    Raises:
      ConfigError: there is no run in `workdir`.
      CheckpointError: it has no checkpoint yet, or none that can be read.
    """
    folder = Workdir.existing(workdir)
    config = folder.read_config()
    try:
        parts, phases = components.build(config, roles=roles), plan(config)
    except (AttributeError, KeyError) as error:
        raise _of_another_version(folder, error) from error
    with contextlib.closing(Checkpoints(folder.checkpoints, read_only=True)) as checkpoints:
        restore = checkpoints.restore_best if which == "best" else checkpoints.restore_latest
        found = restore(lambda progress: checkpoint_template(parts, phases, progress))
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; let the run take some steps.")
    step, tree, progress = found
    model = (tree["carry"] or {}).get("model") or tree["training"].model
    return RestoredModel(parts, model, progress["phase"], step)


def load_warm_start(
    parts: Components, phases: tuple[Phase, ...]
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Takes over another run's end before its rounds, as if this run had come there itself.

    Args:
      parts: this run's components; `config.warm_start` names the other's workdir.
      phases: this run's.

    Returns:
      (global step, checkpoint tree, results).

    Raises:
      ConfigError: the other run warmed up differently, or isn't over.
      CheckpointError: its checkpoint can't be read.
    """
    folder = Workdir.existing(parts.config.warm_start)
    joint = any(phase.joint for phase in before_rounds(phases))
    their_config = folder.read_config()
    try:
        their_phases = plan(their_config)
        theirs, ours = (
            _start_fields(config.to_dict(), joint) for config in (their_config, parts.config)
        )
    except (AttributeError, KeyError) as error:
        raise _of_another_version(folder, error) from error
    differing = {
        name: values
        for name, values in differing_fields(_plain(theirs), _plain(ours)).items()
        if name not in (*FREE_FIELDS, "data.evaluation_size")
    }
    if differing:
        raise ConfigError(
            f"config.warm_start names {folder.path}, which came to its rounds in another way: "
            + "; ".join(
                f"config.{name} is {old!r} there and {new!r} here"
                for name, (old, new) in differing.items()
            )
        )
    with contextlib.closing(Checkpoints(folder.checkpoints, read_only=True)) as checkpoints:
        found = checkpoints.restore_latest(
            lambda progress: checkpoint_template(parts, their_phases, progress)
        )
    last = before_rounds(phases)[-1]
    if found is None or (found[2]["phase"], found[2]["taken"]) != (last.name, last.steps):
        raise ConfigError(
            f"config.warm_start names {folder.path}, whose last checkpoint is not the end of "
            f"phase {last.name}; give the workdir of a finished run of this config with "
            "--config.rounds=0."
        )
    _, tree, progress = found
    return last.last_step, tree, progress["results"]


def _of_another_version(folder: Workdir, error: Exception) -> ConfigError:
    return ConfigError(
        f"{folder.config} is of another version of labor_jax, or damaged: {error}. Use the version "
        "that wrote it."
    )


def _start_fields(config: dict[str, Any], joint: bool) -> dict[str, Any]:
    """The fields of a config that decide how its run comes to its rounds."""
    fields = {field: config.get(field) for field in _WARMUP_FIELDS}
    if joint:
        fields["protocol"] = config.get("protocol")
        fields["joint"] = {field: config["joint"][field] for field in _JOINT_FIELDS}
        fields["joint"]["query_steps"] = config["joint"]["query_steps"][0]
        fields["round"] = {
            name: value for name, value in config["round"].items() if name.endswith("_weight")
        }
        if config["round"]["adversarial_weight"]:
            rate = "discriminator_learning_rate"
            fields["round"][rate] = config["round"][rate]
    return fields


def _plain(tree: Any) -> Any:
    """Tuples as lists, as JSON has it."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree
