"""The experiment: warm-up, rounds of asking and training, report. Read `run` first.

Every phase ends in a checkpoint, and long ones have some on the way. What a phase does depends on
the config, the handover from the phase before and the label store alone. So a run that was killed,
and is started again by the same command, ends as if it had never been killed. Several processes may
run it together; the first of them writes the shared files.
"""

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from labor_jax import compilation_cache
from labor_jax import devices as devices_lib
from labor_jax.annotation import SharedStore
from labor_jax.annotation.label_store.reader import LabelReader
from labor_jax.atomic_files import write_atomically
from labor_jax.data import Pair, load_pair, pair_description
from labor_jax.experiment import (
    argument_checks,
    config_checks,
    data_checks,
    data_identity,
    existing_labels,
    open_fields,
    profiling,
    shape_checks,
)
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import tensorboard as tensorboard_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.plan import plan
from labor_jax.experiment.session import Session
from labor_jax.experiment.workdir import Workdir
from labor_jax.training import processes
from labor_jax.training.checkpoints import Checkpoints

logger = logging.getLogger(__name__)


def run(
    config: ConfigDict,
    workdir: str | os.PathLike,
    pair: Pair | None = None,
    *,
    devices: Sequence[jax.Device] | None = None,
    tensorboard: bool = False,
    profile: str | None = None,
) -> dict[str, Any]:
    """Runs, or resumes, an experiment.

    Args:
      config: from `labor_jax.get_config`.
      workdir: the folder of everything the run writes.
      pair: data that stands in for what `config.pair` names; the run then bears its name. The
        config of the pair "folders" suits any data: it chooses its settings from the images.
      devices: those of `jax.devices()` to use; None for all. Batches and what is averaged over
        them are the same on any number of devices. Rounding differs, and so does what each device
        draws for itself: dropout, and views such as class mixes. The run may be resumed on others.
      tensorboard: whether the folder `tensorboard` gets numbers and pictures for TensorBoard.
      profile: training steps of which the folder `profile` gets traces, see `profiling.parse`.

    Returns:
      What `summary.json` holds.

    Raises:
      RoundWaits: with `config.annotator="human"`, while a round's questions aren't all answered.
      ConfigError, DataError, WeightsError: the config, the data or a weight file is wrong.
      LabelStoreError, CheckpointError: what the workdir holds is damaged.
      DivergedError: a loss or a weight stopped being finite.
      DeviceError, ProcessError, ValueError: each says what is wrong, where, and what to do.
    """
    argument_checks.check_config(config)
    argument_checks.check_workdir(workdir)
    argument_checks.check_pair(pair)
    argument_checks.check_profile(profile)
    devices = argument_checks.checked_devices(devices)
    compilation_cache.enable(config.compilation_cache)
    used = devices_lib.available() if devices is None else devices
    logger.info("Device: %s", devices_lib.describe(used, config.model.dtype))
    logger.info("Workdir: %s", workdir)
    with processes.fail_together("checking the config and the data"), config_checks.config_errors():
        steps = None if profile is None else profiling.parse(profile)
        if tensorboard and processes.is_first():
            tensorboard_lib.check_installed()
        config_checks.check_config(open_fields.filled(config))
        pair = pair if pair is not None else load_pair(config.pair, config.data)
        data_checks.check_workdir(Workdir(workdir), pair)
        config = _filled(config, pair, Workdir(workdir))
        config_checks.check_config(config)
        if config.pair != pair.name:
            config = config.copy_and_resolve_references()
            with config.unlocked():  # the name alone; the other fields stay
                config.pair = pair.name
        components = components_lib.build(config, pair, devices=devices)
        data_checks.check_data(components)
        shape_checks.check_shapes(components)
        data_checks.check_budget(components)
        if steps is not None:
            profiling.check(steps, plan(config))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(contextlib.closing(_open_workdir(workdir, config)))
        store = SharedStore(
            folder.labels,
            classes=components.pair.classes,
            process_index=processes.index(),
            process_count=processes.count(),
            wait_for_all=processes.wait_for_all,
        )
        stack.enter_context(contextlib.closing(store))
        with processes.fail_together("comparing the data with those of the run"):
            if processes.is_first():  # after the store, which refuses a pair of other classes
                data = _checked_data(folder, components, store.reader)
        with processes.fail_together("reading the existing labels"):
            if processes.is_first():
                existing_labels.read_configured(folder, config, components.pair, store.reader)
        store.synchronise()
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints)))
        session = Session(components, folder, store, checkpoints, profile=steps)
        if tensorboard and processes.is_first():
            writer = stack.enter_context(contextlib.closing(tensorboard_lib.open_writer(folder)))
            session.watch = tensorboard_lib.Board(
                folder,
                components.pair,
                session.phases,
                writer,
                numbers=session.previews.numbers,
            ).update
        step, handover, state = session.start_or_resume()
        if processes.is_first():  # not before: a run that can't go on keeps what it began with
            _keep_data(folder, components, data)
        for phase in session.phases:
            if phase.last_step > step:
                handover = session.run_phase(phase, handover, state)
                state = None
        return session.finish()


def _checked_data(
    folder: Workdir, components: Components, store: LabelReader
) -> data_identity.RunData:
    """What the run works with, once it is clear that it is what it began with."""
    data = components.config.data
    found = data_identity.checked(
        folder,
        components.pair,
        roles=data_checks.roles_in_use(components.config),
        verify=data.verify,
        begun=folder.begun,
        accept_changes=data.accept_changes,
    )
    if components.pair.pool is not None:
        data_identity.check_open_round(store, components.pair.pool.names)
    return found


def _keep_data(folder: Workdir, components: Components, data: data_identity.RunData) -> None:
    data_identity.keep(folder, data)
    described = json.dumps(pair_description.describe(components.pair), indent=2)
    write_atomically(folder.pair, described + "\n")


def _filled(config: ConfigDict, pair: Pair, folder: Workdir) -> ConfigDict:
    """The config without open fields: with what this run, or the one it goes on from, has."""
    recorded = folder.started_config()
    start = None
    if recorded is None and config.warm_start:
        start = Workdir(config.warm_start).started_config()
    return open_fields.filled(config, pair, recorded, None if start is None else ConfigDict(start))


def _open_workdir(path: str | os.PathLike, config: ConfigDict) -> Workdir:
    with processes.fail_together(f"opening {path}"):
        folder = Workdir.open(path, config) if processes.is_first() else None
    with processes.fail_together(f"joining {path}"):
        return folder or Workdir.join(path, config)
