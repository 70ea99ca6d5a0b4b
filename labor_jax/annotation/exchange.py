"""Handing a round to another labelling tool, and taking its answers back."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from labor_jax.annotation.formats import FORMATS
from labor_jax.annotation.formats.base import (
    UNANSWERED,
    VOID,
    Delivered,
    Item,
    Problem,
    Task,
    write_manifest,
)
from labor_jax.annotation.store import LabelStore
from labor_jax.annotation.work import LeaseLostError, Work, checked_name
from labor_jax.data.base import IGNORE_LABEL, DataError, Split
from labor_jax.data.transforms import resize_image


class Violation(NamedTuple):
    """Why an image's answers were not taken.

    Attributes:
      where: The file, and the place in it.
      image: The image's name; None if the file names none of the round's.
      problem: What is wrong.
    """

    where: str
    image: str | None
    problem: Problem

    def __str__(self) -> str:
        image = "" if self.image is None else f", image {self.image!r}"
        count = self.problem.pixels
        pixels = f" ({count} pixel{'s' if count > 1 else ''})" if count else ""
        return f"{_printable(self.where)}{image}: {_printable(self.problem.text)}{pixels}"


class Import(NamedTuple):
    """What came of an import.

    Attributes:
      imported: Names of the images whose answers were stored.
      unchanged: Those whose very answers were stored before.
      waiting: Those that the delivery leaves without any answer, or out.
      clipped: Pixels that were answered without being asked, and left out.
      violations: What stands against the other answers.
    """

    imported: list[str]
    unchanged: list[str]
    waiting: list[str]
    clipped: int
    violations: list[Violation]


def describe_round(
    store: LabelStore, classes: tuple[str, ...], palette: np.ndarray, round: int
) -> Task:
    """What the formats need to know of a round.

    Args:
      store: The run's label store.
      classes: Names of its classes.
      palette: Their colours, `uint8[C, 3]`.
      round: The round's number.

    Returns:
      The round with all images that are asked something.

    Raises:
      DataError: If the round isn't open, not all of its images have their query yet, or it asks
        nothing.
    """
    if round not in store.rounds():
        opened = ", ".join(map(str, store.rounds())) or "none"
        raise DataError(f"{store.path} has no round {round}; its rounds: {opened}")
    unasked = store.unasked(round)
    if unasked:
        raise DataError(
            f"{len(unasked)} images of round {round} have no query yet, {unasked[0]!r} for one; "
            "let the run go on until it waits for answers"
        )
    names, sizes = {}, {}
    for number, image in enumerate(store.images(round)):
        query = store.query(image, round)
        if query.any():
            names[number], sizes[number] = image, query.shape
    if not names:
        raise DataError(f"round {round} asks nothing, so there is nothing to label")
    return Task(round, classes, palette, names, sizes)


def export_round(
    store: LabelStore,
    task: Task,
    format: str,
    folder: Path,
    *,
    pool: Split | None,
) -> None:
    """Writes what a round asks, and its answers so far, for another tool.

    Args:
      store: The run's label store.
      task: The round, as `describe_round` tells it.
      format: One of `formats.FORMATS`.
      folder: A new folder, or an empty one.
      pool: The images, written as PNG files at the size of their labels; None to leave them out.

    Raises:
      DataError: If the folder isn't empty, if the pool lacks an image or if the format can't hold
        the classes.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists already and isn't an empty folder; choose another")
    places = {} if pool is None else {name: place for place, name in enumerate(pool.names)}
    missing = [name for name in task.names.values() if pool is not None and name not in places]
    if missing:
        raise DataError(f"the pool lacks {len(missing)} images of the round: {missing[0]!r}, …")
    folder.mkdir(parents=True, exist_ok=True)
    FORMATS[format].write(folder, task, _items(store, task))
    if pool is not None:
        (folder / "images").mkdir()
        for number, name in task.names.items():
            image = resize_image(pool.image(places[name]), task.sizes[number])
            Image.fromarray(image).save(folder / "images" / task.file_name(number))
    write_manifest(folder, task, format)


