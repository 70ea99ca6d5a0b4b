"""What the exchange formats share: a round's task, its items, and what a file says about them."""

import dataclasses
import functools
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labor_jax.annotation.cost import Kind
from labor_jax.data.base import DataError

VOID = 254
"""In the exchange, an asked pixel that was answered as void. The label store has 255 for it."""

UNANSWERED = 255
"""In the exchange, a pixel without an answer; as a piece's label: asked and not yet answered."""

MANIFEST = "manifest.json"

MAX_BYTES = 2**30
"""The largest document that is read: no round of any published data set comes near it."""

_FILE_NAME = re.compile(r"(?:^|[^0-9A-Za-z])round(\d{1,9})_(\d{1,9})(?:\.\w{1,5})?$")
# Characters that XML can't hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Item(NamedTuple):
    """An image of the round with what is asked of it.

    Attributes:
      number: The image's place in the round, by which files name it.
      kind: How it is asked.
      asked: The asked pixels, `bool[H, W]`.
      labels: The answers so far, `uint8[H, W]`: class numbers, `VOID`, and `UNANSWERED` wherever
        there is none, which all pixels are that aren't asked.
    """

    number: int
    kind: Kind
    asked: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A round that is labelled elsewhere.

    Attributes:
      round: Its number.
      classes: Names of the classes 0 to C - 1.
      palette: Their colours, `uint8[C, 3]`.
      names: The images' names by their numbers; images that are asked nothing are left out.
      sizes: (height, width) of each, by number.
    """

    round: int
    classes: tuple[str, ...]
    palette: np.ndarray
    names: Mapping[int, str]
    sizes: Mapping[int, tuple[int, int]]

    def file_name(self, number: int) -> str:
        """Name of an image's file. Images' own names may hold anything; this one is safe."""
        return f"round{self.round}_{number:06}.png"

    @functools.cached_property
    def label_names(self) -> dict[int, str]:
        """The name of each label in a file: the classes, `VOID` and, for asked, `UNANSWERED`."""
        names = dict(enumerate(self.classes))
        for value, name in ((VOID, "void"), (UNANSWERED, "asked")):
            while name in self.classes:  # a class may have the name already
                name += "_"
            names[value] = name
        return names

    @functools.cached_property
    def label_values(self) -> dict[str, int]:
        """The label of each name."""
        return {name: value for value, name in self.label_names.items()}

    def color(self, label: int) -> str:
        """A label's colour, "#rrggbb"; white for void and magenta for what is asked."""
        if label == VOID:
            return "#ffffff"
        if label == UNANSWERED:
            return "#ff00ff"
        return "#{:02x}{:02x}{:02x}".format(*self.palette[label].tolist())


class Problem(NamedTuple):
    """Something in a file that can't be taken over.

    Attributes:
      text: What it is.
      pixels: How many pixels it concerns, 0 if that can't be counted.
    """

    text: str
    pixels: int = 0


class Delivered(NamedTuple):
    """What a file says of one image.

    Attributes:
      where: The file, and the place in it.
      number: The image's number in the round; None if it is none of the round's.
      labels: The answers, as `Item.labels`; None if they can't be read.
      problems: What is wrong with them.
      seconds: The annotator's time, if the file tells it.
    """

    where: str
    number: int | None
    labels: np.ndarray | None
    problems: tuple[Problem, ...] = ()
    seconds: float | None = None


class Canvas:
    """The label map that a file's shapes make together."""

    def __init__(self, size: tuple[int, int], *, layered: bool = False):
        """An empty one.

        Args:
          size: (height, width).
          layered: A later shape covers an earlier one, instead of contradicting it.
        """
        self.labels = np.full(size, UNANSWERED, np.uint8)
        self.problems: list[Problem] = []
        self._contradictions = None if layered else np.zeros(self.labels.size, bool)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.labels.shape

    def paint(self, label: int, pixels: np.ndarray) -> None:
        """Gives pixels, numbered in raster order, a label.

        What is still `UNANSWERED` is no answer and covers none.
        """
        if label == UNANSWERED:
            return
        labels = self.labels.reshape(-1)
        if self._contradictions is not None:
            before = labels[pixels]
            differing = (before != UNANSWERED) & (before != label)
            self._contradictions[pixels[differing]] = True
        labels[pixels] = label

    def delivered(self, where: str, number: int, seconds: float | None = None) -> Delivered:
        """The result."""
        problems = list(self.problems)
        if self._contradictions is not None and self._contradictions.any():
            count = int(np.count_nonzero(self._contradictions))
            problems.append(Problem("pixels have two different classes", count))
        return Delivered(where, number, self.labels, tuple(problems), seconds)


