"""A pair whose three splits are folders of images and label maps."""

from __future__ import annotations

import collections
import hashlib
import pathlib
from collections.abc import Collection, Mapping

import numpy as np

from labor_jax.data import base, cache, messages
from labor_jax.data.base import DataError
from labor_jax.data.class_table import ClassTable
from labor_jax.data.folders.layout import FolderLayout
from labor_jax.data.folders.split import FolderSplit, read_split


def read_pair(
    name: str,
    root: str,
    layouts: Mapping[str, FolderLayout],
    classes: tuple[str, ...],
    palette: np.ndarray | None = None,
    *,
    tables: Mapping[str, ClassTable] | None = None,
    verify: str = "headers",
    cache_bytes: int = 0,
    roles: Collection[str] = base.ROLES,
) -> base.Pair:
    """Reads a pair from folders.

    Args:
      name: the pair's name.
      root: folder that the layouts' folders are below.
      layouts: where the files of "source", "pool" and "evaluation" are. The pool may lack labels,
        and "evaluation" may be missing: then the pair has no such split.
      classes: class names.
      palette: [C, 3] colours with channels 0 to 255; None for `base.default_palette`. Label files
        in colours are read by it.
      tables: how the label files of each role code the classes; None if values are class numbers,
        and colours those of `palette`.
      verify: see `read_split`.
      cache_bytes: memory for decoded images and labels of all splits together, 0 for none.
      roles: which splits to read; the others are None.

    Raises:
      DataError: see `read_split`; or source or evaluation has no labels; or an image is both in
        the pool and in the evaluation split.
      ValueError: invalid classes or palette.
    """
    if not classes:
        raise ValueError(
            f"{name} needs the names of its classes: set data.classes (road,sky,tree, or a table "
            "file such as classes.csv)."
        )
    base.check_classes(classes)
    if len(classes) == 1:
        raise ValueError(
            f"data.classes names one class, {classes[0]!r}, and a model tells two or more apart: "
            "name another, such as background."
        )
    given = palette is not None
    if palette is None:
        palette = base.default_palette(len(classes))
    palette = np.asarray(palette)
    if palette.shape != (len(classes), 3) or palette.min() < 0 or palette.max() > 255:
        raise ValueError(
            f"data.palette must hold a colour (three numbers, 0 to 255) for each of the "
            f"{len(classes)} classes; got the shape {list(palette.shape)}"
        )
    if tables is None:
        colours = tuple(map(tuple, palette.tolist())) if given else ()
        tables = dict.fromkeys(base.ROLES, ClassTable(tuple(classes), colours))
    for role in ("source", "evaluation"):
        if role in layouts and not layouts[role].labels:
            raise DataError(f"{role} needs labels: set data.{role}.labels to their folder")
    if roles and not root:
        raise DataError(f"{name} needs the folder of the data set: --config.data.root=DIR")
    splits = {
        role: read_split(root, role, layouts[role], len(classes), verify, table=tables[role])
        for role in base.ROLES
        if role in roles and role in layouts
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
    messages.raise_if_any(
        "images are both in the pool, where they are trained on, and in the evaluation",
        same,
        "Remove them from one of the two or narrow data.pool.pattern and data.evaluation.pattern.",
    )
