"""A split read from folders of images and label maps, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from labor_jax.data import messages
from labor_jax.data.base import DataError
from labor_jax.data.class_table import ClassTable
from labor_jax.data.files import checks, decoding, listing
from labor_jax.data.files.checks import Header
from labor_jax.data.folders import matching
from labor_jax.data.folders.label_checks import check_labels
from labor_jax.data.folders.layout import FolderLayout
from labor_jax.data.folders.size_checks import check_sizes
from labor_jax.data.label_map import LabelMap

VERIFY = ("headers", "full")
"""How thoroughly files are checked at the start, see `read_split`."""


@dataclasses.dataclass(frozen=True, eq=False)
class FolderSplit:
    """A `Split` of image and label files. Made by `read_split`.

    Attributes:
      names: path of each image below the images folder, without extension.
      image_paths: the image files.
      label_paths: the label files; None for a split without labels.
      sizes: (height, width) of each image.
      label_map: maps the values in label files to class numbers.
      label_channel, image_suffix, label_pattern: see `FolderLayout`.
      left_out: names of images that were found and left out on purpose.
      folders: the folders that were searched for images and labels.
    """

    names: tuple[str, ...]
    image_paths: tuple[pathlib.Path, ...]
    label_paths: tuple[pathlib.Path, ...] | None
    sizes: tuple[tuple[int, int], ...]
    label_map: LabelMap
    label_channel: int | None = None
    left_out: tuple[str, ...] = ()
    folders: tuple[pathlib.Path, ...] = ()
    image_suffix: str = ""
    label_pattern: str = "{stem}.png"

    def __len__(self) -> int:
        return len(self.names)

    def size(self, i: int) -> tuple[int, int]:
        """Returns (height, width) of image and label `i`."""
        return self.sizes[i]

    def files(self, i: int) -> tuple[pathlib.Path, pathlib.Path | None]:
        """Returns the files of image and label `i`; None for a split without labels."""
        return self.image_paths[i], None if self.label_paths is None else self.label_paths[i]

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3].

        Raises:
          DataError: the file cannot be decoded, or it has another size than before.
        """
        return self._of_known_size(i, self.image_paths[i], decoding.read_image(self.image_paths[i]))

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W].

        Raises:
          DataError: the split has no labels, the file cannot be decoded or has another size than
            before, or a value in it is not a class.
        """
        if self.label_paths is None:
            raise DataError(
                f"{self.image_paths[i]} has no label: its split has no folder of labels. If people "
                "answer, set --config.annotator=human; if an oracle is to answer, put labels in "
                "pool/labels below data.root, or set data.pool.labels to their folder."
            )
        path = self.label_paths[i]
        return self._of_known_size(i, path, self.read_label(path))

    def read_label(self, path: pathlib.Path) -> np.ndarray:
        """Reads any label file as those of the split are read, uint8[H, W].

        Raises:
          DataError: the file cannot be decoded, or a value in it is not a class.
        """
        return self.label_map(self.read_values(path), path)

    def read_values(self, path: pathlib.Path) -> np.ndarray:
        """Reads the values or colours of a label file, see `decoding.read_label_values`."""
        return decoding.read_label_values(
            path, self.label_channel, coding=self.label_map.file_coding
        )

    def _of_known_size(self, i: int, path: pathlib.Path, array: np.ndarray) -> np.ndarray:
        """The array, if the file wasn't replaced by one of another size since the checks."""
        if array.shape[:2] != self.sizes[i]:
            found, known = map(messages.dimensions, (array.shape, self.sizes[i]))
            raise DataError(
                f"{path} is {found} (height x width) now, and was {known} when the files were "
                "checked. Restore it and run the same command again."
            )
        return array

    def label_coding(self) -> dict[str, str] | None:
        """Returns what says how label files are read; None if no labels.

        Returns:
          "sha256", which changes with the class of any value or colour; and "table", the class
          table's file, empty if there is none.
        """
        if self.label_paths is None:
            return None
        table = self.label_map.table_path
        return {"sha256": self.label_map.key(), "table": "" if table is None else str(table)}

    def label_key(self) -> str | None:
        """Returns a hash that changes with any label file and the label map; None if no labels."""
        if self.label_paths is None:
            return None
        return listing.files_key(
            self.label_paths, self.names, self.label_map.key(), self.label_channel
        )


