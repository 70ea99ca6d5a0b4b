"""Finds how the names of labels follow from those of photos."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from labor_jax.data.files.names import comparable, comparable_ending
from labor_jax.data.inspection.series import Series, sample

# Labels that vote on how names differ.
_VOTERS = 200


class NameMatch(NamedTuple):
    """How labels are named after photos.

    Attributes:
      image_suffix: ending of photos' names that labels' names lack, see `FolderLayout`.
      label_pattern: file name of a photo's label, see `FolderLayout`.
      labels: the label's path of each photo's path, of those that match.
      unlabelled: paths of photos without a label.
      leftover: paths of labels of such names without a photo.
    """

    image_suffix: str
    label_pattern: str
    labels: Mapping[str, str]
    unlabelled: tuple[str, ...]
    leftover: tuple[str, ...]


def match_names(photos: Series, labels: Series) -> NameMatch | None:
    """Finds the image suffix and the label pattern under which most labels have a photo.

    Returns:
      The match; None if no label is named after a photo.
    """
    best = None
    for image_suffix in _suffixes(photos):
        pattern = _vote(_named(photos, image_suffix), labels)
        if pattern is None:
            continue
        match = _apply(photos, labels, image_suffix, pattern)
        # Of equally good ones the first, which strips least.
        if match.labels and (best is None or len(match.labels) > len(best.labels)):
            best = match
    return best


def _suffixes(photos: Series) -> list[str]:
    """The endings that all photos' names share, cut at their separators; first the empty one."""
    common = os.path.commonprefix([file.stem[::-1] for file in photos.files])[::-1]  # noqa: RUF071
    starts = [found.start() for found in re.finditer(r"[_\-. ]", common)]
    return ["", *(common[start:] for start in reversed(starts))]


def _named(photos: Series, image_suffix: str) -> dict[tuple[str, str], str]:
    """The path of each photo by its folder below the series' and its name without the suffix."""
    return {
        (
            _parent(photos.below(file)),
            comparable(file.stem.removesuffix(image_suffix)),
        ): file.path
        for file in photos.files
    }


def _vote(names: Mapping[tuple[str, str], str], labels: Series) -> str | None:
    """The label pattern that most of some labels vote for; of those, the shortest."""
    votes: collections.Counter[str] = collections.Counter()
    for file in sample(labels.files, _VOTERS):
        parent, stem = _parent(labels.below(file)), comparable(file.stem)
        votes.update(
            {
                f"{stem[:start]}{{stem}}{stem[end:]}{file.extension}"
                for start in range(len(stem))
                for end in range(start + 1, len(stem) + 1)
                if (parent, stem[start:end]) in names
            }
        )
    return max(votes, key=lambda pattern: (votes[pattern], -len(pattern)), default=None)


def _apply(photos: Series, labels: Series, image_suffix: str, pattern: str) -> NameMatch:
    before, after = pattern.split("{stem}")
    after = comparable_ending(after)
    by_name = {_key(labels.below(file)): file.path for file in labels.files}
    found, unlabelled = {}, []
    for (parent, name), path in _named(photos, image_suffix).items():
        label = by_name.get((parent, before + name + after))
        if label is None:
            unlabelled.append(path)
        else:
            found[path] = label
    taken = set(found.values())
    leftover = sorted(
        path
        for (_, name), path in by_name.items()
        if path not in taken
        and name.startswith(before)
        and name.endswith(after)
        and len(name) > len(before + after)
    )
    return NameMatch(image_suffix, pattern, found, tuple(sorted(unlabelled)), tuple(leftover))


def _key(below: str) -> tuple[str, str]:
    return _parent(below), comparable_ending(below.rpartition("/")[2])


def _parent(below: str) -> str:
    return comparable(below.rpartition("/")[0])
