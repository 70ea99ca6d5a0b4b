"""What the package's commands share: flags, logging, and errors meant for the user."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from absl import app, flags

from labor_jax import user_files

_EXTENSIONS = flags.DEFINE_multi_string(
    "extension",
    [],
    "A Python file to run first. What it registers (a data pair, a term, a backbone, a head, an "
    "acquisition function) can be named by the config. Repeat the flag for several files.",
)

_USER_ERRORS = {
    "labor_jax.annotation.label_store.database": "LabelStoreError",
    "labor_jax.data.base": "DataError",
    "labor_jax.deployment.errors": "ExportError",
    "labor_jax.models.weights.files": "WeightsError",
    "labor_jax.training.checkpoints": "CheckpointError",
    "labor_jax.training.loop": "DivergedError",
    "labor_jax.training.processes": "ProcessError",
    "labor_jax.experiment.workdir": "ConfigError",
}
"""The errors whose message is all that a user needs, by their modules."""


def define_config(help: str) -> None:
    """Defines `--config` for a command whose `main` takes a config, see `run`."""
    flags.DEFINE_string(
        "config",
        None,
        f"{help} A name with or without a data pair, such as spl or spl:camvid, or a file with a "
        "function get_config. Override any field: --config.rounds=2.",
    )


def run(main: Callable[..., Any], *, with_config: bool = False) -> int:
    """Parses the flags and calls `main`; describes a user's mistake in a few lines.

    Args:
      main: gets the arguments that are not flags, as absl's `app.run` passes them; and the config,
        or None if there is no `--config`, if `with_config`.
      with_config: whether the command has called `define_config`.

    Returns:
      The process's exit status: 0; 1 after an error that the user can fix; 130 after Ctrl-C. Errors
      of the package itself keep their traceback.
    """
    try:
        status = _run(main, with_config)
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
    """Ends a failed process at once, so that the others don't wait for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(main: Callable[..., Any], with_config: bool) -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax logs every file it writes
    # JAX logs every kind of device that it looked for and did not find, and its cache of programs.
    logging.getLogger("jax").setLevel(logging.WARNING)
    app.define_help_flags()
    for name in ("extension", "config"):  # --help lists a flag of this module only if told to
        if name in flags.FLAGS:
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])
    try:
        main(*_parse(with_config))
    except KeyboardInterrupt:
        print("\nInterrupted. The same command resumes a run.", file=sys.stderr)
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
        elif isinstance(error, _user_errors()):
            notes = "".join(f"\n  ({note})" for note in getattr(error, "__notes__", ()))
            print(f"{type(error).__name__}: {error}{notes}", file=sys.stderr)
        else:
            raise
        return 1
    return 0


def _parse(with_config: bool) -> tuple[Any, ...]:
    """Parses `sys.argv`.

    Returns:
      The arguments of `main`.

    Raises:
      app.UsageError: a flag or a config that can't be.
    """
    # Overrides and mistyped flags are left over at first: which fields there are depends on the
    # config, and which configs there are on the extensions.
    flags.FLAGS.set_gnu_getopt(True)
    try:
        arguments = flags.FLAGS(sys.argv, known_only=True)
    except flags.Error as error:
        raise app.UsageError(str(error)) from error
    for path in _EXTENSIONS.value:
        try:
            user_files.load(path)
        except FileNotFoundError as error:
            raise app.UsageError(f"--extension: {error}") from error
    config = None
    if with_config and flags.FLAGS["config"].value is not None:
        from labor_jax import config_argument

        config = config_argument.load(flags.FLAGS["config"].value)
        arguments = config_argument.override(config, arguments)
    try:
        arguments = flags.FLAGS(arguments)
    except flags.Error as error:
        raise app.UsageError(str(error)) from error
    return (arguments, config) if with_config else (arguments,)


def _user_errors() -> tuple[type[Exception], ...]:
    """The errors of the table in modules that are imported; others can't have been raised."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in _USER_ERRORS.items()
        if hasattr(sys.modules.get(module), name)
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that no space is left."""
    while error is not None:
        if any(
            text in str(error).lower()
            for text in ("no space left", "disk is full", "disk full", "disk quota exceeded")
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
