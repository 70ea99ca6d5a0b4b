"""The classes and colours of public data sets, by which label files are recognised."""

from __future__ import annotations

import dataclasses

from labor_jax.data import base
from labor_jax.data.colours import Colour
from labor_jax.data.driving import cityscapes
from labor_jax.data.pairs import camvid


@dataclasses.dataclass(frozen=True)
class KnownColours:
    """The colours of a data set's label images.

    Attributes:
      title: the data set.
      classes: the name of each class, in label order, and its colour.
      void: colours that are no class.
    """

    title: str
    classes: dict[str, Colour]
    void: frozenset[Colour]


_BLACK = (0, 0, 0)

_CAMVID_32 = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Wall": (64, 192, 0),
}

_VOC = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv monitor",
)

# Cityscapes' label ids that aren't evaluated: unlabelled, dynamic, ground, parking, rail track,
# guard rail, bridge, tunnel, caravan and trailer.
_CITYSCAPES_VOID = (
    _BLACK,
    (111, 74, 0),
    (81, 0, 81),
    (250, 170, 160),
    (230, 150, 140),
    (180, 165, 180),
    (150, 100, 100),
    (150, 120, 90),
    (0, 0, 90),
    (0, 0, 110),
)


def _table(names, colours) -> dict[str, Colour]:
    return dict(zip(names, map(tuple, colours.tolist()), strict=True))


KNOWN_COLOURS = (
    KnownColours("CamVid", _table(camvid.CLASSES, camvid.PALETTE), frozenset([_BLACK])),
    KnownColours("CamVid, all 31 classes", _CAMVID_32, frozenset([_BLACK])),
    KnownColours(
        "Cityscapes",
        _table(cityscapes.CLASSES, cityscapes.PALETTE),
        frozenset(_CITYSCAPES_VOID),
    ),
    KnownColours(
        "PASCAL VOC",
        {"background": _BLACK, **_table(_VOC, base.default_palette(len(_VOC)))},
        frozenset([(224, 224, 192)]),
    ),
)
"""The data sets, in the order in which they are tried."""

LABEL_IDS = {value: number for value, number in cityscapes.TRAIN_IDS.items() if value != "other"}
"""Cityscapes' train id of each label id of an evaluated class."""

TRAIN_ID_CLASSES = cityscapes.CLASSES
"""Cityscapes' class names by train id."""
