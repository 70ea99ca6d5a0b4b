"""CVAT: "CVAT for images 1.1".

```
annotations.xml      for a task's "Upload annotations", and as CVAT exports it (also in its zip)
labels.json          for the "Raw" label constructor of a new task
images/…             the task's images
```

Each shape (`shapes.shapes`) is a `<mask>`, or a `<points>` with one point if single points are
asked. Its label is "asked" until an annotator changes it to a class or draws shapes over it. The
import reads masks, polygons and points. Where shapes overlap, the one that CVAT shows on top
counts: the one with the larger `z_order`, or the later one in the file. A shape that is still
"asked" never covers another. Where all classes of a part are asked, it has a shape for each.

CVAT has no predictions, so "asked" shapes of corrections have the guess as their attribute "guess".

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from labor_jax.annotation.formats import documents
from labor_jax.annotation.formats.canvas import (
    canvas_of,
    pixel_at,
    polygon_pixels,
)
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    ExportedImage,
    ExportedRound,
    ImportedImage,
    Problem,
)
from labor_jax.annotation.formats.run_lengths import (
    from_run_lengths,
    run_lengths,
)
from labor_jax.annotation.formats.shapes import (
    Shape,
    shapes,
)
from labor_jax.data.base import DataError

_NO_SHAPES = ("tag",)  # about the whole image


def write(folder: Path, exported: ExportedRound, images: Iterable[ExportedImage]) -> None:
    """Writes a round's queries and answers; see `png.write`.

    Raises:
      DataError: If XML can't contain the name of a class.
    """
    documents.check_xml_names(exported)
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    described = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    ElementTree.SubElement(described, "name").text = f"labor_jax, round {exported.round}"
    ElementTree.SubElement(described, "size").text = str(len(exported.names))
    ElementTree.SubElement(described, "mode").text = "annotation"
    labels = ElementTree.SubElement(described, "labels")
    for label, name in exported.label_names.items():
        attributes = _attributes(exported, label)
        entry = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(entry, "name").text = name
        ElementTree.SubElement(entry, "color").text = exported.color(label)
        ElementTree.SubElement(entry, "type").text = "any"
        described = ElementTree.SubElement(entry, "attributes")
        for attribute in attributes:
            element = ElementTree.SubElement(described, "attribute")
            for key, value in attribute.items():
                text = "\n".join(value) if isinstance(value, list) else str(value)
                ElementTree.SubElement(element, key).text = text
    for count, image in enumerate(images):
        height, width = image.asked.shape
        element = ElementTree.SubElement(
            root,
            "image",
            id=str(count),
            name=exported.file_name(image.number),
            width=str(width),
            height=str(height),
        )
        for shape in shapes(image):
            guess = None if shape.guess is None else exported.label_names[shape.guess]
            for label in shape.labels:
                add_shape(element, exported.label_names[label], shape, image, guess)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(
        folder / "annotations.xml", encoding="utf-8", xml_declaration=True
    )
    documents.write_json(
        folder / "labels.json",
        [
            {
                "name": name,
                "color": exported.color(label),
                "type": "any",
                "attributes": _attributes(exported, label),
            }
            for label, name in exported.label_names.items()
        ],
    )


def _attributes(exported: ExportedRound, label: int) -> list[dict]:
    """Further attributes of a label: where corrections are asked, "asked" names the guess."""
    if exported.kind != "corrections" or label != UNANSWERED:
        return []
    text = {"input_type": "text", "default_value": "", "values": [""]}
    return [{"name": "guess", "mutable": False, **text}]


def add_shape(
    parent: ElementTree.Element,
    label: str,
    shape: Shape,
    image: ExportedImage,
    guess: str | None = None,
) -> None:
    """Adds a shape of an image to the image's element.

    Args:
      parent: The image's element.
      label: The label's name.
      shape: The shape.
      image: The image.
      guess: The name of the class that is to be confirmed, if one is.
    """
    common = {"label": label, "source": "manual", "occluded": "0", "z_order": "0"}
    rows, columns = np.divmod(shape.pixels, image.asked.shape[1])
    if image.is_points:
        points = f"{columns[0] + 0.5:.2f},{rows[0] + 0.5:.2f}"
        element = ElementTree.SubElement(parent, "points", common, points=points)
        _add_guess(element, guess)
        return
    top, left = rows.min(), columns.min()
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    lengths = run_lengths((rows - top) * width + columns - left, height * width)
    element = ElementTree.SubElement(
        parent,
        "mask",
        common,
        rle=", ".join(map(str, lengths.tolist())),
        left=str(left),
        top=str(top),
        width=str(width),
        height=str(height),
    )
    _add_guess(element, guess)


def _add_guess(element: ElementTree.Element, guess: str | None) -> None:
    if guess is not None:
        ElementTree.SubElement(element, "attribute", name="guess").text = guess


def read(path: Path, exported: ExportedRound) -> Iterator[ImportedImage]:
    """Reads an export.

    Args:
      path: The file, or a folder or zip archive with one XML file in it.
      exported: The round.

    Yields:
      What it says of each image.

    Raises:
      DataError: If it is not XML, defines entities, or is not in this format.
    """
    where, root = documents.read_xml(path, exported)
    if root.tag != "annotations":
        raise DataError(f"{where} has no CVAT <annotations>, but <{root.tag}>")
    if root.find("track") is not None:
        raise DataError(f'{where} is "CVAT for video"; export as "CVAT for images 1.1"')
    for image in root.iterfind("image"):
        yield _read_image(f"{where}: image {image.get('id')}", exported, image)


def _read_image(where: str, exported: ExportedRound, image: ElementTree.Element) -> ImportedImage:
    try:
        size = int(image.get("height", "")), int(image.get("width", ""))
    except ValueError:
        return ImportedImage(where, None, None, (Problem("its width and height are not numbers"),))
    number, problems = exported.identify(image.get("name"), size)
    found = [shape for shape in image if shape.tag not in _NO_SHAPES]
    if problems:
        unlabelled = exported.gives_none(shape.get("label") for shape in found)
        return ImportedImage(where, number, None, problems, unlabelled=unlabelled)
    canvas = canvas_of(exported.kind, size, layered=True)
    layers = []
    for shape in found:
        try:
            layers.append((int(shape.get("z_order", "0")), shape))
        except ValueError as error:
            canvas.problems.append(Problem.about(f"{shape.tag}: ", str(error)))
    for _, shape in sorted(layers, key=lambda each: each[0]):  # stable: later ones on top
        try:
            canvas.paint(exported.label_named(shape.get("label")), _pixels(shape, size))
        except ValueError as error:
            canvas.problems.append(Problem.about(f"{shape.tag}: ", str(error)))
    return canvas.finish(where, number)


def _pixels(shape: ElementTree.Element, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a shape, numbered in raster order."""
    if shape.tag == "mask":
        left, top, width, height = (
            _whole_number(shape, name) for name in ("left", "top", "width", "height")
        )
        if left + width > size[1] or top + height > size[0]:
            raise ValueError(f"{width}x{height} at ({left}, {top}) reaches outside the image")
        lengths = [int(length) for length in shape.get("rle", "").split(",")]
        rows, columns = np.divmod(from_run_lengths(lengths, width * height), width)
        return (top + rows) * size[1] + left + columns
    if shape.tag not in ("polygon", "points"):
        raise ValueError("it is not supported; draw masks, polygons or points")
    corners = shape.get("points", "").split(";")
    points = np.array([[float(value) for value in corner.split(",")] for corner in corners])
    if shape.tag == "polygon":
        return polygon_pixels(points, size)
    return np.concatenate([pixel_at(x, y, size) for x, y in points.tolist()])


def _whole_number(shape: ElementTree.Element, name: str) -> int:
    text = shape.get(name, "")
    if not text.isdecimal():
        raise ValueError(f"its {name} is {text!r}, not a whole number")
    return int(text)
