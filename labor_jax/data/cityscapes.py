"""Cityscapes' classes, by which the driving data sets are trained and compared.

Cordts et al.: The Cityscapes dataset for semantic urban scene understanding, CVPR 2016. A *train
id* is a class's number among the 19 that are evaluated, a *label id* its number in the files.
"""

from labor_jax.data.street import CLASSES, PALETTE

__all__ = ["CLASSES", "LABEL_IDS", "PALETTE", "SYNTHIA_13", "SYNTHIA_16"]

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Label id of each train id; the others (ego vehicle, parking, caravan, ...) are void."""

SYNTHIA_16 = tuple(
    train_id
    for train_id, name in enumerate(CLASSES)
    if name not in ("terrain", "truck", "train")  # SYNTHIA has no pixel of these
)
"""Train ids of the classes that adaptation from SYNTHIA is evaluated on."""

SYNTHIA_13 = tuple(
    train_id for train_id in SYNTHIA_16 if CLASSES[train_id] not in ("wall", "fence", "pole")
)
"""Train ids of the 13 of them that earlier papers report (mIoU*)."""
