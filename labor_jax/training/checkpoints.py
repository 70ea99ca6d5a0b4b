"""Checkpoints of a run: asynchronous, the last ones and the best, with fallback past damage.

Each array and the progress have a checksum, which is compared when they are read.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from labor_jax.training import checksums, processes

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
        record = {"progress": progress, "miou": miou, "arrays": checksums.of_arrays(state)}
        record["checksum"] = checksums.of_json(record)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(record)
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
            record = self._read_record(step)
            if record is None:
                continue
            # Outside of the reading: an error of the template's says nothing about the files.
            shapes = template(record["progress"])
            state = self._read_state(step, shapes, record["arrays"])
            if state is not None:
                return step, state, record["progress"]
        if steps:
            raise CheckpointError(
                f"None of the checkpoints in {self._directory} can be read (tried steps "
                f"{', '.join(map(str, steps))}). Restore that folder from a copy, or start again "
                "in another workdir."
            )
        return None

    def _read_record(self, step: int) -> dict[str, Any] | None:
        """Reads a checkpoint's progress and checksums; None, with a warning, if damaged."""
        record = self._read(step, progress=ocp.args.JsonRestore())
        if record is not None and not _is_whole(record):
            self._warn(step, "its progress is damaged, or of another version of labor_jax")
            return None
        return record

    def _read_state(self, step: int, shapes: Any, expected: dict[str, int]) -> Any:
        """Reads a checkpoint's arrays; None, with a warning, if any of them is damaged."""
        state = self._read(step, state=ocp.args.StandardRestore(shapes))
        if state is None:
            return None
        found = checksums.of_arrays(state)
        damaged = sorted(name for name in found if found[name] != expected.get(name))
        if damaged:
            others = f" and {len(damaged) - 1} others" if len(damaged) > 1 else ""
            self._warn(step, f"the array {damaged[0]}{others} differs from what was saved")
            return None
        return state

    def _read(self, step: int, **item: Any) -> Any:
        """Reads one item of a checkpoint; None, with a warning, if that fails."""
        (name,) = item
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
        except Exception as error:  # orbax raises whatever its storage drivers raise
            reason = str(error).splitlines()[0] if str(error) else "no message"
            self._warn(step, f"{type(error).__name__}: {reason}")
            return None

    def _warn(self, step: int, reason: str) -> None:
        logger.warning(
            "Checkpoint %s cannot be read (%s); falling back to the one before it.",
            self._directory / str(step),
            reason,
        )


def read_progress(directory: Path) -> Progress | None:
    """Reads the progress of the newest checkpoint whose progress is whole; None without one.

    Args:
      directory: where the checkpoints lie.
    """
    for folder in sorted(
        (each for each in directory.glob("*") if each.name.isdecimal()),
        key=lambda each: int(each.name),
        reverse=True,
    ):
        record = _read_json(folder / _RECORD)
        if record is not None and _is_whole(record):
            return record["progress"]
    return None


def _drop_damaged_metrics(directory: Path) -> None:
    """Removes mIoU files that are not as they were saved.

    With one that isn't JSON, orbax would not open the folder; a changed number would change which
    checkpoint is the best.
    """
    for file in directory.glob("*/metrics/metrics"):
        saved = _read_json(file.parents[1] / _RECORD)
        if saved is None:
            shutil.rmtree(file.parent)  # a checkpoint that can't be read is not the best
        elif (_read_json(file) or {}).get("miou") != saved.get("miou"):
            logger.warning("%s is damaged; that checkpoint won't count as the best.", file)
            shutil.rmtree(file.parent)


_RECORD = Path("progress") / "metadata"
"""The file in which orbax keeps a checkpoint's JSON object."""


def _is_whole(record: Any) -> bool:
    """Whether a checkpoint's JSON object is as it was saved."""
    if not isinstance(record, dict):
        return False
    content = {name: value for name, value in record.items() if name != "checksum"}
    return record.get("checksum") == checksums.of_json(content)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
