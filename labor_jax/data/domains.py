"""The data sets of driving scenes that papers adapt between, read where they are unpacked.

Nothing is converted: the folders are those of the official archives, and label files become
Cityscapes' train ids as they are read. `PAIRS` of `labor_jax.data.pair` are made of these.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence

import ml_collections
import numpy as np

from labor_jax.data import base, cache, cityscapes, folders, image_files
from labor_jax.data.base import DataError

ALL_CLASSES = tuple(range(len(cityscapes.CLASSES)))
"""All 19 train ids."""

_FROM_LABEL_IDS = {
    **{label_id: i for i, label_id in enumerate(cityscapes.LABEL_IDS)},
    "other": 255,
}


@dataclasses.dataclass(frozen=True)
class Domain:
    """A published data set.

    Attributes:
      name: its name in configs and as a TFDS data set.
      title: its name in messages.
      download: the page it is downloaded from and the packages to take.
      folder: the folder in `data.root` that it is looked for in.
      archive_folder: a folder that its archives unpack to, which that folder may hold; or empty.
      parts: the role of each part ("train", "validation"), without its label map.
      sizes: the number of images of each part.
      train_ids: Cityscapes' train id of each value in the label files, 255 for void; "other" for
        the values that are not named, which without it are errors.
    """

    name: str
    title: str
    download: str
    folder: str
    archive_folder: str
    parts: Mapping[str, folders.Role]
    sizes: Mapping[str, int]
    train_ids: Mapping[int | str, int]


GTAV = Domain(
    name="gtav",
    title="GTAV",
    download="download.visinf.tu-darmstadt.de/data/from_games, packages 01_images.zip to "
    "10_images.zip and 01_labels.zip to 10_labels.zip",
    folder="GTAV",
    archive_folder="",
    parts={
        "train": folders.Role(
            "images",
            "labels",
            "*.png",
            # Left out by public readers of the set as invalid; here only where the sizes differ.
            known_defects=("15188", "17705"),
        )
    },
    sizes={"train": 24_966},
    train_ids=_FROM_LABEL_IDS,
)
"""Richter et al.: Playing for data, ECCV 2016. Palette PNGs whose indices are label ids."""

SYNTHIA = Domain(
    name="synthia",
    title="SYNTHIA-RAND-CITYSCAPES",
    download="synthia-dataset.net, package SYNTHIA-RAND-CITYSCAPES (CVPR16)",
    folder="SYNTHIA",
    archive_folder="RAND_CITYSCAPES",
    parts={"train": folders.Role("RGB", "GT/LABELS", "*.png", label_channel=0)},
    sizes={"train": 9_400},
    # The table of the set's README: void, parking slot, road work and lane marking are void.
    train_ids={
        3: 0,
        4: 1,
        2: 2,
        21: 3,
        5: 4,
        7: 5,
        15: 6,
        9: 7,
        6: 8,
        16: 9,
        1: 10,
        10: 11,
        17: 12,
        8: 13,
        18: 14,
        19: 15,
        20: 16,
        12: 17,
        11: 18,
        "other": 255,
    },
)
"""Ros et al.: The SYNTHIA dataset, CVPR 2016. 16-bit PNGs: channel 0 the class, 1 the instance."""

CITYSCAPES = Domain(
    name="cityscapes",
    title="Cityscapes",
    download="cityscapes-dataset.com, packages leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip",
    folder="Cityscapes",
    archive_folder="",
    parts={
        part: folders.Role(
            f"leftImg8bit/{folder}",
            f"gtFine/{folder}",
            "*_leftImg8bit.png",
            image_suffix="_leftImg8bit",
            label_pattern="{stem}_gtFine_labelIds.png",
        )
        for part, folder in (("train", "train"), ("validation", "val"))
    },
    sizes={"train": 2_975, "validation": 500},
    train_ids=_FROM_LABEL_IDS,
)
"""Cordts et al., CVPR 2016. PNGs of label ids."""

_ACDC_SIZES = {
    "train": {"fog": 400, "night": 400, "rain": 400, "snow": 400},
    "validation": {"fog": 100, "night": 106, "rain": 100, "snow": 100},
}

ACDC_CONDITIONS = tuple(_ACDC_SIZES["train"])
"""The conditions that ACDC's images are taken in."""


