"""ACDC: driving scenes in fog, at night, in rain and in snow.

Sakaridis et al.: ACDC: The adverse conditions dataset with correspondences, ICCV 2021.
"""

from __future__ import annotations

from collections.abc import Sequence

from labor_jax.data.driving import cityscapes
from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.folders import FolderLayout

_COUNTS = {
    "train": {"fog": 400, "night": 400, "rain": 400, "snow": 400},
    "validation": {"fog": 100, "night": 106, "rain": 100, "snow": 100},
}

CONDITIONS = tuple(_COUNTS["train"])
"""The conditions that the images are taken in."""


def acdc(conditions: Sequence[str]) -> DrivingDataset:
    """Returns ACDC with the images of some conditions.

    Args:
      conditions: at least one of `CONDITIONS`.

    Raises:
      ValueError: a condition is unknown, or none is given.
    """
    if not conditions or not set(conditions) <= set(CONDITIONS):
        raise ValueError(
            f"data.acdc_conditions must be one or more of {', '.join(CONDITIONS)}, got "
            f"{tuple(conditions)!r}"
        )
    return DrivingDataset(
        name="acdc",
        title="ACDC",
        download="acdc.vision.ee.ethz.ch, packages rgb_anon_trainvaltest.zip and gt_trainval.zip",
        folder="ACDC",
        archive_folder="",
        splits={
            split: FolderLayout(
                "rgb_anon",
                "gt",
                tuple(f"{condition}/{folder}/*_rgb_anon.png" for condition in conditions),
                image_suffix="_rgb_anon",
                label_pattern="{stem}_gt_labelIds.png",
            )
            for split, folder in (("train", "train"), ("validation", "val"))
        },
        counts={
            split: sum(counts[condition] for condition in set(conditions))
            for split, counts in _COUNTS.items()
        },
        train_ids=cityscapes.TRAIN_IDS,
    )


ACDC = acdc(CONDITIONS)
"""ACDC in all conditions. Labels are PNGs of Cityscapes' label ids."""
