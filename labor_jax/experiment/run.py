"""The experiment: warm-up, rounds of asking and training, report. Read `run` first.

Every phase ends in a checkpoint, and long ones have some on the way. What a phase does depends on
the config, the handover from the phase before and the label store alone. So a run that was killed,
and is started again by the same command, ends as if it had never been killed. Several processes may
run it together; the first of them writes the shared files.
"""

import contextlib
import json
import os
from typing import Any

from ml_collections import ConfigDict

from labor_jax import compilation_cache
from labor_jax.annotation import Oracle, SharedStore
from labor_jax.data import Pair, pair_description, pipeline
from labor_jax.experiment import batch_inputs, config_checks, shape_checks, size_checks
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import before_rounds, plan
from labor_jax.experiment.session import Session
from labor_jax.experiment.workdir import Workdir, write_atomically
from labor_jax.training import processes
from labor_jax.training.checkpoints import Checkpoints


def run(config: ConfigDict, workdir: str | os.PathLike, pair: Pair | None = None) -> dict[str, Any]:
    """Runs, or resumes, an experiment.

    Args:
      config: from `labor_jax.get_config`.
      workdir: the folder of everything the run writes.
      pair: data that stands in for what `config.pair` names; the run then bears its name.

    Returns:
      What `summary.json` holds.

    Raises:
      RoundWaits: with `config.annotator="human"`, while a round's questions aren't all answered.
      ConfigError, DataError, WeightsError, LabelStoreError, CheckpointError, DivergedError,
      ProcessError, ValueError: each says what is wrong, where, and what to do.
    """
    if pair is not None and config.pair != pair.name:
        config = config.copy_and_resolve_references()
        config.pair = pair.name
    compilation_cache.enable(config.compilation_cache)
    with processes.fail_together("checking the config and the data"), config_checks.config_errors():
        config_checks.check_config(config)
        components = components_lib.build(config, pair)
        _check_data(components)
        shape_checks.check_shapes(components)
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
        if processes.is_first():  # after the store, which refuses a pair of other classes
            described = json.dumps(pair_description.describe(components.pair), indent=2)
            write_atomically(folder.pair, described + "\n")
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints)))
        session = Session(components, folder, store, checkpoints)
        step, handover, state = session.start_or_resume()
        for phase in session.phases:
            if phase.last_step > step:
                handover = session.run_phase(phase, handover, state)
                state = None
        return session.finish()


def _open_workdir(path: str | os.PathLike, config: ConfigDict) -> Workdir:
    with processes.fail_together(f"opening {path}"):
        folder = Workdir.open(path, config) if processes.is_first() else None
    with processes.fail_together(f"joining {path}"):
        return folder or Workdir.join(path, config)


def _check_data(components: Components) -> None:
    """Raises, before anything is written, what training on the splits would raise later."""
    config, phases = components.config, plan(components.config)
    if config.warm_start:  # what comes before the rounds is another run's
        phases = phases[len(before_rounds(phases)) :]
    read = {domain for phase in phases for domain in KINDS[phase.kind].domains(config, phase)}
    for domain in sorted(read):
        images = batch_inputs.training_images(components, domain)
        pipeline.check_training(images, batch_inputs.training_spec(components, domain))
    size_checks.check_image_sizes(components, phases)
    if config.rounds and config.annotator == "oracle":
        Oracle(components.pair.pool).check()
