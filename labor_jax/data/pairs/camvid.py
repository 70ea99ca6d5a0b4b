"""CamVid: drives by day (source) and at dusk (target), 11 classes.

Brostow, Fauqueur, Cipolla: Semantic object classes in video: a high-definition ground truth
database, 2009; classes and splits as in SegNet (Badrinarayanan et al., 2017). The layout is
`images/{train,test}/NAME.jpg` with `labels/{train,test}/NAME.png`, label values 0 to 10 in the
order of `CLASSES`, 255 void. A file name begins with its drive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from ml_collections import ConfigDict

from labor_jax.data import base, folders
from labor_jax.data.registry import register_pair

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
"""uint8[11, 3], CamVid's colours; "pavement" has that of Sidewalk, "pole" that of Column_Pole."""

ADVICE = (
    "CamVid lies below data.root in images/train, labels/train and so on, with classes 0 to 10 and "
    "255 for void. SegNet's copy has train and trainannot, with 11 for void: move the folders, and "
    "write 255 in place of 11."
)
"""What errors tell about the files."""


def _layout(split: str, pattern: str | tuple[str, ...]) -> folders.FolderLayout:
    return folders.FolderLayout(f"images/{split}", f"labels/{split}", pattern, advice=ADVICE)


LAYOUTS = {
    "source": _layout("train", ("0006R0*", "0016E5*")),
    "pool": _layout("train", "0001TP*"),
    "evaluation": _layout("test", "0001TP*"),
}
"""Where each role's files are, below `data.root`."""


OPTIMIZER = {"name": "adamw", "weight_decay": 1e-2, "head_multiplier": 10.0, "clip_norm": 1.0}
"""Fields of `config.optimizer`."""


def defaults(config: ConfigDict) -> None:
    """EfficientNet-Lite0 with ImageNet weights, at 120x160."""
    data = config.data
    data.update(source_size=(120, 160), target_size=(120, 160), evaluation_size=(120, 160))
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3)
    config.model.update(
        backbone="efficientnet_lite0",
        pretrained="imagenet",
        output_stride=16,
        head_channels=128,
    )
    config.optimizer.update(OPTIMIZER)
    config.supervised.update(steps=300, learning_rate=2e-4)
    config.warmup.update(steps=60, learning_rate=1e-4)
    config.retraining.learning_rate = 1e-4
    config.terms.adversarial.width = config.terms.auxiliary_adversarial.width = 32
    config.selector.update(steps=20, learning_rate=5e-5)
    config.selector.terms.discrepancy = 0.05
    config.round.update(steps=240, learning_rate=5e-4)
    config.joint.update(
        steps=1200, schedule_steps=1260, query_steps=(600, 660, 720, 780, 840), learning_rate=5e-4
    )


def short(config: ConfigDict) -> None:
    """A third of the steps in each round; half of joint training."""
    config.round.update(steps=80, learning_rate=2e-4)
    config.joint.update(steps=600, schedule_steps=630, query_steps=(300, 330, 360, 390, 420))


def _ripu_pa(config: ConfigDict) -> None:
    config.acquisition.radius = 11  # RIPU's 32 at 1024 rows, scaled to 360


def joint_defaults(config: ConfigDict) -> None:
    """AdamW, as in rounds: RIPU's SGD learns less in so few steps, see docs/adaptation.md."""
    config.optimizer.update(OPTIMIZER)


def _superpixels(config: ConfigDict) -> None:
    config.acquisition.superpixel_size = 12  # about 32 at 1024 rows, scaled to 360


METHOD_DEFAULTS = {
    "ripu_pa": _ripu_pa,
    "ripu_pa_code": _ripu_pa,
    "superpixels": _superpixels,
    "multi_hot": _superpixels,
}


@register_pair(
    "camvid",
    defaults=defaults,
    joint_defaults=joint_defaults,
    method_defaults=METHOD_DEFAULTS,
    short=short,
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `camvid`: 305 source, 62 pool and 62 evaluation images of 360x480.

    Args:
      config: `root`, the folder that holds `images` and `labels`; `verify` and `cache_bytes`, see
        `folders.read_pair`.
      roles: which splits to read; the others are None.

    Raises:
      DataError: see `folders.read_split`.
    """
    return read("camvid", LAYOUTS, config, roles)


def read(
    name: str,
    layouts: Mapping[str, folders.FolderLayout],
    config: ConfigDict,
    roles: Collection[str],
) -> base.Pair:
    """Reads CamVid's files as a pair.

    Args:
      name: the pair's.
      layouts: where each role's files are.
      config: see `load`, like the following.
      roles: which splits to read.
    """
    return folders.read_pair(
        name,
        config.root,
        layouts,
        CLASSES,
        PALETTE,
        verify=config.verify,
        cache_bytes=config.cache_bytes,
        roles=roles,
    )
