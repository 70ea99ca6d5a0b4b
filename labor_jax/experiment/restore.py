"""Restores a run from its workdir: its state, its model, or its end as another run's start."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from labor_jax import acquisition, adaptation, models
from labor_jax.data import PAIRS, Pair
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import config_checks, data_checks, data_identity, warm_start
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase, plan
from labor_jax.experiment.summary import Results
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training import mesh as mesh_lib
from labor_jax.training.checkpoints import CheckpointError, Checkpoints

logger = logging.getLogger(__name__)


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
    last = _phase_of(phases, progress)

    def contents():
        handover = Handover(model=components_lib.initial_variables(components), players={})
        for phase in phases[: phases.index(last) + 1]:
            kind = KINDS[phase.kind]
            state = kind.first_state(components, phase, handover, jax.random.key(0))
            if phase is last and progress["taken"] < phase.steps:
                return {"handover": kind.checkpointed(handover), "state": state}
            handover = kind.hand_on(components, phase, handover, state)
        return {"handover": handover, "state": None}

    return _replicated(components, jax.eval_shape(contents))


def _model_template(
    components: Components, phases: tuple[Phase, ...], progress: dict[str, Any]
) -> dict[str, Any]:
    """Where a checkpoint keeps the model, as shapes in dicts.

    What terms remember may depend on the data, which need not be there to read the model.
    """
    phase = _phase_of(phases, progress)
    model = _replicated(components, components.variable_shapes)
    kept = KINDS[phase.kind].checkpointed(Handover(model=model, players={})).model
    if kept is None and progress["taken"] < phase.steps:
        return {"state": {"variables": model}}
    return {"handover": {"model": model}}


def _phase_of(phases: tuple[Phase, ...], progress: dict[str, Any]) -> Phase:
    (phase,) = (phase for phase in phases if phase.name == progress["phase"])
    return phase


def _replicated(components: Components, shapes: Any) -> Any:
    """The shapes of arrays that lie on all of a run's devices."""
    replicated = NamedSharding(components.mesh, PartitionSpec())
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated),
        shapes,
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
      CheckpointError: it has no checkpoint yet, or none that can be read; or "best" is asked for
        and no checkpoint has an mIoU.
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
        found = restore(lambda progress: _model_template(components, phases, progress), part=True)
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; let the run take some steps.")
    step, tree, progress = found
    model = tree["handover"]["model"] if "handover" in tree else tree["state"]["variables"]
    results = Results.from_json(progress["results"])
    return RestoredModel(components, model, progress["phase"], step, results)


def load_warm_start(
    components: Components, phases: tuple[Phase, ...]
) -> tuple[int, dict[str, Any], Results]:
    """Starts this run from another run's state before its rounds.

    Args:
      components: this run's; `config.warm_start` names the other's workdir.
      phases: this run's.

    Returns:
      (global step, checkpoint tree, results). mIoU is None where the other run has measured it in
      another way than this one does.

    Raises:
      ConfigError: the other run was configured differently up to there, or has not finished; or
        nothing is left to do.
      CheckpointError: its checkpoint can't be read.
      DataError: its source or pool was another one.
    """
    folder = Workdir.existing(components.config.warm_start)
    their_config = folder.read_config()
    their_phases = plan(their_config)
    try:
        name = warm_start.shared_phase(components.config, their_config)
    except ValueError as error:
        raise ConfigError(
            f"config.warm_start names {folder.path}, which {error}. Give the workdir of a finished "
            "run of this config with --config.rounds=0, or of one that ends earlier, such as "
            "source_only."
        ) from error
    (last,) = (phase for phase in phases if phase.name == name)
    if last == phases[-1]:
        raise ConfigError(
            f"config.warm_start names {folder.path}, which ends where this run would: nothing is "
            "left to do. Set config.rounds, or give a run that ends earlier."
        )
    roles = data_checks.roles_in_use(components.config) - {"evaluation"}
    accept_changes = components.config.data.accept_changes
    data_identity.check(folder, components.pair, roles=roles, accept_changes=accept_changes)
    theirs = _components_of(folder, their_config, components)
    with contextlib.closing(Checkpoints(folder.checkpoints, read_only=True)) as checkpoints:
        found = checkpoints.restore_latest(
            lambda progress: checkpoint_template(theirs, their_phases, progress)
        )
    if found is None or (found[2]["phase"], found[2]["taken"]) != (last.name, last.steps):
        raise ConfigError(
            f"config.warm_start names {folder.path}, whose last checkpoint is not the end of "
            f"phase {last.name}; give the workdir of a finished run of this config with "
            "--config.rounds=0, or of one that ends earlier."
        )
    _, tree, progress = found
    results = _measured_alike(
        folder, their_config, components, Results.from_json(progress["results"])
    )
    return last.last_step, _for_network(components, tree), results


def _measured_alike(
    folder: Workdir, their_config: ConfigDict, components: Components, results: Results
) -> Results:
    """Another run's results, without what it measured in another way than this run does."""
    fields = warm_start.measured_otherwise(components.config, their_config)
    ways = [f"config.{name}" for name in fields]
    if components.pair.evaluation is None:
        ways.append("no evaluation labels here")
    elif data_identity.differences_from(folder, components.pair, "evaluation"):
        ways.append("the evaluation images or labels")
    if not ways:
        return results
    if any(miou is not None for miou in results.miou.values()):
        logger.warning(
            "The mIoU that %s measured is left out, as this run measures another way (%s).",
            folder.path,
            ", ".join(ways),
        )
    return results.without_measurements()


def _components_of(folder: Workdir, config: ConfigDict, ours: Components) -> Components:
    """The components of another run of this one's data, on this one's devices."""
    _check_registered(folder, config, ours.pair)
    return dataclasses.replace(components_lib.build(config, ours.pair), mesh=ours.mesh)


def _for_network(components: Components, tree: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint tree for this run's network, which may have an auxiliary head more or less.

    The supervised phase leaves a head that none of its terms reads as it was drawn.
    """
    model = tree["handover"].model
    if jax.tree.structure(model) == jax.tree.structure(components.variable_shapes):
        return tree
    own = components_lib.load_pretrained(components, components_lib.initial_variables(components))
    own = mesh_lib.replicate(own, components.mesh)
    fitted = {
        collection: {
            module: model.get(collection, {}).get(module, variables)
            for module, variables in modules.items()
        }
        for collection, modules in own.items()
    }
    return {**tree, "handover": tree["handover"].replace(model=fitted)}


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
