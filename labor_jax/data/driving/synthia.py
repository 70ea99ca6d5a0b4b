"""SYNTHIA-RAND-CITYSCAPES: rendered scenes with Cityscapes' classes.

Ros et al.: The SYNTHIA dataset, CVPR 2016.
"""

from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS, CLASSES
from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.folders import FolderLayout

# Class numbers in the files, from the README of the data set. Void, parking slot, road work and
# lane marking are void here.
_CLASS_NUMBERS = {
    "sky": 1,
    "building": 2,
    "road": 3,
    "sidewalk": 4,
    "fence": 5,
    "vegetation": 6,
    "pole": 7,
    "car": 8,
    "traffic sign": 9,
    "person": 10,
    "bicycle": 11,
    "motorcycle": 12,
    "traffic light": 15,
    "terrain": 16,
    "rider": 17,
    "truck": 18,
    "bus": 19,
    "train": 20,
    "wall": 21,
}

SYNTHIA = DrivingDataset(
    name="synthia",
    title="SYNTHIA-RAND-CITYSCAPES",
    download="synthia-dataset.net, package SYNTHIA-RAND-CITYSCAPES (CVPR16)",
    folder="SYNTHIA",
    archive_folder="RAND_CITYSCAPES",
    splits={"train": FolderLayout("RGB", "GT/LABELS", "*.png", label_channel=0)},
    counts={"train": 9_400},
    train_ids={
        **{number: CLASSES.index(name) for name, number in _CLASS_NUMBERS.items()},
        "other": 255,
    },
)
"""Labels are 16-bit PNGs: channel 0 holds the class, channel 1 the instance."""

TRAIN_IDS_16 = tuple(
    train_id
    for train_id in ALL_TRAIN_IDS
    if CLASSES[train_id] not in ("terrain", "truck", "train")  # SYNTHIA has no pixel of these
)
"""Train ids of the classes that adaptation from SYNTHIA is evaluated on."""

TRAIN_IDS_13 = tuple(
    train_id for train_id in TRAIN_IDS_16 if CLASSES[train_id] not in ("wall", "fence", "pole")
)
"""Train ids of the 13 of these that earlier papers report (mIoU*)."""
