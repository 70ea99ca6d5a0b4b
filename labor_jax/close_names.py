"""What a misspelt name is likely meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(
    name: str, known: Iterable[str], *, prefix: str = "", likeness: float = 0.6
) -> str:
    """Asks for the known name that is closest to a misspelt one.

    Args:
      name: the misspelt one.
      known: the names that there are.
      prefix: what to show before the name.
      likeness: how alike the names have to be, from 0 to 1, see `difflib.get_close_matches`.

    Returns:
      " Did you mean NAME?", to stand behind a sentence; empty if no name is close.
    """
    close = difflib.get_close_matches(name, list(known), 1, likeness)
    return f" Did you mean {prefix}{close[0]}?" if close else ""
