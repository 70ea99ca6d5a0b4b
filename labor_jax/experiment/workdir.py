"""A run's folder: what lies where, and that it belongs to one config and one process."""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from labor_jax import acquisition, adaptation
from labor_jax.acquisition.registry import GENERAL_FIELDS
from labor_jax.atomic_files import write_atomically
from labor_jax.config import base_config
from labor_jax.data import PAIRS, ROLES, Pair, load_pair

OF_THE_MACHINE = (
    "compilation_cache",
    "data.cache_bytes",
    "data.cache_folder",
    "data.num_threads",
    "data.root",
    "data.source_root",
    "data.target_root",
)
"""Fields that say what a machine has and where; processes of one run may differ in them."""

WITHOUT_EFFECT = (
    *OF_THE_MACHINE,
    "annotation.lease_seconds",
    "checkpoint_every",
    "data.accept_changes",
    "data.verify",
    "evaluation_batch_size",
    "log_every",
    "model.remat",
    "warm_start",
)
"""Fields that change what a run shows or where it reads, and not what it computes."""

NAMED_CHOICES = ("recipe", "schedule")
"""Fields that set other fields, which are compared in their place."""

MEMORY_FIELDS = ("gradient_accumulation", "per_device_batch_size")
"""Fields by which a batch fits into a device's memory.

They change random draws, and trained batch norm. A run may go on with others on a smaller machine,
but two runs that differ in them are not the same.
"""

UNCOMPARED_FIELDS = (*WITHOUT_EFFECT, *NAMED_CHOICES)
"""Fields that two runs that compute the same may differ in."""

FREE_FIELDS = (*UNCOMPARED_FIELDS, *MEMORY_FIELDS)
"""Fields that may have other values when a run is resumed, or when another goes on from it."""


logger = logging.getLogger(__name__)


class ConfigError(ValueError):
    """A config that can't be run, or not in this workdir."""


