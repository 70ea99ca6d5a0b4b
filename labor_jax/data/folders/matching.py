"""Finds the images of a split, and each image's label.

Names that look the same are the same, however a letter with an accent is written. They stay as they
are on the disk.
"""

from __future__ import annotations

import collections
import logging
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from labor_jax.data import messages
from labor_jax.data.base import DataError
from labor_jax.data.files import listing, unread
from labor_jax.data.files.names import comparable, stem_of
from labor_jax.data.folders.layout import FolderLayout, matches


def find_images(
    root: pathlib.Path, split: str, layout: FolderLayout
) -> tuple[dict[str, str], set[str]]:
    """Finds the images that match a layout's patterns, and warns of those that can't be read.

    Args:
      root: folder that the layout's folders are below.
      split: the split's name, for errors ("source").
      layout: where the files are.

    Returns:
      The image file of each name, sorted by name, as paths below `layout.images`; and the stems
      (paths without extension, as `comparable` has them) of all images there, of this split or not.

    Raises:
      DataError: the folder is missing, no image matches, or two images share a name.
    """
    folder = _folder(root, layout.images, f"data.{split}.images", layout.advice)
    files = listing.list_files(folder)
    stems = {
        file: file.rsplit(".", 1)[0]
        for file in files
        if file.lower().endswith(listing.IMAGE_EXTENSIONS)
    }
    if not stems:
        problem = f"{split} is empty: {folder} holds no images"
        advice = layout.advice or f"Check data.root and data.{split}.images."
        extensions = " ".join(listing.IMAGE_EXTENSIONS)
        raise DataError(" ".join([f"{problem} ({extensions}).", *unread.told(files), advice]))
    for sentence in unread.told(filter(layout.matches, files)):
        logging.warning("%s, %s: %s", split, folder, sentence)
    matching = [file for file in stems if layout.matches(file)]
    _check_patterns(split, layout, folder, stems)
    _check_names(matching, f"{split} images in {folder}")
    messages.raise_if_any(
        f"{split} images do not end in data.{split}.image_suffix = {layout.image_suffix!r}",
        [file for file in matching if not stems[file].endswith(layout.image_suffix)],
        layout.advice or f"Narrow data.{split}.pattern to images that do.",
    )
    by_name = collections.defaultdict(list)
    for file in matching:
        by_name[comparable(_name(stems[file], layout))].append(file)
    messages.raise_if_any(
        f"{split} images share a name, the path without extension,",
        [" and ".join(files) for files in by_name.values() if len(files) > 1],
        layout.advice or f"Remove one of them or narrow data.{split}.pattern.",
    )
    found = {_name(stems[file], layout): file for file in matching}
    return {name: found[name] for name in sorted(found)}, set(map(comparable, stems.values()))


def _check_patterns(
    split: str, layout: FolderLayout, folder: pathlib.Path, files: Iterable[str]
) -> None:
    """Raises DataError if no image matches; warns if one in a text of patterns has none.

    Those of a known data set, which may be there in part, are no text. Of patterns with "[!…]",
    which together leave names out, some have no image.
    """
    files = list(files)
    idle = [each for each in layout.patterns if not any(matches(file, each) for file in files)]
    if len(idle) == len(layout.patterns):
        field = "" if layout.advice else f"data.{split}.pattern = "
        advice = "A pattern applies to the path below the folder, extension included."
        raise DataError(
            f"{split} is empty: none of the {len(files)} images in {folder} matches {field}"
            f"{layout.pattern!r}; there are {messages.listing(files)}. {layout.advice or advice}"
        )
    mistaken = [each for each in idle if "[!" not in each]
    if mistaken and isinstance(layout.pattern, str):
        logging.warning(
            "%s: none of the %d images in %s matches %s of data.%s.pattern = %r.",
            split,
            len(files),
            folder,
            " or ".join(map(repr, mistaken)),
            split,
            layout.pattern,
        )


def _name(stem: str, layout: FolderLayout) -> str:
    return stem.removesuffix(layout.image_suffix)


