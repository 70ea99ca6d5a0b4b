"""Imports labels that existed before the run as round 0 of its label store."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from labor_jax.annotation.cost import Kind
from labor_jax.annotation.formats import EXISTING_FORMATS, FORMATS, documents
from labor_jax.annotation.formats.canvas import CONTRADICTION
from labor_jax.annotation.formats.existing_round import ExistingRound
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedRound,
    ImportedImage,
    Problem,
    file_number,
    shortened,
)
from labor_jax.annotation.label_store import EXISTING_ROUND, LabelStore
from labor_jax.annotation.label_store.existing import (
    ChangedMeanwhileError,
    OtherLabelsError,
    PreparedLabels,
)
from labor_jax.annotation.violations import Violation, by_cause
from labor_jax.data.base import IGNORE_LABEL, DataError, Pair
from labor_jax.data.files import decoding
from labor_jax.data.label_map import LabelMap


class ExistingImport(NamedTuple):
    """The result of an import.

    Attributes:
      imported: Names of the images whose labels were stored.
      unchanged: Names of those whose stored labels were the same.
      empty: Names of those that have no label in the file.
      pixels: How many pixels of `imported` and `unchanged` have a label.
      asked: How many pixels were left out, because a round asks them already.
      contradicting: How many pixels were left out, because the file gives them several classes.
      violations: What is wrong with the other images.
    """

    imported: list[str]
    unchanged: list[str]
    empty: list[str]
    pixels: int
    asked: int
    contradicting: int
    violations: list[Violation]


def pool_round(
    pair: Pair,
    *,
    label_pattern: str = "{stem}.png",
    image_suffix: str = "",
    unknown_is_void: bool = False,
) -> ExistingRound:
    """Describes a pool's images for the formats.

    Args:
      pair: The pair.
      label_pattern: File name of a label map, as in `FolderLayout`.
      image_suffix: Ending of image file names that the images' names lack, as in `FolderLayout`.
      unknown_is_void: Whether shapes of a name that is no class are void, and not an error.
    """
    pool, numbers = pair.pool, LabelMap("", pair.num_classes, "")
    return ExistingRound(
        EXISTING_ROUND,
        pair.classes,
        pair.palette,
        dict(enumerate(pool.names)),
        {number: tuple(pool.size(number)) for number in range(len(pool))},
        read_label=getattr(pool, "read_label", None)
        or (lambda file: numbers(decoding.read_label_values(file), file)),
        label_patterns=tuple(dict.fromkeys((label_pattern, "{stem}.png"))),
        image_suffix=image_suffix,
        unknown_is_void=unknown_is_void,
    )


class ReadLabels(NamedTuple):
    """Labels that were read and checked, but not stored yet.

    Attributes:
      result: The result of the import once they are stored.
      prepared: The labels.
    """

    result: ExistingImport
    prepared: list[PreparedLabels]


def import_existing(
    store: LabelStore,
    existing: ExistingRound,
    format: str,
    path: Path,
    *,
    skip_invalid: bool = False,
    replace: bool = False,
) -> ExistingImport:
    """Stores labels of the pool as round 0: all of them or none. Others may write meanwhile.

    The arguments and errors are those of `read_existing` and `store_existing`.

    Returns:
      What was stored, and every violation.
    """
    read = read_existing(store, existing, format, path, skip_invalid=skip_invalid, replace=replace)
    store_existing(store, read)
    return read.result


def read_existing(
    store: LabelStore,
    existing: ExistingRound,
    format: str,
    path: Path,
    *,
    skip_invalid: bool = False,
    replace: bool = False,
) -> ReadLabels:
    """Reads labels of the pool, and checks them against the store. They are kept packed.

    The folder of a round that another run exported is read by its own file names. Photos that are
    not in the pool don't matter as long as a file gives them no label.

    Args:
      store: The run's label store.
      existing: The pool's images, from `pool_round`.
      format: One of `formats.EXISTING_FORMATS`.
      path: The file or folder.
      skip_invalid: Keep the valid labels even if there are violations. Otherwise one violation
        prevents the whole import.
      replace: Overwrite stored labels that differ.

    Returns:
      What is to be stored, and every violation.

    Raises:
      DataError: If the file is missing or can't be read, or has an image twice.
    """
    seen, result, prepared = set(), ExistingImport([], [], [], 0, 0, 0, []), []
    for image in _read(format, path, existing):
        if image.number is None and image.unlabelled:
            continue  # a task has more photos than the pool
        if image.number is not None and image.labels is not None:
            if image.number in seen:
                name = existing.names[image.number]
                raise DataError(f"{path} has the image {name!r} twice; leave one of them")
            seen.add(image.number)
        result, labels = _checked(store, existing, image, result, replace)
        if labels is not None and labels.recorded.changed:
            prepared.append(labels)
    if result.violations and not skip_invalid:
        nothing = result._replace(imported=[], unchanged=[], pixels=0, asked=0, contradicting=0)
        return ReadLabels(nothing, [])
    return ReadLabels(result, prepared)


def store_existing(store: LabelStore, read: ReadLabels) -> None:
    """Stores labels as round 0, in one short transaction.

    Args:
      store: The run's label store, open for writing.
      read: What `read_existing` returned.

    Raises:
      DataError: If their images were asked, or got other existing labels, meanwhile.
    """
    try:
        with store.transaction():
            for labels in read.prepared:
                store.add_prepared(labels)
    except ChangedMeanwhileError as error:
        raise DataError(f"nothing was imported: {error}") from error


def check_complete(result: ExistingImport, path: Path) -> None:
    """Raises a `DataError` that tells the violations of an import by cause, if it has any."""
    if result.violations:
        listed = "\n  ".join(by_cause(result.violations))
        raise DataError(
            f"the labels of {path} can't be used as they are (sizes are width x height):\n  "
            f"{listed}\nMend or remove what is named. Or let the run start without these labels, "
            "and import the others: labor-jax exchange --workdir WORKDIR --import FORMAT "
            f"--input {path} --round 0 --skip_invalid"
        )
    if not result.imported and not result.unchanged:
        count = result.contradicting
        overlap = f", and {count:,} pixels several classes" if count else ""
        raise DataError(f"{path} gives no pixel of the pool a label{overlap}")


def _checked(
    store: LabelStore,
    existing: ExistingRound,
    image: ImportedImage,
    result: ExistingImport,
    replace: bool,
) -> tuple[ExistingImport, PreparedLabels | None]:
    """The result after one more image, and its labels if nothing is wrong with them."""
    name = None if image.number is None else existing.names[image.number]
    problems = [each for each in image.problems if each.text != CONTRADICTION]
    if problems or image.labels is None:
        found = [Violation(image.where, name, problem) for problem in problems]
        return result._replace(violations=result.violations + found), None
    contradicting = result.contradicting + sum(each.pixels for each in image.problems)
    result = result._replace(contradicting=contradicting)
    known = image.labels != UNANSWERED
    if not known.any():  # files list images that nobody labelled, too
        return result._replace(empty=[*result.empty, name]), None
    labels = np.where(image.labels == VOID, np.uint8(IGNORE_LABEL), image.labels)
    try:
        prepared = store.prepare_existing(name, labels, known, replace=replace)
    except OtherLabelsError as error:
        text = "the image has other labels in round 0 already; --replace corrects them"
        found = Violation(image.where, name, Problem(text, error.pixels))
        return result._replace(violations=[*result.violations, found]), None
    recorded = prepared.recorded
    group = "imported" if recorded.changed else "unchanged"
    group = group if recorded.pixels else "empty"  # all of them were asked
    result = result._replace(
        **{group: [*getattr(result, group), name]},
        pixels=result.pixels + recorded.pixels,
        asked=result.asked + recorded.asked,
    )
    return result, prepared


def _read(format: str, path: Path, existing: ExistingRound) -> Iterator[ImportedImage]:
    if not path.exists():
        more = "" if path.is_absolute() else f" ({path} is below the current folder, not data.root)"
        raise DataError(f"there is no file or folder {path.absolute()}{more}")
    if format in FORMATS and (path / documents.MANIFEST).is_file():
        yield from _read_export(format, path, existing)
    else:
        yield from EXISTING_FORMATS[format].read(path, existing)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class _TheirRound(ExportedRound):
    """A round that another run exported.

    Attributes:
      in_pool: What the pool's images say of each of its own, see `ExportedRound.identify`.
    """

    in_pool: Mapping[int, tuple[int | None, tuple[Problem, ...]]]

    def check_size(self, number: int, size: tuple[Any, Any] | None) -> tuple[Problem, ...]:
        """Refuses an image that the pool lacks or has in another size, before it is read."""
        return self.in_pool[number][1] or super().check_size(number, size)


def _read_export(format: str, path: Path, existing: ExistingRound) -> Iterator[ImportedImage]:
    """Reads a round that another run exported, whose manifest has the images' names."""
    exported = _described(path / documents.MANIFEST, existing)
    for image in FORMATS[format].read(path, exported):
        in_pool = None if image.number is None else exported.in_pool[image.number][0]
        yield _of_one_class(image)._replace(number=in_pool)


