"""Label Studio: tasks for its import, and its own export "JSON".

```
tasks.json           one task per image
label_config.xml     the labelling interface, for the project's settings
images/…             read from local storage, where LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is this
                     folder; images uploaded by hand are also recognised, by their file names
```

Each shape (`shapes.shapes`) is a region: a brush mask, or a key point if single pixels are asked.
Whole images may be drawn by polygons too.
Its label is "asked" until an annotator gives it a class or paints others over it; of corrections
it is the model's guess. Where all classes of a part are asked, a region has several labels, and a
pixel those of all regions over it. Tasks without an answer have their regions as `predictions`,
from which Label Studio starts an annotation; the others have them as `annotations`. The import
reads only `annotations`: brush masks, key points and polygons. It ignores cancelled ones; several
annotations of one task must agree, and their times add up. Elsewhere regions must not give a pixel
two classes.

Sources: https://labelstud.io/guide/task_format, https://labelstud.io/tags/brushlabels,
https://labelstud.io/tags/keypointlabels; the masks' run lengths are those of
https://github.com/thi-ng/umbrella (packages/rle-pack).
"""

import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from labor_jax.annotation.formats import documents
from labor_jax.annotation.formats.canvas import (
    Canvas,
    canvas_of,
    pixel_at,
    polygon_pixels,
)
from labor_jax.annotation.formats.exported_round import (
    ExportedImage,
    ExportedRound,
    ImportedImage,
    Problem,
)
from labor_jax.annotation.formats.run_lengths import (
    run_lengths,
)
from labor_jax.annotation.formats.shapes import (
    Shape,
    has_answers,
    shapes,
)
from labor_jax.annotation.labelling_tool.checks import MAX_SECONDS
from labor_jax.data.base import DataError

_FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# The four sizes of a run's length field, in bits, as Label Studio writes them.
_LENGTH_BITS = (3, 4, 8, 16)
_VALUE_BITS = 8
_CHANNELS = 4  # a mask is an RGBA image, and only alpha counts


def write(folder: Path, exported: ExportedRound, images: Iterable[ExportedImage]) -> None:
    """Writes a round's queries and answers; see `png.write`.

    Raises:
      DataError: If XML can't contain the name of a class.
    """
    documents.check_xml_names(exported)
    tasks = []
    tags = {"PolygonLabels"} if exported.kind == "full" else set()
    for image in images:
        tags.add(_tag(image))
        name = exported.file_name(image.number)
        result = [
            _region(exported, image, shape, f"{image.number}-{count}")
            for count, shape in enumerate(shapes(image))
        ]
        entry = {
            "data": {
                "image": f"/data/local-files/?d=images/{name}",
                "name": exported.names[image.number],
            },
        }
        if has_answers(image):
            tasks.append({**entry, "annotations": [{"result": result}]})
        else:
            prediction = {"model_version": "labor_jax", "result": result}
            tasks.append({**entry, "predictions": [prediction]})
    documents.write_json(folder / "tasks.json", tasks)
    (folder / "label_config.xml").write_text(_label_config(exported, tags), encoding="utf-8")


def _tag(image: ExportedImage) -> str:
    """The tag of the labelling interface that an image's regions need."""
    return "KeyPointLabels" if image.is_points else "BrushLabels"


def _label_config(exported: ExportedRound, tags: Iterable[str]) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    choice = {"choice": "multiple"} if exported.kind == "classes" else {}
    for tag in sorted(tags):
        labels = ElementTree.SubElement(view, tag, name=tag.lower(), toName="image", **choice)
        for label, name in exported.label_names.items():
            ElementTree.SubElement(labels, "Label", value=name, background=exported.color(label))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _region(
    exported: ExportedRound, image: ExportedImage, shape: Shape, identity: str
) -> dict[str, Any]:
    height, width = image.asked.shape
    # The guess is a prediction, as long as nobody has answered.
    labels = shape.labels if shape.guess is None else (shape.guess,)
    names = [exported.label_names[label] for label in labels]
    kind = _tag(image).lower()
    if image.is_points:
        row, column = divmod(int(shape.pixels[0]), width)
        place = {"x": 100 * (column + 0.5) / width, "y": 100 * (row + 0.5) / height}
        value = {**place, "width": 100 / width}
    else:
        value = {"format": "rle", "rle": encode_mask(shape.pixels, height * width)}
    return {
        "id": identity,
        "type": kind,
        "from_name": kind,  # the name of its tag
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, kind: names},
    }


def read(path: Path, exported: ExportedRound) -> Iterator[ImportedImage]:
    """Reads an export.

    Args:
      path: The file, or a folder or zip archive with one JSON file in it.
      exported: The round.

    Yields:
      What each task says.

    Raises:
      DataError: If it is not a list of tasks.
    """
    where, document = documents.read_json(path, exported)
    if not isinstance(document, list) or not all(
        isinstance(each, dict) and isinstance(each.get("data"), dict) for each in document
    ):
        raise DataError(
            f"{where} is not a list of tasks with data and annotations; export from Label Studio "
            'as "JSON", and not "JSON-MIN"'
        )
    for count, entry in enumerate(document, start=1):
        yield _read_task(f"{where}: task {entry.get('id', count)}", exported, entry)