def acdc(conditions: Sequence[str]) -> Domain:
    """Returns ACDC with the images of some conditions.

    Args:
      conditions: at least one of `ACDC_CONDITIONS`.

    Raises:
      ValueError: there is no such condition, or none is given.
    """
    if not conditions or not set(conditions) <= set(ACDC_CONDITIONS):
        raise ValueError(
            f"data.acdc_conditions must be one or more of {', '.join(ACDC_CONDITIONS)}, got "
            f"{tuple(conditions)!r}"
        )
    return Domain(
        name="acdc",
        title="ACDC",
        download="acdc.vision.ee.ethz.ch, packages rgb_anon_trainvaltest.zip and gt_trainval.zip",
        folder="ACDC",
        archive_folder="",
        parts={
            part: folders.Role(
                "rgb_anon",
                "gt",
                tuple(f"{condition}/{folder}/*_rgb_anon.png" for condition in conditions),
                image_suffix="_rgb_anon",
                label_pattern="{stem}_gt_labelIds.png",
            )
            for part, folder in (("train", "train"), ("validation", "val"))
        },
        sizes={
            part: sum(sizes[condition] for condition in set(conditions))
            for part, sizes in _ACDC_SIZES.items()
        },
        train_ids=_FROM_LABEL_IDS,
    )


ACDC = acdc(ACDC_CONDITIONS)
"""Sakaridis et al., ICCV 2021: fog, night, rain and snow. PNGs of label ids."""

BDD100K = Domain(
    name="bdd100k",
    title="BDD100K",
    download="bdd-data.berkeley.edu, packages 10K Images and (semantic) Segmentation",
    folder="BDD100K",
    archive_folder="bdd100k",
    parts={
        part: folders.Role(
            f"images/10k/{folder}",
            f"labels/sem_seg/masks/{folder}",
            "*.jpg",
            known_defects=known_defects,
        )
        # github.com/bdd100k/bdd100k/issues/103: images without a label, or upright ones with the
        # label of a landscape, and labels without an image.
        for part, folder, known_defects in (
            (
                "train",
                "train",
                (
                    "3d581db5-2564fb7e",
                    "52e3fd10-c205dec2",
                    "781756b0-61e0a182",
                    "78ac84ba-07bd30c2",
                    "fee92217-63b3f87f",
                    "ff1e4d6d-f4d85cfd",
                    "ff3d3536-04986e25",
                    "ff3da814-c3463a43",
                ),
            ),
            (
                "validation",
                "val",
                (
                    "80a9e37d-e4548ac1",
                    "9342e334-33d167eb",
                    "ff55861e-a06b953c",
                    "ff7b98c7-3cb964ac",
                ),
            ),
        )
    },
    sizes={"train": 7_000, "validation": 1_000},
    train_ids={i: i for i in ALL_CLASSES},
)
"""Yu et al., CVPR 2020, its 10K images with semantic labels. PNGs of train ids."""

DOMAINS = {domain.name: domain for domain in (GTAV, SYNTHIA, CITYSCAPES, ACDC, BDD100K)}
"""All of them by name."""

TARGETS = ("cityscapes", "acdc", "bdd100k")
"""The names that `config.data.target` may have."""


def label_map(train_ids: Mapping[int | str, int], classes: Sequence[int]) -> dict:
    """Returns the `LabelMap` entries for a choice of classes.

    Args:
      train_ids: Cityscapes' train id of each value, see `Domain`.
      classes: the train ids that are classes 0, 1, ...; all others become void.
    """
    numbers = {train_id: number for number, train_id in enumerate(classes)}
    return {
        value: numbers.get(train_id, base.IGNORE_LABEL) for value, train_id in train_ids.items()
    }


def read_part(
    domain: Domain,
    part: str,
    folder: str | os.PathLike,
    *,
    classes: Sequence[int] = ALL_CLASSES,
    role: str = "",
    field: str = "",
    verify: str = "headers",
    skip: Collection[str] = (),
) -> folders.FolderSplit:
    """Reads a part of a data set from its official folders.

    Args:
      domain: the data set.
      part: one of `domain.parts`.
      folder: where its archives are unpacked.
      classes: train ids of classes 0, 1, ...; pixels of all others are void.
      role: what the part is in the pair ("pool"), for messages; empty for the data set's name.
      field: the config field that sets `folder`, for messages.
      verify: see `folders.read_split`.
      skip: names of images to leave out.

    Raises:
      DataError: see `folders.read_split`; it tells where the data set is downloaded.
    """
    folder = pathlib.Path(folder).expanduser()
    if domain.archive_folder and (folder / domain.archive_folder).is_dir():
        folder = folder / domain.archive_folder
    advice = f"{domain.title} is downloaded from {domain.download}, and unpacked in {folder}"
    if field:
        advice += f" ({field}); data.skip names images to leave out"
    files = dataclasses.replace(
        domain.parts[part],
        label_map=label_map(domain.train_ids, classes),
        skip=skip,
        advice=f"{advice}.",
    )
    split = folders.read_split(folder, role or domain.title, files, len(classes), verify)
    _tell_of_missing(domain, part, len(split) + len(split.left_out))
    return split


def _tell_of_missing(domain: Domain, part: str, count: int) -> None:
    if count < domain.sizes[part]:
        logging.warning(
            "%s: %d of the %d images of its %s part are here.",
            domain.title,
            count,
            domain.sizes[part],
            part,
        )


