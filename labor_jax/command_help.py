"""The help of commands: what they do, their flags, and the fields of a config."""

import inspect
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise

from absl import flags
from ml_collections import ConfigDict

_COLUMN = 34
"""Where descriptions start, behind a name that leaves room for it or below a longer one."""


def listed(title: str, rows: Iterable[tuple[str, str]], column: int = _COLUMN) -> str:
    """Returns names with their descriptions, wrapped to the width of the terminal.

    Args:
      title: the first line.
      rows: a name and a description, which may be empty, each.
      column: where descriptions start.
    """
    width = _width()
    indent = " " * min(column, width // 2)
    lines = [title]
    for name, text in rows:
        wrapped = textwrap.wrap(text, width - len(indent)) or [""]
        beginning = f"  {name}"
        if len(beginning) + 2 <= len(indent):
            lines.append(f"{beginning:{len(indent)}}{wrapped.pop(0)}".rstrip())
        else:
            lines.append(beginning)
        lines += [indent + line for line in wrapped if line]
    return "\n".join(lines)


def discard_output() -> None:
    """Lets nothing more be printed, after what read the output, such as `head`, has ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def command(name: str) -> str:
    """Returns the help of the command that is running.

    Args:
      name: the command's, as in `labor-jax NAME`.
    """
    text = inspect.cleandoc(sys.modules["__main__"].__doc__ or "")
    usage = re.match(rf"[^`]*`(labor-jax {name}\b[^`]*)`", text)
    paragraphs = [_paragraph(each) for each in text.split("\n\n")]
    known = {flag.name: flag for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])}
    rows = [(_usage(flag), _meaning(flag)) for _, flag in sorted(known.items())]
    shown = " ".join(usage[1].split()) if usage else f"labor-jax {name}"
    return "\n\n".join((f"Usage: {shown} [FLAGS]", *paragraphs, listed("Flags:", rows)))


def fields(config: ConfigDict, meanings: dict[str, str]) -> str:
    """Returns the flags of all fields of a config with their values and meanings.

    Args:
      config: the values.
      meanings: of fields and sections, see `config_comments.read`.
    """
    title = f"Fields of {config.method} on {config.pair}, with their values:"
    order = {path: number for number, path in enumerate(meanings)}
    return "\n\n".join(_sections(config, "", title, meanings, order))


def _sections(
    section: ConfigDict, path: str, title: str, meanings: dict[str, str], order: dict[str, int]
) -> Iterator[str]:
    def below(name: str) -> str:
        return f"{path}.{name}" if path else name

    names = sorted(section, key=lambda name: (order.get(below(name), len(order)), name))
    inner = [name for name in names if isinstance(section[name], ConfigDict)]
    own = [name for name in names if name not in inner]
    if path.endswith(".terms"):
        rows = [(_setting(below(name), section[name]), "") for name in own if section[name] != 0]
        off = ", ".join(name for name in own if section[name] == 0)
        yield listed(title, [*rows, (f"--config.{path}.NAME=0.0", off)] if off else rows)
    elif own:
        told = ["", *(meanings.get(below(name), "") for name in own)]
        shown = ["likewise" if text and text == before else text for before, text in pairwise(told)]
        settings = [_setting(below(name), section[name]) for name in own]
        yield listed(title, zip(settings, shown, strict=True))
    for name in inner:
        meaning = meanings.get(below(name), "")
        heading = _paragraph(f"config.{below(name)}:{meaning and ' '}{meaning}")
        yield from _sections(section[name], below(name), heading, meanings, order)


def _setting(path: str, value: object) -> str:
    text = str(value)
    # `shlex.quote` would write each quote of a tuple of texts as five characters.
    within_double = "'" in text and not set(text) & set('"$`\\!')
    return f"--config.{path}=" + (f'"{text}"' if within_double else shlex.quote(text))


def _usage(flag: flags.Flag) -> str:
    if flag.boolean:
        return f"--[no]{flag.name}" if flag.default else f"--{flag.name}"
    if isinstance(flag, flags.EnumFlag):
        return f"--{flag.name}={'|'.join(flag.parser.enum_values)}"
    return f"--{flag.name}={flag.name.rpartition('_')[2].upper()}"


def _meaning(flag: flags.Flag) -> str:
    # What absl adds to the texts of flags with choices, and of those that may be repeated.
    text = re.sub(r"^<[^>]*>: |;\s*repeat this option to specify a list of values$", "", flag.help)
    default = flag.default
    return text if default in (None, [], False, "") else f"{text} Default: {default}."


def _paragraph(text: str) -> str:
    if all(len(line) < _width() for line in text.splitlines()):
        return text
    return textwrap.fill(" ".join(text.split()), _width())


def _width() -> int:
    return max(40, min(100, shutil.get_terminal_size((100, 24)).columns))
