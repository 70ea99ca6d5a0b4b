"""CamVid's drives by day (source) and at dusk (target), 11 classes.

Brostow, Fauqueur, Cipolla: Semantic object classes in video: a high-definition ground truth
database, 2009; classes and splits as in SegNet (Badrinarayanan et al., 2017). The layout is
`images/{train,test}/NAME.jpg` with `labels/{train,test}/NAME.png`, label values 0 to 10 in the
order of `CLASSES`, 255 void. A file name begins with its drive.
"""

from __future__ import annotations

from collections.abc import Collection

import ml_collections
import numpy as np

from labor_jax.data import base, folders

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)

PALETTE = np.array(
    [
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ],
    np.uint8,
)
"""CamVid's colours; "pavement" has Sidewalk's, "pole" Column_Pole's."""

ROLES = {
    "source": folders.Role("images/train", "labels/train", ("0006R0*", "0016E5*")),
    "pool": folders.Role("images/train", "labels/train", "0001TP*"),
    "evaluation": folders.Role("images/test", "labels/test", "0001TP*"),
}


def load(config: ml_collections.ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `camvid`: 305 source, 62 pool and 62 evaluation images of 360x480.

    Args:
      config: `root`, the folder that holds `images` and `labels`; `verify`, see
        `folders.read_split`; `cache_bytes`, see `folders.load_roles`.
      roles: which to read; the others are None.

    Raises:
      DataError: see `folders.read_split`.
    """
    return folders.load_roles(
        "camvid",
        config.root,
        ROLES,
        CLASSES,
        PALETTE,
        verify=config.verify,
        cache_bytes=config.cache_bytes,
        read=roles,
    )
