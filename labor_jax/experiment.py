"""The experiment: warm-up, rounds of asking and training, report. Read `run` first.

Every phase ends in a checkpoint and long ones have some on the way. What a phase does depends on
the config, the carry from the phase before and the label store alone, so a run that was killed and
is started again by the same command ends as if it had never been killed. Several processes may run
it together; the first of them writes the files that there is one of.
"""

import contextlib
import functools
import importlib.metadata
import logging
import os
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from clu import parameter_overview
from ml_collections import ConfigDict

import labor_jax
from labor_jax import components, restored, validation
from labor_jax.acquisition import strategies
from labor_jax.annotation import Oracle, cost_so_far, measured_cost, round_cost
from labor_jax.annotation.items import Items
from labor_jax.annotation.overview import Overview
from labor_jax.annotation.shared_store import SharedStore
from labor_jax.components import Components
from labor_jax.data import Pair, pipeline
from labor_jax.evaluation import report
from labor_jax.evaluation.previews import Previews
from labor_jax.phase_query import PoolQueries
from labor_jax.phase_training import PhaseTraining, loss_weights, phase_training
from labor_jax.phases import MODEL_PHASES, Phase, before_rounds, plan
from labor_jax.training import loop, metrics, processes
from labor_jax.training import mesh as mesh_lib
from labor_jax.training.checkpoints import Checkpoints
from labor_jax.training.steps import trainable
from labor_jax.workdir import Workdir

logger = logging.getLogger(__name__)

Carry = dict[str, Any]
"""What a phase hands on: {"model", "discriminator", "selector" (only from selector to query),
"optimizers" (only within joint training)}."""


class RoundWaits(Exception):  # noqa: N818, nothing is wrong
    """A round waits for people's answers; the run goes on once they are in.

    Attributes:
      round: the round's number.
      images: how many images still have to be answered.
    """

    def __init__(self, round: int, images: int):
        super().__init__(f"Round {round} waits for the answers to {images} images.")
        self.round, self.images = round, images


def run(
    config: ConfigDict, workdir: str | os.PathLike, *, pair: Pair | None = None
) -> dict[str, Any]:
    """Runs, or resumes, an experiment.

    Args:
      config: see configs/common.py.
      workdir: the folder of everything the run writes.
      pair: data that stands in for what `config.pair` names.

    Returns:
      What `summary.json` holds.

    Raises:
      RoundWaits: with `config.annotator="human"`, while a round's questions aren't all answered.
      ConfigError, DataError, WeightsError, LabelStoreError, CheckpointError, DivergedError,
      ProcessError, ValueError: each says what is wrong, where, and what to do.
    """
    with processes.together("checking the config and the data"), validation.config_errors():
        validation.check_config(config)
        parts = components.build(config, pair)
        strategies.build(config.acquisition, config.rounds)
        _check_data(parts)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(contextlib.closing(_open_workdir(workdir, config)))
        store = SharedStore(
            folder.labels,
            classes=parts.pair.classes,
            process_index=processes.index(),
            process_count=processes.count(),
            wait_for_all=processes.wait_for_all,
        )
        stack.enter_context(contextlib.closing(store))
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints)))
        session = Session(parts, folder, store, checkpoints)
        step, carry, training_state = session.start_or_resume()
        for phase in session.phases:
            if phase.last_step > step:
                carry = session.run_phase(phase, carry, training_state)
                training_state = None
        return session.finish()


def _open_workdir(path: str | os.PathLike, config: ConfigDict) -> Workdir:
    with processes.together(f"opening {path}"):
        folder = Workdir.open(path, config) if processes.is_first() else None
    with processes.together(f"joining {path}"):
        return folder or Workdir.join(path, config)


