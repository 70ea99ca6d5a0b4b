"""Checks the pixels of a split's labels: that they can be read, and say something."""

from __future__ import annotations

import functools
import logging
import operator
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from labor_jax.data import base, threads
from labor_jax.data.base import DataError
from labor_jax.data.blocks import row_blocks
from labor_jax.data.label_map import LabelMap

# Up to this many pixels, all label maps of a split are decoded at the start (about a second on one
# core). Of larger splits, only so many evenly chosen files are, unless verify="full".
_CHECK_LABEL_PIXELS = 2**27
_SAMPLE = 8


class _Content(NamedTuple):
    """What label files hold.

    Attributes:
      classes: class numbers, and 255 for void.
      values: the numbers in the files; none of files in colours.
    """

    classes: frozenset[int]
    values: frozenset[int]

    def __or__(self, other: _Content) -> _Content:
        return _Content(self.classes | other.classes, self.values | other.values)

    @property
    def is_void(self) -> bool:
        """Whether there is no class."""
        return self.classes <= {base.IGNORE_LABEL}

    @property
    def may_be_binary(self) -> bool:
        """Whether there are two values, of which 255 is void."""
        return (
            len(self.values) == 2
            and base.IGNORE_LABEL in self.values
            and base.IGNORE_LABEL in self.classes
        )


def check_labels(
    split: str,
    paths: Sequence[pathlib.Path],
    num_pixels: int,
    read_values: Callable[[pathlib.Path], np.ndarray],
    label_map: LabelMap,
    *,
    verify: str,
) -> None:
    """Decodes labels of a split and checks what they hold.

    Of a large split some labels are decoded. If there is nothing but void in them, or one class and
    255, the others are decoded too, so that what an error says is true of all files.

    Args:
      split: the split's name, for errors ("source").
      paths: the label files.
      num_pixels: how many pixels they have in all.
      read_values: reads what a file holds, see `decoding.read_label_values`.
      label_map: maps it to class numbers.
      verify: "full" to decode every file.

    Raises:
      DataError: a file cannot be decoded; or a value in it is not a class; or everything is void
        (of the pool, which people may answer, a warning); or there is one class and 255, which
        is void only because nobody has said what it means.
    """
    whole = verify == "full" or num_pixels <= _CHECK_LABEL_PIXELS
    step = 1 if whole else max(1, len(paths) // _SAMPLE)
    read = functools.partial(_read, read_values=read_values, label_map=label_map)
    content = functools.reduce(operator.or_, threads.map_in_threads(read, paths[::step]))
    if step > 1 and (content.is_void or content.may_be_binary):
        content = functools.reduce(operator.or_, threads.map_in_threads(read, paths), content)
    if content.is_void:
        message = (
            f"{split} labels are void everywhere: none of the {len(paths)} files in "
            f"{_folder(paths)} holds a pixel of a class."
        )
        if split != "pool":
            raise DataError(f"{message} Put classes in them, or correct data.label_map.")
        logging.warning("%s An oracle would have no answer.", message)
    elif content.may_be_binary and label_map.implies_void:
        value = min(content.values)
        raise DataError(
            f"{split} labels in {_folder(paths)} hold the values {value} and 255 alone, and 255 "
            f"means void, so there is one class to learn. If 255 is a class, name two in "
            f"data.classes and set --config.data.label_map={value}:0,255:1; if it is void, set "
            "--config.data.label_map=255:void."
        )


def _read(
    path: pathlib.Path, read_values: Callable[[pathlib.Path], np.ndarray], label_map: LabelMap
) -> _Content:
    values = read_values(path)
    label = label_map(values, path)
    if values.ndim == 3:
        return _Content(_held(label), frozenset())
    return _Content(_held(label), _held(values))


def _held(array: np.ndarray) -> frozenset[int]:
    # A histogram is faster than sorting.
    return frozenset().union(
        *(np.flatnonzero(np.bincount(block.ravel())).tolist() for block in row_blocks(array))
    )


def _folder(paths: Sequence[pathlib.Path]) -> pathlib.Path:
    return paths[0].parent
