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


def stem_of(path: str, pattern: str) -> str | None:
    """Returns the image's path that a label's path stands for; None if it is not named so.

    Args:
      path: of a label, with "/".
      pattern: the label's file name, in which "{stem}" stands for the image's. Capitals in the
        extension don't count.

    Returns:
      The path without what the pattern adds to its last part, as `comparable` has it.
    """
    before, after = map(comparable, pattern.split("{stem}"))
    folder, slash, name = comparable(path).rpartition("/")
    end = len(name) - len(after)
    if (
        end > len(before)
        and name.startswith(before)
        and comparable_ending(name[end:]) == comparable_ending(after)
    ):
        return folder + slash + name[len(before) : end]
    return None
