"""Counts the values or colours in label files."""

from __future__ import annotations

import collections
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from labor_jax.data import threads
from labor_jax.data.files import decoding

Colour = tuple[int, int, int]

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
      transparent: how many files have pixels that are not opaque.
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
            if image.mode not in decoding.LABEL_MODES:
                return _colour_contents(image)
            values = np.asarray(image)
            numbers = _counts(values)
            if image.mode != "P":
                return LabelContents(numbers, {}, {}, {}, 1, values.size)
            table = np.zeros((256, 3), np.uint8)
            entries = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            table[: len(entries)] = entries
            colours = {index: tuple(table[index].tolist()) for index in numbers}
            indexed = collections.defaultdict(Count)
            for index, count in numbers.items():
                indexed[colours[index]] = Count(indexed[colours[index]].pixels + count.pixels, 1)
            index_colours = {index: frozenset([colour]) for index, colour in colours.items()}
            return LabelContents(numbers, {}, dict(indexed), index_colours, 1, values.size)
    except ValueError as error:  # a DataError that names the file
        return LabelContents({}, {}, {}, {}, 0, 0, problems=(str(error),))


def looks_like_label(path: pathlib.Path) -> bool:
    """Whether a file holds as few values or colours as a label does."""
    contents = read_one(path)
    found = contents.numbers or contents.colours
    return 0 < len(found) <= _MOST_OF_LABEL


def _colour_contents(image: Image.Image) -> LabelContents:
    transparent = False
    if "A" in image.getbands():
        transparent = image.getchannel("A").getextrema()[0] < 255
    pixels = np.asarray(image.convert("RGB"))
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours = {
        (value >> 16, value >> 8 & 255, value & 255): count
        for value, count in _counts(packed).items()
    }
    return LabelContents({}, colours, {}, {}, 1, packed.size, transparent=int(transparent))


def _counts(values: np.ndarray) -> dict[int, Count]:
    found, pixels = np.unique(values, return_counts=True)
    if len(found) > _KEPT:
        kept = np.argpartition(pixels, -_KEPT)[-_KEPT:]
        found, pixels = found[kept], pixels[kept]
    return {int(value): Count(int(n), 1) for value, n in zip(found, pixels, strict=True)}


def joined(a: LabelContents, b: LabelContents) -> LabelContents:
    """Returns the counts of both."""
    return LabelContents(
        numbers=_sum(a.numbers, b.numbers),
        colours=_sum(a.colours, b.colours),
        indexed=_sum(a.indexed, b.indexed),
        index_colours={
            index: a.index_colours.get(index, frozenset()) | b.index_colours.get(index, frozenset())
            for index in a.index_colours.keys() | b.index_colours.keys()
        },
        num_files=a.num_files + b.num_files,
        num_pixels=a.num_pixels + b.num_pixels,
        transparent=a.transparent + b.transparent,
        problems=a.problems + b.problems,
    )


def _sum(a: Mapping, b: Mapping) -> dict:
    total = dict(a)
    for key, count in b.items():
        total[key] = total.get(key, Count()) + count
    return total
