"""The exported round, and the images read back: what the formats of other tools exchange."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from labor_jax.annotation.cost import Kind

VOID = 254
"""In exported files, the label of an asked pixel that is void. The label store uses 255."""

UNANSWERED = 255
"""In exported files, a pixel without an answer. As a shape's label: asked, not yet answered."""

_FILE_NAME = re.compile(
    r"(?:^|[^0-9A-Za-z])round(\d{1,9})_(\d{1,9})(?:_([0-9a-f]{12}))?(?:\.\w{1,5})?$"
)


class Problem(NamedTuple):
    """Something in a file that can't be imported.

    Attributes:
      text: What is wrong.
      pixels: How many pixels it affects; 0 if they can't be counted.
      cause: The end of `text` that is the same wherever the same is wrong; empty for all of it.
      round: The round that the file belongs to, if it is another one.
    """

    text: str
    pixels: int = 0
    cause: str = ""
    round: int | None = None

    @classmethod
    def about(cls, subject: str, cause: str, round: int | None = None) -> "Problem":
        """A problem of something within an image, such as "annotation 3: "."""
        return cls(subject + cause, 0, cause, round)


class ExportedImage(NamedTuple):
    """An image of an exported round, and what is asked of it.

    Attributes:
      number: The image's index in the round; files are named by it.
      kind: How it is asked.
      asked: The asked pixels, `bool[H, W]`.
      labels: The answers so far, `uint8[H, W]`: class numbers, `VOID`, or `UNANSWERED`; pixels that
        aren't asked are `UNANSWERED`. A part of several classes is `VOID`.
      parts: Which part each asked pixel is of, `int64[H, W]`; None where parts are the connected
        pieces or the points.
      guess: Of corrections: the labels that are to be confirmed, `uint8[H, W]`, 255 for none.
      candidates: Whether each part holds each class, `bool[parts, C]`, once that is answered.
    """

    number: int
    kind: Kind
    asked: np.ndarray
    labels: np.ndarray
    parts: np.ndarray | None = None
    guess: np.ndarray | None = None
    candidates: np.ndarray | None = None

    @property
    def is_points(self) -> bool:
        """Whether single pixels are asked, which tools show as points."""
        if self.kind == "corrections" and self.parts is not None:
            return int(self.parts.max()) + 1 == np.count_nonzero(self.asked)
        return self.kind == "points"


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedRound:
    """A round that is labelled in another tool.

    Attributes:
      round: Its number.
      classes: Names of the classes 0 to C - 1.
      palette: Their colours, `uint8[C, 3]`.
      names: The names of the images that are asked something, by their numbers.
      sizes: (height, width) of each of them, by number.
      fingerprints: What identifies the run, the round, the image and its query, by number: 12
        hexadecimal digits that every tool keeps, because they are part of the file's name. Empty
        for files that any run may have written.
      kind: How its images are asked, if that is known.
    """

    round: int
    classes: tuple[str, ...]
    palette: np.ndarray
    names: Mapping[int, str]
    sizes: Mapping[int, tuple[int, int]]
    fingerprints: Mapping[int, str] = dataclasses.field(default_factory=dict)
    kind: Kind | None = dataclasses.field(default=None, kw_only=True)

    def file_name(self, number: int) -> str:
        """The name of an image's file. Unlike the image's own name, it is always a safe path."""
        fingerprint = f"_{self.fingerprints[number]}" if number in self.fingerprints else ""
        return f"round{self.round}_{number:06}{fingerprint}.png"

    @functools.cached_property
    def pixels(self) -> int:
        """The number of pixels of all images."""
        return sum(height * width for height, width in self.sizes.values())

    @functools.cached_property
    def label_names(self) -> dict[int, str]:
        """The name of each label in files: of the classes, `VOID`, and `UNANSWERED` ("asked")."""
        names = dict(enumerate(self.classes))
        for value, name in ((VOID, "void"), (UNANSWERED, "asked")):
            while name in self.classes:  # a class may already have this name
                name += "_"
            names[value] = name
        return names

    @functools.cached_property
    def label_values(self) -> dict[str, int]:
        """The label of each name."""
        return {name: value for value, name in self.label_names.items()}

    def identify(
        self, name: Any, size: tuple[Any, Any] | None
    ) -> tuple[int | None, tuple[Problem, ...]]:
        """Finds the image that a file names.

        Args:
          name: The image's name in the file: an exported file name, perhaps with a prefix.
          size: (height, width) according to the file, or None.

        Returns:
          The image's number, and problems if it is not in the round or has another size.
        """
        found = _FILE_NAME.search(name) if isinstance(name, str) else None
        if found is None:
            return None, (
                Problem.about(f"{shortened(name)} ", "is not the name of an exported file"),
            )
        round, number, fingerprint = int(found[1]), int(found[2]), found[3]
        if round != self.round:
            text = f"is of round {round}, not of round {self.round}"
            return None, (Problem.about(f"{shortened(name)} ", text, round=round),)
        if number not in self.sizes:
            text = "is not an image that the round asks"
            return None, (Problem.about(f"{shortened(name)} ", text),)
        if self.fingerprints.get(number, fingerprint) != fingerprint:
            text = "is of another run, or asks other pixels, than this round"
            return None, (Problem.about(f"{shortened(name)} ", text),)
        return number, self.check_size(number, size)

    def check_size(self, number: int, size: tuple[Any, Any] | None) -> tuple[Problem, ...]:
        """The problem of an image whose (height, width) in the file is wrong."""
        expected = self.sizes[number]
        if size is None or tuple(size) == expected:
            return ()
        height, width = size
        if height is None and width is None:
            return (Problem("the file gives the image no width and height; add them"),)
        for side, value in (("width", width), ("height", height)):
            is_whole = type(value) is int or (type(value) is float and value.is_integer())
            if not is_whole:
                text = f"the image's {side} in the file is {shortened(value)}, not a whole number"
                return (Problem(text),)
        text = (
            f"the image is {width}x{height} in the file and {expected[1]}x{expected[0]} in the run"
        )
        return (Problem(text),)

    def label_named(self, name: Any) -> int:
        """The label with a name in a file.

        Raises:
          ValueError: If it is not a class.
        """
        if not isinstance(name, str) or name not in self.label_values:
            raise ValueError(f"{shortened(name)} is not one of the classes")
        return self.label_values[name]

    def gives_none(self, names: Iterable[Any]) -> bool:
        """Whether shapes of these names give no label: there are none, or all are "asked"."""
        return all(name == self.label_names[UNANSWERED] for name in names)

    def color(self, label: int) -> str:
        """A label's colour, "#rrggbb"; white for void, and magenta for asked pixels."""
        if label == VOID:
            return "#ffffff"
        if label == UNANSWERED:
            return "#ff00ff"
        return "#{:02x}{:02x}{:02x}".format(*self.palette[label].tolist())


