"""Reads a pair of driving data sets: a rendered source and a photographed target."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping, Sequence

import ml_collections
import numpy as np

from labor_jax.data import base, cache, folders, messages
from labor_jax.data.base import DataError
from labor_jax.data.driving import official
from labor_jax.data.driving.acdc import ACDC, CONDITIONS, acdc
from labor_jax.data.driving.bdd100k import BDD100K
from labor_jax.data.driving.cityscapes import CITYSCAPES, CLASSES, PALETTE
from labor_jax.data.driving.dataset import DrivingDataset

TARGETS = {dataset.name: dataset for dataset in (CITYSCAPES, ACDC, BDD100K)}
"""The data sets that `config.data.target` can name."""


def set_data_fields(data: ml_collections.ConfigDict) -> None:
    """Adds to `config.data` the fields that `read_pair` reads."""
    data.source_root = ""  # the source data set's own folder, if it isn't in data.root
    data.target_root = ""  # the target data set's own folder, if it isn't in data.root
    data.target = CITYSCAPES.name  # or "acdc", "bdd100k"
    data.acdc_conditions = CONDITIONS  # of acdc: which images
    data.skip = ()  # names of images to leave out


def read_pair(
    name: str,
    source: DrivingDataset,
    config: ml_collections.ConfigDict,
    roles: Collection[str],
    classes: Sequence[int],
    class_subsets: Mapping[str, tuple[int, ...]],
) -> base.Pair:
    """Reads the pair of a source data set and the target that the config names.

    Each data set is read from its official folders or from a copy that `builders.build` built.

    Args:
      name: the pair's name.
      source: the source data set.
      config: `root`, the folder that holds the data sets' folders (`DrivingDataset.folder`);
        `source_root` and `target_root`, a data set's own folder if it isn't in `root`; `target`,
        one of `TARGETS`; `acdc_conditions`, some of `acdc.CONDITIONS`; `skip`, names of images to
        leave out; `verify`, see `folders.read_split`; `cache_bytes`, see `folders.read_pair`.
      roles: which splits to read; the others are None.
      classes: train ids of classes 0, 1, ...; pixels of all others are void.
      class_subsets: see `base.Pair`.

    Raises:
      DataError: see `official.read_split`; or no folder is set, or an image to skip doesn't exist.
      ValueError: an unknown target or condition.
    """
    if config.target not in TARGETS:
        raise ValueError(f"unknown data.target {config.target!r}; valid: {', '.join(TARGETS)}")
    target = TARGETS[config.target]
    if target is ACDC:
        target = acdc(config.acdc_conditions)
    splits = {
        role: _read_role(role, dataset, split, f"{domain}_root", config, classes)
        for role, dataset, split, domain in (
            ("source", source, "train", "source"),
            ("pool", target, "train", "target"),
            ("evaluation", target, "validation", "target"),
        )
        if role in roles
    }
    if len(splits) == len(base.ROLES):  # otherwise a name may be that of an image not read
        known = {key for split in splits.values() for key in (*split.names, *split.left_out)}
        messages.raise_if_any(
            "names in data.skip are not images",
            sorted(set(config.skip) - known),
            "A name is an image's path in its data set's images folder without extension, such as "
            f"{', '.join(split.names[0] for split in splits.values())}.",
        )
    # A built copy has the official splits, so only folders are compared.
    if {"pool", "evaluation"} <= splits.keys() and isinstance(splits["pool"], folders.FolderSplit):
        folders.check_no_leak(splits["pool"], splits["evaluation"])
    if config.cache_bytes:
        splits = cache.cached(splits, config.cache_bytes)
    return base.Pair(
        name=name,
        classes=tuple(CLASSES[train_id] for train_id in classes),
        palette=PALETTE[np.asarray(classes)],
        class_subsets=class_subsets,
        **{role: splits.get(role) for role in base.ROLES},
    )


def _read_role(
    role: str,
    dataset: DrivingDataset,
    split: str,
    field: str,
    config: ml_collections.ConfigDict,
    classes: Sequence[int],
) -> base.Split:
    if config[field]:
        folder, set_by = pathlib.Path(config[field]), f"data.{field}"
    elif config.root:
        folder = pathlib.Path(config.root) / dataset.folder
        set_by = f"{dataset.folder} in data.root, or set data.{field}"
    else:
        raise DataError(
            f"{role} needs the folder of {dataset.title}: --config.data.{field}=DIR, or "
            f"--config.data.root=DIR where DIR holds {dataset.folder}/. It is downloaded from "
            f"{dataset.download}."
        )
    folder = folder.expanduser()
    options = {"classes": classes, "verify": config.verify, "skip": config.skip}
    if (folder / "dataset_info.json").is_file():
        from labor_jax.data.driving import records  # TFDS takes a second to import

        return records.read_split(dataset, split, folder, **options)
    return official.read_split(dataset, split, folder, role=role, field=set_by, **options)
