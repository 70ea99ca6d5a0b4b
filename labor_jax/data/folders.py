"""Splits read from folders of images and label maps, checked before anything is trained."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import hashlib
import logging
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from labor_jax.data import base, cache, image_files
from labor_jax.data.base import DataError
from labor_jax.data.label_map import LabelMap

# Label maps of splits up to this many pixels are all decoded at the start (about a second on one
# core); larger splits are checked when a label map is read, unless verify="full".
_CHECK_LABEL_PIXELS = 2**27

# The fields of `Role` that the pair `folders` takes from the config.
_CONFIG_FIELDS = ("images", "labels", "pattern", "image_suffix", "label_pattern", "label_map")


@dataclasses.dataclass(frozen=True)
class Role:
    """Where the files of one role (source, pool or evaluation) are.

    Attributes:
      images: images folder, below the root or absolute. Folders inside it are read too.
      labels: labels folder with the same folders inside; empty for a role without labels.
      pattern: globs on a file's path below `images` ("0006R0*", "*_leftImg8bit.png"); a file that
        matches any of them belongs to the role. `*` also matches "/".
      image_suffix: ending of image file names, before the extension, that label names lack
        ("_leftImg8bit").
      label_pattern: file name of an image's label; "{stem}" is the image's file name without
        extension and `image_suffix`.
      label_map: class number of each value in the label files ("7:0, 8:1, other:255"), see
        `LabelMap`; empty where the values are the class numbers.
      label_channel: for label files that are 16-bit PNGs of several channels, the one with the
        values; None for files of one channel.
      skip: names (see `FolderSplit`) of images to leave out.
      known_defects: names whose image and label are known not to fit: the one or the other is
        missing or they differ in size. Those that don't fit are left out; the same in another name
        is an error.
      advice: what messages tell to do; empty for the config fields of the pair `folders`.
    """

    images: str
    labels: str
    pattern: str | Sequence[str] = "*"
    image_suffix: str = ""
    label_pattern: str = "{stem}.png"
    label_map: str | Mapping[Any, int] = ""
    label_channel: int | None = None
    skip: Collection[str] = ()
    known_defects: Collection[str] = ()
    advice: str = ""

    def holds(self, file: str) -> bool:
        """Whether a file, by its path below `images`, matches one of the patterns."""
        patterns = (self.pattern,) if isinstance(self.pattern, str) else self.pattern
        return any(fnmatch.fnmatchcase(file, pattern) for pattern in patterns)

    def holds_name(self, name: str) -> bool:
        """Whether a file of this name, whatever its extension, matches one of the patterns."""
        file = name + self.image_suffix
        return any(self.holds(file + extension) for extension in image_files.EXTENSIONS)


@dataclasses.dataclass(frozen=True, eq=False)
class FolderSplit:
    """A `Split` of image and label files. `read_split` makes one.

    Attributes:
      names: path of each image below the images folder, without extension.
      image_paths: its file.
      label_paths: its label's file; None for a role without labels.
      sizes: its (height, width).
      label_map: turns the values in label files into class numbers.
      label_channel: see `Role`.
      left_out: names of the images that the role asked to leave out and that were there.
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

    def image(self, i: int) -> np.ndarray:
        """Returns image `i`, uint8[H, W, 3].

        Raises:
          DataError: if the file cannot be decoded.
        """
        return image_files.read_image(self.image_paths[i])

    def label(self, i: int) -> np.ndarray:
        """Returns label `i`, uint8[H, W].

        Raises:
          DataError: if the role has no labels, the file cannot be decoded, or a value in it is not
            a class.
        """
        if self.label_paths is None:
            raise DataError(
                f"{self.image_paths[i]} has no label: its role was set up without a labels "
                "folder. Set `labels` to that folder."
            )
        path = self.label_paths[i]
        return self.label_map(image_files.read_label_values(path, self.label_channel), path)

    def label_key(self) -> str | None:
        """Returns a text that changes with any label file or the label map; None without labels."""
        if self.label_paths is None:
            return None
        return image_files.files_key(
            self.label_paths, self.names, self.label_map.key(), self.label_channel
        )


