"""COCO's JSON: one file `annotations.json`, next to `images/`.

Each shape (`shapes.shapes`) is an annotation with a run-length encoded `segmentation` (`iscrowd` 1,
which COCO uses for run lengths). Its category is a class, "void", or "asked" until it is answered:
annotators change its category, or add their own annotations on top. Categories are identified by
name and images by file name, because tools renumber both.

COCO has no predictions, so "asked" annotations of corrections name the guess in `attributes`.

The import reads polygons, and run lengths both as lists and as COCO's compressed strings.
Annotations of one image must not give a pixel two classes, because COCO does not order them. But
where all classes of a part are asked, it has an annotation for each.

Source: https://cocodataset.org/#format-data
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from labor_jax.annotation.formats import documents
from labor_jax.annotation.formats.canvas import (
    canvas_of,
    polygon_pixels,
)
from labor_jax.annotation.formats.exported_round import (
    ExportedImage,
    ExportedRound,
    ImportedImage,
    Problem,
)
from labor_jax.annotation.formats.run_lengths import (
    compressed_run_lengths,
    from_columns,
    in_columns,
    run_lengths,
)
from labor_jax.annotation.formats.shapes import (
    Shape,
    shapes,
)
from labor_jax.data.base import DataError

_FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a malformed file raises."""


def write(folder: Path, exported: ExportedRound, images: Iterable[ExportedImage]) -> None:
    """Writes a round's queries and answers; see `png.write`."""
    categories = {label: number for number, label in enumerate(exported.label_names, start=1)}
    entries, annotations = [], []
    for image in images:
        height, width = exported.sizes[image.number]
        entry = {"id": len(entries) + 1, "file_name": exported.file_name(image.number)}
        entries.append({**entry, "width": width, "height": height})
        for shape in shapes(image):
            annotation = describe_shape(shape, (height, width))
            if shape.guess is not None:
                annotation["attributes"] = {"guess": exported.label_names[shape.guess]}
            for label in shape.labels:
                place = {"id": len(annotations) + 1, "image_id": entry["id"]}
                annotations.append({**place, "category_id": categories[label], **annotation})
    document = {
        "info": {"description": f"labor_jax, round {exported.round}"},
        "licenses": [],
        "images": entries,
        "categories": [
            {"id": categories[label], "name": name, "supercategory": ""}
            for label, name in exported.label_names.items()
        ],
        "annotations": annotations,
    }
    documents.write_json(folder / "annotations.json", document)


def describe_shape(shape: Shape, size: tuple[int, int]) -> dict[str, Any]:
    """A shape in an image of a size (height, width), as the fields of an annotation."""
    rows, columns = np.divmod(shape.pixels, size[1])
    lengths = run_lengths(in_columns(shape.pixels, size), size[0] * size[1])
    encoded = coco_mask.frPyObjects({"size": list(size), "counts": lengths.tolist()}, *size)
    box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    return {
        "segmentation": {"size": list(size), "counts": encoded["counts"].decode()},
        "area": shape.pixels.size,
        "bbox": [int(each) for each in box],
        "iscrowd": 1,
    }


def read(path: Path, exported: ExportedRound) -> Iterator[ImportedImage]:
    """Reads a COCO file.

    Args:
      path: The file, or a folder or zip archive with one JSON file in it.
      exported: The round.

    Yields:
      What it says of each image.

    Raises:
      DataError: If it is not a COCO file.
    """
    where, document = documents.read_json(path, exported)
    try:
        images, annotations = list(document["images"]), list(document["annotations"])
        categories = {each["id"]: each["name"] for each in document["categories"]}
        by_image = defaultdict(list)
        for annotation in annotations:
            by_image[annotation["image_id"]].append(annotation)
        images = [(each["id"], each) for each in images]
        known = {number for number, _ in images}
    except _FOREIGN as error:
        raise DataError(f"{where} is not laid out as COCO's JSON: {error!r}") from error
    for number, image in images:
        yield _read_image(f"{where}: image {number}", exported, image, by_image[number], categories)
    for number in by_image.keys() - known:
        problem = Problem(f"{len(by_image[number])} annotations of an image that isn't in the file")
        yield ImportedImage(f"{where}: image {number}", None, None, (problem,))


def _read_image(
    where: str,
    exported: ExportedRound,
    image: dict,
    annotations: list[dict],
    categories: dict[Any, Any],
) -> ImportedImage:
    size = (image.get("height"), image.get("width"))
    number, problems = exported.identify(image.get("file_name"), size)
    if problems:
        asked = [each for each, name in categories.items() if exported.gives_none([name])]
        unlabelled = all(each.get("category_id") in asked for each in annotations)
        return ImportedImage(where, number, None, problems, unlabelled=unlabelled)
    canvas = canvas_of(exported.kind, exported.sizes[number])
    for annotation in annotations:
        try:
            label = exported.label_named(categories.get(annotation["category_id"]))
            canvas.paint(label, _pixels(annotation.get("segmentation"), canvas.size))
        except _FOREIGN as error:
            canvas.problems.append(
                Problem.about(f"annotation {annotation.get('id')}: ", str(error))
            )
    return canvas.finish(where, number)


def _pixels(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """A segmentation's pixels, numbered in raster order."""
    if isinstance(segmentation, list) and segmentation:
        covered = np.zeros(size[0] * size[1], bool)
        for each in segmentation:
            covered[polygon_pixels(np.reshape(each, (-1, 2)), size)] = True
        return np.flatnonzero(covered)
    if not isinstance(segmentation, dict):
        raise ValueError("it has no segmentation")
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"its segmentation has size {segmentation['size']}, not {list(size)}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        counts = compressed_run_lengths(counts, size[0] * size[1])
    return from_columns(counts, size)
