"""Sorts files into series: those of one folder that belong together, photos or labels."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

from labor_jax.data.inspection import folder_names
from labor_jax.data.inspection.scan import ScannedFile

# More unnamed folders side by side than this are parts of one (cities, days, drives).
_MOST_FOLDERS = 6

_INDEXED_MODES = ("1", "P", "PA", "I;16", "I;16B", "I;16L", "I;16N", "I")


@dataclasses.dataclass(frozen=True)
class Series:
    """Files of one folder and its subfolders whose names end alike.

    Attributes:
      folder: its path below the root, "." for the root itself.
      ending: what all file names end in before the extension ("_gtFine_labelIds"); may be empty.
      files: those that can be read.
      is_labels: whether they are labels; otherwise they are photos.
    """

    folder: str
    ending: str
    files: tuple[ScannedFile, ...]
    is_labels: bool

    def below(self, file: ScannedFile) -> str:
        """Returns a file's path below the series' folder."""
        return file.path if self.folder == "." else file.path[len(self.folder) + 1 :]


def find_series(
    files: Iterable[ScannedFile],
    looks_like_label: Callable[[ScannedFile], bool],
    root_name: str = "",
) -> list[Series]:
    """Sorts files into series.

    Args:
      files: the files; those with a problem are left out.
      looks_like_label: whether a file's pixels are those of a label. It is called for a few files
        of folders whose names don't tell.
      root_name: name of the root, which may tell what is in it.
    """
    by_folder = collections.defaultdict(list)
    readable = [file for file in files if not file.problem]
    folders = _merged({file.folder: _folder(file.folder) for file in readable})
    for file in readable:
        by_folder[folders[file.folder]].append(file)
    found = []
    for folder, members in sorted(by_folder.items()):
        groups = _by_ending(members)
        for ending, group in groups.items():
            name = folder or root_name
            is_labels = _is_labels(name, ending, group, len(groups) == 1, looks_like_label)
            found.append(Series(folder or ".", ending, tuple(group), is_labels))
    return _split_by_format(_joined_photos(found))


def sample(items: Sequence, count: int) -> list:
    """Returns at most `count` items, evenly chosen."""
    if len(items) <= count:
        return list(items)
    return [items[i * (len(items) - 1) // max(count - 1, 1)] for i in range(count)]


def _folder(path: str) -> str:
    """Cuts a path behind its last folder named for photos or labels, and a split right below."""
    parts = path.split("/") if path else []
    named = [
        i
        for i, part in enumerate(parts)
        if folder_names.says_labels(part) or folder_names.says_photos(part)
    ]
    if not named:
        return path
    end = named[-1] + 1
    if end < len(parts) and folder_names.is_split(parts[end]):
        end += 1
    return "/".join(parts[:end])


def _merged(folders: dict[str, str]) -> dict[str, str]:
    """Replaces many unnamed folders side by side by the folder that they are in."""
    by_parent = collections.defaultdict(set)
    for path, folder in folders.items():
        if path and path == folder and not _is_named(folder):
            by_parent[path.rpartition("/")[0]].add(path)
    many = {parent for parent, below in by_parent.items() if len(below) > _MOST_FOLDERS}
    return {
        path: path.rpartition("/")[0]
        if path in by_parent.get(path.rpartition("/")[0], ()) and path.rpartition("/")[0] in many
        else folder
        for path, folder in folders.items()
    }


def _is_named(folder: str) -> bool:
    name = folder.rpartition("/")[2]
    return (
        folder_names.says_labels(name)
        or folder_names.says_photos(name)
        or folder_names.is_split(name)
    )


def _by_ending(files: list[ScannedFile]) -> dict[str, list[ScannedFile]]:
    """Sorts a folder's files by the endings of their names that are words for photos or labels."""
    groups = collections.defaultdict(list)
    for file in files:
        groups[_ending(file.stem)].append(file)
    return dict(sorted(groups.items()))


def _ending(stem: str) -> str:
    """The part of a name behind its last digit, or its last word, if that tells what it is."""
    for pattern in (r"(?<=\d)[^0-9]+$", r"[_\-. ][^_\-. ]+$"):
        found = re.search(pattern, stem)
        ending = found.group() if found else ""
        if folder_names.ending_may_say_labels(ending) or folder_names.says_photos(ending):
            return ending
    return ""


def _is_labels(
    folder: str,
    ending: str,
    files: list[ScannedFile],
    alone: bool,
    looks_like_label: Callable[[ScannedFile], bool],
) -> bool:
    if folder_names.says_labels(ending):
        return True
    named = [
        folder_names.says_labels(name)
        for name in folder.split("/")
        if folder_names.says_labels(name) or folder_names.says_photos(name)
    ]
    in_labels = bool(named) and named[-1]
    if in_labels and (alone or folder_names.ending_may_say_labels(ending)):
        return True
    if folder_names.says_photos(ending):
        return False
    if named and not folder_names.ending_may_say_labels(ending):
        return in_labels
    if sum(file.format == "JPEG" for file in files) > len(files) / 2:
        return False
    if sum(file.mode in _INDEXED_MODES for file in files) > len(files) / 2:
        return True
    few = sample(files, 3)
    return sum(map(looks_like_label, few)) > len(few) / 2


def _joined_photos(found: list[Series]) -> list[Series]:
    """Joins the photos of a folder whatever their names end in, unless labels are beside them.

    Photos are then told apart from the labels by their ending.
    """
    with_labels = {series.folder for series in found if series.is_labels}
    joined: dict[str, Series] = {}
    result = []
    for series in found:
        if series.is_labels or series.folder in with_labels:
            result.append(series)
        elif series.folder in joined:
            first = joined[series.folder]
            files = tuple(sorted(first.files + series.files, key=lambda file: file.path))
            joined[series.folder] = dataclasses.replace(first, ending="", files=files)
        else:
            joined[series.folder] = series
    return sorted(result + list(joined.values()), key=lambda series: (series.folder, series.ending))


def _split_by_format(found: list[Series]) -> list[Series]:
    """Splits series of JPEGs and PNGs of equal names, photos and labels in one folder."""
    result = []
    for series in found:
        photos = [file for file in series.files if file.format == "JPEG"]
        labels = [file for file in series.files if file.format != "JPEG"]
        names = {(file.folder, file.stem) for file in photos}
        shared = sum((file.folder, file.stem) in names for file in labels)
        if labels and shared > 0.8 * len(labels):
            result.append(dataclasses.replace(series, files=tuple(photos), is_labels=False))
            result.append(dataclasses.replace(series, files=tuple(labels), is_labels=True))
        else:
            result.append(series)
    return result
