"""PNG label maps.

```
manifest.json               the round, its classes, and the name of each numbered image
images/round1_000000.png    the image
asked/round1_000000.png     255 where it is asked, 0 elsewhere
labels/round1_000000.png    the answers: class numbers, 254 for void, 255 for unanswered
parts/round1_000000.png     where the query names its parts: their numbers plus 1, in 16 bits
guesses/round1_000000.png   of corrections: the model's classes, 255 for none
```

Label maps have a palette for viewing; grey ones are read as well. One whose palette was reordered
is read by its colours. Only `labels/` and the manifest are read back. The manifest's classes must
be those of the run, because label maps hold no names.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from labor_jax.annotation.formats import documents, palettes
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedImage,
    ExportedRound,
    ImportedImage,
    Problem,
)
from labor_jax.data import colours
from labor_jax.data.base import DataError
from labor_jax.data.files import listing


def write(folder: Path, exported: ExportedRound, images: Iterable[ExportedImage]) -> None:
    """Writes a round's queries and answers.

    Args:
      folder: Where to write; the manifest is written separately.
      exported: The round.
      images: Its images.
    """
    palette = palettes.exported(exported.palette)
    for name in ("asked", "labels"):
        (folder / name).mkdir()
    for image in images:
        name = exported.file_name(image.number)
        Image.fromarray(np.where(image.asked, 255, 0).astype(np.uint8)).save(
            folder / "asked" / name
        )
        labels = Image.fromarray(image.labels)
        labels.putpalette(palette.tobytes())
        labels.save(folder / "labels" / name)
        if image.parts is not None:
            (folder / "parts").mkdir(exist_ok=True)
            if image.parts.max() >= 2**16 - 1:
                raise DataError(
                    f"{exported.names[image.number]!r} has {image.parts.max() + 1:,} parts, of "
                    "which a PNG file numbers 65,535; ask fewer of an image."
                )
            parts = (image.parts + 1).astype(np.uint16)
            Image.fromarray(parts).save(folder / "parts" / name)
        if image.guess is not None:
            (folder / "guesses").mkdir(exist_ok=True)
            guess = Image.fromarray(image.guess)
            guess.putpalette(palette.tobytes())
            guess.save(folder / "guesses" / name)


def read(path: Path, exported: ExportedRound) -> Iterator[ImportedImage]:
    """Reads label maps. Skips what macOS and Windows put beside them.

    Args:
      path: A folder as `write` makes it.
      exported: The round.

    Yields:
      What each file of `labels/` says.

    Raises:
      DataError: If there are no label maps, or the manifest is missing or has other classes.
    """
    palette = _check_manifest(path, exported)
    files = sorted(
        each
        for each in (path / "labels").glob("*")
        if each.is_file() and not listing.is_side_file(each.name)
    )
    if not files:
        raise DataError(f"{path / 'labels'} holds no label maps")
    for file in files:
        yield _read_file(file, path, exported, palette)


def _check_manifest(path: Path, exported: ExportedRound) -> np.ndarray:
    """The palette as it was exported, `uint8[256, 3]`."""
    file = path / documents.MANIFEST
    if not file.is_file():
        raise DataError(
            f"{file} is missing; for png, --input is a folder as exported, with its manifest"
        )
    documents.check_inside(file, path)
    _, manifest = documents.read_json(file, exported)
    try:
        classes = tuple(each["name"] for each in manifest["classes"])
        palette = [colours.parse(each["color"]) for each in manifest["classes"]]
        round, others = manifest["round"], ("void", "unanswered")
        values = tuple(manifest[name]["number"] for name in others)
        # Earlier exports list no colours of these.
        given = {
            name: colours.parse(manifest[name]["color"])
            for name in others
            if "color" in manifest[name]
        }
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is not as exported: {error!r}") from error
    if round != exported.round:
        raise DataError(
            f"{file} is of round {round}, not of round {exported.round}; give --round {round}"
        )
    if classes != exported.classes:
        raise DataError(
            f"{file} has the classes {', '.join(map(str, classes))}; the run has "
            f"{', '.join(exported.classes)}"
        )
    if values != (VOID, UNANSWERED):
        raise DataError(f"{file} has the numbers {values} for void and unanswered, not (254, 255)")
    return palettes.listed(np.array(palette, np.uint8), **given)


def _read_file(
    file: Path, root: Path, exported: ExportedRound, palette: np.ndarray
) -> ImportedImage:
    where = file.relative_to(root).as_posix()
    number, problems = exported.identify(file.name, None)
    if problems:
        return ImportedImage(where, number, None, problems)
    documents.check_inside(file, root)
    height, width = exported.sizes[number]
    try:
        with Image.open(file, formats=("PNG",)) as image:
            if image.size != (width, height):
                found = "{}x{}".format(*image.size)
                problem = Problem(f"the label map is {found}, the image {width}x{height}")
                return ImportedImage(where, number, None, (problem,))
            if image.mode not in ("L", "P"):
                problem = Problem(
                    f"the label map is not 8-bit with one channel, but of mode {image.mode}"
                )
                return ImportedImage(where, number, None, (problem,))
            values = np.array(image)
            labels, problems = palettes.read_exported(
                values, palettes.of_file(image), palette, len(exported.classes)
            )
    except Exception as error:  # damaged files make Pillow raise many exceptions
        return ImportedImage(where, number, None, (Problem(f"it can't be read as PNG: {error}"),))
    if problems:
        return ImportedImage(where, number, None, problems)
    wrong = (labels >= len(exported.classes)) & (labels != VOID) & (labels != UNANSWERED)
    problems = tuple(
        Problem(
            f"the value {value} is not one of the classes", int(np.count_nonzero(labels == value))
        )
        for value in np.unique(labels[wrong]).tolist()
    )
    return ImportedImage(where, number, labels, problems)