def load(config: ml_collections.ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `folders` from the folders named in a config.

    Args:
      config: `root`; `classes` (names); `palette` (an RGB triple per class; empty for
        `base.default_palette`); `verify` (see `read_split`); `cache_bytes`; and for each of
        `source`, `pool` and `evaluation` the fields of `Role` and `classes` (empty for the common
        ones).
      roles: which to read; the others are None.

    Returns:
      The pair. The pool may lack labels, the other two not.

    Raises:
      DataError: for anything wrong with the files, or an image of the pool that is also one of
        the evaluation.
      ValueError: for a config field that cannot be.
    """
    layout, classes = {}, {}
    for name in base.ROLES:
        section = config[name]
        layout[name] = Role(**{field: section[field] for field in _CONFIG_FIELDS})
        classes[name] = tuple(section.classes or config.classes)
    for name in ("pool", "evaluation"):
        if classes[name] != classes["source"]:
            raise DataError(
                f"source and {name} have different classes: "
                f"data.source.classes = {classes['source']}, "
                f"data.{name}.classes = {classes[name]}. Give both the same list in the same "
                "order; `label_map` turns the values in the files into its numbers."
            )
    palette = np.asarray(config.palette) if len(config.palette) else None
    return load_roles(
        "folders",
        config.root,
        layout,
        classes["source"],
        palette,
        verify=config.verify,
        cache_bytes=config.cache_bytes,
        read=roles,
    )


def load_roles(
    name: str,
    root: str,
    roles: Mapping[str, Role],
    classes: tuple[str, ...],
    palette: np.ndarray | None,
    *,
    verify: str = "headers",
    cache_bytes: int = 0,
    read: Collection[str] = base.ROLES,
) -> base.Pair:
    """Reads a pair whose three roles are folders; `load` with the settings as arguments.

    Args:
      name: the pair's name.
      root: folder that the roles' folders are below.
      roles: "source", "pool" and "evaluation".
      classes: class names.
      palette: [C, 3] colours with channels 0 to 255; None for `base.default_palette`.
      verify: see `read_split`.
      cache_bytes: memory for decoded images and labels of the three splits together, 0 for none.
      read: which of the roles to read; the others are None.

    Raises:
      DataError: see `load`.
      ValueError: see `load`.
    """
    if not classes:
        raise ValueError(f"{name} needs the names of its classes: set data.classes")
    base.check_classes(classes)
    if palette is None:
        palette = base.default_palette(len(classes))
    palette = np.asarray(palette)
    if palette.shape != (len(classes), 3) or palette.min() < 0 or palette.max() > 255:
        raise ValueError(
            f"data.palette must hold a colour (three numbers, 0 to 255) for each of the "
            f"{len(classes)} classes; got the shape {list(palette.shape)}"
        )
    for role in ("source", "evaluation"):
        if not roles[role].labels:
            raise DataError(f"{role} needs labels: set data.{role}.labels to their folder")
    if read and not root:
        raise DataError(f"{name} needs the folder of the data set: --config.data.root=DIR")
    splits = {
        role: read_split(root, role, roles[role], len(classes), verify)
        for role in base.ROLES
        if role in read
    }
    if {"pool", "evaluation"} <= splits.keys():
        check_no_leak(splits["pool"], splits["evaluation"])
    if cache_bytes:
        splits = cache.cached(splits, cache_bytes)
    return base.Pair(
        name=name,
        classes=classes,
        palette=palette.astype(np.uint8),
        **{role: splits.get(role) for role in base.ROLES},
    )


def read_split(
    root: str | os.PathLike, name: str, role: Role, num_classes: int, verify: str = "headers"
) -> FolderSplit:
    """Finds the files of a role and checks them.

    Args:
      root: folder that the role's folders are below.
      name: the role's name, for messages.
      role: where the files are.
      num_classes: number of classes C; a label value must come out as 0 to C - 1 or 255.
      verify: "headers" reads the header and the end of each file, decodes a file whose end looks
        cut off, and decodes all label maps of a small split; "full" decodes every file.

    Returns:
      The split, ordered by name. A name is an image's path below `images`, with "/", without
      extension and `image_suffix`. What `role.skip` and `role.known_defects` leave out is told in a
      log message.

    Raises:
      DataError: a folder is missing; no image matches; two images have one name; an image has no
        label or a label no image; a file is unreadable, cut off or of the wrong kind; an image and
        its label differ in size; a label value is not a class.
      ValueError: for a field of `role` or a `verify` that cannot be.
    """
    check_verify(verify)
    if role.label_pattern.count("{stem}") != 1 or "/" in role.label_pattern:
        raise ValueError(
            f'data.{name}.label_pattern must be a file name that holds "{{stem}}" once, got '
            f"{role.label_pattern!r}"
        )
    label_map = LabelMap(role.label_map, num_classes, f"data.{name}.label_map")
    root = pathlib.Path(root).expanduser()
    found, stems = _find_images(root, name, role)
    files = {key: file for key, file in found.items() if key not in role.skip}
    labels = _find_labels(root, name, role, files, stems) if role.labels else None
    if labels is not None:
        files = {key: files[key] for key in labels}
    images = {key: root / role.images / file for key, file in files.items()}
    sizes = _sizes(images, image_files.check_images, f"{name} images")
    if labels is not None:
        label_sizes = _sizes(
            labels,
            lambda paths, what: image_files.check_labels(paths, what, role.label_channel),
            f"{name} labels",
        )
        differing = {key for key in images if sizes[key] != label_sizes[key]}
        image_files.report(
            f"{name} images differ in size from their labels (height x width)",
            [
                f"{images[key]} is {_by(sizes[key])}, {labels[key]} is {_by(label_sizes[key])}"
                for key in images
                if key in differing and key not in role.known_defects
            ],
            role.advice
            or "Resize one of the two to the other's size, label maps by nearest neighbour.",
        )
        images = {key: path for key, path in images.items() if key not in differing}
    left_out = tuple(key for key in found if key not in images)
    if left_out:
        logging.warning(
            "%s: %d images left out: %s", name, len(left_out), image_files.listing(left_out)
        )
    if not images:
        raise DataError(f"{name} is empty: all of its {len(found)} images are left out.")
    split = FolderSplit(
        names=tuple(images),
        image_paths=tuple(images.values()),
        label_paths=None if labels is None else tuple(labels[key] for key in images),
        sizes=tuple(sizes[key] for key in images),
        label_map=label_map,
        label_channel=role.label_channel,
        left_out=left_out,
    )
    pixels = sum(height * width for height, width in split.sizes)
    if labels is not None and (verify == "full" or pixels <= _CHECK_LABEL_PIXELS):
        image_files.check_decoding(split.label, len(split))
    if verify == "full":
        image_files.check_decoding(split.image, len(split))
    return split


def _sizes(
    paths: Mapping[str, pathlib.Path],
    check: Callable[[Sequence[pathlib.Path], str], Iterable[tuple[int, int]]],
    what: str,
) -> dict[str, tuple[int, int]]:
    return dict(zip(paths, check(tuple(paths.values()), what), strict=True))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _find_images(root: pathlib.Path, name: str, role: Role) -> tuple[dict[str, str], set[str]]:
    """Returns the file of each name of the role, sorted, and the stems of all images there."""
    folder = _folder(root, role.images, f"data.{name}.images", role.advice)
    files = image_files.list_files(folder)
    stems = {
        file: file.rsplit(".", 1)[0]
        for file in files
        if file.lower().endswith(image_files.EXTENSIONS)
    }
    if not stems:
        raise DataError(
            f"{name} is empty: {folder} holds no images ({' '.join(image_files.EXTENSIONS)}). "
            + (role.advice or f"Check data.root and data.{name}.images.")
        )
    matching = [file for file in stems if role.holds(file)]
    pattern = repr(role.pattern) if role.advice else f"data.{name}.pattern = {role.pattern!r}"
    if not matching:
        raise DataError(
            f"{name} is empty: none of the {len(stems)} images in {folder} matches "
            f"{pattern}; there are {image_files.listing(stems)}. "
            + (role.advice or "A pattern applies to the path below the folder, extension included.")
        )
    image_files.report(
        f"{name} images do not end in data.{name}.image_suffix = {role.image_suffix!r}",
        [file for file in matching if not stems[file].endswith(role.image_suffix)],
        role.advice or f"Narrow data.{name}.pattern to images that do.",
    )
    by_name = collections.defaultdict(list)
    for file in matching:
        by_name[stems[file].removesuffix(role.image_suffix)].append(file)
    image_files.report(
        f"{name} images share a name, the path without extension,",
        [" and ".join(files) for files in by_name.values() if len(files) > 1],
        role.advice or f"Remove one of them or narrow data.{name}.pattern.",
    )
    return {key: by_name[key][0] for key in sorted(by_name)}, set(stems.values())


def _find_labels(
    root: pathlib.Path, name: str, role: Role, images: Mapping[str, str], stems: set[str]
) -> dict[str, pathlib.Path]:
    """Returns the label of each of `images`, names to files; known defects may lack one."""
    folder = _folder(root, role.labels, f"data.{name}.labels", role.advice)
    before, after = role.label_pattern.split("{stem}")
    labels = {}
    for file in image_files.list_files(folder):
        parent, slash, base_name = file.rpartition("/")
        stem = base_name[len(before) : len(base_name) - len(after)]
        if stem and base_name == before + stem + after:
            labels[parent + slash + stem] = file
    image_files.report(
        f"{name} images have no label in {folder}",
        [
            file
            for key, file in images.items()
            if key not in labels and key not in role.known_defects
        ],
        role.advice
        or f"Add the labels, remove the images, or correct data.{name}.label_pattern = "
        f"{role.label_pattern!r} (and image_suffix = {role.image_suffix!r}).",
    )
    image_files.report(
        f"{name} labels have no image in {root / role.images}",
        [
            file
            for key, file in labels.items()
            # A label whose image exists without being of this role is another role's.
            if key + role.image_suffix not in stems
            and key not in role.known_defects
            and key not in role.skip
            and role.holds_name(key)
        ],
        role.advice or "Add the images or remove the labels.",
    )
    return {key: folder / labels[key] for key in images if key in labels}


def check_verify(verify: str) -> None:
    """Raises ValueError unless `verify` is one of `read_split`'s."""
    if verify not in ("headers", "full"):
        raise ValueError(f'data.verify must be "headers" or "full", got {verify!r}')


def check_no_leak(pool: FolderSplit, evaluation: FolderSplit) -> None:
    """Raises DataError if a file, or a byte-for-byte copy of it, is in both splits."""
    by_size = collections.defaultdict(list)
    for path in evaluation.image_paths:
        by_size[path.stat().st_size].append(path)
    hashes: dict[pathlib.Path, bytes] = {}

    def digest(path: pathlib.Path) -> bytes:
        if path not in hashes:
            with path.open("rb") as file:
                hashes[path] = hashlib.file_digest(file, "sha256").digest()
        return hashes[path]

    same = []
    for path in pool.image_paths:
        for other in by_size.get(path.stat().st_size, ()):
            if path.samefile(other) or digest(path) == digest(other):
                same.append(f"{path}" if path == other else f"{path} = {other}")
    image_files.report(
        "images are both in the pool, where they are trained on, and in the evaluation",
        same,
        "Remove them from one of the two or narrow data.pool.pattern and data.evaluation.pattern.",
    )


def _folder(root: pathlib.Path, below: str, field: str, advice: str) -> pathlib.Path:
    folder = root / below
    if folder.is_dir():
        return folder
    problem = "is not a folder" if folder.exists() else "does not exist"
    missing = next((parent for parent in reversed(folder.parents) if not parent.exists()), folder)
    where = "" if missing == folder or folder.exists() else f" (nor does {missing})"
    advice = advice or f"Check data.root = {root} and {field} = {below!r}."
    raise DataError(f"{folder} {problem}{where}. {advice}")
