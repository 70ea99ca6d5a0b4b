"""Parses command lines as the commands themselves do, without running them: a script.

Its argument is a JSON file of argument lists. It prints a list of what is wrong with each, or null.
"""

import argparse
import contextlib
import importlib
import io
import json
import runpy
import sys

from absl import flags
from ml_collections import ConfigDict

from labor_jax import __main__ as labor_jax_command
from labor_jax import command_line
from labor_jax.experiment import config_checks, open_fields


class ParsedError(Exception):
    """Ends a script when it has parsed its arguments."""


def main():
    ConfigDict.__str__ = ConfigDict.__repr__ = object.__repr__  # printed twice for each --config
    with open(sys.argv[1]) as file:
        commands = json.load(file)
    print(json.dumps([problem(*arguments) for arguments in commands]))


def problem(command, *arguments):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            (script if command.endswith(".py") else labor_jax)(command, *arguments)
    except (Exception, SystemExit) as error:
        return f"{printed.getvalue()}{type(error).__name__}: {error}"
    return None


def script(path, *arguments):
    """A script with argparse, up to where it has parsed its arguments."""
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_end(self, *given, **named):
        parse_args(self, *given, **named)
        raise ParsedError

    argparse.ArgumentParser.parse_args = parse_and_end
    sys.argv = [path, *arguments]
    try:
        runpy.run_path(path, run_name="__main__")
    except ParsedError:
        return
    finally:
        argparse.ArgumentParser.parse_args = parse_args
    raise RuntimeError("it parsed no arguments")


def labor_jax(command, *arguments):
    """A command of labor-jax, up to where its `main` would be called."""
    if command == "run" and not arguments[0].startswith("-"):
        arguments = [f"--config={arguments[0]}", *arguments[1:]]
    module = f"labor_jax.{labor_jax_command.COMMANDS[command][0]}"
    sys.argv = [module, *arguments]
    before = set(flags.FLAGS)
    sys.modules.pop(module, None)
    importlib.import_module(module)
    flags.DEFINE_bool("help", False, "Say what the command and its flags are.", short_name="h")
    try:
        with_config = "config" in flags.FLAGS
        parsed = command_line._parse(with_config)
        if with_config and parsed[1] is not None:
            config_checks.check_config(open_fields.filled(parsed[1]))
    finally:
        flags.FLAGS.unparse_flags()
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


if __name__ == "__main__":
    main()
