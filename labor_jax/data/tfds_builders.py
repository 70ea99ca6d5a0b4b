"""The driving data sets as TFDS data sets, built and read without TensorFlow.

A built data set is one copy in a few large array_record files, for disks and clusters where many
small files are slow; plain folders (`labor_jax.data.domains`) need no building. Images keep their
encoded bytes; labels become 8-bit PNGs of Cityscapes' train ids, 255 void. To build one:

    python -m labor_jax.build_dataset --dataset gtav --folder DIR/GTAV --data_dir OUT

and to train on it `--config.data.source_root=OUT/gtav/1.0.0`. Any other TFDS program reads it too:
`tfds.builder_from_directory("OUT/gtav/1.0.0").as_data_source("train")`.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import dataset_builder  # tfds.core lacks its name before 4.9.10

from labor_jax.data import domains, folders, image_files
from labor_jax.data.base import DataError
from labor_jax.data.label_map import LabelMap

_Examples = Iterator[tuple[int, dict[str, Any]]]

_VERSION = "1.0.0"
_SHARD_BYTES = 2**28  # of images, in one file of a built data set


# Not a GeneratorBasedBuilder: beyond 1 GB that one sorts its examples through TensorFlow's files.
class _DomainBuilder(dataset_builder.ShardBasedBuilder, skip_registration=True):
    """Builds the data set `DOMAIN` from its official folders, TFDS's `manual_dir`.

    An example is `name`, `image` (uint8[H, W, 3]) and `label` (uint8[H, W, 1]).
    """

    DOMAIN: ClassVar[domains.Domain]
    VERSION = tfds.core.Version(_VERSION)
    RELEASE_NOTES: ClassVar[dict[str, str]] = {_VERSION: "First release."}
    # TFDS looks beside the code for checksums of downloads, of which there are none, and for that
    # imports importlib_resources, which it doesn't require.
    code_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.DOMAIN.title} with Cityscapes' train ids as labels.",
            homepage="https://" + self.DOMAIN.download.split(",")[0],
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                }
            ),
            # By split: the names in the order of the records, and the (height, width) of each.
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list[Callable[[], _Examples]]]:
        shards = {}
        for part in self.DOMAIN.parts:
            split = domains.read_part(self.DOMAIN, part, dl_manager.manual_dir)
            self.info.metadata[part] = {
                "names": list(split.names),
                "sizes": [list(size) for size in split.sizes],
            }
            before = np.cumsum([0] + [path.stat().st_size for path in split.image_paths[:-1]])
            shard = before // _SHARD_BYTES
            shards[part] = [
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


class Gtav(_DomainBuilder, skip_registration=True):
    """GTAV."""

    DOMAIN = domains.GTAV
    MANUAL_DOWNLOAD_INSTRUCTIONS = DOMAIN.download


class Synthia(_DomainBuilder, skip_registration=True):
    """SYNTHIA-RAND-CITYSCAPES."""

    DOMAIN = domains.SYNTHIA
    MANUAL_DOWNLOAD_INSTRUCTIONS = DOMAIN.download


class Cityscapes(_DomainBuilder, skip_registration=True):
    """Cityscapes' fine labels."""

    DOMAIN = domains.CITYSCAPES
    MANUAL_DOWNLOAD_INSTRUCTIONS = DOMAIN.download


class Acdc(_DomainBuilder, skip_registration=True):
    """ACDC, all conditions."""

    DOMAIN = domains.ACDC
    MANUAL_DOWNLOAD_INSTRUCTIONS = DOMAIN.download


class Bdd100k(_DomainBuilder, skip_registration=True):
    """BDD100K's 10K images with semantic labels."""

    DOMAIN = domains.BDD100K
    MANUAL_DOWNLOAD_INSTRUCTIONS = DOMAIN.download


BUILDERS = {builder.DOMAIN.name: builder for builder in (Gtav, Synthia, Cityscapes, Acdc, Bdd100k)}
"""The builders by the name of their data set."""


