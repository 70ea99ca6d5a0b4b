"""Palettes of label maps: the label that a pixel's colour says, where its number says another.

Programs that compress a PNG anew may reorder its palette: the colours stay, and the numbers don't.
"""

import numpy as np
from PIL import Image

from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID, Problem
from labor_jax.data import colours
from labor_jax.data.base import IGNORE_LABEL, default_palette

_GREY = np.repeat(np.arange(256), 3).reshape(256, 3)
_VOC = np.concatenate([np.zeros((1, 3), np.uint8), default_palette(255)])
"""PASCAL VOC's palette, which many tools give any numbers. Ours has the same colours elsewhere."""

_OF_UNLABELLED = ((255, 255, 255), (0, 0, 0), tuple(_VOC[IGNORE_LABEL].tolist()))
"""The colours that 255, pixels without a label, usually has."""


def exported(classes: np.ndarray) -> np.ndarray:
    """The palette of exported label maps, uint8[256, 3], by the classes' colours, uint8[C, 3].

    No class has the colours of void and unanswered pixels: white and a dark grey, or one like them.
    """
    taken = {tuple(colour) for colour in classes.tolist()}
    # One more than there may be classes. Not black, which programs also fill palettes with.
    steps = [divmod(step, 16) for step in range(256)]
    whites = ((255 - red, 255 - green, 255) for red, green in steps)
    greys = ((32 + red, 32 + green, 32) for red, green in steps)
    void, unanswered = (
        next(each for each in these if each not in taken) for these in (whites, greys)
    )
    return listed(classes, void, unanswered)


def listed(
    classes: np.ndarray,
    void: colours.Colour = (255, 255, 255),
    unanswered: colours.Colour = (0, 0, 0),
) -> np.ndarray:
    """The palette of these colours, uint8[256, 3]; the defaults are those of earlier exports."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes)] = classes
    palette[VOID], palette[UNANSWERED] = void, unanswered
    return palette


def of_file(image: Image.Image) -> np.ndarray | None:
    """The palette of an image, uint8[N, 3]; None if its numbers are all that it holds."""
    if image.mode != "P":
        return None
    found = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    # Of a single black it can't be told whether it is grey.
    return None if len(found) > 1 and _begins(_GREY, found) else found


def read_exported(
    values: np.ndarray, palette: np.ndarray | None, own: np.ndarray, num_classes: int
) -> tuple[np.ndarray, tuple[Problem, ...]]:
    """The labels of an exported label map that came back.

    Args:
      values: Its numbers, uint8[H, W].
      palette: Its palette, from `of_file`.
      own: The palette that was exported, uint8[256, 3].
      num_classes: How many classes it has.

    Returns:
      The labels, uint8[H, W]: the numbers if the palette is the exported one, else what the colours
      say; and a problem for each number whose colour doesn't say one label.
    """
    labels = [*range(num_classes), VOID, UNANSWERED]
    used = np.unique(values)
    if palette is None or _keeps_numbers(used, palette, own):
        return values, ()
    table, problems = np.arange(256, dtype=np.uint8), []
    is_voc = _is_voc(used, palette)
    for value in used.tolist():
        meant = [label for label in labels if _same(palette, value, own[label])]
        if len(meant) == 1 and (meant == [value] or not is_voc):
            table[value] = meant[0]
            continue
        colour = colours.text(palette[value]) if value < len(palette) else "no colour"
        cause = (
            "the palette is not the exported one, and can't say which label is meant; save the "
            "label map with the exported palette, or as grey numbers"
        )
        count = int(np.count_nonzero(values == value))
        problems.append(Problem(f"the value {value} is {colour}: {cause}", count, cause))
    return table[values], tuple(problems)


def contradictions(
    image: Image.Image, labels: np.ndarray, classes: tuple[str, ...], palette: np.ndarray
) -> tuple[Problem, ...]:
    """The problems of a label map whose palette has the classes' colours, but at other numbers.

    A palette of the used colours alone may also have that of unlabelled pixels at a class's number.

    Args:
      image: The label map.
      labels: The classes that its numbers say, uint8[H, W], 255 for void.
      classes: The classes' names.
      palette: Their colours, uint8[C, 3].
    """
    file = of_file(image)
    if file is None or image.size != labels.shape[::-1]:
        return ()
    values, first, counts = np.unique(np.asarray(image), return_index=True, return_counts=True)
    if _is_voc(values, file):
        return ()
    is_packed = _is_packed(values, file)
    said, shown, others, problems = set(), set(), [], []
    cause = (
        "a program may have reordered the palette; save the label map with the classes' "
        "colours in their order, or as grey numbers"
    )
    found = labels.reshape(-1)[first].tolist()
    for value, label, count in zip(values.tolist(), found, counts.tolist(), strict=True):
        if label == IGNORE_LABEL:
            continue
        meant = [number for number, own in enumerate(palette) if _same(file, value, own)]
        if not meant:
            others.append((value, label, count))
            continue
        said.add(label)
        shown.add(label if label in meant else meant[0])
        if label not in meant:
            text = (
                f"the value {value} is {classes[label]!r}, and its colour in the palette that of "
                f"{classes[meant[0]]!r}: {cause}"
            )
            problems.append(Problem(text, count, cause))
    # In a palette of the used colours alone, one is no class's: that of unlabelled pixels. With
    # more of them it is another palette, which says nothing.
    if len(others) > is_packed:
        return ()
    # A tool's own palette may share some colours with the classes.
    if said != shown and not is_packed:
        return ()
    # All palettes share black.
    if palette[sorted(shown)].any():
        for value, label, count in others:
            if _is_of_unlabelled(file, value):
                text = (
                    f"the value {value} is {classes[label]!r}, and its colour in the palette is "
                    f"no class's, but as that of pixels without a label: {cause}"
                )
                problems.append(Problem(text, count, cause))
    return tuple(problems)


def _keeps_numbers(used: np.ndarray, palette: np.ndarray, own: np.ndarray) -> bool:
    """Whether the used colours are the exported ones, and at their numbers.

    255 may have another colour, as tools give it. A palette of the used colours alone says less:
    another label of the same colour may have got the number.
    """
    used_labels = used[used != UNANSWERED]
    within = not len(used_labels) or used_labels[-1] < len(palette)
    return (
        bool(within)
        and np.array_equal(palette[used_labels], own[used_labels])
        and not _is_packed(used, palette)
    )


def _same(palette: np.ndarray, value: int, colour: np.ndarray) -> bool:
    return value < len(palette) and np.array_equal(palette[value], colour)


def _is_of_unlabelled(palette: np.ndarray, value: int) -> bool:
    """Whether a number has a colour of unlabelled pixels. Black at 0 is a tool's background."""
    if value >= len(palette):
        return False
    colour = tuple(palette[value].tolist())
    return colour in _OF_UNLABELLED and (value > 0 or any(colour))


def _is_voc(used: np.ndarray, palette: np.ndarray) -> bool:
    """Whether the used numbers have VOC's colours; 255 may have any, and often is white."""
    used = used[used != IGNORE_LABEL]
    within = len(used) > 0 and used[-1] < len(palette)
    return bool(within and palette.any() and np.array_equal(palette[used], _VOC[used]))


def _is_packed(used: np.ndarray, palette: np.ndarray) -> bool:
    """Whether a palette holds no more than the used colours, as programs leave it that compress."""
    return int(used[-1]) == len(used) - 1 and not palette[len(used) :].any()


def _begins(palette: np.ndarray, found: np.ndarray) -> bool:
    return np.array_equal(palette[: len(found)], found)
