"""How names of files are compared."""

from __future__ import annotations

import unicodedata


def comparable(name: str) -> str:
    """Returns a name or path in a form that is the same for names that look the same.

    Some systems write "ü" as one character and others, macOS among them, as "u" and an accent.
    """
    return unicodedata.normalize("NFC", name)


def comparable_ending(ending: str) -> str:
    """Returns the end of a file name so that ".PNG" is ".png" too, see `comparable`."""
    before, dot, extension = comparable(ending).rpartition(".")
    return before + dot + extension.lower() if dot else extension
