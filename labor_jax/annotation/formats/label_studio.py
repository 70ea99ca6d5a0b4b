"""Label Studio: tasks for its import, and its own export "JSON".

```
tasks.json           a task an image
label_config.xml     the labelling interface, for the project's settings
images/…             shown from its local storage: LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is this
                     folder; images uploaded by hand are found by their file names, too
```

Each asked piece (`pieces.pieces`) is a region: a brush mask, or a key point where single points are
asked. Its label is "asked" until an annotator gives it a class or paints others over it. Tasks
without an answer have their regions as `predictions`, from which Label Studio starts an annotation;
the others have them as `annotations`, and only `annotations` are read back: brush masks, key points
and polygons. Cancelled ones are left out, and several of one task have to agree. Regions must not
give a pixel two classes.

Sources: https://labelstud.io/guide/task_format, https://labelstud.io/tags/brushlabels,
https://labelstud.io/tags/keypointlabels; the masks' run lengths are those of
https://github.com/thi-ng/umbrella (packages/rle-pack).
"""

import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from labor_jax.annotation.formats import base
from labor_jax.annotation.formats.base import Canvas, Delivered, Item, Problem, Task
from labor_jax.annotation.formats.pieces import (
    Piece,
    has_answers,
    pieces,
    polygon_pixels,
    run_lengths,
)
from labor_jax.annotation.work import MAX_SECONDS
from labor_jax.data.base import DataError

_FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# Bits of a run's length, of which two bits choose; any may be written, these are Label Studio's.
_LENGTH_BITS = (3, 4, 8, 16)
_VALUE_BITS = 8
_CHANNELS = 4  # a mask is an RGBA image, of which alpha counts


def write(folder: Path, task: Task, items: Iterable[Item]) -> None:
    """Writes a round's queries and answers; see `png.write`.

    Raises:
      DataError: If a class has a name that XML can't hold.
    """
    base.check_xml_names(task)
    tasks, kind = [], None
    for item in items:
        kind = item.kind
        name = task.file_name(item.number)
        result = [
            _region(task, item, piece, f"{item.number}-{count}")
            for count, piece in enumerate(pieces(item))
        ]
        entry = {
            "data": {
                "image": f"/data/local-files/?d=images/{name}",
                "name": task.names[item.number],
            },
        }
        if has_answers(item):
            tasks.append({**entry, "annotations": [{"result": result}]})
        else:
            prediction = {"model_version": "labor_jax", "result": result}
            tasks.append({**entry, "predictions": [prediction]})
    base.write_json(folder / "tasks.json", tasks)
    (folder / "label_config.xml").write_text(_label_config(task, kind), encoding="utf-8")


def _label_config(task: Task, kind: str | None) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    tag = "KeyPointLabels" if kind == "points" else "BrushLabels"
    labels = ElementTree.SubElement(view, tag, name="label", toName="image")
    for label, name in task.label_names.items():
        ElementTree.SubElement(labels, "Label", value=name, background=task.color(label))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _region(task: Task, item: Item, piece: Piece, identity: str) -> dict[str, Any]:
    height, width = item.asked.shape
    name = task.label_names[piece.label]
    if item.kind == "points":
        row, column = divmod(int(piece.pixels[0]), width)
        place = {"x": 100 * (column + 0.5) / width, "y": 100 * (row + 0.5) / height}
        tag, value = "keypointlabels", {**place, "width": 100 / width}
    else:
        rle = encode_mask(piece.pixels, height * width)
        tag, value = "brushlabels", {"format": "rle", "rle": rle}
    return {
        "id": identity,
        "type": tag,
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, tag: [name]},
    }


def read(path: Path, task: Task) -> Iterator[Delivered]:
    """Reads an export.

    Args:
      path: The file, or a folder or zip archive with one JSON file in it.
      task: The round.

    Yields:
      What each task says.

    Raises:
      DataError: If it is no list of tasks.
    """
    where, document = base.read_json(path)
    if not isinstance(document, list) or not all(
        isinstance(each, dict) and isinstance(each.get("data"), dict) for each in document
    ):
        raise DataError(
            f"{where} is no list of tasks with data and annotations; export from Label Studio as "
            '"JSON", and not "JSON-MIN"'
        )
    for count, entry in enumerate(document, start=1):
        yield _read_task(f"{where}: task {entry.get('id', count)}", task, entry)


def _read_task(where: str, task: Task, entry: dict[str, Any]) -> Delivered:
    image = entry["data"].get("image")
    image = urllib.parse.unquote(image) if isinstance(image, str) else image
    number, problems = base.identified(task, image, None)
    if problems:
        return Delivered(where, number, None, problems)
    try:
        annotations = [
            each for each in entry.get("annotations") or () if not each.get("was_cancelled")
        ]
        first = found = None
        for each in annotations:  # two label maps in memory, not as many as a file cares to name
            found = _read_annotation(where, task, number, each)
            first = first or found
            differing = int(np.count_nonzero(found.labels != first.labels))
            if differing:
                text = f"its {len(annotations)} annotations differ; keep one of them"
                return Delivered(where, number, None, (Problem(text, differing),))
    except _FOREIGN as error:
        return Delivered(where, number, None, (Problem(f"its annotations: {error!r}"),))
    return found or Canvas(task.sizes[number]).delivered(where, number)


