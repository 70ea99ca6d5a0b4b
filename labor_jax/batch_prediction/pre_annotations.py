"""Predictions as annotations of COCO or CVAT, for people to correct in a labelling tool.

Each connected segment of a class is a mask, as in `labor_jax.annotation.formats`. The documents are
written image by image, so they may be larger than memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax import saxutils

import numpy as np
from PIL import Image

from labor_jax.annotation.formats import coco, cvat, documents, shapes
from labor_jax.annotation.formats.exported_round import ExportedImage
from labor_jax.data import DataError


class LabelledImage(NamedTuple):
    """An image whose label map is written.

    Attributes:
      file: the image's name in the labelling tool, which no other image of the document has.
      label_map: its label map.
    """

    file: str
    label_map: Path


FILES = {"coco": ("annotations.json",), "cvat": ("annotations.xml", "labels.json")}
"""The files of each format, below the output folder."""


def write(
    name: str,
    path: Path,
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    palette: np.ndarray,
) -> None:
    """Writes one of the files of `FILES`.

    Args:
      name: which.
      path: where to.
      images: the images.
      classes: names, in label order.
      palette: their colours, uint8[C, 3].
    """
    colors = ["#{:02x}{:02x}{:02x}".format(*color) for color in palette.tolist()]
    if name == "annotations.json":
        _write_coco(path, images, classes)
    elif name == "annotations.xml":
        _write_cvat(path, images, classes, colors)
    else:
        labels = [
            {"name": name, "color": color, "type": "any", "attributes": []}
            for name, color in zip(classes, colors, strict=True)
        ]
        documents.write_json(path, labels, indent=1)


def _write_coco(path: Path, images: Sequence[LabelledImage], classes: Sequence[str]) -> None:
    head = {
        "info": {"description": "Predicted by labor_jax"},
        "licenses": [],
        "images": [
            {"id": number, "file_name": image.file, "width": width, "height": height}
            for number, image in enumerate(images, start=1)
            for width, height in [_size(image)]
        ],
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(classes, start=1)
        ],
    }
    with path.open("w", encoding="ascii") as file:
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        count = 0
        for number, image in enumerate(images, start=1):
            exported = _exported(image)
            for shape in shapes.shapes(exported):
                annotation = {
                    "id": count + 1,
                    "image_id": number,
                    "category_id": shape.label + 1,
                    **coco.describe_shape(shape, exported.labels.shape),
                }
                file.write((",\n" if count else "\n") + json.dumps(annotation))
                count += 1
        file.write("\n]}\n")


def _write_cvat(
    path: Path, images: Sequence[LabelledImage], classes: Sequence[str], colors: Sequence[str]
) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>')
        file.write(f"<meta><task><size>{len(images)}</size><mode>annotation</mode><labels>\n")
        for name, color in zip(classes, colors, strict=True):
            file.write(
                f"<label><name>{saxutils.escape(name)}</name><color>{color}</color>"
                "<type>any</type><attributes /></label>\n"
            )
        file.write("</labels></task></meta>\n")
        for element in _cvat_images(images, classes):
            ElementTree.indent(element)
            file.write(ElementTree.tostring(element, encoding="unicode") + "\n")
        file.write("</annotations>\n")


def _cvat_images(
    images: Sequence[LabelledImage], classes: Sequence[str]
) -> Iterator[ElementTree.Element]:
    for number, image in enumerate(images):
        exported = _exported(image)
        height, width = map(str, exported.labels.shape)
        element = ElementTree.Element(
            "image", id=str(number), name=image.file, width=width, height=height
        )
        for shape in shapes.shapes(exported):
            cvat.add_shape(element, classes[shape.label], shape, exported)
        yield element


def check_names(format: str, names: Iterable[str]) -> None:
    """Raises a DataError if a document of the format can't contain one of the names."""
    for name in names:
        if format == "cvat" and not documents.fits_xml(name):
            raise DataError(
                f"{name!r} has a character that CVAT's XML can't contain; rename it, or take "
                "--annotations=coco."
            )


def _size(image: LabelledImage) -> tuple[int, int]:
    with Image.open(image.label_map) as opened:
        return opened.size


def _exported(image: LabelledImage) -> ExportedImage:
    with Image.open(image.label_map) as opened:
        labels = np.asarray(opened)
    return ExportedImage(0, "mask", np.ones(labels.shape, bool), labels)
