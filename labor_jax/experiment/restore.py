"""Restores a run from its workdir: its state, its model, or its warm-up as another run's start."""

import contextlib
import json
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from labor_jax import acquisition, adaptation, models
from labor_jax.data import PAIRS, Pair
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import config_checks, data_checks, data_identity
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase, before_rounds, plan
from labor_jax.experiment.summary import Results
from labor_jax.experiment.workdir import (
    FREE_FIELDS,
    ConfigError,
    Workdir,
    differing_fields,
    effective_fields,
)
from labor_jax.training.checkpoints import CheckpointError, Checkpoints


class RestoredModel(NamedTuple):
    """A run's model.

    Attributes:
      components: the run's.
      model: the segmentation model's variables.
      phase: name of the phase that the checkpoint is of.
      step: its global step.
      results: what the run had found at that step.
    """

    components: Components
    model: dict[str, Any]
    phase: str
    step: int
    results: Results


def checkpoint_template(
    components: Components, phases: tuple[Phase, ...], progress: dict[str, Any]
) -> dict[str, Any]:
    """What a checkpoint holds, as shapes: `{"handover": Handover, "state": TrainState or None}`.

    Derived by tracing what each phase up to this one hands on.

    Args:
      components: the run's.
      phases: the run's.
      progress: the checkpoint's.
    """
    (last,) = (phase for phase in phases if phase.name == progress["phase"])
    replicated = NamedSharding(components.mesh, PartitionSpec())

    def contents():
        handover = Handover(model=components_lib.initial_variables(components), players={})
        for phase in phases[: phases.index(last) + 1]:
            kind = KINDS[phase.kind]
            state = kind.first_state(components, phase, handover, jax.random.key(0))
            if phase is last and progress["taken"] < phase.steps:
                return {"handover": kind.checkpointed(handover), "state": state}
            handover = kind.hand_on(phase, handover, state)
        return {"handover": handover, "state": None}

    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
        jax.eval_shape(contents),
    )


def restore_model(
    workdir: str | os.PathLike, which: str, roles: Collection[str], pair: Pair | None = None
) -> RestoredModel:
    """Reads the model of a run, finished or not.

    Args:
      workdir: the run's.
      which: "best" (by mIoU on the evaluation split) or "last".
      roles: the splits that the caller needs; files of the others need not be there.
      pair: data that stands in for what the run's `config.pair` names.

    Raises:
      ConfigError: there is no run in `workdir`, or `which` is neither "best" nor "last".
      CheckpointError: it has no checkpoint yet, or none that can be read.
    """
    if which not in ("best", "last"):
        raise ConfigError(f"The checkpoint is {which!r}; choose one of: best, last.")
    folder = Workdir.existing(workdir)
    config = folder.read_config()
    _check_registered(folder, config, pair)
    with config_checks.config_errors():
        components = components_lib.build(config, pair, roles=roles)
        phases = plan(config)
    with contextlib.closing(Checkpoints(folder.checkpoints, read_only=True)) as checkpoints:
        restore = checkpoints.restore_best if which == "best" else checkpoints.restore_latest
        found = restore(lambda progress: checkpoint_template(components, phases, progress))
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; let the run take some steps.")
    step, tree, progress = found
    model = tree["handover"].model or tree["state"].variables
    results = Results.from_json(progress["results"])
    return RestoredModel(components, model, progress["phase"], step, results)


def load_warm_start(
    components: Components, phases: tuple[Phase, ...]
) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Starts this run from another run's state before its rounds.

    Args:
      components: this run's; `config.warm_start` names the other's workdir.
      phases: this run's.

    Returns:
      (global step, checkpoint tree, results).

    Raises:
      ConfigError: the other run warmed up differently, or has not finished.
      CheckpointError: its checkpoint can't be read.
      DataError: its source or pool was another one.
    """
    folder = Workdir.existing(components.config.warm_start)
    their_config = folder.read_config()
    their_phases = plan(their_config)
    theirs, ours = (_before_rounds_fields(config) for config in (their_config, components.config))
    differing = {
        name: values
        for name, values in differing_fields(theirs, ours).items()
        if name not in (*FREE_FIELDS, "data.evaluation_from_answers", "data.evaluation_size")
    }
    if differing:
        raise ConfigError(
            f"config.warm_start names {folder.path}, which was configured differently before its "
            "rounds: "
            + "; ".join(
                f"config.{name} is {old!r} there and {new!r} here"
                for name, (old, new) in differing.items()
            )
        )
    roles = data_checks.roles_in_use(components.config) - {"evaluation"}
    data_identity.check(folder, components.pair, roles=roles)
    with contextlib.closing(Checkpoints(folder.checkpoints, read_only=True)) as checkpoints:
        found = checkpoints.restore_latest(
            lambda progress: checkpoint_template(components, their_phases, progress)
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


def _check_registered(folder: Workdir, config: ConfigDict, pair: Pair | None) -> None:
    """Checks that what a run was made of is registered in this process too."""
    sections = [config[name] for name in config if isinstance(config[name], ConfigDict)]
    terms = {
        name
        for section in sections
        if isinstance(section.get("terms"), ConfigDict)
        for name, weight in section.terms.items()
        if weight
    }
    used = [
        ("backbone", config.model.backbone, models.BACKBONES),
        ("head", config.model.head, models.HEADS),
        *(("term", name, adaptation.TERMS) for name in sorted(terms)),
    ]
    if config.rounds:
        used.append(("acquisition method", config.acquisition.method, acquisition.METHODS))
    if pair is None:
        used.append(("data pair", config.pair, PAIRS))
    missing = [f"the {kind} {name!r}" for kind, name, registry in used if name not in registry]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        raise ConfigError(
            f"{folder.path} is a run with {' and '.join(missing)}, which {verb} not registered. "
            "Name the Python file that does it: --extension FILE; in Python, import that file."
        )


def _before_rounds_fields(config: ConfigDict) -> dict[str, Any]:
    """The fields of a config that decide how its run comes to its rounds, as JSON has them.

    All but those of the rounds: a field that a phase before them might read is one that matters.
    """
    effective = effective_fields(json.loads(config.to_json()))
    fields = {name: value for name, value in effective.items() if name not in _OF_THE_ROUNDS}
    phases = before_rounds(plan(config))
    sections = {phase.section for phase in phases}
    used = {name for section in sections for name in effective[section]["terms"]}
    fields["terms"] = {name: own for name, own in fields["terms"].items() if name in used}
    if any(phase.joint for phase in phases):
        joint = effective["joint"]
        fields["joint"] = {**joint, "query_steps": joint["query_steps"][0]}
        del fields["joint"]["steps"]
        fields["round"] = effective["round"]["terms"]
        fields["protocol"] = config.protocol
    return fields


_OF_THE_ROUNDS = (
    "acquisition",
    "annotation",
    "annotator",
    "evaluation_batch_size",
    "evaluation_flip",
    "evaluation_overlap",
    "evaluation_scales",
    "evaluation_window",
    "joint",
    "method",
    "preview_images",
    "protocol",
    "round",
    "rounds",
    "selector",
)
