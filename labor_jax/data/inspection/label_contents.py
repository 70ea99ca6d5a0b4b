"""Counts the values or colours in label files."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from labor_jax.data import colours, threads
from labor_jax.data.base import DataError
from labor_jax.data.colours import Colour
from labor_jax.data.files import decoding

# A label of more different values than this is no list of classes: the rarest are not kept.
_KEPT = 4096
# The pixels of a label have few values, those of a photo many.
_MOST_OF_LABEL = 64


@dataclasses.dataclass(frozen=True)
class Count:
    """How often a value or colour occurs."""

    pixels: int = 0
    files: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.pixels + other.pixels, self.files + other.files)


@dataclasses.dataclass(frozen=True)
class LabelContents:
    """What is in some label files.

    Attributes:
      numbers: counts of the values in single-channel files; those of palette images are indices.
      colours: counts of the colours in files of several channels.
      indexed: counts of the colours in palette images.
      index_colours: the colours that each index of palette images stands for, at pixels that occur.
      num_files: number of files read.
      num_pixels: of these files.
      transparent: how many files have pixels of opacity 0, which are void and not counted.
      problems: what is wrong with files that can't be read.
    """

    numbers: Mapping[int, Count]
    colours: Mapping[Colour, Count]
    indexed: Mapping[Colour, Count]
    index_colours: Mapping[int, frozenset[Colour]]
    num_files: int
    num_pixels: int
    transparent: int = 0
    problems: tuple[str, ...] = ()


def read_contents(
    paths: Sequence[pathlib.Path], progress: Callable[[Iterable], Iterable] = iter
) -> LabelContents:
    """Counts what is in the given label files.

    Args:
      paths: the files.
      progress: see `threads.map_in_threads`.
    """
    Image.init()  # not safe from several threads at once
    return functools.reduce(joined, threads.map_in_threads(read_one, paths, progress=progress))


def read_one(path: pathlib.Path) -> LabelContents:
    """Counts what is in one label file."""
    try:
        with decoding.naming_file(path), Image.open(path) as image:
            if decoding.label_fault(image, "auto"):  # by loss of compression, for example
                return _colour_contents(np.asarray(image.convert("RGB")))
            palette = image.getpalette("RGB") if image.mode == "P" else None
        values = decoding.read_label_values(path, coding="auto")
    except DataError as error:
        return LabelContents({}, {}, {}, {}, 0, 0, problems=(f"{error}.",))
    if values.ndim == 3:
        return _colour_contents(values)
    numbers = _counts(values)
    indexed, index_colours = {}, {}
    if palette is not None:
        table = [*palette, *[0] * (768 - len(palette))]
        for index, count in numbers.items():
            colour = tuple(table[3 * index : 3 * index + 3])
            index_colours[index] = frozenset([colour])
            indexed[colour] = Count(indexed.get(colour, Count()).pixels + count.pixels, 1)
    return LabelContents(numbers, {}, indexed, index_colours, 1, values.size)


def looks_like_label(path: pathlib.Path) -> bool:
    """Whether a file holds as few values or colours as a label does."""
    contents = read_one(path)
    found = contents.numbers or contents.colours
    return 0 < len(found) <= _MOST_OF_LABEL


def _colour_contents(pixels: np.ndarray) -> LabelContents:
    """Counts colours, uint8[H, W, 3], or uint8[H, W, 4] in which pixels of opacity 0 are void."""
    keys = colours.keys(pixels)
    transparent = pixels[..., 3] == 0 if pixels.shape[2] == 4 else np.zeros(keys.shape, bool)
    found = {colours.of_key(key): count for key, count in _counts(keys[~transparent]).items()}
    return LabelContents({}, found, {}, {}, 1, keys.size, transparent=int(transparent.any()))


def _counts(values: np.ndarray) -> dict[int, Count]:
    found, pixels = np.unique(values, return_counts=True)
    if len(found) > _KEPT:
        kept = np.argpartition(pixels, -_KEPT)[-_KEPT:]
        found, pixels = found[kept], pixels[kept]
    return {int(value): Count(int(n), 1) for value, n in zip(found, pixels, strict=True)}


def joined(a: LabelContents, b: LabelContents) -> LabelContents:
    """Returns the counts of both."""
    return LabelContents(
        numbers=sum_counts(a.numbers, b.numbers),
        colours=sum_counts(a.colours, b.colours),
        indexed=sum_counts(a.indexed, b.indexed),
        index_colours={
            index: a.index_colours.get(index, frozenset()) | b.index_colours.get(index, frozenset())
            for index in a.index_colours.keys() | b.index_colours.keys()
        },
        num_files=a.num_files + b.num_files,
        num_pixels=a.num_pixels + b.num_pixels,
        transparent=a.transparent + b.transparent,
        problems=a.problems + b.problems,
    )


def sum_counts(a: Mapping, b: Mapping) -> dict:
    """Returns the sums of counts by value or colour."""
    total = dict(a)
    for key, count in b.items():
        total[key] = total.get(key, Count()) + count
    return total