def find_labels(
    root: pathlib.Path,
    split: str,
    layout: FolderLayout,
    images: Mapping[str, str],
    stems: set[str],
) -> dict[str, pathlib.Path]:
    """Finds the label of each image.

    Args:
      root: folder that the layout's folders are below.
      split: the split's name, for errors.
      layout: where the files are.
      images: the image file of each name, see `find_images`.
      stems: stems of all images in the folder, see `find_images`.

    Returns:
      The label file of each name. Names in `layout.known_defects` may be missing.

    Raises:
      DataError: the folder is missing, an image has no label or two, or a label has no image.
    """
    folder = _folder(root, layout.labels, f"data.{split}.labels", layout.advice)
    files = listing.list_files(folder)
    by_name = _by_name(files, layout.label_pattern)
    labels = {name: found[0] for name, found in by_name.items()}
    _check_names(
        (file for found in by_name.values() for file in found), f"{split} labels in {folder}"
    )
    messages.raise_if_any(
        f"{split} images have two labels in {folder}",
        [
            " and ".join(by_name[comparable(name)])
            for name in images
            if len(by_name.get(comparable(name), ())) > 1
        ],
        layout.advice
        or "Their names are the same but for capitals in the extension, or for how an accent is "
        "written. Remove one of them.",
    )
    lacking = [
        name
        for name in images
        if comparable(name) not in labels and name not in layout.known_defects
    ]
    messages.raise_if_any(
        f"{split} images have no label in {folder}",
        [images[name] for name in lacking],
        layout.advice
        or f"Add the labels, remove the images, or correct data.{split}.label_pattern = "
        f"{layout.label_pattern!r} (and image_suffix = {layout.image_suffix!r})."
        + _near_label(split, lacking, files, layout)
        + (
            ' If people answer, the pool needs no labels: set data.pool.labels="", and '
            "annotation.existing_labels to the folder of those that exist."
            if split == "pool"
            else ""
        ),
    )
    messages.raise_if_any(
        f"{split} labels have no image in {root / layout.images}",
        [
            file
            for name, file in labels.items()
            # A label whose image is there but does not match belongs to another split.
            if name + comparable(layout.image_suffix) not in stems
            and name not in layout.known_defects
            and name not in layout.skip
            and layout.matches_name(name)
        ],
        layout.advice or "Add the images or remove the labels.",
    )
    return {
        name: folder / labels[comparable(name)] for name in images if comparable(name) in labels
    }


def _by_name(files: Iterable[str], pattern: str) -> dict[str, list[str]]:
    """The label files of each image's name, as `comparable` has it."""
    by_name = collections.defaultdict(list)
    for file in files:
        name = stem_of(file, pattern)
        if name is not None:
            by_name[name].append(file)
    return by_name


def _check_names(files: Iterable[str], what: str) -> None:
    """Raises DataError if names of files can't be written as text."""
    messages.raise_if_any(
        f"{what} have names that are not UTF-8",
        [
            repr(file.encode(errors="surrogateescape"))[2:-1]
            for file in files
            if any("\ud800" <= letter <= "\udfff" for letter in file)
        ],
        "Rename them.",
    )


def _near_label(
    split: str, lacking: Sequence[str], files: Sequence[str], layout: FolderLayout
) -> str:
    """Points to a file that would be an image's label if its extension were another."""
    without_label = set(map(comparable, lacking))
    for file in files:
        stem, _, extension = file.rpartition(".")
        if comparable(stem) in without_label:
            if _by_name(files, layout.label_pattern):
                return f" There is {file}: give all labels one extension."
            return (
                f" There is {file}: --config.data.{split}.label_pattern='{{stem}}.{extension}' "
                "takes such files."
            )
    return ""


def _folder(root: pathlib.Path, below: str, field: str, advice: str) -> pathlib.Path:
    folder = root / below
    if folder.is_dir():
        return folder
    problem = "is not a folder" if folder.exists() else "does not exist"
    missing = next((parent for parent in reversed(folder.parents) if not parent.exists()), folder)
    where = "" if missing == folder or folder.exists() else f" (nor does {missing})"
    advice = advice or f"Check data.root = {root} and {field} = {below!r}."
    raise DataError(f"{folder} {problem}{where}. {advice}")
