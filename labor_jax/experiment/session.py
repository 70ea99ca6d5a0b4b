"""One process's work on a run: where it is, and how each phase is begun, saved and evaluated."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from clu import parameter_overview

from labor_jax import devices
from labor_jax.annotation import LabelStoreError, SharedStore
from labor_jax.annotation.label_store import record as label_record
from labor_jax.data import Split
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import held_out, restore, summary, time_estimate
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import Phase, plan
from labor_jax.experiment.previews import Previews
from labor_jax.experiment.profiling import Profile
from labor_jax.experiment.workdir import Workdir, check_same
from labor_jax.training import loop, metrics, processes
from labor_jax.training import mesh as mesh_lib
from labor_jax.training.checkpoints import Checkpoints
from labor_jax.training.state import TrainState

logger = logging.getLogger(__name__)

_REPORT_EVERY = 30.0  # seconds between two reports at least, and twenty times what one takes


class RoundWaits(Exception):  # noqa: N818, nothing is wrong
    """A round waits for people's answers; the run goes on once they are in.

    Attributes:
      round: the round's number.
      images: how many images still have to be answered.
    """

    def __init__(self, round: int, images: int):
        super().__init__(f"Round {round} waits for the answers to {images} images.")
        self.round, self.images = round, images


class Session:
    """The open files of a run, its compiled functions and its results so far.

    Attributes:
      components: the run's.
      config: the run's.
      phases: the run's.
      folder: its workdir.
      store: its label store.
      checkpoints: its checkpoints.
      previews: of its predictions.
      held_out: numbers of the pool images whose answers measure and never train.
      results: those so far.
      watch: called when there are new numbers or pictures in the workdir, with a global step: the
        phases that end by then are over.
      profile: the training steps to trace, or None.
      unlogged: metrics of the steps before a resumed phase's checkpoint that it has not logged yet.
    """

    def __init__(
        self,
        components: Components,
        folder: Workdir,
        store: SharedStore,
        checkpoints: Checkpoints,
        *,
        profile: Profile | None = None,
    ):
        """Keeps what `run` opened."""
        self.components = components
        self.config = components.config
        self.phases = plan(components.config)
        self.folder = folder
        self.store = store
        self.checkpoints = checkpoints
        self.watch: Callable[[int], None] = lambda over: None
        self.profile = profile
        self.previews = Previews(
            folder.previews,
            components.pair.pool,
            components.frozen_segmenter,
            mesh_lib.local_mesh(components.mesh),
            size=self.config.data.evaluation_size,
            count=self.config.preview_images,
            inference=components.inference,
        )
        self.held_out = frozenset(held_out.held_out_numbers(self.config, components.pair.pool))
        self.results = summary.Results()
        self.unlogged: list[loop.Metrics] = []
        self._labels: label_record.StoreRecord | None = None
        self._metrics: metrics.MetricsFile | None = None
        self._evaluate = components_lib.make_evaluation(components)
        self._built: dict[Hashable, Any] = {}
        self._estimated = False
        self._next_report = time.monotonic() + _REPORT_EVERY

    def start_or_resume(self) -> tuple[int, Handover, TrainState | None]:
        """Finds where the run is.

        Returns:
          (global step, handover, training state); the training state is None between phases.
        """
        found = self.checkpoints.restore_latest(
            lambda progress: restore.checkpoint_template(self.components, self.phases, progress),
            set_damaged_aside=True,
        )
        if found:
            step, tree, progress = found
            self._check_progress(progress)
            self.results = summary.Results.from_json(progress["results"])
            self.unlogged = progress["unlogged"]
            logger.info("Resuming in phase %s after global step %d.", progress["phase"], step)
        elif self.config.warm_start:
            step, tree, self.results = restore.load_warm_start(self.components, self.phases)
            (done,) = (phase for phase in self.phases if phase.last_step == step)
            logger.info("Starting after phase %s of %s.", done.name, self.config.warm_start)
            self._open_metrics(step - 1)  # a start that was interrupted measures again
            if self.results.miou.get(done.name) is None:
                self._evaluate_phase(done, tree["handover"].model)
            else:
                self._write_previews(done.name, tree["handover"].model)
        else:
            with processes.fail_together("reading the first weights"):
                variables = components_lib.initial_variables(self.components)
                variables = components_lib.load_pretrained(self.components, variables)
            handover = Handover(model=variables, players={})
            handover = mesh_lib.replicate(handover, self.components.mesh)
            step, tree = 0, {"handover": handover, "state": None}
            count = parameter_overview.count_parameters(variables["params"])
            logger.info("The model has %s parameters.", f"{count:,}")
        self.results.measured_on = self._measured_on()
        left = self.phases[-1].last_step - step
        if left or not self.results.device:
            self.results.device = devices.describe(
                list(self.components.mesh.devices.flat), self.config.model.dtype
            )
            self.results.versions = summary.package_versions()
        if left:
            phases = self._phases_after(step)
            noun = "phase" if phases == 1 else "phases"
            logger.info("%s steps in %d %s to go.", f"{left:,}", phases, noun)
        self._open_metrics(step)
        if processes.is_first():
            self.watch(step)
        return step, tree["handover"], tree["state"]

    def _open_metrics(self, step: int) -> None:
        """Opens `metrics.jsonl`, if it is not open yet, without what came after a global step."""
        if self._metrics is None and processes.is_first():
            self._metrics = metrics.MetricsFile(self.folder.metrics, resume_step=step)

    def _phases_after(self, step: int) -> int:
        return sum(phase.last_step > step for phase in self.phases)

    def run_phase(self, phase: Phase, handover: Handover, state: TrainState | None) -> Handover:
        """Runs a phase, from its start or from a state that a checkpoint held."""
        number = self.phases.index(phase) + 1
        logger.info("Phase %d of %d: %s", number, len(self.phases), phase.name)
        started = time.monotonic() - self.results.seconds.get(phase.name, 0.0)

        def save(
            taken: int,
            handover: Any,
            state: Any,
            *,
            unlogged: Sequence[loop.Metrics] = (),
            miou: float | None = None,
        ) -> None:
            self.results.seconds[phase.name] = time.monotonic() - started
            progress = {
                "phase": phase.name,
                "taken": taken,
                "results": self.results.to_json(),
                "unlogged": list(unlogged),
                "config": json.loads(self.config.to_json()),
                "labels": self._labels.to_json() if self._labels else None,
            }
            tree = {"handover": handover, "state": state}
            if self._metrics is not None:
                self._metrics.sync()  # a resumed run doesn't write the lines before it again
            self.checkpoints.save(
                phase.first_step + taken, tree, metrics.jsonable(progress), miou=miou
            )

        kind = KINDS[phase.kind]
        if phase.round:
            self.keep_labels()
        handover = kind.run(self, phase, handover, state, save)
        miou = None
        if kind.evaluates:
            miou = self._evaluate_phase(phase, handover.model)
            self.results.seconds[phase.name] = time.monotonic() - started
            if phase.round and phase == self._last_of_round(phase.round):
                self.results.rounds.append(
                    summary.round_entry(
                        self.config,
                        self.components.pair.classes,
                        self.store.reader,
                        self.results,
                        phase.round,
                    )
                )
        # Answers of two rounds are too different for one of them to be the best.
        save(phase.steps, handover, None, miou=None if self.held_out else miou)
        if processes.is_first():
            self.watch(phase.last_step)
        if phase != self.phases[-1] and time.monotonic() > self._next_report:
            self._write_report(phase.name)
        return handover

    def _last_of_round(self, number: int) -> Phase:
        return [phase for phase in self.phases if phase.round == number][-1]

    def once(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """What `build` returns, built the first time a key is asked for."""
        if key not in self._built:
            self._built[key] = build()
        return self._built[key]

    def require_answers(self, round_number: int) -> None:
        """Lets training see all answers of a round, or ends the run until people have given them.

        Raises:
          RoundWaits: people have some answers still to give.
          LabelStoreError: the oracle's are not all there.
        """
        if not processes.from_first(self.store.reader.round_complete(round_number)):
            self.checkpoints.wait()
            pending = self.store.reader.pending(round_number)
            if self.config.annotator == "human":
                self._write_report(f"round_{round_number}/query")
            self.store.finish()
            if self.config.annotator == "human":
                raise RoundWaits(round_number, len(pending))
            raise LabelStoreError(
                f"{self.folder.labels} lacks answers to {len(pending)} images of round "
                f"{round_number}, which the oracle gave before. Restore the file from a copy, or "
                "start again in another --workdir."
            )
        if self.config.annotator == "human":
            self.store.synchronise()
        self.keep_labels()

    def keep_labels(self) -> None:
        """Compares the label store with what this run knows of it, and remembers what it holds now.

        Raises:
          LabelStoreError: something is missing, or was changed by anything but an annotator.
        """
        with processes.fail_together("checking the label store"):
            if not processes.is_first():
                return
            store = self.store.reader
            store.database.fold_log()
            found = label_record.take(store)
            if self._labels is not None:
                for number in label_record.check(store, self._labels, found):
                    logger.warning(
                        "Answers of round %d were corrected; training goes on with the new ones.",
                        number,
                    )
            self._labels = found

    def _check_progress(self, progress: dict[str, Any]) -> None:
        """Checks that a checkpoint is of this config and of what the label store holds."""
        ours = json.loads(self.config.to_json())
        check_same(progress["config"], ours, self.folder.checkpoints)
        if progress["labels"] is not None:
            self._labels = label_record.StoreRecord.from_json(progress["labels"])
            self.keep_labels()

    def steps_after(self, phase: Phase) -> int:
        """About how long the phases after a training phase take, in steps of that phase."""
        return time_estimate.steps_after(self.components, self.phases, phase)

    def images_per_step(self, phase: Phase) -> int:
        """How many images a step of a training phase reads."""
        return time_estimate.images_per_step(self.components, phase)

    def estimates_time(self, phase: Phase) -> Callable[[int, float], None] | None:
        """What logs how long the run takes, from the pace of the process's first steps.

        Returns:
          A function of the phase's steps taken and of the seconds a step; None once it was called.
        """
        if self._estimated:
            return None

        def log(taken: int, pace: float) -> None:
            self._estimated = True
            steps = self.phases[-1].last_step - phase.first_step - taken
            left = time_estimate.seconds_left(self.components, self.phases, phase, taken, pace)
            asking = self.config.annotator == "human" and phase.name != self.phases[-1].name
            logger.info(
                "The %s to go %s %s on this machine (%s s a step at present)%s.",
                "step" if steps == 1 else f"{steps:,} steps",
                "takes" if steps == 1 else "take",
                time_estimate.in_words(left),
                f"{pace:.2g}",
                ", and the time that people take to answer" if asking else "",
            )

        return log

    def log_metrics(self, step: int, phase: Phase, **values: Any) -> None:
        """Adds a line to `metrics.jsonl`, with the time in seconds since the epoch."""
        if self._metrics is not None:
            self._metrics.write(step, phase.name, time=time.time(), **values)
            self.watch(phase.first_step)

    def finish(self) -> dict[str, Any]:
        """Writes `summary.json` and `report.html`; returns the summary."""
        from labor_jax.experiment import report  # loads matplotlib, which predictions don't need

        self.checkpoints.wait()
        described = self._described()
        if processes.is_first():
            self._metrics.close()
            report.write_summary(self.folder, described)
            with self._unless_it_fails():
                report.write_report(self.folder, described, self.components.pair, self.store.reader)
        self.store.finish()
        return described

    def _described(self) -> dict[str, Any]:
        """What `summary.json` holds, or would."""
        found = summary.summarise(self.config, self.results, self.store.reader.existing())
        return metrics.jsonable(found)

    def _write_report(self, phase_name: str) -> None:
        """Writes `report.html` of a run that isn't over, after a phase."""
        if not processes.is_first():
            return
        from labor_jax.experiment import report  # as in `finish`

        started = time.monotonic()
        with self._unless_it_fails():
            report.write_report(
                self.folder,
                self._described(),
                self.components.pair,
                self.store.reader,
                note=report.where_it_is(phase_name, self.store.reader),
                over=False,
            )
        now = time.monotonic()
        self._next_report = now + max(_REPORT_EVERY, 20 * (now - started))

    @contextlib.contextmanager
    def _unless_it_fails(self) -> Iterator[None]:
        """Lets no error of a report end the run: its results are in other files."""
        try:
            yield
        except Exception as error:
            logger.warning(
                "%s was not written: %s. labor-jax report %s tries again.",
                self.folder.report,
                str(error).removesuffix("."),
                self.folder.path,
            )

    def _evaluate_phase(self, phase: Phase, model: Any) -> float | None:
        """Evaluates the model after a phase; None where there is nothing to measure on."""
        self._write_previews(phase.name, model)
        split = self._evaluation_split(phase)
        if split is None:
            self.results.miou[phase.name] = None
            return None
        evaluation = self._evaluate(model, split)
        self.results.miou[phase.name] = evaluation.miou
        self.results.per_class_iou = evaluation.per_class_iou
        self.results.subset_miou = evaluation.subset_miou
        self.results.miou_error = evaluation.miou_error
        self.results.confusion = evaluation.confusion.tolist()
        self.log_metrics(
            phase.last_step,
            phase,
            miou=evaluation.miou,
            per_class_iou=evaluation.per_class_iou,
            **{f"miou_{name}": value for name, value in evaluation.subset_miou.items()},
        )
        logger.info("%s: mIoU on target %.2f%%", phase.name, 100 * evaluation.miou)
        return evaluation.miou

    def _evaluation_split(self, phase: Phase) -> Split | None:
        """What to measure on after a phase: the evaluation split, or answers so far."""
        pair = self.components.pair
        if not self.held_out:
            return pair.evaluation
        answered = held_out.AnsweredSplit(
            pair.pool, tuple(sorted(self.held_out)), self.store.reader, phase.round
        )
        self.results.measured[phase.name] = answered.count()
        measured = self.results.measured[phase.name]["pixels"] > 0
        return answered if processes.from_first(measured) else None

    def _measured_on(self) -> str:
        if self.held_out:
            return "answers"
        return "nothing" if self.components.pair.evaluation is None else "labels"

    def _write_previews(self, phase_name: str, model: Any) -> None:
        if processes.is_first():
            self.previews.write_predictions(phase_name, mesh_lib.local_copy(model))
