"""COCO's JSON, one file `annotations.json` with `images/` beside it.

Each asked piece (`pieces.pieces`) is an annotation with a run-length encoded `segmentation`
(`iscrowd` 1, as COCO has it for run lengths). Its category is a class, "void", or "asked" while it
waits for an answer: who labels gives it another category, or adds annotations of theirs on top.
Categories are told by their names and images by their file names, as tools number both anew.

Read are polygons, and run lengths as lists and as COCO's compressed strings. Annotations of one
image must not give a pixel two classes, as COCO has no order of them.

Source: https://cocodataset.org/#format-data
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from labor_jax.annotation.formats import base
from labor_jax.annotation.formats.base import Canvas, Delivered, Item, Problem, Task
from labor_jax.annotation.formats.pieces import (
    compressed_run_lengths,
    from_columns,
    in_columns,
    pieces,
    polygon_pixels,
    run_lengths,
)
from labor_jax.data.base import DataError

_FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a file that isn't as it should be makes of our reading."""


def write(folder: Path, task: Task, items: Iterable[Item]) -> None:
    """Writes a round's queries and answers; see `png.write`."""
    categories = {label: number for number, label in enumerate(task.label_names, start=1)}
    images, annotations = [], []
    for item in items:
        height, width = task.sizes[item.number]
        image = {"id": len(images) + 1, "file_name": task.file_name(item.number)}
        images.append({**image, "width": width, "height": height})
        for piece in pieces(item):
            rows, columns = np.divmod(piece.pixels, width)
            lengths = run_lengths(in_columns(piece.pixels, (height, width)), height * width)
            encoded = {"size": [height, width], "counts": lengths.tolist()}
            encoded = coco_mask.frPyObjects(encoded, height, width)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": categories[piece.label],
                    "segmentation": {
                        "size": [height, width],
                        "counts": encoded["counts"].decode(),
                    },
                    "area": piece.pixels.size,
                    "bbox": [int(each) for each in box],
                    "iscrowd": 1,
                }
            )
    document = {
        "info": {"description": f"labor_jax, round {task.round}"},
        "licenses": [],
        "images": images,
        "categories": [
            {"id": categories[label], "name": name, "supercategory": ""}
            for label, name in task.label_names.items()
        ],
        "annotations": annotations,
    }
    base.write_json(folder / "annotations.json", document)


def read(path: Path, task: Task) -> Iterator[Delivered]:
    """Reads a COCO file.

    Args:
      path: The file, or a folder or zip archive with one JSON file in it.
      task: The round.

    Yields:
      What it says of each image.

    Raises:
      DataError: If it is no COCO file.
    """
    where, document = base.read_json(path)
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
        yield _read_image(f"{where}: image {number}", task, image, by_image[number], categories)
    for number in by_image.keys() - known:
        problem = Problem(f"{len(by_image[number])} annotations of an image that isn't in it")
        yield Delivered(f"{where}: image {number}", None, None, (problem,))


def _read_image(
    where: str, task: Task, image: dict, annotations: list[dict], categories: dict[Any, Any]
) -> Delivered:
    size = (image.get("height"), image.get("width"))
    number, problems = base.identified(task, image.get("file_name"), size)
    if problems:
        return Delivered(where, number, None, problems)
    canvas = Canvas(task.sizes[number])
    for annotation in annotations:
        try:
            label = base.label_of(task, categories.get(annotation["category_id"]))
            canvas.paint(label, _pixels(annotation.get("segmentation"), canvas.size))
        except _FOREIGN as error:
            canvas.problems.append(Problem(f"annotation {annotation.get('id')}: {error}"))
    return canvas.delivered(where, number)


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
        counts = compressed_run_lengths(counts)
    return from_columns(counts, size)
