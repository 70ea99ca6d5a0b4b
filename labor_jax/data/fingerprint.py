"""Which images and labels a run works with, to notice when others take their place.

How label files are read is kept too: another class table makes other labels of the same files.
Every image's name and size is kept, and of files their lengths. Contents are hashed: all of them in
sets of up to `WHOLE` images, else those of `SAMPLE` images, unless everything is asked for.
"""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Collection
from typing import Any

import numpy as np

from labor_jax.data import base, messages, threads

WHOLE = 256
SAMPLE = 64

Fingerprint = dict[str, dict[str, Any]]
"""By name, what is known of each image, as JSON has it: see `of_split`."""

LabelCoding = dict[str, str]
"""How a split's label files are read, as JSON has it: see `FolderSplit.label_coding`."""


def of_pair(
    pair: base.Pair, *, verify: str, roles: Collection[str] = base.ROLES
) -> dict[str, Fingerprint]:
    """The fingerprint of each split that the pair has.

    Args:
      pair: the pair.
      verify: "full" to hash every image.
      roles: the splits to describe.
    """
    splits = {role: getattr(pair, role) for role in roles}
    return {
        # An oracle's labels are asked one by one; nobody reads all of them at the start.
        role: of_split(split, everything=verify == "full", with_labels=role != "pool")
        for role, split in splits.items()
        if split is not None
    }


def of_split(split: base.Split, *, everything: bool, with_labels: bool) -> Fingerprint:
    """Describes the images of a split.

    Args:
      split: the split. If it has `files(i)`, the paths of image and label (or None), these are
        described, else the arrays.
      everything: hash every image, however many there are.
      with_labels: describe labels that are no files, too.

    Returns:
      For each name "size" [height, width], and for "image" and "label" the file's "bytes" and the
      content's "sha256", as far as they are known.
    """
    count = len(split)
    hashed = set(range(count))
    if count > WHOLE and not everything:
        hashed = set(np.linspace(0, count - 1, SAMPLE).round().astype(int).tolist())

    def describe(i: int) -> dict[str, Any]:
        if hasattr(split, "files"):
            paths = dict(zip(("image", "label"), split.files(i), strict=True))
            parts = {name: _of_file(path, i in hashed) for name, path in paths.items() if path}
        elif i in hashed:
            parts = {"image": {"sha256": _hash(split.image(i))}}
            if with_labels:
                parts["label"] = {"sha256": _hash(split.label(i))}
        else:
            parts = {}
        return {"size": list(split.size(i)), **parts}

    described = threads.map_in_threads(describe, range(count))
    return dict(zip(split.names, described, strict=True))


def label_codings(
    pair: base.Pair, *, roles: Collection[str] = base.ROLES
) -> dict[str, LabelCoding]:
    """The coding of the label files of each split that has any.

    Args:
      pair: the pair.
      roles: the splits to describe.
    """
    splits = {role: getattr(pair, role) for role in roles}
    codings = {
        role: split.label_coding()
        for role, split in splits.items()
        if hasattr(split, "label_coding")
    }
    return {role: coding for role, coding in codings.items() if coding}


def coding_differences(before: LabelCoding | None, after: LabelCoding | None) -> list[str]:
    """What differs between two codings of a split's labels, as phrases; nothing if one is None."""
    if before is None or after is None or before["sha256"] == after["sha256"]:
        return []
    return [f"{after['table'] or 'data.label_map'} gives values or colours of labels other classes"]


def differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    """What differs between two states of a split, as phrases that name images."""
    missing = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    both = [(name, before[name], after[name]) for name in before if name in after]
    kinds = {
        "missing now": missing,
        "new": added,
        "of another size": [name for name, old, new in both if old["size"] != new["size"]],
    }
    for part in ("image", "label"):
        kinds[f"with another {part}"] = [
            name
            for name, old, new in both
            if old["size"] == new["size"] and _differs(old.get(part, {}), new.get(part, {}))
        ]
    return [
        f"{len(names)} {kind} ({messages.listing(names)})" for kind, names in kinds.items() if names
    ]


def _differs(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether what is known of both states differs."""
    return any(old[name] != new[name] for name in old.keys() & new.keys())


def _of_file(path: pathlib.Path, hashed: bool) -> dict[str, Any]:
    if not hashed:
        return {"bytes": path.stat().st_size}
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
