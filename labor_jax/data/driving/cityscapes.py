"""Cityscapes, and its classes, which all driving data sets share.

Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016. A *train
id* is a class's number among the 19 evaluated classes, a *label id* its number in the files.
"""

import numpy as np

from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.folders import FolderLayout

# Class, label id and colour of each train id. All other label ids (ego vehicle, parking, caravan,
# ...) are void.
_CLASSES = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)

CLASSES = tuple(name for name, _, _ in _CLASSES)
"""Class names by train id."""

PALETTE = np.array([colour for _, _, colour in _CLASSES], np.uint8)
"""uint8[19, 3], Cityscapes' colours by train id."""
PALETTE.flags.writeable = False

ALL_TRAIN_IDS = tuple(range(len(CLASSES)))
"""All 19 train ids."""

TRAIN_IDS = {
    **{label_id: train_id for train_id, (_, label_id, _) in enumerate(_CLASSES)},
    "other": 255,
}
"""Train id of each label id, for files that hold Cityscapes' label ids."""

CITYSCAPES = DrivingDataset(
    name="cityscapes",
    title="Cityscapes",
    download="cityscapes-dataset.com, packages leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip",
    folder="Cityscapes",
    archive_folder="",
    splits={
        split: FolderLayout(
            f"leftImg8bit/{folder}",
            f"gtFine/{folder}",
            "*_leftImg8bit.png",
            image_suffix="_leftImg8bit",
            label_pattern="{stem}_gtFine_labelIds.png",
        )
        for split, folder in (("train", "train"), ("validation", "val"))
    },
    counts={"train": 2_975, "validation": 500},
    train_ids=TRAIN_IDS,
)
"""Cityscapes' fine labels, PNGs of label ids."""
