"""Reads a driving data set from the folders that its official archives unpack to.

Nothing is converted: label files become class numbers as they are read.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from collections.abc import Collection, Sequence

from labor_jax.data import folders
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.dataset import DrivingDataset, class_numbers


def read_split(
    dataset: DrivingDataset,
    split: str,
    folder: str | os.PathLike,
    *,
    classes: Sequence[int] = ALL_TRAIN_IDS,
    role: str = "",
    field: str = "",
    verify: str = "headers",
    skip: Collection[str] = (),
) -> folders.FolderSplit:
    """Reads a split of a data set from its official folders.

    Logs a warning if images are missing.

    Args:
      dataset: the data set.
      split: one of `dataset.splits` ("train", "validation").
      folder: where its archives are unpacked.
      classes: train ids of classes 0, 1, ...; pixels of all others are void.
      role: what the split is in the pair ("pool"), for errors; empty for the data set's title.
      field: the config field that sets `folder`, for errors.
      verify: see `folders.read_split`.
      skip: names of images to leave out.

    Raises:
      DataError: see `folders.read_split`. The error says where to download the data set.
    """
    folder = pathlib.Path(folder).expanduser()
    if dataset.archive_folder and (folder / dataset.archive_folder).is_dir():
        folder = folder / dataset.archive_folder
    advice = f"{dataset.title} is downloaded from {dataset.download}, and unpacked in {folder}"
    if field:
        advice += f" ({field}); data.skip names images to leave out"
    layout = dataclasses.replace(
        dataset.splits[split],
        label_map=class_numbers(dataset.train_ids, classes),
        skip=skip,
        advice=f"{advice}.",
    )
    found = folders.read_split(folder, role or dataset.title, layout, len(classes), verify)
    count = len(found) + len(found.left_out)
    if count < dataset.counts[split]:
        logging.warning(
            "%s: found %d of the %d images of its %s split.",
            dataset.title,
            count,
            dataset.counts[split],
            split,
        )
    return found