class Workdir:
    """The files of one run.

    `config.json`, `pair.json` (the pair's classes and palette), `data.json` (which images and
    labels the run works with), `metrics.jsonl`, `labels.sqlite`,
    `checkpoints/`, `previews/`, `report.html`, `command.txt` if the run waits for people (the
    command by which it goes on), and `summary.json` once the run is over; `tensorboard/` and
    `profile/` if they were asked for.
    """

    def __init__(self, path: str | os.PathLike):
        """Names the folder; `open` and `existing` also check it. `~` is the user's home."""
        self.path = Path(os.path.expanduser(path))
        self.config = self.path / "config.json"
        self.pair = self.path / "pair.json"
        self.data = self.path / "data.json"
        self.metrics = self.path / "metrics.jsonl"
        self.labels = self.path / "labels.sqlite"
        self.checkpoints = self.path / "checkpoints"
        self.previews = self.path / "previews"
        self.tensorboard = self.path / "tensorboard"
        self.profile = self.path / "profile"
        self.report = self.path / "report.html"
        self.summary = self.path / "summary.json"
        self.command = self.path / "command.txt"
        self._lock = None

    @classmethod
    def open(cls, path: str | os.PathLike, config: ConfigDict) -> "Workdir":
        """Opens or creates the folder for a run with this config, and locks it.

        Raises:
          ConfigError: the folder holds a run of another config (the error lists the fields), or
            another process is running in it.
        """
        folder = cls(path)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.previews.mkdir(exist_ok=True)
        folder._acquire_lock()
        try:
            folder._check_config(json.loads(config.to_json()))
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def join(cls, path: str | os.PathLike, config: ConfigDict) -> "Workdir":
        """The folder that another process of the same run has opened.

        Raises:
          ConfigError: the folder isn't in this process's file system, or the other process has
            another config.
        """
        folder = cls(path)
        if not folder.config.exists():
            raise ConfigError(
                f"{folder.path} has no config.json here, though the first process wrote one: "
                "--workdir must be a folder that all processes share."
            )
        theirs, ours = folder.read_config().to_dict(), json.loads(config.to_json())
        differing = _listed(theirs, ours, OF_THE_MACHINE)
        if differing:
            raise ConfigError(
                f"The first process runs another config in {folder.path}:\n{differing}\nGive all "
                "processes the same command."
            )
        return folder

    @classmethod
    def existing(cls, path: str | os.PathLike) -> "Workdir":
        """The folder of a run that was started before.

        Raises:
          ConfigError: there is no run in it.
        """
        folder = cls(path)
        if not folder.config.exists():
            raise ConfigError(
                f"{folder.path} holds no run (no config.json in it). Give the workdir of a run of "
                "labor-jax run, such as runs/spl_street_seed0."
            )
        return folder

    def read_config(self) -> ConfigDict:
        """The config that the run was started with.

        If config.json is damaged, the copy in the newest checkpoint is read instead.

        Raises:
          ConfigError: config.json is damaged and there is no copy, or it is of another version of
            the package.
        """
        try:
            fields = json.loads(self.config.read_text())
            if not isinstance(fields, dict):
                raise ValueError("no JSON object")
        except ValueError as error:  # neither JSON nor, perhaps, text
            fields = self._config_of_checkpoint()
            if fields is None:
                raise ConfigError(f"{self.config} is damaged ({error}); restore it.") from error
            logger.warning(
                "%s is damaged (%s); the copy in the newest checkpoint is used.", self.config, error
            )
        missing = missing_fields(fields)
        if missing:
            raise ConfigError(
                f"{self.config} is of another version of labor_jax, or damaged: it has no "
                f"{missing}. Use the version that wrote it, or another --workdir."
            )
        return ConfigDict(fields)

    def _config_of_checkpoint(self) -> dict[str, Any] | None:
        from labor_jax.training import checkpoints  # slow to import

        return (checkpoints.read_progress(self.checkpoints) or {}).get("config")

    def load_pair(self, roles: Collection[str] = ROLES) -> Pair:
        """Reads the data pair that the run's config names.

        Args:
          roles: the splits to read; the others are None.

        Raises:
          ConfigError: nobody has registered the pair; or see `read_config`.
          DataError: something is wrong with the files.
        """
        config = self.read_config()
        if config.pair not in PAIRS:
            raise ConfigError(
                f"{self.path} is a run with the data pair {config.pair!r}, which is not "
                "registered. Name the Python file that does it: --extension FILE."
            )
        return load_pair(config.pair, config.data, roles)

    def started_config(self) -> dict[str, Any] | None:
        """The config of the run in this folder; None if it has not begun.

        Raises:
          ConfigError: see `read_config`.
        """
        if self.config.exists() and self.begun:
            return self.read_config().to_dict()
        return None

    def _check_config(self, described: dict[str, Any]) -> None:
        """Checks that the folder's files are of this config, and writes it down."""
        if self.config.exists():
            # Before that, a run that failed (its weights were not found, say) may be started again
            # with another config.
            if self.begun:
                check_same(self.read_config().to_dict(), described, self.path)
        elif any(self.checkpoints.glob("*")) or self.labels.exists():
            raise ConfigError(
                f"{self.path} holds checkpoints or labels but no config.json, so nobody can tell "
                "which run they belong to. Choose another --workdir."
            )
        write_atomically(self.config, json.dumps(described, indent=2, sort_keys=True) + "\n")

    @property
    def begun(self) -> bool:
        """Whether the run has written its first metric or checkpoint, or asked anything."""
        if self.metrics.exists() and self.metrics.stat().st_size:
            return True
        if any(self.checkpoints.glob("*")):
            return True
        from labor_jax.annotation.label_store import asks_anything  # slow to import

        return asks_anything(self.labels)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from running in the folder.

        Raises:
          ConfigError: another process is running in it.
        """
        self._acquire_lock()
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _acquire_lock(self) -> None:
        lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ConfigError(
                f"Another process is running in {self.path}. Wait for it, stop it, or choose "
                "another --workdir."
            ) from None
        self._lock = lock


def missing_fields(config: dict[str, Any]) -> str:
    """Names the first fields that every config has and this one lacks; empty if it has all."""
    missing = sorted(_base_fields() - dict(_flatten(config)).keys())
    listed = ", ".join(f"config.{name}" for name in missing[:4])
    return f"{listed} and others" if len(missing) > 4 else listed


def _base_fields() -> set[str]:
    """The fields that every config has; terms depend on what is registered."""
    fields = dict(_flatten(json.loads(base_config().to_json())))
    return {name for name in fields if "terms" not in name.split(".")} - set(
        f"acquisition.{name}" for method in acquisition.METHODS.values() for name in method.settings
    )


def differing_fields(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted names of the fields that differ, with both values; None stands for absent."""
    flat_before, flat_after = dict(_flatten(before)), dict(_flatten(after))
    return {
        name: (flat_before.get(name), flat_after.get(name))
        for name in sorted(flat_before.keys() | flat_after.keys())
        if flat_before.get(name) != flat_after.get(name)
    }


def effective_fields(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the settings of terms and acquisition functions that the run doesn't use.

    Those of everything registered are in a config. Without the unused ones, two configs of one run
    are equal although something was registered in between.
    """
    used: set[str] = set()
    effective = dict(config)
    for section, fields in config.items():
        if isinstance(fields, dict) and isinstance(fields.get("terms"), dict):
            weights = {name: weight for name, weight in fields["terms"].items() if weight}
            effective[section] = {**fields, "terms": weights}
            used |= adaptation.with_used(weights)
    own = config.get("terms", {})
    effective["terms"] = {name: fields for name, fields in own.items() if name in used}
    asking = config.get("acquisition", {})
    method = acquisition.METHODS.get(asking.get("method"))
    if method is not None:  # else nobody knows which settings are the method's
        known = {*GENERAL_FIELDS, *method.settings}
        effective["acquisition"] = {name: value for name, value in asking.items() if name in known}
    return effective


def check_same(before: dict[str, Any], after: dict[str, Any], path: Path) -> None:
    """Raises ConfigError, which lists the fields, unless two configs as JSON are of one run.

    Args:
      before: the config of what lies in `path`.
      after: the config now.
      path: the file or folder, for the message.
    """
    differing = _listed(before, after, FREE_FIELDS)
    if differing:
        raise ConfigError(
            f"{path} holds a run of another config:\n{differing}\nRun that config again to resume "
            f"it, choose another --workdir, or delete the folder to start anew."
        )


def _listed(before: dict[str, Any], after: dict[str, Any], free: Collection[str]) -> str:
    """The fields in which two configs differ, a line each, but for free ones; empty for none."""
    differing = differing_fields(effective_fields(before), effective_fields(after))
    return "\n".join(
        f"  config.{name}: {old!r} there, {new!r} now"
        for name, (old, new) in differing.items()
        if name not in free
    )


def _flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, tree
