"""Imports the answers to a round that were given in another labelling tool."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from labor_jax.annotation.cost import KINDS_OF_PARTS
from labor_jax.annotation.formats import FORMATS, check_kind
from labor_jax.annotation.formats.canvas import CONTRADICTION
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedRound,
    ImportedImage,
    Problem,
)
from labor_jax.annotation.label_store import LabelStore
from labor_jax.annotation.labelling_tool.checks import checked_annotator
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.labelling_tool.leases import LeaseLostError
from labor_jax.annotation.round_export import stored_answer
from labor_jax.annotation.violations import Violation, other_round
from labor_jax.data.base import IGNORE_LABEL, DataError


class ImportResult(NamedTuple):
    """The result of an import.

    Attributes:
      imported: Names of the images whose answers were stored.
      unchanged: Names of those whose stored answers were the same.
      waiting: Names of those that have no answer in the file.
      clipped: The number of answered pixels that were not asked, and so were left out.
      unclear: The number of pixels that became void, because they had no class or several.
      violations: What is wrong with the other answers.
      other_round: The number of the round that the file is of, if it is of another one.
    """

    imported: list[str]
    unchanged: list[str]
    waiting: list[str]
    clipped: int
    unclear: int
    violations: list[Violation]
    other_round: int | None = None


def import_answers(
    store: LabelStore,
    exported: ExportedRound,
    format: str,
    path: Path,
    *,
    annotator: str,
    skip_invalid: bool = False,
    clip: bool = False,
    replace: bool = False,
    unclear: Literal["error", "void"] = "error",
) -> ImportResult:
    """Stores the answers from another tool, all in one transaction.

    Images whose answer is already stored are left unchanged. An image without any answered pixel
    counts as waiting, not as wrong. The labelling tool shows imports in its history.

    Args:
      store: The run's label store, open for writing.
      exported: The round, from `describe_round`.
      format: One of `formats.FORMATS`.
      path: The file or folder.
      annotator: Who answered.
      skip_invalid: Store the valid answers even if there are violations. Otherwise one violation
        prevents the whole import.
      clip: Ignore answers at pixels that were not asked, instead of refusing the image.
      replace: Overwrite stored answers that differ.
      unclear: Of whole images, which people outline by hand: whether pixels without a class, or
        with several, prevent the import, or are void.

    Returns:
      What was stored, and every violation.

    Raises:
      DataError: If the file can't be read, if its format can't say what the round asks, if
        somebody answered or took an image meanwhile, or if pixels of other queries than whole
        images are to be void.
      ValueError: If the annotator's name is invalid.
    """
    checked_annotator(annotator)
    if unclear == "void" and exported.kind != "full":
        raise DataError(
            f"round {exported.round} asks {exported.kind}; only of whole images may unclear pixels "
            "be void"
        )
    check_kind(format, exported)
    second_opinion = float(store.database.metadata().get("second_opinion", 0.0))
    service = LabellingService(store, second_opinion=second_opinion)
    holders = _holders(service, exported)
    checks = _Checks(store, exported, holders, clip=clip, replace=replace, unclear=unclear)
    for image in FORMATS[format].read(path, exported):
        checks.check(image)
    if checks.violations and not skip_invalid:
        checks.answers.clear()
    try:
        with store.transaction():
            for number, answer in checks.answers.items():
                image = exported.names[number]
                labels = np.full(exported.sizes[number], IGNORE_LABEL, np.uint8)
                labels[store.query(image, exported.round)] = answer.labels
                service.import_answer(
                    image,
                    exported.round,
                    labels,
                    annotator=annotator,
                    candidates=answer.candidates,
                    seconds=answer.seconds,
                    replace=replace,
                )
    except (LeaseLostError, ValueError) as error:
        raise DataError(f"nothing was imported: {error}") from error
    return ImportResult(
        [exported.names[number] for number in checks.answers],
        [exported.names[number] for number in checks.unchanged],
        [name for number, name in exported.names.items() if number not in checks.answered],
        checks.clipped,
        checks.unclear,
        checks.violations,
        other_round(checks.violations, checks.images),
    )


class _Answer(NamedTuple):
    labels: np.ndarray  # of the asked pixels, uint8[N], 255 for void
    seconds: float
    candidates: np.ndarray | None = None  # bool[parts, C]


class _Checks:
    """Sorts the images of an imported file into answers to store and violations."""

    def __init__(
        self,
        store: LabelStore,
        exported: ExportedRound,
        holders: dict[str, str],
        *,
        clip: bool,
        replace: bool,
        unclear: Literal["error", "void"],
    ):
        self._store, self._round, self._clip, self._replace = store, exported, clip, replace
        self._unclear_is_void = unclear == "void"
        self._holders = holders
        self._seen: set[int] = set()
        self.answers: dict[int, _Answer] = {}
        self.unchanged: list[int] = []
        self.answered: set[int] = set()
        self.clipped = 0
        self.unclear = 0
        self.images = 0
        self.violations: list[Violation] = []

    def check(self, image: ImportedImage) -> None:
        """Sorts one image."""
        number = image.number
        self.images += 1
        if number is None:
            self._violated(image, *image.problems)
            return
        self.answered.add(number)
        if number in self._seen:
            self._violated(image, Problem("the file has the image twice"))
            return
        self._seen.add(number)
        if image.labels is None:
            self._violated(image, *image.problems)
            return
        query = self._store.query(self._round.names[number], self._round.round)
        if self._clip:
            image = image.clipped(query)
        labels = image.labels[query]
        problems = list(image.problems)
        outside = int(np.count_nonzero((image.labels != UNANSWERED) & ~query))
        missing = int(np.count_nonzero(labels == UNANSWERED))
        of_round = self._other_round(number, image.labels) if outside else None
        if outside and not self._clip:
            text = "pixels are answered that were not asked"
            problems.append(Problem(text, outside, round=of_round))
        if missing == labels.size and not problems:
            self.answered.discard(number)
            return
        unclear = missing if self._unclear_is_void else 0
        if unclear:
            problems = [each for each in problems if each.text != CONTRADICTION]
            labels = np.where(labels == UNANSWERED, VOID, labels)
            missing = 0
        if missing:
            problems.append(Problem("asked pixels are not answered", missing, round=of_round))
        labels = np.where(labels == VOID, np.uint8(IGNORE_LABEL), labels)
        before = stored_answer(self._store, self._round, number)
        candidates = None
        if not missing and self._round.kind in KINDS_OF_PARTS:
            candidates, split = self._parts(number, query, image)
            if split:
                problems.append(Problem("parts have several answers; each gets one", split))
        held = self._store.candidates(self._round.names[number], self._round.round)
        unchanged = (
            before is not None
            and np.array_equal(before, labels)
            and (candidates is None or np.array_equal(held, candidates))
        )
        if not unchanged:
            problems += self._conflicts(number, before, labels, is_complete=not missing)
        if problems:
            self._violated(image, *problems)
            return
        self.clipped += outside
        self.unclear += unclear
        if unchanged:
            self.unchanged.append(number)
        else:
            self.answers[number] = _Answer(labels, image.seconds or 0.0, candidates)

    def _parts(
        self, number: int, query: np.ndarray, image: ImportedImage
    ) -> tuple[np.ndarray | None, int]:
        """The classes of each part, bool[parts, C], and how many pixels differ within a part.

        The classes are None where a part has one class.
        """
        parts = self._store.parts(self._round.names[number], self._round.round)[query]
        labels = image.labels[query].astype(np.int64)
        answers = labels if image.classes is None else 256 * image.classes[query] + labels
        _, first = np.unique(parts, return_index=True)
        split = answers != answers[first][parts]
        if image.classes is None:
            return None, int(np.count_nonzero(split))
        candidates = np.zeros((len(first), len(self._round.classes)), bool)
        for part, combination in enumerate(image.classes[query][first].tolist()):
            candidates[part, list(image.combinations[combination])] = True
        return candidates, int(np.count_nonzero(split))

    def _other_round(self, number: int, labels: np.ndarray) -> int | None:
        """Another round that asked exactly what is answered, if there is one."""
        name, answered = self._round.names[number], labels != UNANSWERED
        others = (each for each in self._store.rounds_of(name) if each != self._round.round)
        for round in others:
            if np.array_equal(self._store.query(name, round), answered):
                return round
        return None

    def _conflicts(
        self, number: int, before: np.ndarray | None, labels: np.ndarray, *, is_complete: bool
    ) -> list[Problem]:
        """What keeps new labels from replacing the stored answer, if there is one."""
        if before is not None and not self._replace and is_complete:
            differing = int(np.count_nonzero(before != labels))
            text = "the image has a different answer already; --replace corrects it"
            return [Problem(text, differing)]
        name = self._round.names[number]
        if name in self._holders:
            holder = self._holders[name]
            return [Problem(f"{holder!r} is working on the image in the labelling tool")]
        return []

    def _violated(self, image: ImportedImage, *problems: Problem) -> None:
        name = None if image.number is None else self._round.names[image.number]
        self.violations += [Violation(image.where, name, problem) for problem in problems]
        # If an image is in the file twice, nobody can say which answer is right.
        self.answers.pop(image.number, None)


def _holders(service: LabellingService, exported: ExportedRound) -> dict[str, str]:
    """Who is working on which image in the labelling tool, by the image's name."""
    rows = service.progress.items(exported.round, "leased")
    return {row.item.image: row.annotator for row in rows if row.item.opinion == 1}
