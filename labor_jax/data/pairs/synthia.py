"""SYNTHIA (source) to Cityscapes, ACDC or BDD100K (target), 16 or 19 classes."""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base
from labor_jax.data.driving import pair as driving_pair
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.synthia import SYNTHIA, TRAIN_IDS_13, TRAIN_IDS_16
from labor_jax.data.pairs import gtav
from labor_jax.data.registry import register_pair


def defaults(config: ConfigDict) -> None:
    """The settings of GTAV, with a head of 16 classes; reports mIoU over 16 and 13 of them."""
    gtav.defaults(config)
    config.data.source_size = (760, 1280)  # the images' own
    config.data.num_classes = 16  # 16 or 19
    config.terms.clan.local_weight = 10.0  # CLAN's own, where GTAV has 40


def spl(config: ConfigDict) -> None:
    """SPL asks the whole inconsistency mask; LabOR has no settings for SYNTHIA."""
    if config.protocol == "staged":
        config.acquisition.max_fraction = 0.0


def ripu_source_free(config: ConfigDict) -> None:
    """RIPU's source model and sizes."""
    gtav.ripu_source_free(config)
    config.data.update(target_size=(512, 1024), evaluation_size=(512, 1024))


@register_pair(
    "synthia",
    defaults=defaults,
    joint_defaults=gtav.joint_defaults,
    method_defaults={"spl": spl, "ripu_source_free": ripu_source_free},
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `synthia`: SYNTHIA to Cityscapes, ACDC or BDD100K, 16 or 19 classes.

    Args:
      config: the fields of `driving.pair.read_pair`; and `num_classes`: 16, those that SYNTHIA has
        (ADVENT, RIPU), or Cityscapes' 19, of which people then teach the other three.
      roles: which splits to read; the others are None.

    Returns:
      The pair, with the subsets of classes that papers report: "16", "13", and for 19 classes "19".

    Raises:
      DataError: see `driving.pair.read_pair`.
      ValueError: an unknown target or condition, or another number of classes.
    """
    choices = {16: TRAIN_IDS_16, 19: ALL_TRAIN_IDS}
    if config.num_classes not in choices:
        raise ValueError(f"data.num_classes must be 16 or 19, got {config.num_classes!r}")
    classes = choices[config.num_classes]
    subsets = {
        str(len(subset)): tuple(map(classes.index, subset))
        for subset in (ALL_TRAIN_IDS, TRAIN_IDS_16, TRAIN_IDS_13)
        if set(subset) <= set(classes)
    }
    return driving_pair.read_pair("synthia", SYNTHIA, config, roles, classes, subsets)
