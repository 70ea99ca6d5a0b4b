"""What the package's commands share: logging, and errors that are for people."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from labor_jax.workdir import ConfigError, is_disk_full

_MENDABLE = {
    "labor_jax.annotation.database": "LabelStoreError",
    "labor_jax.data.base": "DataError",
    "labor_jax.models.weight_files": "WeightsError",
    "labor_jax.training.checkpoints": "CheckpointError",
    "labor_jax.training.loop": "DivergedError",
    "labor_jax.training.processes": "ProcessError",
}


def run(main: Callable[[Sequence[str]], Any]) -> int:
    """Parses the flags and calls `main`; says in a few lines what a user did wrong.

    Args:
      main: gets the arguments that are no flags.

    Returns:
      The process's exit status: 0; 1 after an error that the user can mend; 130 after Ctrl-C.
      Errors that are the package's own fault keep their traceback.
    """
    try:
        status = _run(main)
    except BaseException:
        if _is_joined():
            traceback.print_exc()
            _leave(1)
        raise
    if status and _is_joined():
        _leave(status)
    return status


def _is_joined() -> bool:
    """Whether this process runs with others (`labor_jax.training.processes`)."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def _leave(status: int) -> NoReturn:
    """Ends a process that failed at once, so that the others don't wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(main: Callable[[Sequence[str]], Any]) -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax tells every file it writes
    # JAX tells of every kind of device that it looked for and that isn't here.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    app.define_help_flags()
    _make_configs_importable(sys.argv[1:])
    try:
        try:
            arguments = flags.FLAGS(sys.argv)
        except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
            raise app.UsageError(_explain_flags(error)) from error
        main(arguments)
    except KeyboardInterrupt:
        print("\nInterrupted. A run is resumed by the same command.", file=sys.stderr)
        return 130
    except app.UsageError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except Exception as error:
        if is_disk_full(error):
            print(
                f"The disk is full: {error}\nFree some space and run the same command; the run "
                "resumes from its last checkpoint, and no answer in the label store is lost.",
                file=sys.stderr,
            )
        elif isinstance(error, _mendable()):
            notes = "".join(f"\n  ({note})" for note in getattr(error, "__notes__", ()))
            print(f"{type(error).__name__}: {error}{notes}", file=sys.stderr)
        else:
            raise
        return 1
    return 0


def settle(config: ConfigDict) -> None:
    """Makes overrides mean what they say.

    Raises:
      app.UsageError: the config's file can't be read.
    """
    from labor_jax.acquisition import strategies  # after the flags: it imports JAX

    try:
        _ = config.method
    except OSError as error:  # stands in for the config if its file can't be read
        raise app.UsageError(str(error)) from error
    if config.method in strategies.METHODS:  # --config.acquisition.method names the run, too
        config.method = config.acquisition.method
    for section in (config, config.data, config.data.augment, config.acquisition):
        for name, value in section.items():
            if value == (None,):  # how a tuple's flag reads "None"
                section[name] = None


def _mendable() -> tuple[type[Exception], ...]:
    """The errors whose message is all that a user needs."""
    # None can have been raised by a module that wasn't imported, and imports take seconds.
    return (
        ConfigError,
        *(
            getattr(sys.modules[module], name)
            for module, name in _MENDABLE.items()
            if hasattr(sys.modules.get(module), name)
        ),
    )


def _explain_flags(error: Exception) -> str:
    """A flag error, with the valid fields where the config has no such field."""
    config = _config_without_overrides(sys.argv[1:])
    if config is not None and isinstance(error, AttributeError | KeyError):
        for argument in sys.argv[1:]:
            name = argument.lstrip("-").partition("=")[0]
            problem = _unknown_field(config, name) if name.startswith("config.") else None
            if problem:
                return problem
    message = str(error)
    if "Traceback" in message:  # a config file's own error: the last line tells what is wrong
        flag = message.splitlines()[0].partition(": Error whilst")[0]
        message = f"{flag}: {message.strip().splitlines()[-1]}"
    return message


def _config_argument(arguments: Sequence[str]) -> str | None:
    """The value of `--config`: a file, with `:PAIR` behind it or not."""
    for i, argument in enumerate(arguments):
        name, _, value = argument.lstrip("-").partition("=")
        if name == "config":
            return value or next(iter(arguments[i + 1 :]), None)
    return None


def _make_configs_importable(arguments: Sequence[str]) -> None:
    """Lets a config import its neighbours (`from configs import common`) from any directory."""
    path = _config_argument(arguments)
    if path:
        folder = Path(path.partition(":")[0]).resolve().parent
        if (folder / "common.py").exists():
            sys.path.insert(0, str(folder.parent))


def _config_without_overrides(arguments: Sequence[str]) -> ConfigDict | None:
    """The config that `--config` names, if it can be loaded."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=[])
    try:
        values(["main", f"--config={_config_argument(arguments)}"])
        return values.config
    except Exception:  # then that is the error, and it is told without our help
        return None


def _unknown_field(config: ConfigDict, name: str) -> str | None:
    here, path = config, "config"
    for field in name.split(".")[1:]:
        if not isinstance(here, ConfigDict):
            return f"{path} is a value, so it has no field {field!r}."
        if field not in here:
            valid = ", ".join(sorted(here))
            return f"Unknown field {path}.{field}; the fields of {path} are: {valid}."
        here, path = here[field], f"{path}.{field}"
    return None