class ImportedImage(NamedTuple):
    """What a file says of one image.

    Attributes:
      where: The file and the place in it.
      number: The image's number in the round; None if it is not in the round.
      labels: The answers, as in `ExportedImage`; None if they can't be read.
      problems: What is wrong with them.
      seconds: The annotator's time, if the file has it.
      classes: Where a pixel may have several classes: all that it has, as numbers of
        `combinations`, `int64[H, W]`.
      combinations: The sets of classes; an empty one is void or unanswered.
      unlabelled: Of an image that can't be read: whether the file gives it no label either.
      places: Of problems that matter only where something is asked: their pixels, `bool[H, W]`, by
        their texts.
    """

    where: str
    number: int | None
    labels: np.ndarray | None
    problems: tuple[Problem, ...] = ()
    seconds: float | None = None
    classes: np.ndarray | None = None
    combinations: tuple[frozenset[int], ...] = ()
    unlabelled: bool = False
    places: Mapping[str, np.ndarray] = MappingProxyType({})

    def with_problem(self, text: str, pixels: np.ndarray) -> "ImportedImage":
        """Adds a problem of pixels, `bool[H, W]`, that matters where they are asked."""
        problem = Problem(text, int(np.count_nonzero(pixels)))
        return self._replace(
            problems=(*self.problems, problem), places={**self.places, text: pixels}
        )

    def clipped(self, asked: np.ndarray) -> "ImportedImage":
        """Leaves out the problems in `places` that no asked pixel has; `asked` is bool[H, W]."""
        problems = []
        for each in self.problems:
            if each.text in self.places:
                count = int(np.count_nonzero(self.places[each.text] & asked))
                problems += [each._replace(pixels=count)] if count else []
            else:
                problems.append(each)
        return self._replace(problems=tuple(dict.fromkeys(problems)))


def file_number(name: str) -> int:
    """The number of the image that an exported file is of.

    Raises:
      ValueError: If it is not the name of an exported file.
    """
    found = _FILE_NAME.search(name)
    if found is None:
        raise ValueError(f"{shortened(name)} is not the name of an exported file")
    return int(found[2])


def shortened(value: Any) -> str:
    """A value of a file, for messages."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
