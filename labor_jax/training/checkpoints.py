"""Checkpoints of a run: asynchronous, the last ones and the best, with fallback past damage.

Each array and the progress have a checksum, which is compared when they are read.
"""

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from labor_jax.training import checksums, processes

logger = logging.getLogger(__name__)

Progress = dict[str, Any]


class CheckpointError(RuntimeError):
    """No checkpoint of a workdir can be read, or not by this program."""


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
        # Of the records, whose checksum tells of damage; a file of metrics would have none.
        self._mious: dict[int, float] = {}
        policy = ocp.checkpoint_managers
        with _quiet_about_read_only():
            self._manager = ocp.CheckpointManager(
                self._directory,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=policy.AnyPreservationPolicy(
                        [policy.LatestN(keep), _KeepBest(self._mious)]
                    ),
                    # Files of metrics, of earlier versions, aren't read.
                    lightweight_initialize=True,
                    enable_async_checkpointing=not read_only,
                    read_only=read_only,
                ),
                item_names=("state", "progress"),
            )
        for step in self.steps():
            record = _read_record(self._directory / str(step))
            self._note_miou(step, record and record.get("miou"))

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
        record = {
            "progress": progress,
            "miou": miou,
            "arrays": checksums.of_arrays(state),
            "kinds": _kinds(state),
        }
        record["checksum"] = checksums.of_json(record)
        self._note_miou(step, miou)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(record)
            ),
        )

    def wait(self) -> None:
        """Returns when everything saved is on disk; raises what went wrong in the background."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits and releases the folder."""
        self._manager.close()

    def restore_latest(
        self,
        template: Callable[[Progress], Any],
        *,
        part: bool = False,
        set_damaged_aside: bool = False,
    ) -> tuple[int, Any, Progress] | None:
        """Reads the newest checkpoint that is whole.

        Args:
          template: from the progress to a pytree of `jax.ShapeDtypeStruct` (with shardings) that
            the state must match.
          part: whether the template is a part of the state, in dicts whose keys are those of its
            dicts and the fields of its dataclasses. Nothing else is read then.
          set_damaged_aside: whether to rename newer checkpoints that can't be read, so that a run
            that goes on from here can save those steps again.

        Returns:
          (global step, state, progress), or None where the folder holds no checkpoint.

        Raises:
          CheckpointError: there are checkpoints, but none can be read; or one that is whole has
            other arrays than the template.
        """
        steps = sorted(self.steps(), reverse=True)
        found = self._restore_first(steps, template, part)
        if found and set_damaged_aside:
            self._set_aside(steps[: steps.index(found[0])])
        return found

    def restore_best(
        self, template: Callable[[Progress], Any], *, part: bool = False
    ) -> tuple[int, Any, Progress] | None:
        """Like `restore_latest`, but tries the checkpoint of the best mIoU first.

        Raises:
          CheckpointError: see `restore_latest`; or no checkpoint has an mIoU.
        """
        steps = sorted(self.steps(), reverse=True)
        best = _best(steps, self._mious)
        if steps and best is None:
            raise CheckpointError(
                f"No checkpoint in {self._directory} is the best, as none has an mIoU: it is "
                "measured at the end of a phase, on labels and not on answers. Use the last one."
            )
        return self._restore_first(sorted(steps, key=lambda step: step != best), template, part)

    def _note_miou(self, step: int, miou: float | None) -> None:
        if miou is not None:
            self._mious[step] = miou

    def _set_aside(self, steps: Sequence[int]) -> None:
        """Renames checkpoints, which are then none. Perhaps their files can still be read."""
        if not steps:
            return
        with processes.fail_together(f"renaming damaged checkpoints in {self._directory}"):
            for step in steps if processes.is_first() else ():
                names = (self._directory / f"{step}.damaged_{n}" for n in itertools.count(1))
                kept = next(name for name in names if not name.exists())
                (self._directory / str(step)).rename(kept)
                logger.warning("That checkpoint is kept as %s.", kept)
        for step in steps:
            self._mious.pop(step, None)
        self._manager.reload()

    def _restore_first(self, steps, template, part):
        for step in steps:
            record = _read_record(self._directory / str(step))
            if record is None:
                self._warn(step, "its progress is damaged, or of another version of labor_jax")
                continue
            # Outside of the reading: an error of the template's says nothing about the files.
            shapes = template(record["progress"])
            self._check_kinds(step, record, shapes, part)
            state = self._read_state(step, shapes, record["arrays"], part)
            if state is not None:
                return step, state, record["progress"]
        if steps:
            raise CheckpointError(
                f"None of the checkpoints in {self._directory} can be read (tried steps "
                f"{', '.join(map(str, steps))}). Restore that folder from a copy, or start again "
                "in another workdir."
            )
        return None

    def _check_kinds(self, step: int, record: dict[str, Any], shapes: Any, part: bool) -> None:
        """Raises CheckpointError if a checkpoint's arrays are others than the template's."""
        saved, wanted = record.get("kinds"), _kinds(shapes)
        if saved is None:  # of an earlier version; reading it will tell
            return
        for name in sorted(wanted.keys() if part else wanted.keys() | saved.keys()):
            there, here = (kinds.get(name, "missing") for kinds in (saved, wanted))
            if there != here:
                raise CheckpointError(
                    f"{self._directory / str(step)} was saved by another program than this one: "
                    f"{name} is {there} in it and {here} here. Use the code that the run was "
                    "started with, or start again in another workdir."
                )

    def _read_state(self, step: int, shapes: Any, expected: dict[str, int], part: bool) -> Any:
        """Reads a checkpoint's arrays; None, with a warning, if any of them is damaged."""
        restore = (
            ocp.args.PyTreeRestore(
                shapes,
                restore_args=ocp.checkpoint_utils.construct_restore_args(shapes),
                partial_restore=True,
            )
            if part
            else ocp.args.StandardRestore(shapes)
        )
        try:
            state = self._manager.restore(step, args=ocp.args.Composite(state=restore))["state"]
        except MemoryError:  # which says nothing about the files
            raise
        except Exception as error:  # orbax raises whatever its storage drivers raise
            reason = str(error).splitlines()[0] if str(error) else "no message"
            self._warn(step, f"{type(error).__name__}: {reason}")
            return None
        saved = {_plain(name): checksum for name, checksum in expected.items()}
        found = checksums.of_arrays(state)
        damaged = sorted(name for name in found if found[name] != saved.get(_plain(name)))
        if damaged:
            others = f" and {len(damaged) - 1} others" if len(damaged) > 1 else ""
            self._warn(step, f"the array {_plain(damaged[0])}{others} differs from what was saved")
            return None
        return state

    def _warn(self, step: int, reason: str) -> None:
        logger.warning(
            "Checkpoint %s cannot be read (%s); falling back to the one before it.",
            self._directory / str(step),
            reason,
        )


