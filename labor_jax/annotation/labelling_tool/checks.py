"""Checks of what annotators' clients send: names, request names and times."""

import unicodedata
from typing import Any

MAX_SECONDS = 86_400.0
"""The longest active time that one step may have."""

_MAX_NAME = 100


def checked_annotator(name: Any) -> str:
    """An annotator's name as it is stored: stripped of spaces, in composed Unicode.

    Raises:
      ValueError: If it is not a string of 1 to 100 characters, or has a control character.
    """
    if not isinstance(name, str):
        raise ValueError("an annotator's name is a string")
    # Composing takes time quadratic in the length, and blocks all other requests meanwhile.
    if len(name) <= 10 * _MAX_NAME:
        name = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(name) <= _MAX_NAME:
        raise ValueError(f"an annotator's name has 1 to {_MAX_NAME} characters, not {len(name)}")
    # Cc: control characters. Cs: half of a surrogate pair, which is not valid text.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ValueError("an annotator's name has no control characters")
    return name


def checked_request(request: Any) -> str:
    """The unique name that a client gives a step.

    Raises:
      ValueError: If it is not a string of 1 to 100 printable characters.
    """
    if not isinstance(request, str) or not 1 <= len(request) <= _MAX_NAME:
        raise ValueError(f"a request has a unique name of 1 to {_MAX_NAME} characters")
    if not request.isprintable():  # a lone surrogate isn't either
        raise ValueError("a request's name has only printable characters")
    return request


def checked_seconds(seconds: Any) -> float:
    """An annotator's active time.

    Raises:
      ValueError: If it is not a number from 0 to `MAX_SECONDS`.
    """
    if type(seconds) not in (int, float) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds are a number from 0 to {MAX_SECONDS:.0f}")
    return float(seconds)
