"""CamVid without a source: by day and at dusk, all to be asked; PixelPick's protocol, 11 classes.

Files and classes are those of `camvid`. PixelPick (Shin et al., ICCVW 2021) asks 10 pixels a round
of each image of train and val, at 360x480, and measures on test.
"""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base, folders
from labor_jax.data.pairs import camvid
from labor_jax.data.registry import register_pair

LAYOUTS = {
    "pool": folders.FolderLayout("images", "labels", ("train/*", "val/*"), advice=camvid.ADVICE),
    "evaluation": folders.FolderLayout("images", "labels", "test/*", advice=camvid.ADVICE),
}
"""Where each role's files are, below `data.root`."""


def defaults(config: ConfigDict) -> None:
    """Those of `camvid` at 180x240. A step takes its 4 target images; there is no source."""
    camvid.defaults(config)
    size = (180, 240)
    config.data.update(source_size=size, target_size=size, evaluation_size=size)


def _in_schedule(config: ConfigDict, steps: int) -> int:
    """The steps of a round, of which the short schedule has a third, as `camvid.short`."""
    return steps // 3 if config.schedule == "short" else steps


def _staged(config: ConfigDict) -> None:
    """Ten pixels of an image a round; each round has its own schedule, as in PixelPick."""
    config.protocol, config.rounds = "staged", 10
    config.round.steps = _in_schedule(config, 120)
    config.acquisition.update(points=100, fraction=0.0)


def _all(config: ConfigDict) -> None:
    _staged(config)
    config.rounds = 5
    config.round.steps = _in_schedule(config, 240)
    config.acquisition.points = 0


@register_pair(
    "camvid_pool",
    defaults=defaults,
    joint_defaults=camvid.joint_defaults,
    method_defaults={
        **camvid.METHOD_DEFAULTS,
        **dict.fromkeys(("pixel_pick", "random"), _staged),
        **dict.fromkeys(("all", "supervised"), _all),
    },
    short=camvid.short,
    has_source=False,
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `camvid_pool`: images of train and val, to be asked, and of test, 360x480.

    Args:
      config: see `camvid.load`, like the following.
      roles: which splits to read; the others, and the source, are None.

    Raises:
      DataError: see `folders.read_split`.
    """
    return camvid.read("camvid_pool", LAYOUTS, config, roles)
