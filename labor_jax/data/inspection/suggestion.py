"""Writes the config fields by which a run reads an inspected folder."""

from __future__ import annotations

import os
import pathlib
import shlex
from collections.abc import Mapping

from labor_jax.data import base, colours, folders, messages
from labor_jax.data.inspection import folder_names, name_patterns
from labor_jax.data.inspection.codings import COLOURS, Coding
from labor_jax.data.inspection.inspection import Inspection
from labor_jax.data.inspection.pairing import PhotoSet
from labor_jax.data.inspection.series import Series

UNKNOWN_CLASSES = "CLASS_NAMES"
"""What stands for the classes where nothing tells them."""

_PLACEHOLDERS = (UNKNOWN_CLASSES, "POOL_IMAGES")

_WITHOUT_SOURCE = """\
No labelled images to train on were found, so the run learns from answers alone. If there are some
elsewhere, such as a simulator's, run ppl:folders with --config.data.source.images=DIR and
--config.data.source.labels=DIR instead."""

_TABLES = ("classes.csv", "classes.txt")

Fields = dict[str, str]
"""Values of config fields by name ("data.root"), as written on the command line."""


def suggest_fields(inspection: Inspection, class_table: str = "") -> Fields:
    """Returns the fields that a run needs to read what was found, without those left at defaults.

    What the folder doesn't tell is a placeholder in capitals.

    Args:
      inspection: what was found.
      class_table: a class table file that has the classes and colours; empty for none.
    """
    root = inspection.scan.root.resolve()
    fields = {"data.root": str(root)}
    if inspection.coding is not None and not inspection.coding.problem:
        fields |= _coding(inspection, class_table)
    else:
        fields["data.classes"] = class_table or UNKNOWN_CLASSES
    for role in base.ROLES:
        if role in inspection.roles:
            fields |= _layout(role, inspection.roles[role], inspection)
        elif role == "evaluation":
            if (root / role / "labels").exists():  # it would be read
                fields["data.evaluation.labels"] = ""
        elif role == "pool":
            fields["data.pool.images"] = "POOL_IMAGES"
    pool = inspection.roles.get("pool")
    if pool is None or not pool.is_wholly_labelled:
        fields["annotator"] = "human"
    if pool is not None and pool.match and not pool.is_wholly_labelled:
        fields["annotation.existing_labels"] = str(root / pool.labels.folder)
    return fields


def existing_class_table(inspection: Inspection) -> str:
    """Returns the class table file in the folder itself that a run can use; empty for none.

    A `.txt` file names no colours, so it is of no use for labels in colours.
    """
    coding = inspection.coding
    names = ("classes.csv",) if coding and coding.kind == COLOURS else _TABLES
    found = (name for name in names if (inspection.scan.root / name).is_file())
    return next(found, "")


def command(fields: Mapping[str, str], name: str = "ppl:folders", workdir: str = "") -> str:
    """Returns the command that runs a config with these fields, ready for a shell.

    Args:
      fields: those of `suggest_fields`.
      name: of the config.
      workdir: where the run writes; empty for the default.
    """
    lines = [f"labor-jax run {name}"]
    lines += [f"    --config.{field}={shlex.quote(value)}" for field, value in fields.items()]
    if workdir:
        lines.append(f"    --workdir {shlex.quote(workdir)}")
    return " \\\n".join(lines)


def describe(
    inspection: Inspection,
    fields: Mapping[str, str],
    class_table: str = "",
    *,
    is_new: bool = True,
) -> str:
    """Returns the command, and what is left to do by hand.

    Args:
      inspection: what was found.
      fields: those of `suggest_fields`.
      class_table: the class table file that they name; empty for none.
      is_new: whether that was written from what was found.
    """
    title = "To use it, when the problems are mended:" if inspection.problems else "To use it:"
    has_source = "source" in inspection.roles
    name = "ppl:folders" if has_source else "active:margin,photos"
    lines = [title, "", command(fields, name, _outside_workdir(inspection)), ""]
    lines += _about_role_codings(inspection, class_table)
    lines += _about_more_photos(inspection, fields)
    if is_new or not class_table:
        lines += _about_classes(inspection, class_table)
    missing = [value for value in fields.values() if value in _PLACEHOLDERS]
    if missing:
        lines.append(f"This folder doesn't tell: {', '.join(missing)}.")
    if not has_source:
        lines.append(_WITHOUT_SOURCE)
    if "evaluation" not in inspection.roles:
        lines += [
            "Without labelled images to measure on, there is no mIoU;",
            "--config.data.evaluation_from_answers=0.2 measures on a share of the answers instead.",
        ]
    return "\n".join(lines).rstrip()


def _outside_workdir(inspection: Inspection) -> str:
    """Returns a workdir outside of the folder if the current folder is in it; else an empty text.

    A run's default workdir is below the current folder, and its pictures would become photos.
    """
    root = inspection.scan.root.resolve()
    is_inside = pathlib.Path.cwd().is_relative_to(root)
    return str(root.parent / "runs" / root.name) if is_inside else ""