def import_answers(
    store: LabelStore,
    task: Task,
    format: str,
    path: Path,
    *,
    annotator: str,
    skip_invalid: bool = False,
    clip: bool = False,
    replace: bool = False,
) -> Import:
    """Stores the answers that another tool gave, all in one transaction.

    Images whose answers are stored already are left as they are. An image counts as waiting, and
    not as wrong, as long as none of its asked pixels is answered. The labelling tool shows imports
    in its history.

    Args:
      store: The run's label store, open for writing.
      task: The round, as `describe_round` tells it.
      format: One of `formats.FORMATS`.
      path: The file or folder.
      annotator: Who answered.
      skip_invalid: Store the valid answers although others are violated. Without it, one violation
        keeps everything out.
      clip: Leave out what is answered outside of the asked pixels, instead of refusing it.
      replace: Let answers take the place of different ones that are stored.

    Returns:
      What was stored, and every violation.

    Raises:
      DataError: If the file can't be read, or if somebody answered or took an image meanwhile.
      ValueError: If the annotator's name can't be one.
    """
    checked_name(annotator)
    second_opinion = float(store.database.metadata().get("second_opinion", 0.0))
    work = Work(store, second_opinion=second_opinion)
    checks = _Checks(store, task, _holders(work, task), clip=clip, replace=replace)
    for delivered in FORMATS[format].read(path, task):
        checks.check(delivered)
    if checks.violations and not skip_invalid:
        checks.answers.clear()
    try:
        with store.transaction():
            for number, answer in checks.answers.items():
                image = task.names[number]
                labels = np.full(task.sizes[number], IGNORE_LABEL, np.uint8)
                labels[store.query(image, task.round)] = answer.labels
                work.import_answer(
                    image,
                    task.round,
                    labels,
                    annotator=annotator,
                    seconds=answer.seconds,
                    replace=replace,
                )
    except (LeaseLostError, ValueError) as error:
        raise DataError(f"nothing was imported: {error}") from error
    return Import(
        [task.names[number] for number in checks.answers],
        [task.names[number] for number in checks.unchanged],
        [name for number, name in task.names.items() if number not in checks.told],
        checks.clipped,
        checks.violations,
    )


class _Answer(NamedTuple):
    labels: np.ndarray  # of the asked pixels, uint8[N], 255 for void
    seconds: float


class _Checks:
    """Sorts what a delivery holds into answers to store and violations."""

    def __init__(
        self,
        store: LabelStore,
        task: Task,
        holders: dict[str, str],
        *,
        clip: bool,
        replace: bool,
    ):
        self._store, self._task, self._clip, self._replace = store, task, clip, replace
        self._holders = holders
        self._seen: set[int] = set()
        self.answers: dict[int, _Answer] = {}
        self.unchanged: list[int] = []
        self.told: set[int] = set()
        self.clipped = 0
        self.violations: list[Violation] = []

    def check(self, delivered: Delivered) -> None:
        """Takes the answers of one image."""
        number, task = delivered.number, self._task
        if number is None:
            self._violated(delivered, *delivered.problems)
            return
        self.told.add(number)
        if number in self._seen:
            self._violated(delivered, Problem("the image is delivered twice"))
            return
        self._seen.add(number)
        if delivered.labels is None:
            self._violated(delivered, *delivered.problems)
            return
        query = self._store.query(task.names[number], task.round)
        labels = delivered.labels[query]
        problems = list(delivered.problems)
        outside = int(np.count_nonzero((delivered.labels != UNANSWERED) & ~query))
        missing = int(np.count_nonzero(labels == UNANSWERED))
        if outside and not self._clip:
            problems.append(Problem("pixels are answered that were not asked", outside))
        if missing == labels.size and not problems:
            self.told.discard(number)
            return
        if missing:
            problems.append(Problem("asked pixels are not answered", missing))
        labels = np.where(labels == VOID, np.uint8(IGNORE_LABEL), labels)
        before = _stored_answer(self._store, task, number)
        unchanged = before is not None and np.array_equal(before, labels)
        if before is not None and not self._replace and not missing and not unchanged:
            differing = int(np.count_nonzero(before != labels))
            text = "the image is answered already, and differently; --replace corrects it"
            problems.append(Problem(text, differing))
        elif task.names[number] in self._holders and not unchanged:
            holder = self._holders[task.names[number]]
            problems.append(Problem(f"{holder!r} works on the image in the labelling tool now"))
        if problems:
            self._violated(delivered, *problems)
            return
        self.clipped += outside
        if unchanged:
            self.unchanged.append(number)
        else:
            self.answers[number] = _Answer(labels, delivered.seconds or 0.0)

    def _violated(self, delivered: Delivered, *problems: Problem) -> None:
        name = None if delivered.number is None else self._task.names[delivered.number]
        self.violations += [Violation(delivered.where, name, problem) for problem in problems]
        # Of an image that came twice, nobody can tell which is right.
        self.answers.pop(delivered.number, None)


def _holders(work: Work, task: Task) -> dict[str, str]:
    """Who works on which image in the labelling tool at the moment, by its name."""
    rows = work.items(task.round, "leased")
    return {row.item.image: row.annotator for row in rows if row.item.opinion == 1}


def _items(store: LabelStore, task: Task) -> Iterator[Item]:
    for number, name in task.names.items():
        query = store.query(name, task.round)
        labels = np.full(query.shape, UNANSWERED, np.uint8)
        answer = _stored_answer(store, task, number)
        if answer is not None:
            labels[query] = np.where(answer == IGNORE_LABEL, VOID, answer)
        yield Item(number, store.kind(name, task.round), query, labels)


def _stored_answer(store: LabelStore, task: Task, number: int) -> np.ndarray | None:
    """The stored labels of an image's asked pixels, uint8[N], 255 for void; None without."""
    name = task.names[number]
    return store.answer_of(name, task.round) if store.answered(name, task.round) else None


def _printable(text: str) -> str:
    """Text that a file had a part in, without what would move a terminal's cursor."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return text if len(text) <= 300 else text[:299] + "…"
