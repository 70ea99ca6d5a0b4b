"""Your own folders of images and label maps; see docs/your-own-data.md."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference

from labor_jax.data import base, class_table, colours, folders, own_data
from labor_jax.data.base import DataError
from labor_jax.data.class_table import ClassTable
from labor_jax.data.registry import register_pair

# Fields of `FolderLayout` that config.data.ROLE has; the last two are empty for those of
# config.data.
_LAYOUT_FIELDS = (
    "images",
    "labels",
    "pattern",
    "image_suffix",
    "label_pattern",
    "label_map",
    "label_coding",
)

_NO_EVALUATION = (
    'There are no labels to measure on in %s, so mIoU will show as "\N{EN DASH}". To measure, put '
    "target images and their labels in evaluation/images and evaluation/labels below data.root, or "
    "set data.evaluation_from_answers=0.2 to measure on a share of the answers."
)


def defaults(config: ConfigDict) -> None:
    """Adds the fields that say where the files are and what their values mean.

    Sizes, steps, network and rates stay open; `own_data` chooses them from the images.
    """
    data = config.data
    # The longest side, in pixels, of the sizes that are chosen; 0: the images' own sizes. Twice as
    # long a side takes four times as long to train.
    data.long_side = own_data.LONG_SIDE
    # (height, width) to resize images to; None: that of the images, at most data.long_side long.
    data.source_size = data.target_size = data.evaluation_size = None
    config.model.dropout = None  # share of channels that the head drops; None: as the network needs
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3)
    config.selector.terms.discrepancy = 0.05  # as for street and camvid
    # Names in label order, road,sky,tree; or a table file: classes.txt (a name a line) or
    # classes.csv (number, name, colour, void), below data.root or the current folder.
    data.classes = FieldReference((), field_type=object)
    # A colour a class, "#804080,#4682b4" or RGB triples; empty: distinct ones. Label files in
    # colours are read by it.
    data.palette = FieldReference((), field_type=object)
    # How label files code classes. "auto": RGB and RGBA files by colours, others by numbers;
    # "numbers"; "colours": palette files by colours too.
    data.label_coding = "auto"
    # Class of each value or colour in the label files, "7:0,8:sky,#000000:void,other:255"; empty:
    # values are class numbers, 255 void.
    data.label_map = ""
    # Images and labels are below data.root, or absolute. For each field see `FolderLayout`.
    data.source = ConfigDict(_default_layout("source"))
    data.pool = ConfigDict(_default_layout("pool"))
    data.evaluation = ConfigDict(_default_layout("evaluation"))
    _set_coding(data.source)
    _set_coding(data.pool)
    _set_coding(data.evaluation)


def _set_coding(role: ConfigDict) -> None:
    """How a role's label files are coded, if otherwise than the others'."""
    role.label_coding = ""  # empty: as data.label_coding
    role.label_map = ""  # empty: as data.label_map
    # The names of data.classes, or a table that says how this role's files code them; empty: as
    # data.classes.
    role.classes = FieldReference((), field_type=object)


@register_pair("folders", defaults=defaults, chosen_from_data=True)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `folders`: image and label folders of your own, named by the config.

    Args:
      config: `root`; `classes`, see `class_table.from_config`; `palette`, see `colours.parse_list`
        (empty for `base.default_palette`); `label_map` and `label_coding`, see `LabelMap`; `verify`
        and `cache_bytes`, see `folders.read_pair`; and for each of `source`, `pool` and
        `evaluation` the fields of `FolderLayout` and `classes` (empty for the common ones).
      roles: which splits to read; the others are None.

    Returns:
      The pair. The pool may lack labels; a folder under its default name that isn't there means
      that there are none. Without a folder of labels, or of images, for evaluation, that split is
      None.

    Raises:
      DataError: something is wrong with the files, or an image is both in the pool and in the
        evaluation split.
      ValueError: invalid field.
    """
    return read("folders", config, roles)


