"""Builds the driving data sets as TFDS data sets, without TensorFlow.

A built data set is a copy in a few large array_record files, for disks and clusters where many
small files are slow. Official folders (`driving.official`) need no building. Images keep their
encoded bytes; labels become 8-bit PNGs of Cityscapes' train ids, 255 void. Build one with

    python -m labor_jax.build_dataset --dataset gtav --folder DIR/GTAV --data_dir OUT

and train on it with `--config.data.source_root=OUT/gtav/1.0.0`. Any other TFDS program reads it
too: `tfds.builder_from_directory("OUT/gtav/1.0.0").as_data_source("train")`.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import dataset_builder  # missing from tfds.core before 4.9.10

from labor_jax import output_files
from labor_jax.data import DataError, driving, folders
from labor_jax.data.driving import official

_Examples = Iterator[tuple[int, dict[str, Any]]]

_VERSION = "1.0.0"
_SHARD_BYTES = 2**28  # of images, in one file of a built data set


# Not a GeneratorBasedBuilder: beyond 1 GB that one sorts its examples through TensorFlow's files.
class _Builder(dataset_builder.ShardBasedBuilder, skip_registration=True):
    """Builds `DATASET` from its official folders, TFDS's `manual_dir`.

    An example is `name`, `image` (uint8[H, W, 3]) and `label` (uint8[H, W, 1]).
    """

    DATASET: ClassVar[driving.DrivingDataset]
    VERSION = tfds.core.Version(_VERSION)
    RELEASE_NOTES: ClassVar[dict[str, str]] = {_VERSION: "First release."}
    # Without this, TFDS looks beside the code for checksums of downloads and imports
    # importlib_resources for it, which it doesn't require.
    code_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.DATASET.title} with Cityscapes' train ids as labels.",
            homepage="https://" + self.DATASET.download.split(",")[0],
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                }
            ),
            # For each split: the names in the order of the records, and (height, width) of each.
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list[Callable[[], _Examples]]]:
        shards = {}
        for name in self.DATASET.splits:
            split = official.read_split(self.DATASET, name, dl_manager.manual_dir)
            self.info.metadata[name] = {
                "names": list(split.names),
                "sizes": [list(size) for size in split.sizes],
            }
            before = np.cumsum([0] + [path.stat().st_size for path in split.image_paths[:-1]])
            shard = before // _SHARD_BYTES
            shards[name] = [
                functools.partial(_examples, split, np.flatnonzero(shard == number))
                for number in np.unique(shard)
            ]
        return shards


def _examples(split: folders.FolderSplit, numbers: np.ndarray) -> _Examples:
    for i in numbers.tolist():
        label = io.BytesIO()
        Image.fromarray(split.label(i)).save(label, "PNG")
        image = os.fspath(split.image_paths[i])
        yield i, {"name": split.names[i], "image": image, "label": label.getvalue()}


# TFDS names a data set after its builder's class, so each has a class of its own.
class Gtav(_Builder, skip_registration=True):
    """GTAV."""

    DATASET = driving.GTAV
    MANUAL_DOWNLOAD_INSTRUCTIONS = DATASET.download


class Synthia(_Builder, skip_registration=True):
    """SYNTHIA-RAND-CITYSCAPES."""

    DATASET = driving.SYNTHIA
    MANUAL_DOWNLOAD_INSTRUCTIONS = DATASET.download


class Cityscapes(_Builder, skip_registration=True):
    """Cityscapes' fine labels."""

    DATASET = driving.CITYSCAPES
    MANUAL_DOWNLOAD_INSTRUCTIONS = DATASET.download


class Acdc(_Builder, skip_registration=True):
    """ACDC, all conditions."""

    DATASET = driving.ACDC
    MANUAL_DOWNLOAD_INSTRUCTIONS = DATASET.download


class Bdd100k(_Builder, skip_registration=True):
    """BDD100K's 10K images with semantic labels."""

    DATASET = driving.BDD100K
    MANUAL_DOWNLOAD_INSTRUCTIONS = DATASET.download


BUILDERS = {builder.DATASET.name: builder for builder in (Gtav, Synthia, Cityscapes, Acdc, Bdd100k)}
"""The builders by the name of their data set."""


def build(
    name: str, folder: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> pathlib.Path:
    """Builds a data set, unless it is built already.

    Args:
      name: one of `BUILDERS`.
      folder: where the official archives are unpacked.
      data_dir: the folder of TFDS data sets to write to; None for TFDS's own.

    Returns:
      The folder of the built data set, for `records.read_split`.

    Raises:
      DataError: there is no such folder; or see `official.read_split`.
      OutputError: the data set's folder exists, but is not one that was built.
      ValueError: unknown name.
    """
    if name not in BUILDERS:
        raise ValueError(f"unknown data set {name!r}; valid: {', '.join(BUILDERS)}")
    folder = pathlib.Path(folder).expanduser().resolve()
    builder = BUILDERS[name](data_dir=data_dir, file_format="array_record")
    if builder.is_prepared():
        logging.warning("%s is built already; delete it to build it anew.", builder.data_dir)
    elif os.path.lexists(builder.data_dir):  # TFDS would take it for a built data set
        raise output_files.OutputError(
            f"{builder.data_dir} exists, but is no whole data set. Choose another --data_dir or "
            "move it."
        )
    elif not folder.is_dir():
        raise DataError(
            f"There is no folder {folder}. Name the one in which {name}'s official archives are "
            "unpacked."
        )
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder))
    return pathlib.Path(builder.data_dir)