def load_gtav(config: ml_collections.ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `gtav`: GTAV → Cityscapes, ACDC or BDD100K, 19 classes.

    Args:
      config: `root`, the folder that holds the data sets' folders (`Domain.folder`); `source_root`
        and `target_root`, a data set's own folder where it isn't in `root`, or the folder of a copy
        that `labor_jax.data.tfds_builders` built; `target`, one of `TARGETS`;
        `acdc_conditions`, those of `ACDC_CONDITIONS` that ACDC's images are of; `skip`, names of
        images to leave out; `verify` and `cache_bytes`, see `folders.load_roles`.
      roles: which to read; the others are None.

    Raises:
      DataError: see `read_part`; or no folder is set, or an image to skip doesn't exist.
      ValueError: an unknown target or condition.
    """
    return _load("gtav", GTAV, config, roles, ALL_CLASSES, {})


def load_synthia(
    config: ml_collections.ConfigDict, roles: Collection[str] = base.ROLES
) -> base.Pair:
    """Reads the pair `synthia`: SYNTHIA → Cityscapes, ACDC or BDD100K.

    Args:
      config: the fields of `load_gtav`; and `num_classes`: 16, those that SYNTHIA has (ADVENT,
        RIPU), or Cityscapes' 19, of which people then teach the other three.
      roles: which to read; the others are None.

    Returns:
      The pair, with the subsets of classes that papers report: "16", "13", and for 19 classes "19".

    Raises:
      DataError: see `load_gtav`.
      ValueError: an unknown target or condition, or another number of classes.
    """
    choices = {16: cityscapes.SYNTHIA_16, 19: ALL_CLASSES}
    if config.num_classes not in choices:
        raise ValueError(f"data.num_classes must be 16 or 19, got {config.num_classes!r}")
    classes = choices[config.num_classes]
    subsets = {
        str(len(subset)): tuple(map(classes.index, subset))
        for subset in (ALL_CLASSES, cityscapes.SYNTHIA_16, cityscapes.SYNTHIA_13)
        if set(subset) <= set(classes)
    }
    return _load("synthia", SYNTHIA, config, roles, classes, subsets)


def _load(
    name: str,
    source: Domain,
    config: ml_collections.ConfigDict,
    roles: Collection[str],
    classes: Sequence[int],
    class_subsets: Mapping[str, tuple[int, ...]],
) -> base.Pair:
    if config.target not in TARGETS:
        raise ValueError(f"unknown data.target {config.target!r}; valid: {', '.join(TARGETS)}")
    target = DOMAINS[config.target]
    if target is ACDC:
        target = acdc(config.acdc_conditions)
    splits = {
        role: _read_role(role, domain, part, f"{side}_root", config, classes)
        for role, domain, part, side in (
            ("source", source, "train", "source"),
            ("pool", target, "train", "target"),
            ("evaluation", target, "validation", "target"),
        )
        if role in roles
    }
    if len(splits) == len(base.ROLES):  # else a name may be that of an image that was not read
        known = {key for split in splits.values() for key in (*split.names, *split.left_out)}
        image_files.report(
            "names in data.skip are no image",
            sorted(set(config.skip) - known),
            "A name is an image's path in its data set's images folder without ending, such as "
            f"{', '.join(split.names[0] for split in splits.values())}.",
        )
    # A built copy has the official parts.
    if {"pool", "evaluation"} <= splits.keys() and isinstance(splits["pool"], folders.FolderSplit):
        folders.check_no_leak(splits["pool"], splits["evaluation"])
    if config.cache_bytes:
        splits = cache.cached(splits, config.cache_bytes)
    return base.Pair(
        name=name,
        classes=tuple(cityscapes.CLASSES[i] for i in classes),
        palette=cityscapes.PALETTE[np.asarray(classes)],
        class_subsets=class_subsets,
        **{role: splits.get(role) for role in base.ROLES},
    )


def _read_role(
    role: str,
    domain: Domain,
    part: str,
    field: str,
    config: ml_collections.ConfigDict,
    classes: Sequence[int],
) -> base.Split:
    if config[field]:
        folder, set_by = pathlib.Path(config[field]), f"data.{field}"
    elif config.root:
        folder = pathlib.Path(config.root) / domain.folder
        set_by = f"{domain.folder} in data.root, or set data.{field}"
    else:
        raise DataError(
            f"{role} needs the folder of {domain.title}: --config.data.{field}=DIR, or "
            f"--config.data.root=DIR where DIR holds {domain.folder}/. It is downloaded from "
            f"{domain.download}."
        )
    folder = folder.expanduser()
    if (folder / "dataset_info.json").is_file():
        from labor_jax.data import tfds_builders  # TFDS takes a second to import

        return tfds_builders.read_part(
            domain, part, folder, classes=classes, verify=config.verify, skip=config.skip
        )
    return read_part(
        domain,
        part,
        folder,
        classes=classes,
        role=role,
        field=set_by,
        verify=config.verify,
        skip=config.skip,
    )
