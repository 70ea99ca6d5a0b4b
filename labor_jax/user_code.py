"""What users register: what an error in it says, and the names and defaults that it may have."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[^\s,:+/\\-]([^\n\r\t,:+/\\]*[^\s,:+/\\])?")


def said(error: Exception) -> str:
    """An error's message; errors other than ValueErrors get their type before its first line.

    JAX's messages go on with advice for whoever wrote the code.
    """
    if isinstance(error, ValueError):
        return str(error)
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@contextlib.contextmanager
def naming(
    culprit: str, *, beyond: tuple[type[Exception], ...] = (), or_ours: bool = False
) -> Iterator[None]:
    """Puts what failed before the message of any error inside.

    Args:
      culprit: what fails.
      beyond: errors of what is not the user's, which stay as they are.
      or_ours: whether ValueErrors that the package raised, which name fields, stay so too.

    Raises:
      ValueError: for any other error.
    """
    try:
        yield
    except beyond:
        raise
    except Exception as error:
        if or_ours and isinstance(error, ValueError) and _raised_by_package(error):
            raise
        raise ValueError(f"{culprit} fails: {said(error)}") from error


def _raised_by_package(error: Exception) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent)


def check_name(name: object, of: str) -> None:
    """Raises a ValueError unless a name can stand in a command, as in `active:NAME,PAIR`.

    Args:
      name: the name.
      of: what it names, such as "a data pair".
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith(".py"):
        raise ValueError(
            f"{name!r} can't name {of}; in a command , : + / stand between names, a hyphen before "
            "a flag, and .py after a file. Use letters, digits, underscores, hyphens and dots."
        )


def check_default(value: object, of: str) -> None:
    """Raises a ValueError unless a config can hold a default, and write it down.

    Args:
      value: the default.
      of: whose it is, such as "the parameter 'weights' of …".
    """
    if not _fits_config(value):
        raise ValueError(
            f"the default of {of} is of type {type(value).__name__}, which a config can't hold; "
            "give a number, text, True, False or None, or a tuple of them."
        )


def _fits_config(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_fits_config, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _fits_config(each) for key, each in value.items())
    return value is None or isinstance(value, bool | int | float | str)
