"""CamVid the other way round: a drive at dusk (source) and drives by day (target), 11 classes.

Files, classes and settings are those of `camvid`.
"""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base, folders
from labor_jax.data.pairs import camvid
from labor_jax.data.registry import register_pair

LAYOUTS = {
    "source": folders.FolderLayout("images/train", "labels/train", "0001TP*"),
    "pool": folders.FolderLayout("images/train", "labels/train", ("0006R0*", "0016E5*")),
    "evaluation": folders.FolderLayout("images/val", "labels/val", "0016E5*"),
}
"""Where each role's files are, below `data.root`."""


@register_pair(
    "camvid_reverse",
    defaults=camvid.defaults,
    joint_defaults=camvid.joint_defaults,
    method_defaults=camvid.METHOD_DEFAULTS,
    short=camvid.short,
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `camvid_reverse`: 62 source, 305 pool and 101 evaluation images of 360x480.

    Args:
      config: see `camvid.load`, like the following.
      roles: which splits to read; the others are None.

    Raises:
      DataError: see `folders.read_split`.
    """
    return camvid.read("camvid_reverse", LAYOUTS, config, roles)
