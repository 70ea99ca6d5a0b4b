"""What is wrong with the images of an imported file, and how people are told."""

from collections.abc import Sequence
from typing import NamedTuple

from labor_jax.annotation.formats.exported_round import Problem

_FIRST_NAMES = 3


class Violation(NamedTuple):
    """Why an image's answers were not taken.

    Attributes:
      where: The file, and the place in it.
      image: The image's name; None if it is not in the round.
      problem: What is wrong.
    """

    where: str
    image: str | None
    problem: Problem

    def __str__(self) -> str:
        image = "" if self.image is None else f", image {self.image!r}"
        problem = _printable(self.problem.text) + _pixels(self.problem.pixels)
        return f"{_printable(self.where)}{image}: {problem}"


def by_cause(violations: Sequence[Violation]) -> list[str]:
    """A line for each cause, in the order of their first violations.

    A cause with several violations is told with their number, pixels and first places; one that
    occurs once is told in full.
    """
    causes: dict[str, list[Violation]] = {}
    for violation in violations:
        causes.setdefault(violation.problem.cause or violation.problem.text, []).append(violation)
    return [
        str(found[0]) if len(found) == 1 else _line(cause, found) for cause, found in causes.items()
    ]


def other_round(violations: Sequence[Violation], images: int) -> int | None:
    """The round that a file is of, if all of its images say that it is another than imported.

    Args:
      violations: All violations of the file.
      images: The number of images in it.
    """
    found = [violation for violation in violations if violation.problem.round is not None]
    rounds = {violation.problem.round for violation in found}
    places = {violation.where for violation in found}
    return rounds.pop() if len(rounds) == 1 and len(places) == images else None


def _line(cause: str, violations: Sequence[Violation]) -> str:
    """Tells violations of one cause: "asked pixels are not answered, in 128 images: …"."""
    pixels = sum(violation.problem.pixels for violation in violations)
    places = [
        _printable(violation.where)
        if violation.image is None
        else f"{_printable(violation.where)} (image {violation.image!r})"
        for violation in violations[:_FIRST_NAMES]
    ]
    more = ", …" if len(violations) > len(places) else ""
    images = len({violation.where for violation in violations})
    times = f"in {images} image{'s' if images > 1 else ''}"
    if images < len(violations):
        times = f"{len(violations)} times {times}"
    line = f"{_printable(cause)}{_pixels(pixels)}, {times}: {', '.join(places)}{more}"
    first = violations[0].problem.text
    return line if first.endswith(cause) else f"{line}. The first: {_printable(first)}"


def _pixels(count: int) -> str:
    return f" ({count} pixel{'s' if count > 1 else ''})" if count else ""


def _printable(text: str) -> str:
    """Text from a file without control characters, which could move a terminal's cursor."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return text if len(text) <= 300 else text[:299] + "…"