def _of_one_class(image: ImportedImage) -> ImportedImage:
    """The image without its parts of several classes, which no label map can hold."""
    if image.labels is None or image.classes is None:
        return image
    several = np.array([len(each) > 1 for each in image.combinations])[image.classes]
    if not several.any():
        return image
    labels = np.where(several, np.uint8(UNANSWERED), image.labels)
    return image._replace(labels=labels).with_problem(CONTRADICTION, several)


def _described(file: Path, existing: ExistingRound) -> _TheirRound:
    _, manifest = documents.read_json(file, existing)
    names, sizes = {}, {}
    try:
        round = _whole(manifest["round"], "its round is", least=0)
        kind = manifest.get("kind")  # earlier exports have none
        if kind not in (None, *get_args(Kind)):
            raise ValueError(f"its kind is {shortened(kind)}")
        for count, each in enumerate(manifest["images"], start=1):
            number = file_number(each["file"])
            if number in names:
                raise ValueError(f"image {count} has the file name of another one")
            names[number] = each["name"]
            sizes[number] = tuple(
                _whole(each[side], f"image {count} has the {side}", least=1)
                for side in ("height", "width")
            )
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} is not as exported: {error!r}") from error
    except ValueError as error:
        raise DataError(f"{file} is not as exported: {error}") from error
    described = {
        field.name: getattr(existing, field.name) for field in dataclasses.fields(ExportedRound)
    }
    described.update(round=round, names=names, sizes=sizes, kind=kind)
    in_pool = {
        number: existing.identify(name, sizes[number], is_file=False)
        for number, name in names.items()
    }
    return _TheirRound(**described, in_pool=in_pool)


def _whole(value: Any, what: str, *, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{what} {shortened(value)}")
    return value
