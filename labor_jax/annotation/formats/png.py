"""PNG label maps.

```
manifest.json               the round, its classes, and the name of each numbered image
images/round1_000000.png    the image
asked/round1_000000.png     255 where it is asked, 0 elsewhere
labels/round1_000000.png    the answers: class numbers, 254 for void, 255 for unanswered
```

Label maps have a palette, for people to look at; grey ones are read as well. Only `labels/` and the
manifest are read back, and the manifest's classes have to be the round's: numbers have no names.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from labor_jax.annotation.formats import base
from labor_jax.annotation.formats.base import UNANSWERED, VOID, Delivered, Item, Problem, Task
from labor_jax.data.base import DataError


def write(folder: Path, task: Task, items: Iterable[Item]) -> None:
    """Writes a round's queries and answers.

    Args:
      folder: Where to; the manifest is not part of it.
      task: The round.
      items: Its items.
    """
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(task.palette)] = task.palette
    palette[VOID] = 255
    for name in ("asked", "labels"):
        (folder / name).mkdir()
    for item in items:
        name = task.file_name(item.number)
        Image.fromarray(np.where(item.asked, 255, 0).astype(np.uint8)).save(folder / "asked" / name)
        labels = Image.fromarray(item.labels)
        labels.putpalette(palette.tobytes())
        labels.save(folder / "labels" / name)


def read(path: Path, task: Task) -> Iterator[Delivered]:
    """Reads label maps.

    Args:
      path: A folder as `write` makes it.
      task: The round.

    Yields:
      What each file of `labels/` says.

    Raises:
      DataError: If the folder has no label maps, or the manifest is missing or of other classes.
    """
    _check_manifest(path, task)
    files = sorted(each for each in (path / "labels").glob("*") if each.is_file())
    if not files:
        raise DataError(f"{path / 'labels'} holds no label maps")
    for file in files:
        yield _read_file(file, path, task)


def _check_manifest(path: Path, task: Task) -> None:
    file = path / base.MANIFEST
    if not file.is_file():
        raise DataError(
            f"{file} is missing; --input of png is a folder as the export makes it, with manifest"
        )
    base.check_inside(file, path)
    _, manifest = base.read_json(file)
    try:
        classes = tuple(each["name"] for each in manifest["classes"])
        round, values = manifest["round"], (manifest["void"], manifest["unanswered"])
        values = tuple(each["number"] for each in values)
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} is not as the export writes it: {error!r}") from error
    if round != task.round:
        raise DataError(f"{file} is of round {round}, not of round {task.round}")
    if classes != task.classes:
        raise DataError(
            f"{file} has the classes {', '.join(map(str, classes))}; the run has "
            f"{', '.join(task.classes)}"
        )
    if values != (VOID, UNANSWERED):
        raise DataError(f"{file} has the numbers {values} for void and unanswered, not (254, 255)")


def _read_file(file: Path, root: Path, task: Task) -> Delivered:
    where = file.relative_to(root).as_posix()
    number, problems = base.identified(task, file.name, None)
    if problems:
        return Delivered(where, number, None, problems)
    base.check_inside(file, root)
    height, width = task.sizes[number]
    try:
        with Image.open(file, formats=("PNG",)) as image:
            if image.size != (width, height):
                found = "{}x{}".format(*image.size)
                problem = Problem(f"the label map is {found}, the image {width}x{height}")
                return Delivered(where, number, None, (problem,))
            if image.mode not in ("L", "P"):
                problem = Problem(f"no 8-bit label map of one channel, but of mode {image.mode}")
                return Delivered(where, number, None, (problem,))
            labels = np.array(image)
    except Exception as error:  # Pillow raises all kinds for bad bytes
        return Delivered(where, number, None, (Problem(f"no PNG that can be read: {error}"),))
    wrong = (labels >= len(task.classes)) & (labels != VOID) & (labels != UNANSWERED)
    problems = tuple(
        Problem(f"the value {value} is none of the classes", int(np.count_nonzero(labels == value)))
        for value in np.unique(labels[wrong]).tolist()
    )
    return Delivered(where, number, labels, problems)
