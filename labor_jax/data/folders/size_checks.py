"""Checks that images and labels have one size, EXIF turns included."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Mapping

from labor_jax.data import messages
from labor_jax.data.files.checks import Header
from labor_jax.data.folders.layout import FolderLayout


def check_sizes(
    split: str,
    layout: FolderLayout,
    images: Mapping[str, pathlib.Path],
    headers: Mapping[str, Header],
    labels: Mapping[str, pathlib.Path],
    label_headers: Mapping[str, Header],
) -> set[str]:
    """Checks that each label has the size of its image as the image is shown.

    Logs a warning that lists the images whose EXIF turn their size doesn't tell.

    Args:
      split: the split's name, for errors.
      layout: where the files are.
      images: the image file of each name.
      headers: the header of each image file.
      labels: the label file of each name.
      label_headers: the header of each label file.

    Returns:
      Names of the known defects whose image and label differ in size.

    Raises:
      DataError: another image differs in size from its label. The error says if EXIF is why.
    """
    differing = {name for name in images if headers[name].size != label_headers[name].size}
    wrong = {name for name in differing if name not in layout.known_defects}
    as_stored = {
        name
        for name in wrong
        if headers[name].orientation >= 5 and headers[name].size[::-1] == label_headers[name].size
    }

    def sizes(name: str) -> str:
        return (
            f"{images[name]} is {messages.dimensions(headers[name].size)}, {labels[name]} is "
            f"{messages.dimensions(label_headers[name].size)}"
        )

    messages.raise_if_any(
        f"{split} images are turned when shown, by the EXIF orientation in the files, and their "
        "labels are not (height x width)",
        [
            f"{sizes(name)} (EXIF orientation {headers[name].orientation})"
            for name in images
            if name in as_stored
        ],
        layout.advice
        or "Turn these labels as the images are shown; or, if the images are the right way up as "
        "they are stored, take the orientation out of their EXIF data.",
    )
    messages.raise_if_any(
        f"{split} images differ in size from their labels (height x width)",
        [sizes(name) for name in images if name in wrong],
        layout.advice
        or "Resize one of the two to the other's size, label maps by nearest neighbour.",
    )
    unseen = [
        f"{images[name]} (EXIF orientation {headers[name].orientation})"
        for name in images
        if headers[name].orientation > 1
        and (headers[name].orientation < 5 or len(set(headers[name].size)) == 1)
    ]
    if unseen:
        logging.warning(
            "%s: %d images are turned or mirrored when shown, by the EXIF orientation in the "
            "files. Sizes can't tell whether their labels are: look at %s.",
            split,
            len(unseen),
            messages.listing(unseen),
        )
    return differing
