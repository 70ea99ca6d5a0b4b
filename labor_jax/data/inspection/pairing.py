"""Pairs photos with the labels that belong to them, and guesses their roles in a run."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
import re
from collections.abc import Iterable, Sequence

from labor_jax.data import base
from labor_jax.data.inspection import folder_names
from labor_jax.data.inspection.name_matching import NameMatch, match_names
from labor_jax.data.inspection.series import Series

# Paths without a word in common, and less alike than this, are alike by chance.
_LETTERS_ALIKE = 0.6
# Of several kinds of labels beside the same photos, the one to take: by words in their endings.
_PREFERENCE = ("trainid", "labelid", "", "color", "colour", "inv", "instance")


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """Photos, with their labels if there are any.

    Attributes:
      photos: the photos.
      labels: their labels; None if there are none.
      match: how labels are named; None if there are none.
    """

    photos: Series
    labels: Series | None = None
    match: NameMatch | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether most of the photos have a label."""
        return self.match is not None and len(self.match.labels) > len(self.photos.files) / 2

    @property
    def is_wholly_labelled(self) -> bool:
        """Whether each of the photos has a label, so that an oracle can answer."""
        return self.match is not None and not self.match.unlabelled


def pair_series(series: Sequence[Series]) -> list[PhotoSet]:
    """Pairs each series of photos with at most one series of labels, by folders and names.

    Photos may have labels of several kinds: class numbers, colours, instances, depth. One is taken.
    The others are not for other photos, even if their names match, as numbers do.
    """
    photos = [one for one in series if not one.is_labels]
    labels = [one for one in series if one.is_labels]
    matches, ranks = {}, {}
    for i, photo in enumerate(photos):
        for j, label in enumerate(labels):
            match = match_names(photo, label)
            if match is not None:
                matches[i, j] = match
                ranks[i, j] = (*_closeness(photo, label), len(match.labels))
    pairs: dict[int, int] = {}

    def are_of_others(i: int, j: int) -> bool:
        """Whether labels are another kind of those that other photos have already."""
        return any(
            labels[k].folder == labels[j].folder
            or ranks.get((other, j), ()) > ranks[i, j]
            or (ranks.get((other, j)) == ranks[i, j] and _parent(labels[k]) == _parent(labels[j]))
            for other, k in pairs.items()
        )

    by_preference = sorted(matches, key=lambda pair: _preference(labels[pair[1]]))
    for i, j in sorted(by_preference, key=ranks.__getitem__, reverse=True):
        if i not in pairs and not are_of_others(i, j):
            pairs[i] = j
    return [
        PhotoSet(one, labels[pairs[i]], matches[i, pairs[i]]) if i in pairs else PhotoSet(one)
        for i, one in enumerate(photos)
    ]


def guess_roles(sets: Sequence[PhotoSet]) -> dict[str, PhotoSet]:
    """Guesses which photos are the source, the pool and the evaluation split.

    Words in the folders' names decide, then whether there are labels, then the number of photos.

    Returns:
      The photos of each role, of those that are found. Source and evaluation have labels.
    """
    roles: dict[str, PhotoSet] = {}
    largest_first = sorted(sets, key=lambda one: -len(one.photos.files))

    def take(role: str, candidates: Iterable[PhotoSet]) -> None:
        if role not in roles:
            free = (one for one in candidates if not any(one is other for other in roles.values()))
            chosen = next(iter(free), None)
            if chosen is not None:
                roles[role] = chosen

    words = {one.photos.folder: folder_names.roles(one.photos.folder) for one in sets}

    def named(word: str, *without: str) -> list[PhotoSet]:
        return [
            one
            for one in largest_first
            if word in words[one.photos.folder] and not words[one.photos.folder] & set(without)
        ]

    labelled = [one for one in largest_first if one.is_labelled]
    unlabelled = [one for one in largest_first if not one.is_labelled]
    take("source", [one for one in named("source", "evaluation") if one.match])
    take("pool", named("pool", "evaluation"))
    if len(sets) > 1:
        measured = [one for one in named("evaluation", "source") if one.match]
        # Of "val" and "test" the latter: "val" may serve as the pool.
        take("evaluation", [one for one in measured if "val" not in one.photos.folder.lower()])
        take("evaluation", measured)
    take("source", [one for one in named("train") if one.is_labelled])
    # Alone, photos of which some lack a label are the pool.
    whole = labelled if len(sets) > 1 else [one for one in labelled if one.is_wholly_labelled]
    take("source", [one for one in whole if "pool" not in words[one.photos.folder]])
    take("pool", named("train", "source"))
    take("pool", unlabelled)
    take("pool", labelled)
    return {role: roles[role] for role in base.ROLES if role in roles}


def _closeness(photos: Series, labels: Series) -> tuple[int, float]:
    """How many folders the two share, and how alike their paths are apart from words of the kind.

    Likeness is 0 to 1, and 0 if it is of some letters only, as of "side" and "ids".
    """
    parts = [pathlib.PurePosixPath(one.folder).parts for one in (photos, labels)]
    shared = len(os.path.commonprefix(parts))  # noqa: RUF071
    a, b = map(folder_names.without_kind, (photos.folder, labels.folder))
    likeness = round(difflib.SequenceMatcher(None, a, b, autojunk=False).ratio(), 2)
    by_chance = likeness < _LETTERS_ALIKE and not _words(a) & _words(b)
    return shared, 0.0 if by_chance else likeness


def _parent(series: Series) -> str:
    return series.folder.rpartition("/")[0]


def _words(path: str) -> set[str]:
    return set(re.findall("[^/_. -]+", path))


def _preference(labels: Series) -> int:
    ending = labels.ending.lower()
    found = [i for i, word in enumerate(_PREFERENCE) if word and word in ending]
    return found[0] if found else _PREFERENCE.index("")
