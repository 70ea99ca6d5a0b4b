"""What the package knows about a published data set of driving scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from labor_jax.data.base import IGNORE_LABEL
from labor_jax.data.folders import FolderLayout


@dataclasses.dataclass(frozen=True)
class DrivingDataset:
    """A published data set, whose labels map to Cityscapes' 19 classes.

    Attributes:
      name: its name in configs, and as a TFDS data set.
      title: its name in messages.
      download: the page to download it from, and the packages to take.
      folder: the folder in `data.root` where it is expected.
      archive_folder: the folder inside `folder` that the archives unpack to; empty if none.
      splits: where the files of each split ("train", "validation") are.
      counts: number of images of each split.
      train_ids: Cityscapes' train id of each value in the label files, 255 for void. "other" stands
        for all further values; without it they are errors.
    """

    name: str
    title: str
    download: str
    folder: str
    archive_folder: str
    splits: Mapping[str, FolderLayout]
    counts: Mapping[str, int]
    train_ids: Mapping[int | str, int]


def class_numbers(
    train_ids: Mapping[int | str, int], classes: Sequence[int]
) -> dict[int | str, int]:
    """Maps the values in label files to class numbers.

    Args:
      train_ids: Cityscapes' train id of each value, see `DrivingDataset`.
      classes: the train ids that become classes 0, 1, ...; all others become void.

    Returns:
      Entries for a `LabelMap`.
    """
    numbers = {train_id: number for number, train_id in enumerate(classes)}
    return {value: numbers.get(train_id, IGNORE_LABEL) for value, train_id in train_ids.items()}
