"""CVAT: "CVAT for images 1.1".

```
annotations.xml      for a task's "Upload annotations", and as CVAT exports it (also in its zip)
labels.json          for the "Raw" label constructor of a new task
images/…             the task's images
```

Each asked piece (`pieces.pieces`) is a `<mask>`, or a `<points>` with one point where single points
are asked. Its label is "asked" until an annotator changes it to a class or draws shapes over it.
Read are masks, polygons and points. Where shapes overlap, the one that CVAT shows on top counts: of
larger `z_order`, or later in the file; one that is still "asked" never covers another.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree
import numpy as np

from labor_jax.annotation.formats import base
from labor_jax.annotation.formats.base import Canvas, Delivered, Item, Problem, Task
from labor_jax.annotation.formats.pieces import (
    Piece,
    from_run_lengths,
    pieces,
    polygon_pixels,
    run_lengths,
)
from labor_jax.data.base import DataError

_NO_SHAPES = ("tag",)  # about the whole image


def write(folder: Path, task: Task, items: Iterable[Item]) -> None:
    """Writes a round's queries and answers; see `png.write`.

    Raises:
      DataError: If a class has a name that XML can't hold.
    """
    base.check_xml_names(task)
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    described = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    ElementTree.SubElement(described, "name").text = f"labor_jax, round {task.round}"
    ElementTree.SubElement(described, "size").text = str(len(task.names))
    ElementTree.SubElement(described, "mode").text = "annotation"
    labels = ElementTree.SubElement(described, "labels")
    for label, name in task.label_names.items():
        element = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(element, "name").text = name
        ElementTree.SubElement(element, "color").text = task.color(label)
        ElementTree.SubElement(element, "type").text = "any"
        ElementTree.SubElement(element, "attributes")
    for count, item in enumerate(items):
        height, width = item.asked.shape
        image = ElementTree.SubElement(
            root,
            "image",
            id=str(count),
            name=task.file_name(item.number),
            width=str(width),
            height=str(height),
        )
        for piece in pieces(item):
            _add_shape(image, task.label_names[piece.label], piece, item)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(
        folder / "annotations.xml", encoding="utf-8", xml_declaration=True
    )
    base.write_json(
        folder / "labels.json",
        [
            {"name": name, "color": task.color(label), "type": "any", "attributes": []}
            for label, name in task.label_names.items()
        ],
    )


def _add_shape(image: ElementTree.Element, label: str, piece: Piece, item: Item) -> None:
    common = {"label": label, "source": "manual", "occluded": "0", "z_order": "0"}
    rows, columns = np.divmod(piece.pixels, item.asked.shape[1])
    if item.kind == "points":
        points = f"{columns[0] + 0.5:.2f},{rows[0] + 0.5:.2f}"
        ElementTree.SubElement(image, "points", common, points=points)
        return
    top, left = rows.min(), columns.min()
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    lengths = run_lengths((rows - top) * width + columns - left, height * width)
    ElementTree.SubElement(
        image,
        "mask",
        common,
        rle=", ".join(map(str, lengths.tolist())),
        left=str(left),
        top=str(top),
        width=str(width),
        height=str(height),
    )


def read(path: Path, task: Task) -> Iterator[Delivered]:
    """Reads an export.

    Args:
      path: The file, or a folder or zip archive with one XML file in it.
      task: The round.

    Yields:
      What it says of each image.

    Raises:
      DataError: If it is no XML, defines entities, or is not of this format.
    """
    where, content = base.read_document(path, ".xml")
    try:
        # Entities could grow without bounds or name other files; CVAT writes none.
        root = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except defusedxml.DefusedXmlException as error:
        raise DataError(f"{where} has a document type definition, which CVAT has not") from error
    except ElementTree.ParseError as error:
        raise DataError(f"{where} is no XML: {error}") from error
    if root.tag != "annotations":
        raise DataError(f"{where} is no annotations of CVAT, but <{root.tag}>")
    if root.find("track") is not None:
        raise DataError(f'{where} is "CVAT for video"; export as "CVAT for images 1.1"')
    for image in root.iterfind("image"):
        yield _read_image(f"{where}: image {image.get('id')}", task, image)


def _read_image(where: str, task: Task, image: ElementTree.Element) -> Delivered:
    try:
        size = int(image.get("height", "")), int(image.get("width", ""))
    except ValueError:
        return Delivered(where, None, None, (Problem("its width and height are no numbers"),))
    number, problems = base.identified(task, image.get("name"), size)
    if problems:
        return Delivered(where, number, None, problems)
    canvas = Canvas(size, layered=True)
    layers = []
    for shape in image:
        if shape.tag in _NO_SHAPES:
            continue
        try:
            layers.append((int(shape.get("z_order", "0")), shape))
        except ValueError as error:
            canvas.problems.append(Problem(f"{shape.tag}: {error}"))
    for _, shape in sorted(layers, key=lambda each: each[0]):  # stable: later ones on top
        try:
            canvas.paint(base.label_of(task, shape.get("label")), _pixels(shape, size))
        except ValueError as error:
            canvas.problems.append(Problem(f"{shape.tag}: {error}"))
    return canvas.delivered(where, number)


def _pixels(shape: ElementTree.Element, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a shape, numbered in raster order."""
    if shape.tag == "mask":
        left, top, width, height = (
            _whole_number(shape, name) for name in ("left", "top", "width", "height")
        )
        if left + width > size[1] or top + height > size[0]:
            raise ValueError(f"{width}x{height} at ({left}, {top}) reaches out of the image")
        lengths = [int(length) for length in shape.get("rle", "").split(",")]
        rows, columns = np.divmod(from_run_lengths(lengths, width * height), width)
        return (top + rows) * size[1] + left + columns
    if shape.tag not in ("polygon", "points"):
        raise ValueError("it can't be read; draw masks, polygons or points")
    corners = shape.get("points", "").split(";")
    points = np.array([[float(value) for value in corner.split(",")] for corner in corners])
    if shape.tag == "polygon":
        return polygon_pixels(points, size)
    return np.concatenate([base.pixel_at(x, y, size) for x, y in points.tolist()])


def _whole_number(shape: ElementTree.Element, name: str) -> int:
    text = shape.get(name, "")
    if not text.isdecimal():
        raise ValueError(f"its {name} is {text!r}, no whole number")
    return int(text)