@contextlib.contextmanager
def _quiet_about_read_only():
    """Drops the warnings of orbax about a folder that is opened for reading only."""

    def keep(record: logging.LogRecord) -> bool:
        return not re.search("read.only", record.getMessage())

    log = logging.getLogger("absl")
    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)


@dataclasses.dataclass(frozen=True)
class _KeepBest(ocp.checkpoint_managers.PreservationPolicy):
    """Keeps the checkpoint of the best mIoU.

    Attributes:
      mious: by step, where it was measured; more may come.
    """

    mious: dict[int, float]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Whether to keep each of the checkpoints."""
        del context
        best = _best([each.step for each in checkpoints], self.mious)
        return [each.step == best for each in checkpoints]


def _best(steps: Sequence[int], mious: dict[int, float]) -> int | None:
    """The step of the best mIoU, of equal ones the last; None if none was measured."""
    return max((s for s in steps if s in mious), key=lambda s: (mious[s], s), default=None)


def read_progress(directory: Path) -> Progress | None:
    """Reads the progress of the newest checkpoint whose progress is whole; None without one.

    Args:
      directory: where the checkpoints lie.
    """
    for step in sorted(_steps_in(directory), reverse=True):
        record = _read_record(directory / str(step))
        if record is not None:
            return record["progress"]
    return None


def read_best(directory: Path) -> tuple[Progress, float] | None:
    """Reads the progress of the checkpoint of the best mIoU, and that mIoU; None without one.

    Args:
      directory: where the checkpoints lie.
    """
    records = {step: _read_record(directory / str(step)) for step in _steps_in(directory)}
    mious = {
        step: record["miou"]
        for step, record in records.items()
        if record is not None and record.get("miou") is not None
    }
    best = _best(list(mious), mious)
    return None if best is None else (records[best]["progress"], mious[best])


def _steps_in(directory: Path) -> list[int]:
    """The steps whose checkpoints lie in a folder."""
    return [int(each.name) for each in directory.glob("*") if each.name.isdecimal()]


def _read_record(folder: Path) -> dict[str, Any] | None:
    """Reads a checkpoint's JSON object; None unless it is as it was saved."""
    try:
        # The file in which orbax keeps it.
        record = json.loads((folder / "progress" / "metadata").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    content = {name: value for name, value in record.items() if name != "checksum"}
    return record if record.get("checksum") == checksums.of_json(content) else None


def _kinds(tree: Any) -> dict[str, str]:
    """Dtype and shape of each array of a tree, by its path: `{"state.step": "int32[]"}`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        _plain(jax.tree_util.keystr(path)): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in leaves
    }


def _plain(name: str) -> str:
    """An array's path, in which fields of dataclasses and keys of dicts look alike."""
    return re.sub(r"\['([^']*)'\]", r".\1", name).lstrip(".")
