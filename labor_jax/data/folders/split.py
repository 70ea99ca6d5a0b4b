"""A split read from folders of images and label maps, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from labor_jax.data import messages
from labor_jax.data.base import DataError
from labor_jax.data.files import checks, decoding, listing
from labor_jax.data.folders import matching
from labor_jax.data.folders.layout import FolderLayout
from labor_jax.data.label_map import LabelMap

# Up to this many pixels, all label maps of a split are decoded at the start (about a second on one
# core). In larger splits a label map is checked when it is read, unless verify="full".
_CHECK_LABEL_PIXELS = 2**27

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
      label_channel: see `FolderLayout`.
      left_out: names of images that were found and left out on purpose.
    """

    names: tuple[str, ...]
    image_paths: tuple[pathlib.Path, ...]
    label_paths: tuple[pathlib.Path, ...] | None
    sizes: tuple[tuple[int, int], ...]
    label_map: LabelMap
    label_channel: int | None = None
    left_out: tuple[str, ...] = ()

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
          DataError: the file cannot be decoded.
        """
        return decoding.read_image(self.image_paths[i])

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W].

        Raises:
          DataError: the split has no labels, the file cannot be decoded, or a value in it is not a
            class.
        """
        if self.label_paths is None:
            raise DataError(
                f"{self.image_paths[i]} has no label: its split was set up without a labels "
                "folder. Set `labels` to that folder."
            )
        return self.read_label(self.label_paths[i])

    def read_label(self, path: pathlib.Path) -> np.ndarray:
        """Reads any label file as those of the split are read, uint8[H, W].

        Raises:
          DataError: the file cannot be decoded, or a value in it is not a class.
        """
        return self.label_map(decoding.read_label_values(path, self.label_channel), path)

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
) -> FolderSplit:
    """Finds the files of a split and checks them.

    Logs a warning that lists the images left out for `layout.skip` and `layout.known_defects`.

    Args:
      root: folder that the layout's folders are below.
      split: the split's name, for errors ("source").
      layout: where the files are.
      num_classes: number of classes C; a label value must map to 0 to C - 1 or 255.
      verify: "headers" reads the header and the end of each file, decodes a file whose end looks
        cut off, and decodes all label maps of a small split; "full" decodes every file.

    Returns:
      The split, sorted by name. A name is an image's path below `images`, with "/", without
      extension and `image_suffix`.

    Raises:
      DataError: a folder is missing; no image matches; two images share a name; an image has no
        label or a label no image; a file is unreadable, cut off or of the wrong kind; an image and
        its label differ in size; a label value is not a class.
      ValueError: invalid field of `layout`, or invalid `verify`.
    """
    check_verify(verify)
    if layout.label_pattern.count("{stem}") != 1 or "/" in layout.label_pattern:
        raise ValueError(
            f'data.{split}.label_pattern must be a file name that holds "{{stem}}" once, got '
            f"{layout.label_pattern!r}"
        )
    label_map = LabelMap(layout.label_map, num_classes, f"data.{split}.label_map")
    root = pathlib.Path(root).expanduser()
    found, stems = matching.find_images(root, split, layout)
    files = {name: file for name, file in found.items() if name not in layout.skip}
    labels = None
    if layout.labels:
        labels = matching.find_labels(root, split, layout, files, stems)
        files = {name: files[name] for name in labels}
    images = {name: root / layout.images / file for name, file in files.items()}
    sizes = _sizes(images, checks.check_images, f"{split} images")
    if labels is not None:
        differing = _check_sizes(split, layout, images, sizes, labels)
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
        sizes=tuple(sizes[name] for name in images),
        label_map=label_map,
        label_channel=layout.label_channel,
        left_out=left_out,
    )
    pixels = sum(height * width for height, width in result.sizes)
    if labels is not None and (verify == "full" or pixels <= _CHECK_LABEL_PIXELS):
        checks.check_decoding(result.label, len(result))
    if verify == "full":
        checks.check_decoding(result.image, len(result))
    return result


def check_verify(verify: str) -> None:
    """Raises ValueError unless `verify` is one of `VERIFY`."""
    if verify not in VERIFY:
        valid = " or ".join(f'"{name}"' for name in VERIFY)
        raise ValueError(f"data.verify must be {valid}, got {verify!r}")


def _check_sizes(
    split: str,
    layout: FolderLayout,
    images: Mapping[str, pathlib.Path],
    sizes: Mapping[str, tuple[int, int]],
    labels: Mapping[str, pathlib.Path],
) -> set[str]:
    """Returns the known defects whose image and label differ in size; others are an error."""
    label_sizes = _sizes(
        labels,
        lambda paths, what: checks.check_labels(paths, what, layout.label_channel),
        f"{split} labels",
    )
    differing = {name for name in images if sizes[name] != label_sizes[name]}
    messages.raise_if_any(
        f"{split} images differ in size from their labels (height x width)",
        [
            f"{path} is {_by(sizes[name])}, {labels[name]} is {_by(label_sizes[name])}"
            for name, path in images.items()
            if name in differing and name not in layout.known_defects
        ],
        layout.advice
        or "Resize one of the two to the other's size, label maps by nearest neighbour.",
    )
    return differing


def _sizes(
    paths: Mapping[str, pathlib.Path],
    check: Callable[[Sequence[pathlib.Path], str], Iterable[tuple[int, int]]],
    what: str,
) -> dict[str, tuple[int, int]]:
    return dict(zip(paths, check(tuple(paths.values()), what), strict=True))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