def _read_annotation(where: str, task: Task, number: int, annotation: dict) -> Delivered:
    canvas = Canvas(task.sizes[number])
    for region in annotation["result"]:
        try:
            _paint(canvas, task, region)
        except _FOREIGN as error:
            canvas.problems.append(Problem(f"region {region.get('id')}: {error}"))
    seconds = annotation.get("lead_time")
    # Label Studio's clock runs on while nobody works; more than a day is no time of an image's.
    is_told = isinstance(seconds, int | float) and 0 <= seconds <= MAX_SECONDS
    return canvas.delivered(where, number, float(seconds) if is_told else None)


def _paint(canvas: Canvas, task: Task, region: dict[str, Any]) -> None:
    kind, value = region.get("type"), region.get("value")
    if "original_width" not in region or not isinstance(value, dict):
        return  # a choice or a text about the whole image
    names = value.get(kind) or value.get("labels") or ()
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} labels instead of one")
    label = base.label_of(task, names[0])
    size = (region["original_height"], region["original_width"])
    if size != canvas.size:
        raise ValueError(f"it is of an image of {size[1]}x{size[0]} pixels")
    if region.get("image_rotation"):
        raise ValueError("its image is rotated")
    height, width = size
    if "rle" in value:
        canvas.paint(label, decode_mask(value["rle"], height * width))
    elif kind == "keypointlabels":
        x, y = value["x"] / 100 * width, value["y"] / 100 * height
        canvas.paint(label, base.pixel_at(x, y, size))
    elif kind == "polygonlabels":
        points = np.asarray(value["points"], float) / 100 * (width, height)
        canvas.paint(label, polygon_pixels(points, size))
    else:
        raise ValueError(f"{kind} can't be read; draw brush masks, key points or polygons")


def encode_mask(pixels: np.ndarray, size: int) -> list[int]:
    """Encodes a mask in Label Studio's run lengths.

    Args:
      pixels: Its pixels, numbered in raster order, `int64[N]` ascending.
      size: The pixels of the image.

    Returns:
      The bytes: 32 bits for the number of values (4 a pixel), 5 for the bits of a value and 4 each
      for those of the four length fields, all less one; then runs: a bit 1, two bits for the length
      field, the length less one, the value.
    """
    values = _CHANNELS * size
    bits = [f"{values:032b}{_VALUE_BITS - 1:05b}"]
    bits += [f"{length - 1:04b}" for length in _LENGTH_BITS]
    longest = 1 << _LENGTH_BITS[-1]
    for number, length in enumerate((_CHANNELS * run_lengths(pixels, size)).tolist()):
        value = f"{255 * (number % 2):0{_VALUE_BITS}b}"
        while length > 0:
            taken = min(length, longest)
            field = next(i for i, size in enumerate(_LENGTH_BITS) if taken <= 1 << size)
            bits.append(f"1{field:02b}{taken - 1:0{_LENGTH_BITS[field]}b}{value}")
            length -= taken
    return np.packbits(np.frombuffer("".join(bits).encode(), np.uint8) - ord("0")).tolist()


def decode_mask(rle: list[int], size: int) -> np.ndarray:
    """Decodes Label Studio's run lengths, see `encode_mask`; a bit 0 starts values one by one.

    Args:
      rle: The bytes.
      size: The pixels of the image.

    Returns:
      The pixels whose alpha isn't 0, numbered in raster order, `int64[N]` ascending.

    Raises:
      ValueError: If they are damaged, or of another size.
    """
    if not all(type(byte) is int and 0 <= byte < 256 for byte in rle):
        raise ValueError("its run lengths are no bytes")
    bits = (np.unpackbits(np.array(rle, np.uint8)) + ord("0")).tobytes().decode()
    position = 0

    def take(count: int) -> str:
        nonlocal position
        position += count
        if position > len(bits):
            raise ValueError("its run lengths are cut off")
        return bits[position - count : position]

    total = int(take(32), 2)
    if total != _CHANNELS * size:
        raise ValueError(f"its mask has {total} values, not {_CHANNELS} for each pixel")
    if int(take(5), 2) + 1 != _VALUE_BITS:
        raise ValueError("its values are not of 8 bits")
    length_bits = [int(take(4), 2) + 1 for _ in _LENGTH_BITS]
    done, found = 0, [np.empty(0, np.int64)]
    while done < total:
        repeated = take(1) == "1"
        length = int(take(length_bits[int(take(2), 2)]), 2) + 1
        if done + length > total:
            raise ValueError("its run lengths don't fit the image")
        if repeated:
            if int(take(_VALUE_BITS), 2):  # alpha is a pixel's last value
                found.append(np.arange(done // _CHANNELS, (done + length) // _CHANNELS))
        else:
            literal = np.frombuffer(take(_VALUE_BITS * length).encode(), np.uint8) - ord("0")
            values = done + np.flatnonzero(np.packbits(literal))
            found.append(values[values % _CHANNELS == _CHANNELS - 1] // _CHANNELS)
        done += length
    return np.concatenate(found)