def build(
    name: str, folder: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> pathlib.Path:
    """Builds a data set, unless it is already there.

    Args:
      name: one of `BUILDERS`.
      folder: where the official archives are unpacked.
      data_dir: the folder of TFDS data sets to write to; None for TFDS's own.

    Returns:
      The folder of the built data set, for `read_part`.

    Raises:
      DataError: see `domains.read_part`.
      ValueError: unknown name.
    """
    if name not in BUILDERS:
        raise ValueError(f"unknown data set {name!r}; valid: {', '.join(BUILDERS)}")
    builder = BUILDERS[name](data_dir=data_dir, file_format="array_record")
    if builder.is_prepared():
        logging.warning("%s is built already; delete it to build it anew.", builder.data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=pathlib.Path(folder).expanduser().resolve()
        )
    )
    return pathlib.Path(builder.data_dir)


@dataclasses.dataclass(frozen=True, eq=False)
class RecordSplit:
    """A `Split` of the records of a built data set. `read_part` makes one.

    Attributes:
      names: as in the official folders.
      left_out: names of images that are there and were asked to leave out.
    """

    names: tuple[str, ...]
    left_out: tuple[str, ...]
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
          DataError: if the record cannot be decoded.
        """
        return image_files.read_image(self._path(i), self._record(i)["image"])

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W].

        Raises:
          DataError: if the record cannot be decoded.
        """
        path = self._path(i)
        values = image_files.read_label_values(path, content=self._record(i)["label"])
        return self._label_map(values, path)

    def label_key(self) -> str:
        """Returns a text that changes with any record or the label map."""
        return image_files.files_key(
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


def read_part(
    domain: domains.Domain,
    part: str,
    folder: str | os.PathLike,
    *,
    classes: Sequence[int] = domains.ALL_CLASSES,
    verify: str = "headers",
    skip: Collection[str] = (),
) -> RecordSplit:
    """Reads a part of a data set that `build` built.

    Args:
      domain: the data set, or a choice of its images (`domains.acdc`).
      part: one of `domain.parts`.
      folder: what `build` returned.
      classes: train ids of classes 0, 1, ...; pixels of all others are void.
      verify: "full" decodes everything now, "headers" nothing.
      skip: names of images to leave out.

    Raises:
      DataError: the folder holds another data set or none, or lacks records.
      ValueError: a `verify` that cannot be.
    """
    folders.check_verify(verify)
    folder = pathlib.Path(folder).expanduser()
    try:
        builder = tfds.builder_from_directory(folder)
        index = builder.info.metadata[part]
        count = builder.info.splits[part].num_examples
    except Exception as error:
        raise DataError(
            f"{folder} holds no data set with a {part} part that "
            f"`python -m labor_jax.build_dataset` built: {error}"
        ) from error
    if builder.name != domain.name or len(index["names"]) != count:
        raise DataError(
            f"{folder} holds {builder.name} with {count} records of which metadata.json names "
            f"{len(index['names'])}; expected {domain.name} with all of them named."
        )
    raw = tfds.decode.SkipDecoding()
    asked = [i for i, name in enumerate(index["names"]) if domain.parts[part].holds_name(name)]
    numbers = tuple(i for i in asked if index["names"][i] not in skip)
    split = RecordSplit(
        names=tuple(index["names"][i] for i in numbers),
        left_out=tuple(index["names"][i] for i in asked if index["names"][i] in skip),
        _folder=folder,
        _records=builder.as_data_source(part, decoders={"image": raw, "label": raw}),
        _numbers=numbers,
        _sizes=tuple(tuple(index["sizes"][i]) for i in numbers),
        _label_map=LabelMap(
            domains.label_map({i: i for i in domains.ALL_CLASSES}, classes), len(classes), "classes"
        ),
    )
    if not asked:
        raise DataError(
            f"{folder}: no image of the {part} part is one of {domain.parts[part].pattern}."
        )
    if not numbers:
        raise DataError(f"{folder}: all images of the {part} part are left out by data.skip.")
    if verify == "full":
        image_files.check_decoding(split.image, len(split))
        image_files.check_decoding(split.label, len(split))
    return split
