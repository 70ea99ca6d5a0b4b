"""Looks at a folder of photos and labels: what is there, what is wrong, and how a run reads it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from labor_jax.data.inspection import (
    duplicates,
    label_contents,
    label_sets,
    pairing,
    problems,
    scan,
)
from labor_jax.data.inspection.codings import Coding
from labor_jax.data.inspection.label_sets import LabelSet
from labor_jax.data.inspection.pairing import PhotoSet
from labor_jax.data.inspection.series import find_series

Progress = Callable[[Iterable], Iterable]


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What is in a folder.

    Attributes:
      scan: the files.
      photos: the photos, with their labels.
      labels: the labels.
      roles: which photos a run would take as source, pool and evaluation, a guess.
      coding: how the labels of the roles code classes; None if there are none.
      role_codings: how those of a role alone seem to, where that contradicts `coding`.
      problems: what would stop a run, a sentence or two each.
      remarks: what else is worth knowing.
    """

    scan: scan.Scan
    photos: Sequence[PhotoSet]
    labels: Sequence[LabelSet]
    roles: Mapping[str, PhotoSet]
    coding: Coding | None
    role_codings: Mapping[str, Coding]
    problems: Sequence[str]
    remarks: Sequence[str]


def inspect(
    root: pathlib.Path,
    num_samples: int = 50,
    progress: Callable[[str], Progress] = lambda what: iter,
) -> Inspection:
    """Looks at a folder and its subfolders.

    Args:
      root: the folder.
      num_samples: largest number of labels in a folder whose pixels are read.
      progress: called with what is read ("headers"), returns `progress` of
        `threads.map_in_threads`.

    Raises:
      DataError: there is no such folder.
    """
    scanned = scan.scan(root, progress("headers"))
    series = find_series(
        scanned.images,
        lambda file: label_contents.looks_like_label(root / file.path),
        root.resolve().name,
    )
    labels = [
        label_sets.read(root, one, num_samples, progress(f"labels in {one.folder}"))
        for one in series
        if one.is_labels
    ]
    photo_sets = pairing.pair_series(series)
    roles = pairing.guess_roles(photo_sets)
    coding = label_sets.common_coding(root, labels, roles)
    alone = label_sets.contradicting_codings(labels, roles, coding)
    same = duplicates.find_duplicates(root, [f for one in photo_sets for f in one.photos.files])
    found, remarks = problems.find(scanned, photo_sets, labels, roles, coding, same)
    return Inspection(scanned, photo_sets, labels, roles, coding, alone, found, remarks)
