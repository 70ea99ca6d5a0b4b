"""Checkpoints of a run: asynchronous, the last ones and the best, with fallback past damage."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from labor_jax.training import processes

logger = logging.getLogger(__name__)

Progress = dict[str, Any]


class CheckpointError(RuntimeError):
    """No checkpoint of a workdir can be read."""


class Checkpoints:
    """The checkpoints of one workdir, numbered by the run's global step.

    Each holds a pytree of arrays ("state") and a JSON object ("progress": where in the experiment
    the run is, and its results so far). Saving copies the arrays and returns; the files are written
    in the background. The last `keep` and the one with the best "miou" are kept.
    """

    def __init__(self, directory: str | os.PathLike, *, keep: int = 2, read_only: bool = False):
        """Opens or creates the folder; of several processes all call it.

        Args:
          directory: where the checkpoints lie.
          keep: how many of the last ones to keep, besides the best: more than one, so that a
            damaged last checkpoint costs minutes and not the run.
          read_only: leave the folder as it is, since another process may be writing to it.
        """
        self._directory = Path(directory).absolute()
        if not read_only:
            with processes.fail_together(f"opening {self._directory}"):
                if processes.is_first():
                    self._directory.mkdir(parents=True, exist_ok=True)
                    _drop_damaged_metrics(self._directory)
        policy = ocp.checkpoint_managers
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy.AnyPreservationPolicy(
                    [
                        policy.LatestN(keep),
                        policy.BestN(
                            get_metric_fn=lambda metrics: metrics["miou"],
                            n=1,
                            keep_checkpoints_without_metrics=False,
                        ),
                    ]
                ),
                best_fn=lambda metrics: metrics["miou"],
                enable_async_checkpointing=not read_only,
                read_only=read_only,
            ),
            item_names=("state", "progress"),
        )

    def steps(self) -> list[int]:
        """Global steps of the checkpoints that were written completely, ascending."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: Any, progress: Progress, *, miou: float | None = None) -> None:
        """Starts to write a checkpoint; returns once `state` may be donated or changed.

        Args:
          step: the global step; a step already saved is left as it is.
          state: a pytree of arrays.
          progress: a JSON object.
          miou: the model's mIoU at this step, where it was evaluated.
        """
        if step in self._manager.all_steps():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
            ),
            metrics=None if miou is None else {"miou": miou},
        )

    def wait(self) -> None:
        """Returns when everything saved is on disk; raises what went wrong in the background."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits and releases the folder."""
        self._manager.close()

    def restore_latest(
        self, template: Callable[[Progress], Any], *, discard_damaged: bool = False
    ) -> tuple[int, Any, Progress] | None:
        """Reads the newest checkpoint that is whole.

        Args:
          template: from the progress to a pytree of `jax.ShapeDtypeStruct` (with shardings) that
            the state must match.
          discard_damaged: whether to delete newer checkpoints that can't be read, so that a run
            that goes on from here can save those steps again.

        Returns:
          (global step, state, progress), or None where the folder holds no checkpoint.

        Raises:
          CheckpointError: there are checkpoints, but none can be read.
        """
        steps = sorted(self.steps(), reverse=True)
        found = self._restore_first(steps, template)
        if found and discard_damaged:
            for step in steps[: steps.index(found[0])]:
                self._manager.delete(step)
        return found

    def latest_progress(self) -> Progress | None:
        """The progress of the newest checkpoint that can be read; None without one."""
        read = (
            self._read(step, progress=ocp.args.JsonRestore()) for step in reversed(self.steps())
        )
        return next((progress for progress in read if progress is not None), None)

    def restore_best(self, template: Callable[[Progress], Any]) -> tuple[int, Any, Progress] | None:
        """Like `restore_latest`, but tries the checkpoint of the best mIoU first."""
        best = self._manager.best_step()
        rest = sorted((s for s in self.steps() if s != best), reverse=True)
        return self._restore_first(([] if best is None else [best]) + rest, template)

    def _restore_first(self, steps, template):
        for step in steps:
            progress = self._read(step, progress=ocp.args.JsonRestore())
            if progress is None:
                continue
            # Outside of the reading: an error of the template's says nothing about the files.
            shapes = template(progress)
            state = self._read(step, state=ocp.args.StandardRestore(shapes))
            if state is not None:
                return step, state, progress
        if steps:
            raise CheckpointError(
                f"None of the checkpoints in {self._directory} can be read (tried steps "
                f"{', '.join(map(str, steps))}). Restore that folder from a copy, or start again "
                "in another workdir."
            )
        return None

    def _read(self, step: int, **item: Any) -> Any:
        """Reads one item of a checkpoint; None, with a warning, if that fails."""
        (name,) = item
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
        except Exception as error:  # orbax raises whatever its storage drivers raise
            logger.warning(
                "Checkpoint %s cannot be read (%s: %s); falling back to the one before it.",
                self._directory / str(step),
                type(error).__name__,
                str(error).splitlines()[0] if str(error) else "no message",
            )
            return None


def _drop_damaged_metrics(directory: Path) -> None:
    """Removes mIoU files that can't be read: with one of them, orbax would not open the folder."""
    for file in directory.glob("*/metrics/metrics"):
        try:
            json.loads(file.read_text())
        except ValueError:
            logger.warning("%s is damaged; that checkpoint won't count as the best.", file)
            shutil.rmtree(file.parent)
