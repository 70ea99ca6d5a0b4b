"""What `--config` names on the command line, and what `--config.FIELD=VALUE` overrides."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_dict import FieldReference

from labor_jax import user_files
from labor_jax.close_names import did_you_mean
from labor_jax.locked_config import (
    ON_CHANGE,
    LockedConfig,
    UnknownFieldError,
    locked,
    section_is_no_value,
    unknown_field,
)

_NONE = "None"  # on the command line


class _Integer(flags.IntegerParser):
    def parse(self, argument: str) -> int | None:
        try:
            return None if argument == _NONE else super().parse(argument)
        except ValueError as error:
            raise ValueError("give a whole number, such as 3") from error


class _Float(flags.FloatParser):
    def parse(self, argument: str) -> float | None:
        try:
            return None if argument == _NONE else super().parse(argument)
        except ValueError as error:
            raise ValueError("give a number, such as 0.5") from error


config_flags.register_flag_parser_for_type(int, _Integer())
config_flags.register_flag_parser_for_type(float, _Float())


def load(argument: str) -> LockedConfig:
    """Loads a config by name or from a user's file.

    Args:
      argument: "spl", "spl:camvid", "active:entropy,camvid", "uda:advent"; or a file with a
        function `get_config`, such as "my_experiment.py" or "my_experiment.py:ARGUMENT", which
        gives the function that argument. "configs/spl.py:camvid" is "spl:camvid" in any directory.

    Raises:
      app.UsageError: there is no such config.
    """
    from labor_jax import config, recipes  # this imports JAX, which takes time

    name, _, rest = argument.partition(":")
    if name.endswith(".py") or "/" in name:
        path = Path(name).expanduser()
        if path.is_file():
            return _from_file(path, rest)
        if path.parent.name != "configs" or path.stem not in recipes.NAMES:
            meant = did_you_mean(path.stem, recipes.NAMES, prefix="--config ")
            raise app.UsageError(
                f"There is no file {name}.{meant} These names work from any directory: "
                f"{', '.join(recipes.NAMES)}."
            )
        name = path.stem
    if name in recipes.WITH_METHOD:
        method, _, pair = rest.partition(",")
        if ":" in method:
            raise app.UsageError(
                f"--config {argument}: a comma stands between method and pair, as in "
                f"{name}:{method.replace(':', ',')}."
            )
        name = f"{name}:{method}"
    else:
        pair = rest
    try:
        return config.get_config(name, pair or "street")
    except ValueError as error:
        message = f"--config {argument}: {error}"
        if _misses_a_registered_name(name, pair):
            message += " To use one of your own, name the file that registers it: --extension FILE."
        raise app.UsageError(message) from error


def _misses_a_registered_name(name: str, pair: str) -> bool:
    """Whether an extension may register what the name of a config lacks."""
    from labor_jax import acquisition, adaptation, data

    recipe, _, method = name.partition(":")
    methods = adaptation.METHODS if recipe == "uda" else acquisition.METHODS
    unknown = method and any(each not in methods for each in method.split("+"))
    return bool(unknown or (pair and pair not in data.PAIRS))


def _from_file(path: Path, argument: str) -> LockedConfig:
    try:
        module = user_files.load(path)
        if not hasattr(module, "get_config"):
            raise app.UsageError(f"{path} has no function get_config, which a config file needs.")
        config = module.get_config(*([argument] if argument else []))
    except (TypeError, ValueError, UnknownFieldError) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename) == path.resolve()
        ]
        where = f"{path}, line {lines[-1]}" if lines else f"{path}"
        raise app.UsageError(f"{where}: {error}") from error
    if not isinstance(config, ConfigDict):
        raise app.UsageError(
            f"get_config of {path} returned {type(config).__name__}; it has to return a config, "
            "such as that of labor_jax.get_config."
        )
    return locked(config)


def override(config: LockedConfig, arguments: Sequence[str]) -> list[str]:
    """Sets the fields of a config that arguments name.

    With `acquisition.method` go the sizes of the parts that it asks, see `config.prepare_for`.

    Args:
      config: changed in place.
      arguments: the program's name and its arguments, of which `--config.FIELD=VALUE` are used.

    Returns:
      The other arguments.

    Raises:
      app.UsageError: no such field, or a value of another type.
    """
    for argument in arguments:
        name, _, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name.startswith("config."):
            _check_field(config, name, value)
    _set_leading(config, arguments)
    method, acquisition_method = config.method, config.get("acquisition.method")
    _prepare_for_method(config, arguments)
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
    try:
        rest = values(list(arguments), known_only=True)
        _read_none(config)
    except (flags.Error, TypeError, ValueError) as error:
        raise app.UsageError(str(error)) from error
    if config.get("acquisition.method") != acquisition_method == method:
        config.method = config.acquisition.method  # a run is named after what it asks
    return rest


def _set_leading(config: LockedConfig, arguments: Sequence[str]) -> None:
    """Sets the fields that others follow before these, wherever they stand among the arguments."""
    for flag, value in _flags(arguments):
        if flag in ON_CHANGE:
            try:
                config[flag.removeprefix("config.")] = value
            except ValueError as error:
                raise app.UsageError(str(error)) from error


def _prepare_for_method(config: LockedConfig, arguments: Sequence[str]) -> None:
    """Sets what goes with an acquisition method, before the fields that the arguments set."""
    methods = [value for flag, value in _flags(arguments) if flag == "config.acquisition.method"]
    if methods:
        from labor_jax.config import prepare_for  # this imports JAX, which takes time

        prepare_for(config, methods[-1])


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The flags among arguments, with the value that each has if it takes one."""
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        flag, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-"):
            yield flag, value if equals else following


def _check_field(config: LockedConfig, name: str, value: str) -> None:
    above, section, path, field = config, config, "config", ""
    for field in name.split(".")[1:]:
        if not isinstance(section, ConfigDict):
            raise app.UsageError(f"{path} is a value, so it has no field {field!r}.")
        if field not in section:
            raise app.UsageError(str(unknown_field(section, field, path)))
        above, section, path = section, section[field], f"{path}.{field}"
    if isinstance(section, ConfigDict) and not value.startswith("{"):
        raise app.UsageError(str(section_is_no_value(above, field, path.rpartition(".")[0])))


def _read_none(section: ConfigDict) -> None:
    """Sets tuples and words that were given as None, as their flags read them, to None."""
    for name, field in section.items(preserve_field_references=True):
        if isinstance(field, ConfigDict):
            _read_none(field)
        elif section[name] == (None,) or (
            isinstance(field, FieldReference) and section[name] == _NONE
        ):
            section[name] = None
