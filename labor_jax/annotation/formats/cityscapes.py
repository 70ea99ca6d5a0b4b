"""Cityscapes' polygons: a file `*_gtFine_polygons.json` for each image, named after it.

Later objects of a file cover earlier ones; deleted ones are left out. A name that is no class, but
that Cityscapes leaves out of its evaluation ("ego vehicle", "static"), is void. A group
("cargroup") is of its class. A "license plate" that is no class is not drawn. Pixels under no
polygon have no label, and the run may ask them.

Source: https://github.com/mcordts/cityscapesScripts, `json2labelImg.py`; the pixels are the same.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from labor_jax.annotation.formats import documents
from labor_jax.annotation.formats.existing_round import ExistingRound, list_label_files
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ImportedImage,
    Problem,
)
from labor_jax.data.base import DataError
from labor_jax.data.files.names import stem_of

_PATTERNS = (
    "{stem}_gtFine_polygons.json",
    "{stem}_gtCoarse_polygons.json",
    "{stem}_polygons.json",
    "{stem}.json",
)
_NOT_EVALUATED = frozenset(
    (
        *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic"),
        *("ground", "parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup"),
        *("caravan", "trailer"),
    )
)
_NOT_DRAWN = "license plate"
"""Of a negative number in Cityscapes, so that what lies below stays."""

_FARTHEST = 2**20
"""The largest coordinate that is drawn; Pillow's numbers overflow far beyond it."""

_FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def read(path: Path, existing: ExistingRound) -> Iterator[ImportedImage]:
    """Reads polygons.

    Args:
      path: A folder, with its subfolders, or one file.
      existing: The pool's images.

    Yields:
      What each file says.

    Raises:
      DataError: If there are no such files.
    """
    files = list_label_files(path, _is_polygons, "polygons (files *_gtFine_polygons.json)")
    for where, file in files.items():
        yield _read_file(file, where, existing)


def _is_polygons(file: str) -> bool:
    return file.lower().endswith(".json") and Path(file).name != documents.MANIFEST


def _read_file(file: Path, where: str, existing: ExistingRound) -> ImportedImage:
    try:
        _, document = documents.read_json(file, existing)
        size = (document["imgHeight"], document["imgWidth"])
        objects = list(document["objects"])
    except DataError as error:
        return ImportedImage(where, None, None, (Problem(str(error)),))
    except _FOREIGN as error:
        text = f"it is not laid out as Cityscapes' polygons: {error!r}"
        return ImportedImage(where, None, None, (Problem(text),))
    stems = (stem_of(where, pattern) for pattern in _PATTERNS)
    stem = next(filter(None, stems), None)
    number, problems = existing.identify(stem, size, is_file=False)
    if problems:
        unlabelled = all(isinstance(each, dict) and each.get("deleted") for each in objects)
        return ImportedImage(where, number, None, problems, unlabelled=unlabelled)
    canvas = Image.new("L", existing.sizes[number][::-1], UNANSWERED)
    draw, problems = ImageDraw.Draw(canvas), []
    for count, each in enumerate(objects, start=1):
        try:
            is_drawn = each["label"] != _NOT_DRAWN or _NOT_DRAWN in existing.classes
            if is_drawn and not each.get("deleted"):
                draw.polygon(_corners(each["polygon"]), fill=_label(each["label"], existing))
        except _FOREIGN as error:
            problems.append(Problem.about(f"object {count}: ", str(error)))
    return ImportedImage(where, number, np.array(canvas), tuple(problems))


def _label(name: Any, existing: ExistingRound) -> int:
    if isinstance(name, str) and name not in existing.classes:
        if name in _NOT_EVALUATED:
            return VOID
        if name.removesuffix("group") in existing.classes:
            return existing.label_values[name.removesuffix("group")]
    return existing.label_named(name)


def _corners(polygon: Any) -> list[tuple[float, float]]:
    corners = [(float(x), float(y)) for x, y in polygon]
    if len(corners) < 3:
        raise ValueError("its polygon needs at least three corners")
    if not all(math.isfinite(v) and abs(v) <= _FARTHEST for corner in corners for v in corner):
        raise ValueError("a corner of its polygon is not a place in an image")
    return corners