def read(
    name: str, config: ConfigDict, roles: Collection[str], own: Sequence[str] = base.ROLES
) -> base.Pair:
    """Reads folders of your own as a pair of another name, see `load`.

    Args:
      name: the pair's.
      config: as for `load`; fields of roles that the pair doesn't have are not looked at.
      roles: which splits to read.
      own: the roles that the pair has. The classes are those of the first that gives any.
    """
    palette = _palette(config)
    roles = [role for role in roles if role in own]
    layouts = _layouts(config, own)
    tables = {role: _table(config, role, palette) for role in own}
    first = next((role for role in own if tables[role].classes), own[0])
    table = tables[first]
    for role in roles:
        given = tables[role].classes
        if role not in layouts or not (given or layouts[role].labels):
            continue  # it isn't there, or nothing in it is of a class
        if given != table.classes:
            raise DataError(
                f"{first} and {role} have different classes: data.{first}.classes = "
                f"{table.classes}, data.{role}.classes = {given}. Give both the "
                "same list in the same order; `label_map` turns the values in the files into its "
                "numbers."
            )
    pair = folders.read_pair(
        name,
        config.root,
        layouts,
        table.classes,
        np.asarray(table.colours) if table.colours else None,
        tables=tables,
        verify=config.verify,
        cache_bytes=config.cache_bytes,
        roles=roles,
    )
    # After what is wrong with the folders, of which nothing else should draw attention.
    if "evaluation" in set(roles) - layouts.keys() and not config.get("evaluation_from_answers"):
        logging.info(_NO_EVALUATION, config.root)
    return pair


def _default_layout(role: str) -> dict[str, Any]:
    layout = folders.FolderLayout(**_default_folders(role))
    return {field: getattr(layout, field) for field in _LAYOUT_FIELDS}


def _default_folders(role: str) -> dict[str, str]:
    return {kind: f"{role}/{kind}" for kind in ("images", "labels")}


def _palette(config: ConfigDict) -> tuple[colours.Colour, ...]:
    try:
        return colours.parse_list(config.palette if config.palette is not None else ())
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"data.palette must hold a colour (#804080, or three numbers, 0 to 255) for each "
            f"class: {error}"
        ) from None


def _table(config: ConfigDict, role: str, palette: tuple[colours.Colour, ...]) -> ClassTable:
    """Returns a role's classes and what codes them, with the colours of `data.palette`."""
    field = f"data.{role}.classes" if config[role].classes else "data.classes"
    table = class_table.from_config(config[role].classes or config.classes, config.root, field)
    if not palette:
        return table
    if table.colours and table.colours != palette:
        raise ValueError(
            f"data.palette and the class table of {field} give different colours; leave one of "
            "them out."
        )
    return dataclasses.replace(table, colours=palette)


def _layouts(config: ConfigDict, own: Sequence[str]) -> Mapping[str, folders.FolderLayout]:
    layouts = {}
    for role in own:
        fields = {field: config[role][field] for field in _LAYOUT_FIELDS}
        fields["label_coding"] = fields["label_coding"] or config.label_coding
        fields["label_map_field"] = (
            f"data.{role}.label_map" if fields["label_map"] else "data.label_map"
        )
        fields["label_map"] = fields["label_map"] or config.label_map
        layouts[role] = folders.FolderLayout(**fields)
    if not config.root or not pathlib.Path(config.root).expanduser().is_dir():
        return layouts  # reading them says what is wrong
    if _is_absent(config, "pool", "labels"):
        layouts["pool"] = dataclasses.replace(layouts["pool"], labels="")
    if not config.evaluation.labels or (
        _is_absent(config, "evaluation", "labels")
        and (
            _is_absent(config, "evaluation", "images")
            or _folder(config, "evaluation", "images").is_dir()
        )
    ):
        del layouts["evaluation"]
    return layouts


def _is_absent(config: ConfigDict, role: str, kind: str) -> bool:
    """Whether a folder has its default name and isn't there: it was meant to be optional."""
    is_default = config[role][kind] == _default_folders(role)[kind]
    return is_default and not _folder(config, role, kind).exists()


def _folder(config: ConfigDict, role: str, kind: str) -> pathlib.Path:
    return pathlib.Path(config.root).expanduser() / config[role][kind]