def _read_task(where: str, exported: ExportedRound, entry: dict[str, Any]) -> ImportedImage:
    image = entry["data"].get("image")
    image = urllib.parse.unquote(image) if isinstance(image, str) else image
    number, problems = exported.identify(image, None)
    try:
        annotations = [
            each for each in entry.get("annotations") or () if not each.get("was_cancelled")
        ]
        if problems:
            regions = (region for each in annotations for region in each["result"])
            names = (name for region in regions for name in _names(region) or ())
            unlabelled = exported.gives_none(names)
            return ImportedImage(where, number, None, problems, unlabelled=unlabelled)
        first = found = seconds = None
        told, places = {}, {}  # the problems of all annotations, each once
        differing = np.zeros(exported.sizes[number], bool)
        for each in annotations:  # keeps only two label maps in memory
            found = _read_annotation(where, exported, number, each)
            first = first or found
            told.update(dict.fromkeys(found.problems))
            for text, pixels in found.places.items():
                places[text] = places.get(text, False) | pixels
            if found.seconds is not None:
                seconds = min((seconds or 0.0) + found.seconds, MAX_SECONDS)
            differing |= _differing(found, first)
    except _FOREIGN as error:
        problems = problems or (Problem(f"its annotations: {error!r}"),)
        return ImportedImage(where, number, None, problems)
    if found is None:
        return Canvas(exported.sizes[number]).finish(where, number)
    found = found._replace(problems=tuple(told), places=places, seconds=seconds)
    if not differing.any():
        return found
    text = f"its {len(annotations)} annotations differ; keep one of them"
    return found.with_problem(text, differing)


def _differing(image: ImportedImage, other: ImportedImage) -> np.ndarray:
    """Which pixels have other classes in two images, `bool[H, W]`."""
    differing = image.labels != other.labels
    if image.classes is not None:
        for each in set(image.combinations) | set(other.combinations):
            differing |= _has(image, each) != _has(other, each)
    return differing


def _has(image: ImportedImage, classes: frozenset[int]) -> np.ndarray:
    """Which pixels have exactly these classes, `bool[H, W]`."""
    if classes not in image.combinations:
        return np.zeros(image.labels.shape, bool)
    return image.classes == image.combinations.index(classes)


def _read_annotation(
    where: str, exported: ExportedRound, number: int, annotation: dict
) -> ImportedImage:
    canvas = canvas_of(exported.kind, exported.sizes[number])
    for region in annotation["result"]:
        try:
            _paint(canvas, exported, region)
        except _FOREIGN as error:
            canvas.problems.append(Problem.about(f"region {region.get('id')}: ", str(error)))
    seconds = annotation.get("lead_time")
    # Label Studio's clock doesn't stop in breaks; no image takes more than a day.
    is_valid = isinstance(seconds, int | float) and 0 <= seconds <= MAX_SECONDS
    return canvas.finish(where, number, float(seconds) if is_valid else None)


def _names(region: dict[str, Any]) -> Sequence[Any] | None:
    """The labels of a region; None of a choice or a text about the whole image."""
    value = region.get("value")
    if "original_width" not in region or not isinstance(value, dict):
        return None
    return value.get(region.get("type")) or value.get("labels") or ()


def _paint(canvas: Canvas, exported: ExportedRound, region: dict[str, Any]) -> None:
    names = _names(region)
    if names is None:
        return
    if not names or (len(names) > 1 and exported.kind != "classes"):
        raise ValueError(f"it has {len(names)} labels instead of one")
    labels = [exported.label_named(name) for name in names]
    size = (region["original_height"], region["original_width"])
    if size != canvas.size:
        raise ValueError(f"it belongs to an image of {size[1]}x{size[0]} pixels")
    if region.get("image_rotation"):
        raise ValueError("its image is rotated")
    height, width = size
    kind, value = region.get("type"), region["value"]
    if "rle" in value:
        pixels = decode_mask(value["rle"], height * width)
    elif kind == "keypointlabels":
        x, y = value["x"] / 100 * width, value["y"] / 100 * height
        pixels = pixel_at(x, y, size)
    elif kind == "polygonlabels":
        points = np.asarray(value["points"], float) / 100 * (width, height)
        pixels = polygon_pixels(points, size)
    else:
        raise ValueError(f"{kind} is not supported; draw brush masks, key points or polygons")
    for label in labels:
        canvas.paint(label, pixels)


def encode_mask(pixels: np.ndarray, size: int) -> list[int]:
    """Encodes a mask in Label Studio's run lengths.

    Args:
      pixels: Its pixels, numbered in raster order, `int64[N]` ascending.
      size: The number of pixels of the image.

    Returns:
      The bytes. They start with 32 bits for the number of values (4 per pixel). Then come the sizes
      in bits, less one: 5 bits for the size of a value, and 4 bits each for the sizes of the four
      length fields. Each run is a bit 1, two bits that choose the length field, the length less
      one, and the value.
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
    """Decodes Label Studio's run lengths, see `encode_mask`; a bit 0 starts unrepeated values.

    Args:
      rle: The bytes.
      size: The number of pixels of the image.

    Returns:
      The pixels whose alpha isn't 0, numbered in raster order, `int64[N]` ascending.

    Raises:
      ValueError: If they are damaged, or of an image of another size.
    """
    if not all(type(byte) is int and 0 <= byte < 256 for byte in rle):
        raise ValueError("its run lengths are not bytes")
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
        raise ValueError("its values don't have 8 bits")
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
