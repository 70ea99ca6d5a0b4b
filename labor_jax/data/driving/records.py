"""Reads a copy of a driving data set that `builders.build` built, without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from labor_jax.data import folders
from labor_jax.data.base import DataError
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.dataset import DrivingDataset, class_numbers
from labor_jax.data.files import checks, decoding, listing
from labor_jax.data.label_map import LabelMap


@dataclasses.dataclass(frozen=True, eq=False)
class RecordSplit:
    """A `Split` of the records of a built data set. Made by `read_split`.

    Attributes:
      names: as in the official folders.
      left_out: names of images that were found and left out on purpose.
      image_suffix: of the official folders, see `folders.FolderLayout`.
    """

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    image_suffix: str
    _folder: pathlib.Path
    _records: Any
    _numbers: tuple[int, ...]
    _sizes: tuple[tuple[int, int], ...]
    _label_map: LabelMap

    def __len__(self) -> int:
        return len(self.names)

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of image and label `i`."""
        return self._sizes[i]

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3].

        Raises:
          DataError: the record cannot be decoded.
        """
        return decoding.read_image(self._path(i), self._record(i)["image"])

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W].

        Raises:
          DataError: the record cannot be decoded.
        """
        path = self._path(i)
        values = decoding.read_label_values(path, content=self._record(i)["label"])
        return self._label_map(values, path)

    def label_key(self) -> str:
        """Returns a hash that changes with any record and the label map."""
        return listing.files_key(
            sorted(self._folder.glob("*.array_record*")), self.names, self._label_map.key()
        )

    def _path(self, i: int) -> pathlib.Path:
        return self._folder / f"record {self._numbers[i]} ({self.names[i]})"

    def _record(self, i: int) -> dict[str, bytes]:
        record = self._records[self._numbers[i]]
        if record["name"].decode() != self.names[i]:
            raise DataError(
                f"{self._path(i)} is {record['name'].decode()!r}: metadata.json doesn't belong to "
                "the records. Build the data set again."
            )
        return record


def read_split(
    dataset: DrivingDataset,
    split: str,
    folder: str | os.PathLike,
    *,
    classes: Sequence[int] = ALL_TRAIN_IDS,
    verify: str = "headers",
    skip: Collection[str] = (),
) -> RecordSplit:
    """Reads a split of a data set that `builders.build` built.

    Args:
      dataset: the data set, or some of its images (`acdc.acdc`).
      split: one of `dataset.splits`.
      folder: the folder that `build` returned.
      classes: train ids of classes 0, 1, ...; pixels of all others are void.
      verify: "full" decodes everything now, "headers" nothing.
      skip: names of images to leave out.

    Raises:
      DataError: the folder holds no data set or another one, or records are missing.
      ValueError: invalid `verify`.
    """
    folders.check_verify(verify)
    folder = pathlib.Path(folder).expanduser()
    try:
        builder = tfds.builder_from_directory(folder)
        index = builder.info.metadata[split]
        count = builder.info.splits[split].num_examples
    except Exception as error:
        raise DataError(
            f"{folder} holds no data set with a {split} split that "
            f"`python -m labor_jax.build_dataset` built: {error}"
        ) from error
    if builder.name != dataset.name or len(index["names"]) != count:
        raise DataError(
            f"{folder} holds {builder.name} with {count} records of which metadata.json names "
            f"{len(index['names'])}; expected {dataset.name} with all of them named."
        )
    layout = dataset.splits[split]
    raw = tfds.decode.SkipDecoding()
    matching = [i for i, name in enumerate(index["names"]) if layout.matches_name(name)]
    numbers = tuple(i for i in matching if index["names"][i] not in skip)
    found = RecordSplit(
        names=tuple(index["names"][i] for i in numbers),
        left_out=tuple(index["names"][i] for i in matching if index["names"][i] in skip),
        image_suffix=layout.image_suffix,
        _folder=folder,
        _records=builder.as_data_source(split, decoders={"image": raw, "label": raw}),
        _numbers=numbers,
        _sizes=tuple(tuple(index["sizes"][i]) for i in numbers),
        _label_map=LabelMap(
            class_numbers({i: i for i in ALL_TRAIN_IDS}, classes), len(classes), "classes"
        ),
    )
    if not matching:
        raise DataError(f"{folder}: no image of the {split} split is one of {layout.pattern}.")
    if not numbers:
        raise DataError(f"{folder}: all images of the {split} split are left out by data.skip.")
    if verify == "full":
        checks.check_decoding(found.image, len(found))
        checks.check_decoding(found.label, len(found))
    return found