def read_split(
    root: str | os.PathLike,
    split: str,
    layout: FolderLayout,
    num_classes: int,
    verify: str = "headers",
    *,
    table: ClassTable | None = None,
) -> FolderSplit:
    """Finds the files of a split and checks them.

    Logs a warning that lists the images left out for `layout.skip` and `layout.known_defects`.

    Args:
      root: folder that the layout's folders are below.
      split: the split's name, for errors ("source").
      layout: where the files are.
      num_classes: number of classes C; a label value must map to 0 to C - 1 or 255.
      verify: "headers" reads the header and the end of each file, decodes a file whose end looks
        cut off, and decodes all label maps of a small split and some of a large one; "full"
        decodes every file.
      table: names and colours of the classes, and what codes them in label files if
        `layout.label_map` doesn't say; None if values are class numbers.

    Returns:
      The split, sorted by name. A name is an image's path below `images`, with "/", without
      extension and `image_suffix`.

    Raises:
      DataError: a folder is missing; no image matches; two images share a name; an image has no
        label or a label no image; a file is unreadable, cut off or of the wrong kind; an image, as
        its EXIF data turn it, and its label differ in size; a label value or colour is not a class;
        or see `label_checks.check_labels`.
      ValueError: invalid field of `layout`, invalid `verify`, or labels in colours that two classes
        share.
    """
    check_verify(verify)
    if layout.label_pattern.count("{stem}") != 1 or "/" in layout.label_pattern:
        raise ValueError(
            f'data.{split}.label_pattern must be a file name that holds "{{stem}}" once, got '
            f"{layout.label_pattern!r}"
        )
    label_map = LabelMap(
        layout.label_map,
        num_classes,
        layout.label_map_field or f"data.{split}.label_map",
        table=table,
        coding=layout.label_coding,
        advice=layout.advice,
    )
    root = pathlib.Path(root).expanduser()
    found, stems = matching.find_images(root, split, layout)
    files = {name: file for name, file in found.items() if name not in layout.skip}
    labels = None
    if layout.labels:
        labels = matching.find_labels(root, split, layout, files, stems)
        files = {name: files[name] for name in labels}
    images = {name: root / layout.images / file for name, file in files.items()}
    headers = dict(
        zip(images, checks.check_images(tuple(images.values()), f"{split} images"), strict=True)
    )
    if labels is not None:
        label_headers = _check_label_files(split, layout, labels, label_map)
        differing = check_sizes(split, layout, images, headers, labels, label_headers)
        images = {name: path for name, path in images.items() if name not in differing}
    left_out = tuple(name for name in found if name not in images)
    if left_out:
        logging.warning(
            "%s: %d images left out: %s", split, len(left_out), messages.listing(left_out)
        )
    if not images:
        raise DataError(f"{split} is empty: all of its {len(found)} images are left out.")
    result = FolderSplit(
        names=tuple(images),
        image_paths=tuple(images.values()),
        label_paths=None if labels is None else tuple(labels[name] for name in images),
        sizes=tuple(headers[name].size for name in images),
        label_map=label_map,
        label_channel=layout.label_channel,
        left_out=left_out,
        folders=tuple(root / below for below in (layout.images, layout.labels) if below),
        image_suffix=layout.image_suffix,
        label_pattern=layout.label_pattern,
    )
    if result.label_paths is not None:
        check_labels(
            split,
            result.label_paths,
            sum(height * width for height, width in result.sizes),
            result.read_values,
            label_map,
            verify=verify,
        )
    if verify == "full":
        checks.check_decoding(result.image, len(result))
    return result


def check_verify(verify: str) -> None:
    """Raises ValueError unless `verify` is one of `VERIFY`."""
    if verify not in VERIFY:
        valid = " or ".join(f'"{name}"' for name in VERIFY)
        raise ValueError(f"data.verify must be {valid}, got {verify!r}")


def _check_label_files(
    split: str, layout: FolderLayout, labels: Mapping[str, pathlib.Path], label_map: LabelMap
) -> dict[str, Header]:
    headers = checks.check_labels(
        tuple(labels.values()), f"{split} labels", layout.label_channel, label_map.file_coding
    )
    if label_map.coding == "colours" or any(
        header.mode in decoding.LABEL_COLOUR_MODES for header in headers
    ):
        label_map.colours.check("data.palette")
    return dict(zip(labels, headers, strict=True))
