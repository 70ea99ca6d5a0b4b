"""Your own folders of images and label maps; see README, "Your own folders"."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ml_collections import ConfigDict

from labor_jax.data import base, folders
from labor_jax.data.base import DataError
from labor_jax.data.registry import register_pair

# Fields of `FolderLayout` that config.data.ROLE has.
_LAYOUT_FIELDS = ("images", "labels", "pattern", "image_suffix", "label_pattern", "label_map")


def defaults(config: ConfigDict) -> None:
    """Adds the fields that say where the files are and what their values mean.

    Sizes, steps, network and rates stay open; `own_data` chooses them from the images.
    """
    data = config.data
    # The longest side, in pixels, of the sizes that are chosen; 0: the images' own sizes. Twice as
    # long a side takes four times as long to train.
    data.long_side = 512
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3)
    config.selector.terms.discrepancy = 0.05  # as for street and camvid
    data.classes = ()  # names, in label order: --config.data.classes="('road', 'sky')"
    data.palette = ()  # an RGB triple a class; empty: distinct colours
    for role in base.ROLES:
        # Images and labels are below data.root, or absolute. For each field see `FolderLayout`.
        layout = folders.FolderLayout(images=f"{role}/images", labels=f"{role}/labels")
        data[role] = ConfigDict({field: getattr(layout, field) for field in _LAYOUT_FIELDS})
        data[role].classes = ()  # if a role has a list of its own: it must equal the source's


@register_pair("folders", defaults=defaults, chosen_from_data=True)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `folders`: image and label folders of your own, named by the config.

    Args:
      config: `root`; `classes` (names); `palette` (an RGB triple per class; empty for
        `base.default_palette`); `verify` and `cache_bytes`, see `folders.read_pair`; and for each
        of `source`, `pool` and `evaluation` the fields of `FolderLayout` and `classes` (empty for
        the common ones).
      roles: which splits to read; the others are None.

    Returns:
      The pair. The pool may lack labels, the other two may not.

    Raises:
      DataError: something is wrong with the files, or an image is both in the pool and in the
        evaluation split.
      ValueError: invalid field.
    """
    layouts, classes = {}, {}
    for role in base.ROLES:
        section = config[role]
        layouts[role] = folders.FolderLayout(**{field: section[field] for field in _LAYOUT_FIELDS})
        classes[role] = tuple(section.classes or config.classes)
    for role in ("pool", "evaluation"):
        if classes[role] != classes["source"]:
            raise DataError(
                f"source and {role} have different classes: "
                f"data.source.classes = {classes['source']}, "
                f"data.{role}.classes = {classes[role]}. Give both the same list in the same "
                "order; `label_map` turns the values in the files into its numbers."
            )
    return folders.read_pair(
        "folders",
        config.root,
        layouts,
        classes["source"],
        np.asarray(config.palette) if len(config.palette) else None,
        verify=config.verify,
        cache_bytes=config.cache_bytes,
        roles=roles,
    )
