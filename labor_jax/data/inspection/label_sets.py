"""Labels with what is in a sample of them, and how they code classes."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from labor_jax.data.inspection import codings, label_contents
from labor_jax.data.inspection.codings import Coding
from labor_jax.data.inspection.label_contents import LabelContents
from labor_jax.data.inspection.pairing import PhotoSet
from labor_jax.data.inspection.series import Series, sample


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Labels, and what is in a sample of them.

    Attributes:
      labels: the labels.
      contents: what is in those that were read.
      coding: the guess at how they code classes.
    """

    labels: Series
    contents: LabelContents
    coding: Coding


def read(
    root: pathlib.Path,
    labels: Series,
    num_samples: int,
    progress: Callable[[Iterable], Iterable] = iter,
) -> LabelSet:
    """Reads a sample of labels, evenly chosen, and guesses their coding."""
    chosen = sample(labels.files, num_samples)
    contents = label_contents.read_contents([root / file.path for file in chosen], progress)
    return LabelSet(labels, contents, _coding(root, [labels], contents))


def _coding(root: pathlib.Path, labels: Sequence[Series], contents: LabelContents) -> Coding:
    names = " ".join(f"{one.folder}/{one.ending}" for one in labels)
    formats = {file.format for one in labels for file in one.files}
    has_table = (root / "classes.csv").is_file()
    return codings.guess_coding(contents, names, formats, has_table=has_table)


def common_coding(
    root: pathlib.Path, labels: Sequence[LabelSet], roles: Mapping[str, PhotoSet]
) -> Coding | None:
    """Guesses one coding for all labels that the roles use, or else for all labels there are."""
    wanted = [one.labels for one in roles.values() if one.labels is not None]
    used = [one for one in labels if any(one.labels is other for other in wanted)]
    used = [one for one in (used or labels) if one.contents.num_files]
    if not used:
        return None
    contents = functools.reduce(label_contents.joined, [one.contents for one in used])
    return _coding(root, [one.labels for one in used], contents)


def contradicting_codings(
    labels: Sequence[LabelSet], roles: Mapping[str, PhotoSet], common: Coding | None
) -> dict[str, Coding]:
    """The guess for each role whose labels, taken alone, look coded otherwise than all together."""
    own = {
        role: labelled.coding
        for role, one in roles.items()
        for labelled in labels
        if labelled.labels is one.labels
    }
    return {
        role: coding
        for role, coding in own.items()
        if common is not None and codings.contradicts(coding, common)
    }
