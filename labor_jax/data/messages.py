"""Error messages that list the files with a problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labor_jax.data.base import DataError

LISTED = 5
"""How many entries a message lists."""


def raise_if_any(problem: str, entries: Sequence[str], remedy: str) -> None:
    """Raises a DataError that counts and lists `entries`, unless there are none.

    Args:
      problem: what is wrong with the entries ("source images cannot be read").
      entries: the files or names with the problem.
      remedy: what the user can do, a sentence.

    Raises:
      DataError: `entries` is not empty.
    """
    if entries:
        raise DataError(f"{len(entries)} {problem}: {listing(entries)}. {remedy}")


def dimensions(size: tuple[int, int]) -> str:
    """A size (height, width) as text: "360x640"."""
    return f"{size[0]}x{size[1]}"


def listing(entries: Iterable[str]) -> str:
    """Returns the first five entries as text, and the number of the others."""
    entries = list(entries)
    more = f" and {len(entries) - LISTED} more" if len(entries) > LISTED else ""
    return ", ".join(entries[:LISTED]) + more