def _check_data(parts: Components) -> None:
    """Raises, before anything is written, what training on the splits would raise later."""
    config, phases = parts.config, plan(parts.config)
    if config.warm_start:  # what comes before the rounds is another run's
        phases = phases[len(before_rounds(phases)) :]
    trained = [loss_weights(parts, each.kind) for each in phases if each.kind in MODEL_PHASES]
    splits = []
    if any(weights.uses_source for weights in trained):
        splits.append((parts.pair.source, config.source_batch_size, config.data.source_size))
    if any(weights.uses_target for weights in trained) or any(
        each.kind == "selector" for each in phases
    ):
        splits.append((parts.pair.pool, config.target_batch_size, config.data.target_size))
    for split, batch_size, size in splits:
        pipeline.check_training(
            split,
            batch_size=batch_size,
            size=size,
            augment=config.data.augment,
            num_threads=config.data.num_threads,
        )
    if config.rounds and config.annotator == "oracle":
        Oracle(parts.pair.pool).check()


class Session:
    """One process's work on a run: the open files, the compiled functions, the results so far."""

    def __init__(
        self, parts: Components, folder: Workdir, store: SharedStore, checkpoints: Checkpoints
    ):
        """Takes what `run` opened."""
        self.parts = parts
        self.config = parts.config
        self.phases = plan(parts.config)
        self.folder = folder
        self.store = store
        self.checkpoints = checkpoints
        self.evaluate = components.make_evaluation(parts)
        self.previews = Previews(
            folder.previews,
            parts.pair.pool,
            parts.frozen_segmenter,
            mesh_lib.local_mesh(parts.mesh),
            size=self.config.data.evaluation_size,
            count=self.config.preview_images,
            inference=self.parts.inference,
        )
        self.queries = PoolQueries(parts, store, self.previews)
        self.results: dict[str, Any] = {"miou": {}, "rounds": [], "seconds": {}}
        self.metrics: metrics.MetricsFile | None = None

    def start_or_resume(self) -> tuple[int, Carry | None, Any]:
        """Finds where the run is.

        Returns:
          (global step, carry, training state); the training state is None between phases.
        """
        found = self.checkpoints.restore_latest(self._template, discard_damaged=True)
        if found:
            step, tree, progress = found
            self.results = progress["results"]
            logger.info("Resuming in phase %s after global step %d.", progress["phase"], step)
        elif self.config.warm_start:
            step, tree, self.results = restored.load_warm_start(self.parts, self.phases)
            logger.info("Starting after the warm-up of %s.", self.config.warm_start)
            (done,) = (phase for phase in self.phases if phase.last_step == step)
            self._write_previews(done.name, tree["carry"]["model"])
        else:
            with processes.together("reading the first weights"):
                carry = self._initial_carry()
            carry = mesh_lib.replicate(carry, self.parts.mesh)
            step, tree = 0, {"carry": carry, "training": None}
            count = parameter_overview.count_parameters(trainable(tree["carry"]["model"]))
            logger.info("A model of %s parameters", f"{count:,}")
        if processes.is_first():
            self.metrics = metrics.MetricsFile(self.folder.metrics, resume_step=step)
        return step, tree["carry"], tree["training"]

    def run_phase(self, phase: Phase, carry: Carry | None, training_state: Any) -> Carry:
        """Runs a phase, from its start or from a state that a checkpoint held."""
        number = self.phases.index(phase) + 1
        logger.info("Phase %d of %d: %s", number, len(self.phases), phase.name)
        started = time.monotonic() - self.results["seconds"].get(phase.name, 0.0)

        def save(taken: int, tree: dict[str, Any], *, miou: float | None = None) -> None:
            self.results["seconds"][phase.name] = time.monotonic() - started
            progress = {"phase": phase.name, "taken": taken, "results": self.results}
            self.checkpoints.save(
                phase.first_step + taken, tree, metrics.jsonable(progress), miou=miou
            )

        if phase.kind == "query":
            self.queries.ask(phase, carry["model"], carry["selector"])
            carry = {**carry, "selector": None}
        else:
            if phase.kind == "train" and phase.round and self.config.annotator == "human":
                self._require_answers(phase.round)
            carry = self._train(phase, carry, training_state, save)
        miou = self._evaluate(phase, carry["model"]) if phase.evaluates else None
        self.results["seconds"][phase.name] = time.monotonic() - started
        if phase.kind == "train" and phase.round:
            self.results["rounds"].append(self._round_result(phase.round, miou))
        save(phase.steps, {"carry": carry, "training": None}, miou=miou)
        return carry

    def finish(self) -> dict[str, Any]:
        """Writes `summary.json` and `report.html`; returns the summary."""
        self.checkpoints.wait()
        summary = metrics.jsonable(self._summary())
        if processes.is_first():
            self.metrics.close()
            report.write_summary(self.folder, summary)
            report.write_report(self.folder, summary, self.parts.pair, self.store.reader)
        self.store.finish()
        return summary

    def _require_answers(self, round_number: int) -> None:
        """Ends the run politely while people still have to answer."""
        if not processes.from_first(self.store.reader.round_complete(round_number)):
            self.checkpoints.wait()
            pending = self.store.reader.pending(round_number)
            self.store.finish()
            raise RoundWaits(round_number, len(pending))
        self.store.synchronise()

    def _log_metrics(self, step: int, phase: Phase, **values: Any) -> None:
        if self.metrics is not None:
            self.metrics.write(step, phase.name, **values)

    def _write_previews(self, phase_name: str, model: Any) -> None:
        if processes.is_first():
            self.previews.write_predictions(phase_name, mesh_lib.local_copy(model))

    def _train(self, phase: Phase, carry: Carry | None, state: Any, save) -> Carry:
        """Runs the steps of a phase that trains the model or the pixel selector."""
        training = self._training(phase.kind)
        if state is None:
            key = components.phase_key(self.config.seed, phase.name)
            state = training.create(mesh_lib.local_copy(carry), key)
            # The step gives the state's buffers away; the carry, and leaves that two classifiers
            # share, need their own.
            state = jax.tree.map(jnp.copy, state)
        state = mesh_lib.replicate(state, self.parts.mesh)
        start = int(state.step)
        step, carried = training.step, None
        if phase.kind == "selector":
            model = mesh_lib.replicate(carry["model"], self.parts.mesh)
            step = lambda state, batch: training.step(state, model, batch)  # noqa: E731
            carried = carry
        with contextlib.closing(self._batches(phase, training, start)) as batches:
            state = loop.train(
                step,
                state,
                batches,
                name=phase.name,
                start=start,
                stop=phase.steps,
                log_every=self.config.log_every,
                on_log=lambda taken, values: self._log_metrics(
                    phase.first_step + taken, phase, **values
                ),
                checkpoint_every=self.config.checkpoint_every,
                on_checkpoint=lambda taken, state: save(
                    taken, {"carry": carried, "training": state}
                ),
            )
        if phase.kind == "selector":
            selector = {"backbone": state.backbone, "classifiers": state.classifiers}
            return {**carry, "selector": selector}
        optimizers = (state.optimizer, state.discriminator_optimizer) if phase.joint else None
        return {
            "model": state.model,
            "discriminator": state.discriminator,
            "selector": None,
            "optimizers": optimizers,
        }

    def _evaluate(self, phase: Phase, model: Any) -> float:
        evaluation = self.evaluate(model)
        self.results["miou"][phase.name] = evaluation.miou
        self.results["per_class_iou"] = evaluation.per_class_iou
        self.results["subset_miou"] = evaluation.subset_miou
        self._log_metrics(
            phase.last_step,
            phase,
            miou=evaluation.miou,
            per_class_iou=evaluation.per_class_iou,
            **{f"miou_{name}": value for name, value in evaluation.subset_miou.items()},
        )
        logger.info("%s: mIoU on target %.2f%%", phase.name, 100 * evaluation.miou)
        self._write_previews(phase.name, model)
        return evaluation.miou

    def _batches(self, phase: Phase, training: PhaseTraining, start: int) -> Iterator[Any]:
        """Device batches of a phase from step `start` on."""
        config, pair = self.config, self.parts.pair

        def stream(role, split, labels, batch_size, size, sparse):
            return pipeline.training_batches(
                split,
                labels,
                batch_size=batch_size,
                size=size,
                augment=config.data.augment,
                seed=components.data_seed(config.seed, f"{phase.name}/{role}"),
                start=start,
                sparse_labels=sparse,
                presence=self.parts.source_presence if role == "source" else None,
                num_threads=config.data.num_threads,
                **mesh_lib.process_part(self.parts.mesh),
            )

        streams = {}
        if training.uses_source:
            streams["source"] = stream(
                "source",
                pair.source,
                pair.source.label,
                config.source_batch_size,
                config.data.source_size,
                False,
            )
        if training.uses_target:
            labels = None
            if phase.kind == "train":
                labels = functools.partial(self._stored_labels, phase.round)
            streams["target"] = stream(
                "target", pair.pool, labels, config.target_batch_size, config.data.target_size, True
            )
        with contextlib.ExitStack() as stack:
            for each in streams.values():
                stack.enter_context(contextlib.closing(each))
            batches = (
                dict(zip(streams, parts, strict=True))
                for parts in zip(*streams.values(), strict=True)
            )
            if phase.kind == "selector":
                batches = ({"image": batch["target"]["image"]} for batch in batches)
            yield from mesh_lib.prefetch_to_devices(batches, self.parts.mesh)

    def _stored_labels(self, up_to_round: int, index: int) -> np.ndarray:
        """The only target labels that training sees: those the store holds by that round."""
        split = self.parts.pair.pool
        return self.store.reader.labels(
            split.names[index], up_to_round=up_to_round, shape=split.size(index)
        )

    @functools.cache  # noqa: B019, the session lives as long as the process
    def _training(self, kind: str) -> PhaseTraining:
        return phase_training(self.parts, kind)

    def _initial_carry(self) -> Carry:
        variables = components.initial_variables(self.parts)
        variables = components.load_pretrained(self.parts, variables)
        return {**variables, "selector": None, "optimizers": None}

    def _template(self, progress: dict[str, Any]) -> dict[str, Any]:
        return restored.checkpoint_template(self.parts, self.phases, progress)

    def _round_result(self, number: int, miou: float) -> dict[str, Any]:
        """A round's entry in the summary; pixels, clicks and annotation time are those so far."""
        asked = self.store.reader.statistics(number)
        pay = self.config.annotation.dollars_per_hour
        sizes = self.store.reader.query_sizes(number)
        kind = strategies.answered_as(self.config.acquisition.method)
        measured = measured_cost(
            self.store.reader.measured_seconds(number).values(),
            items=sum(clicks > 0 for clicks, _ in sizes),
            dollars_per_hour=pay,
        )
        people = {}
        if self.config.annotator == "human":
            share = self.config.annotation.second_opinion
            overview = Overview(Items(self.store.reader, second_opinion=share), time.time)
            people = report.people(overview.progress(number), self.parts.pair.classes)
        before = self.results["rounds"][-1] if self.results["rounds"] else {}
        return {
            "round": number,
            "miou": miou,
            "labelled_pixels": asked.labelled_pixels,
            "labelled_fraction": asked.labelled_fraction,
            "pixels_per_image": asked.pixels_per_image,
            **cost_so_far(round_cost(kind, sizes, dollars_per_hour=pay), measured, before),
            **people,
            "wall_seconds": sum(
                seconds
                for name, seconds in self.results["seconds"].items()
                if name.startswith(f"round_{number}/")
            ),
        }

    def _summary(self) -> dict[str, Any]:
        miou = self.results["miou"]
        packages = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")
        return {
            "method": self.config.method,
            "pair": self.config.pair,
            "seed": self.config.seed,
            "final_miou": list(miou.values())[-1],
            "source_only_miou": miou.get("source"),
            "warmup_miou": miou.get("joint", miou.get("warmup")),
            "rounds": self.results["rounds"],
            "per_class_iou": self.results["per_class_iou"],
            "subset_miou": self.results["subset_miou"],
            "wall_seconds": sum(self.results["seconds"].values()),
            "versions": {
                "labor_jax": labor_jax.__version__,
                **{name: importlib.metadata.version(name) for name in packages},
            },
        }