def _about_more_photos(inspection: Inspection, fields: Fields) -> list[str]:
    """Offers to ask about all folders of photos, one a day say, if the pool is only one of them."""
    pool = inspection.roles.get("pool")
    more = [
        one.photos
        for one in inspection.photos
        if one.match is None
        and not any(one is other for other in inspection.roles.values())
        and not folder_names.roles(one.photos.folder) & {"source", "evaluation"}
    ]
    if pool is None or pool.match is not None or not more:
        return []
    both = [pool.photos, *more]
    shared = os.path.commonprefix([pathlib.PurePosixPath(one.folder).parts for one in both])  # noqa: RUF071
    files = tuple(file for one in both for file in one.files)
    joined = Series("/".join(shared) or ".", "", files, is_labels=False)
    patterns = name_patterns.find_pattern(joined, inspection.scan.images)
    if patterns is None:
        return []
    found = {"images": joined.folder, "pattern": ",".join(patterns)}
    if found["pattern"] == fields.get("data.pool.pattern", "*"):
        del found["pattern"]
    told = " ".join(f"--config.data.pool.{name}={shlex.quote(v)}" for name, v in found.items())
    count = len(files) - len(pool.photos.files)
    return [
        f"{messages.listing(one.folder for one in more)}: {count:,} more photos. To ask about them "
        "too, add",
        told,
    ]


def _about_role_codings(inspection: Inspection, class_table: str) -> list[str]:
    """Tells roles whose labels seem to be coded otherwise than all labels together."""
    if not inspection.role_codings:
        return []
    alone = "; ".join(f"{role}: {one.title}" for role, one in inspection.role_codings.items())
    lines = [
        f"Taken alone, labels of some roles look coded in another way ({alone})",
        f"than all labels together ({inspection.coding.title}).",
    ]
    if _is_read_by_role(inspection, class_table):
        return [*lines, "The command reads each role by its own coding."]
    fields = " and ".join(f"data.{role}.label_map" for role in inspection.role_codings)
    return [*lines, f"The command reads all of them alike; if that is wrong, set {fields} too."]


def _about_classes(inspection: Inspection, class_table: str) -> list[str]:
    coding = inspection.coding
    if coding is None or coding.problem:
        return []
    if coding.named:
        return [f"{class_table} holds the classes."] if class_table else []
    names = ", ".join(coding.classes[:2]) + (" …" if len(coding.classes) > 2 else "")
    if class_table:
        return [f"{class_table} holds {names} in place of the classes' names. Put them in."]
    root = shlex.quote(str(inspection.scan.root))
    return [
        f"{names} stand for the classes' names, in this order: put them in. Or complete a table:",
        f"labor-jax check {root} --write_classes classes.csv",
    ]


def _coding(inspection: Inspection, class_table: str) -> Fields:
    coding = inspection.coding
    fields = {"data.classes": class_table or ",".join(coding.classes)}
    if coding.kind == COLOURS:
        if coding.from_palettes:
            fields["data.label_coding"] = "colours"
        if not class_table:
            fields["data.palette"] = ",".join(map(colours.text, coding.colours))
            if coding.void:
                fields["data.label_map"] = ",".join(f"{colours.text(c)}:void" for c in coding.void)
    elif _is_read_by_role(inspection, class_table):
        fields |= _label_maps(inspection)
    elif coding.codes is not None and not class_table:
        fields["data.label_map"] = _label_map(coding)
    return fields


def _label_map(coding: Coding) -> str:
    entries = [f"{value}:{number}" for value, number in coding.codes.items()]
    return ",".join([*entries, "other:void"] if coding.other_is_void else entries)


def _is_read_by_role(inspection: Inspection, class_table: str) -> bool:
    """Whether labels of the roles are coded in different ways for the same known classes."""
    alone = inspection.role_codings.values()
    known = [one.named and one.classes == inspection.coding.classes for one in alone]
    return bool(known) and all(known) and not class_table


def _label_maps(inspection: Inspection) -> Fields:
    """The label map of each role that needs one."""
    by_role = {
        role: inspection.role_codings.get(role, inspection.coding)
        for role, one in inspection.roles.items()
        if one.match is not None
    }
    return {
        f"data.{role}.label_map": _label_map(coding)
        for role, coding in by_role.items()
        if coding.codes is not None
    }


def _layout(role: str, one: PhotoSet, inspection: Inspection) -> Fields:
    """The fields of `FolderLayout` of a role that differ from their defaults."""
    default = folders.FolderLayout(images=f"{role}/images", labels=f"{role}/labels")
    uses_labels = one.match is not None and (role != "pool" or one.is_wholly_labelled)
    patterns = name_patterns.find_pattern(one.photos, inspection.scan.images) or ("*",)
    found = {"images": one.photos.folder, "labels": "", "pattern": ",".join(patterns)}
    if one.match is not None:
        found["image_suffix"] = one.match.image_suffix
        found["label_pattern"] = one.match.label_pattern
    if uses_labels:
        found["labels"] = one.labels.folder
    elif not (inspection.scan.root / default.labels).exists():
        del found["labels"]  # a pool without labels is the default
    return {
        f"data.{role}.{name}": value
        for name, value in found.items()
        if value != getattr(default, name)
    }
