"""What the package's commands share: flags, logging, and errors meant for the user."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags
from ml_collections import ConfigDict

from labor_jax import command_help, file_errors, logs, user_files
from labor_jax.close_names import did_you_mean

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
    "labor_jax.devices": "DeviceError",
    "labor_jax.output_files": "OutputError",
    "labor_jax.models.weights.files": "WeightsError",
    "labor_jax.training.checkpoints": "CheckpointError",
    "labor_jax.training.loop": "DivergedError",
    "labor_jax.training.processes": "ProcessError",
    "labor_jax.experiment.report.results": "ResultsError",
    "labor_jax.experiment.workdir": "ConfigError",
}
"""The errors whose message is all that a user needs, by their modules."""

called_by_name = False
"""Whether this process was started as `labor-jax COMMAND`."""


def words(command: str) -> list[str]:
    """The first words of a command, written as this process was started: "annotate", "run"."""
    if called_by_name:
        return ["labor-jax", command]
    return ["python", "-m", f"labor_jax.{'main' if command == 'run' else command}"]


def define_config(help: str) -> None:
    """Defines `--config` for a command whose `main` takes a config, see `run`."""
    flags.DEFINE_string(
        "config",
        None,
        f"{help} A name with or without a data pair, such as spl or spl:camvid, or a file with a "
        "function get_config. Override any field: --config.rounds=2.",
    )


def define_checkpoint() -> flags.FlagHolder:
    """Defines `--checkpoint` for a command that reads a run's model."""
    return flags.DEFINE_enum(
        "checkpoint",
        "last",
        ["best", "last"],
        "The checkpoint to read: the one of best mIoU so far, or the last.",
    )


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Reads the flag `--size`: "360,640", "360x640" or "(360,640)"; None if it isn't given.

    Raises:
      app.UsageError: it is something else.
    """
    if text is None:
        return None
    parts = text.strip("()").replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise app.UsageError(f"--size is {text!r}; give HEIGHT,WIDTH in pixels, as 360,640.")
    height, width = map(int, parts)
    return height, width


def define_overwrite() -> flags.FlagHolder:
    """Defines `--overwrite` for a command that writes with `labor_jax.output_files`."""
    return flags.DEFINE_bool(
        "overwrite", False, "Replace outputs that labor-jax wrote before. Others never are."
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
    logs.configure()
    # A checkpoint is written in the background. If that fails, whoever waits for it gets the error;
    # asyncio and TensorStore print it too, with tracebacks.
    logging.getLogger("asyncio").addFilter(_is_no_full_disk)
    sys.unraisablehook = _report_unraisable
    if "help" not in flags.FLAGS:
        flags.DEFINE_bool("help", False, "Say what the command and its flags are.", short_name="h")
    # --help lists a flag of this module only if told to.
    for name in ("extension", "config", "checkpoint", "overwrite"):
        if name in flags.FLAGS:
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])
    try:
        parsed = _parse(with_config)
        if parsed is not None:
            main(*parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        command_help.discard_output()
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command resumes a run.", file=sys.stderr)
        return 130
    except app.UsageError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except Exception as error:
        message = _explained(error)
        if message is None:
            raise
        print(message, file=sys.stderr)
        return 1
    return 0


def _explained(error: Exception) -> str | None:
    """What to tell the user of an error; None of one that is the package's own."""
    if file_errors.is_disk_full(error):
        return file_errors.describe(error)
    if isinstance(error, _user_errors()):
        notes = "".join(f"\n  ({note})" for note in getattr(error, "__notes__", ()))
        return f"{type(error).__name__}: {error}{notes}"
    return file_errors.describe(error)


def _is_no_full_disk(record: logging.LogRecord) -> bool:
    """Whether a log record tells of anything but a full disk."""
    return not (record.exc_info and file_errors.is_disk_full(record.exc_info[1]))


def _report_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Prints an error that no code can catch, as Python does, except for one of TensorStore's.

    When a write of TensorStore has failed, its threads still call asyncio, whose event loop is
    closed by then. The traceback of that error starts in asyncio.
    """
    trace = unraisable.exc_traceback
    within_asyncio = (
        trace is not None and "asyncio" in Path(trace.tb_frame.f_code.co_filename).parts
    )
    if not (within_asyncio and str(unraisable.exc_value) == "Event loop is closed"):
        sys.__unraisablehook__(unraisable)


def _parse(with_config: bool) -> tuple[Any, ...] | None:
    """Parses `sys.argv`.

    Returns:
      The arguments of `main`; None if the help was asked for, and printed.

    Raises:
      app.UsageError: a flag or a config that can't be.
    """
    # Overrides and mistyped flags are left over at first: which fields there are depends on the
    # config, and which configs there are on the extensions.
    flags.FLAGS.set_gnu_getopt(True)
    _accept_hyphens()
    try:
        arguments = flags.FLAGS(sys.argv, known_only=True)
    except flags.Error as error:
        raise app.UsageError(str(error)) from error
    for path in _EXTENSIONS.value:
        try:
            user_files.load(path)
        except FileNotFoundError as error:
            raise app.UsageError(f"--extension: {error}") from error
        except ValueError as error:  # a name that is taken, or what can't be registered
            raise app.UsageError(f"--extension={path}: {error}") from error
    config = None
    if with_config and flags.FLAGS["config"].value is not None:
        from labor_jax import config_argument

        config = config_argument.load(flags.FLAGS["config"].value)
        arguments = config_argument.override(config, arguments)
    if flags.FLAGS["help"].value:
        _print_help(config, with_config)
        return None
    try:
        arguments = flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        raise app.UsageError(_unknown_flag(error.flagname, config)) from error
    except flags.Error as error:
        raise app.UsageError(str(error)) from error
    return (arguments, config) if with_config else (arguments,)


def _accept_hyphens() -> None:
    """Lets a flag's name be written with hyphens for its underscores, as --label-maps."""
    for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0]):
        name = flag.name.replace("_", "-")
        if name not in flags.FLAGS:
            flags.FLAGS[name] = flag


def _unknown_flag(name: str, config: ConfigDict | None) -> str:
    """Says that there is no such flag of the command, and which may be meant."""
    if config is None and name.startswith("config."):
        return f"--{name} needs a config: name one, as in labor-jax run spl --{name}=VALUE."
    if config is not None and name in config:
        return f"There is no flag --{name}. Did you mean --config.{name}?"
    known = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    meant = did_you_mean(name, known, prefix="--") or " --help lists the flags."
    return f"There is no flag --{name}.{meant}"


def _user_errors() -> tuple[type[Exception], ...]:
    """The errors of the table in modules that are imported; others can't have been raised."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in _USER_ERRORS.items()
        if hasattr(sys.modules.get(module), name)
    )


def _print_help(config: ConfigDict | None, with_config: bool) -> None:
    module = Path(sys.argv[0]).stem
    print(command_help.command("run" if module == "main" else module))
    if config is not None:
        from labor_jax import config_comments
        from labor_jax.data import PAIRS

        if config.pair in PAIRS and PAIRS[config.pair].chosen_from_data:
            print("\nNone stands for a value that is chosen from your images when the run starts,")
            print("unless the field says otherwise.")
        print(f"\n{command_help.fields(config, config_comments.read(config))}")
    elif with_config:
        print("\nlabor-jax run CONFIG --help lists the fields of a config; labor-jax --help the")
        print("names of configs.")