def identified(
    task: Task, name: Any, size: tuple[Any, Any] | None
) -> tuple[int | None, tuple[Problem, ...]]:
    """Finds the image that a file speaks of.

    Args:
      task: The round.
      name: What the file calls the image: a file name of the export, whatever stands before it.
      size: (height, width) as the file tells it; None if it doesn't.

    Returns:
      The image's number, and the problems if it is none of the round's or has another size.
    """
    found = _FILE_NAME.search(name) if isinstance(name, str) else None
    if found is None:
        return None, (Problem(f"{_short(name)} is no file name of an export"),)
    round, number = map(int, found.groups())
    if round != task.round:
        return None, (Problem(f"{_short(name)} is of round {round}, not of round {task.round}"),)
    if number not in task.sizes:
        return None, (Problem(f"{_short(name)} is none of the images that the round asks"),)
    expected = task.sizes[number]
    if size is not None and tuple(size) != expected:
        height, width = size
        problem = f"the image is {width}x{height} there and {expected[1]}x{expected[0]} here"
        return number, (Problem(problem),)
    return number, ()


def label_of(task: Task, name: Any) -> int:
    """The label of a name in a file.

    Raises:
      ValueError: If it is no class.
    """
    if not isinstance(name, str) or name not in task.label_values:
        raise ValueError(f"{_short(name)} is none of the classes")
    return task.label_values[name]


def pixel_at(x: float, y: float, size: tuple[int, int]) -> np.ndarray:
    """The pixel under a point; the first one reaches from (0, 0) to (1, 1).

    Returns:
      Its number in raster order, `int64[1]`.

    Raises:
      ValueError: If the point is outside of the image.
    """
    height, width = size
    if not (0 <= x <= width and 0 <= y <= height):
        raise ValueError(f"the point ({x:g}, {y:g}) is outside of the image")
    return np.array([min(int(y), height - 1) * width + min(int(x), width - 1)])


def check_xml_names(task: Task) -> None:
    """Raises a DataError for a class that XML can't name."""
    for name in task.classes:
        if _NOT_XML.search(name):
            raise DataError(
                f"the class {name!r} has a control character, which XML can't hold; export as png "
                "or coco"
            )


def write_manifest(folder: Path, task: Task, format: str) -> None:
    """Writes `manifest.json`: what the numbered files are."""
    described = {
        "format": format,
        "version": 1,
        "round": task.round,
        "classes": [
            {"number": number, "name": name, "color": task.color(number)}
            for number, name in enumerate(task.classes)
        ],
        "void": {"number": VOID, "name": task.label_names[VOID]},
        "unanswered": {"number": UNANSWERED, "name": task.label_names[UNANSWERED]},
        "images": [
            {"file": task.file_name(number), "name": name, "width": width, "height": height}
            for number, name in task.names.items()
            for height, width in [task.sizes[number]]
        ],
    }
    write_json(folder / MANIFEST, described, indent=1)


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    """Writes a JSON file: of one line, as thousands of run lengths would make as many lines."""
    path.write_text(json.dumps(value, indent=indent) + "\n", encoding="ascii")


def read_json(path: Path, suffix: str = ".json") -> tuple[str, Any]:
    """Reads the one JSON document at a path, as `read_document` finds it.

    Raises:
      DataError: As `read_document`, or if it is no JSON.
    """
    where, content = read_document(path, suffix)
    try:
        return where, json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON: {error}") from error


def read_document(path: Path, suffix: str) -> tuple[str, bytes]:
    """Reads a file, or the only one of a folder or of a zip archive that ends in `suffix`.

    Returns:
      Where it was found, for messages, and its content.

    Raises:
      DataError: If there is none or more than one, or it is too large.
    """
    try:
        if path.is_dir():
            path = path / _only(
                [each.name for each in path.iterdir() if each.is_file()], suffix, path
            )
            check_inside(path, path.parent)
        if path.suffix.lower() != suffix and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = _only(archive.namelist(), suffix, path)
                _check_bytes(archive.getinfo(member).file_size, f"{member} in {path}")
                with archive.open(member) as file:  # never more than the archive's index promises
                    return f"{path.name}/{member}", file.read(MAX_BYTES)
        _check_bytes(path.stat().st_size, path)
        return path.name, path.read_bytes()
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from error


def check_inside(path: Path, folder: Path) -> None:
    """Raises a DataError for a link that leads out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path} is a link that leads out of {folder}; put the file itself there")


def _only(names: Iterable[str], suffix: str, path: Path) -> str:
    found = [
        name
        for name in names
        if name.lower().endswith(suffix)
        and not name.endswith(MANIFEST)
        and not name.rpartition("/")[2].startswith(".")
    ]
    if len(found) != 1:
        listed = f" ({', '.join(sorted(found)[:5])})" if found else ""
        raise DataError(
            f"{path} holds {len(found)} files *{suffix}{listed} and one is needed; give the file "
            "itself as --input"
        )
    return found[0]


def _check_bytes(size: int, path: Any) -> None:
    if size > MAX_BYTES:
        raise DataError(
            f"{path} has {size:,} bytes; the largest that is read has {MAX_BYTES:,}. Deliver the "
            "round in parts"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
