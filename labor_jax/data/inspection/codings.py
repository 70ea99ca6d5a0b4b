"""Guesses how label files code classes, from the values or colours in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TypeVar

from labor_jax.data import base
from labor_jax.data.colours import Colour
from labor_jax.data.inspection import known_classes, label_contents
from labor_jax.data.inspection.label_contents import Count, LabelContents

NUMBERS, COLOURS = "numbers", "colours"

_Code = TypeVar("_Code", int, Colour)

# A value that covers less than this share of the files that it is in is likely to be a blend at an
# edge; so many blends make smeared labels.
_TINY = 0.002
_MANY_TINY = 8
# Known colours are recognised by this share of the pixels.
_KNOWN_SHARE = 0.9


@dataclasses.dataclass(frozen=True)
class Coding:
    """How labels code classes.

    Attributes:
      kind: `NUMBERS` or `COLOURS`.
      title: the guess in words ("class numbers 0 to 10, 255 void").
      classes: name of each class.
      named: whether these are the classes' own names; otherwise they are placeholders.
      from_palettes: whether these are the colours of palette images, not their indices.
      codes: the class number of each value or colour, 255 for void; None: values are class numbers.
      other_is_void: whether values without an entry in `codes` are void too.
      main: the values or colours that matter: all, or those of smeared labels that aren't blends.
      problem: why labels of this kind can't be read; empty if they can.
      remarks: what else to know.
    """

    kind: str
    title: str
    classes: tuple[str, ...] = ()
    named: bool = False
    from_palettes: bool = False
    codes: Mapping[int | Colour, int] | None = None
    other_is_void: bool = False
    main: Collection[int | Colour] = ()
    problem: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def colours(self) -> list[Colour]:
        """The colour of each class, of a coding in colours."""
        by_number = {number: code for code, number in (self.codes or {}).items()}
        return [by_number[number] for number in range(len(self.classes))]

    @property
    def void(self) -> list[int | Colour]:
        """The values or colours that are void by `codes`."""
        return [code for code, number in (self.codes or {}).items() if number == base.IGNORE_LABEL]


def guess_coding(
    contents: LabelContents,
    names: str = "",
    formats: Collection[str] = (),
    *,
    has_table: bool = False,
) -> Coding:
    """Guesses the coding of label files.

    Args:
      contents: what is in a sample of them.
      names: what their names have in common ("_gtFine_labelIds"); it may tell the coding.
      formats: their formats.
      has_table: whether a class table tells each class's number and colour.
    """
    coding = _guess(contents, names.lower(), has_table)
    if {"JPEG", "MPO"} & set(formats):
        problem = (
            "labels are JPEGs, whose compression changes values. Take the original PNGs, or write "
            "them anew without loss."
        )
        coding = dataclasses.replace(coding, problem=problem)
    return coding


def _guess(contents: LabelContents, names: str, has_table: bool) -> Coding:
    indexed = sum(count.pixels for count in contents.indexed.values())
    if contents.numbers and contents.colours:
        if indexed == sum(count.pixels for count in contents.numbers.values()):
            counts = label_contents.sum_counts(contents.colours, contents.indexed)
            return dataclasses.replace(_colours(counts, contents), from_palettes=True)
        problem = (
            "labels are of two kinds, single-channel numbers and colours. Write all of them in one "
            "way, or put a class table classes.csv with each class's number and colour into the "
            "folder."
        )
        title = "some files hold numbers, some colours"
        return Coding(COLOURS, title, problem="" if has_table else problem)
    if contents.colours:
        return _colours(contents.colours, contents)
    if indexed and _use_colours(contents):
        return dataclasses.replace(_colours(contents.indexed, contents), from_palettes=True)
    return _numbers(contents, names)


def _use_colours(contents: LabelContents) -> bool:
    """Whether palette images are told by their colours: their indices tell nothing."""
    values = set(contents.numbers) - {base.IGNORE_LABEL}
    stable = all(len(colours) == 1 for colours in contents.index_colours.values())
    return not (stable and is_list(values))


def is_list(values: Collection[int]) -> bool:
    """Whether values look like the numbers 0, 1, … of a list of classes, some of them unseen."""
    return bool(values) and max(values) < base.MAX_CLASSES and len(values) * 2 > max(values)


def main_codes(counts: Mapping[_Code, Count], contents: LabelContents) -> list[_Code]:
    """Returns the values or colours without those that look like blends at edges, if many do."""
    pixels = contents.num_pixels / max(contents.num_files, 1)
    main = [code for code, count in counts.items() if count.pixels / count.files >= _TINY * pixels]
    tiny = len(counts) - len(main)
    smeared = tiny > _MANY_TINY and tiny > len(main)
    return sorted(main if smeared else counts)


def _smeared(
    kind: str, counts: Mapping[_Code, Count], main: list[_Code], contents: LabelContents
) -> Coding:
    share = sum(counts[code].pixels for code in main) / max(contents.num_pixels, 1)
    if share < 0.5:
        return Coding(
            kind,
            f"{len(counts):,} {'values' if kind == NUMBERS else 'colours'}: photos, not labels",
            main=(),
            problem="files look like photos, not like labels. If they are photos, put them in a "
            "folder of photos.",
        )
    others = "values" if kind == NUMBERS else "colours"
    return Coding(
        kind,
        f"{len(main)} main {others} and {len(counts) - len(main):,} rare ones in "
        f"{1 - share:.1%} of the pixels: smeared edges",
        main=tuple(main),
        problem=f"labels have smeared edges: {len(counts) - len(main):,} rare {others} between the "
        "main ones, as JPEG, smoothed drawing or resizing by interpolation leave them. Export "
        "them anew as PNG without smoothing, and resize by nearest neighbour.",
    )


def _numbers(contents: LabelContents, names: str) -> Coding:
    counts = contents.numbers
    main = main_codes(counts, contents)
    if len(main) < len(counts):
        return _smeared(NUMBERS, counts, main, contents)
    values = set(counts) - {base.IGNORE_LABEL}
    void = ", 255 void" if base.IGNORE_LABEL in counts else ""
    if "instance" in names or (values and max(values) >= 1000 and len(values) > 1):
        return Coding(
            NUMBERS,
            f"{len(values)} numbers up to {max(values, default=0)}: instances, not classes",
            main=main,
            problem="labels look like instance numbers, not classes. Take the files of classes.",
        )
    if len(values) > base.MAX_CLASSES or any(not 0 <= value < 2**16 for value in values):
        return Coding(
            NUMBERS,
            f"{len(values)} numbers from {min(values)} to {max(values)}",
            main=main,
            problem=f"labels hold {len(values)} numbers from {min(values)} to {max(values)}; at "
            f"most {base.MAX_CLASSES} classes of values 0 to 65535 can be read.",
        )
    if not values:
        return Coding(
            NUMBERS,
            "255 alone: all void",
            main=main,
            problem="labels are void everywhere: every pixel is 255. Put the classes in them.",
        )
    if _are_label_ids(values, contents, names):
        return Coding(
            NUMBERS,
            "Cityscapes label ids",
            known_classes.TRAIN_ID_CLASSES,
            named=True,
            codes=dict(known_classes.LABEL_IDS),
            other_is_void=True,
            main=main,
        )
    if "trainid" in names or (max(values) == 18 and len(values) > 12):
        return Coding(
            NUMBERS,
            f"Cityscapes train ids{void}" + ("" if "trainid" in names else " (a guess)"),
            known_classes.TRAIN_ID_CLASSES,
            named=True,
            main=main,
        )
    if len(values) == 1 and base.IGNORE_LABEL in counts:
        (value,) = values
        return Coding(
            NUMBERS,
            f"two values, {value} and 255: a binary task",
            ("background", "object"),
            codes={value: 0, base.IGNORE_LABEL: 1},
            main=main,
            remarks=("If 255 is void instead, set --config.data.label_map=255:void.",),
        )
    if is_list(values) and not (0 not in values and _from_one(values)):
        return _class_numbers(contents, main, void)
    codes = {value: number for number, value in enumerate(sorted(values))}
    first = "class numbers that start at 1" if _from_one(values) else f"{len(values)} numbers"
    return Coding(
        NUMBERS,
        f"{first} ({min(values)} to {max(values)}){void}",
        _placeholders(len(values)),
        codes=codes,
        main=main,
    )


def _class_numbers(contents: LabelContents, main: list[int], void: str) -> Coding:
    values = set(contents.numbers) - {base.IGNORE_LABEL}
    classes = list(_placeholders(max(values) + 1))
    known = _known(contents.indexed) if contents.indexed else None
    if known:
        names = {colour: name for name, colour in known.classes.items()}
        for index, colours in contents.index_colours.items():
            name = names.get(next(iter(colours)))
            if index < len(classes) and name and name not in classes:
                classes[index] = name
    unseen = sorted(set(range(len(classes))) - values)
    remarks = [f"Not seen: {', '.join(map(str, unseen))}."] if unseen else []
    numbers = "class numbers" if len(classes) > 1 else "one class number,"
    span = f"0 to {max(values)}" if len(classes) > 1 else "0"
    palette = f", with the palette of {known.title}" if known else ""
    return Coding(
        NUMBERS,
        f"{numbers} {span}{void}{palette}",
        tuple(classes),
        named=bool(known) and not any(name.startswith("class_") for name in classes),
        main=main,
        remarks=tuple(remarks),
    )


def contradicts(own: Coding, common: Coding) -> bool:
    """Whether the guess for some of the labels contradicts that for all of them.

    Numbers of a known data set may, and numbers that start at 1. Others tell nothing, since a class
    may be unseen.
    """
    if own.problem or common.problem or not own.kind == common.kind == NUMBERS:
        return False
    if own.named:
        return own.codes != common.codes
    return own.codes is not None and _from_one(own.codes) and common.codes is None


def _from_one(values: Collection[int]) -> bool:
    return sorted(values) == list(range(1, len(values) + 1))


def _are_label_ids(values: Collection[int], contents: LabelContents, names: str) -> bool:
    if max(values) > 33:
        return False
    if "labelid" in names:
        return True
    evaluated = [value for value in values if value in known_classes.LABEL_IDS]
    pixels = sum(contents.numbers[value].pixels for value in evaluated)
    return max(values) > 18 and len(evaluated) >= 6 and pixels > 0.6 * contents.num_pixels


def _colours(counts: Mapping[Colour, Count], contents: LabelContents) -> Coding:
    known = _known(counts)
    main = main_codes(counts, contents)
    if len(main) < len(counts):
        smeared = _smeared(COLOURS, counts, main, contents)
        return (
            dataclasses.replace(smeared, title=f"colours of {known.title}; {smeared.title}")
            if known
            else smeared
        )
    remarks = []
    if contents.transparent:
        remarks.append(
            f"{contents.transparent} of {contents.num_files} files have transparent pixels, which "
            "are void."
        )
    if known:
        codes = {colour: number for number, colour in enumerate(known.classes.values())}
        codes |= dict.fromkeys(sorted(known.void & set(counts)), base.IGNORE_LABEL)
        classes = list(known.classes)
        unknown = sorted(set(counts) - set(codes))
        for colour in unknown:
            codes[colour] = len(classes)
            classes.append(f"class_{len(classes)}")
        more = f" and {len(unknown)} unknown" if unknown else ""
        return Coding(
            COLOURS,
            f"colours of {known.title}{more}",
            tuple(classes),
            named=not unknown,
            codes=codes,
            main=main,
            remarks=tuple(remarks),
        )
    if len(counts) > base.MAX_CLASSES:
        return Coding(
            COLOURS,
            f"{len(counts):,} colours",
            main=main[: base.MAX_CLASSES],
            problem=f"labels hold {len(counts):,} colours, and at most {base.MAX_CLASSES} classes "
            "can be read. Perhaps they are instances, or photos.",
        )
    if (0, 0, 0) in counts:
        remarks.append(
            "If #000000 is void, take it out of classes and palette, and set "
            "--config.data.label_map=#000000:void."
        )
    if all(red == green == blue for red, green, blue in counts):
        remarks.append("The colours are greys: class numbers saved as RGB, perhaps.")
    return Coding(
        COLOURS,
        f"{len(counts)} colours",
        _placeholders(len(counts)),
        codes={colour: number for number, colour in enumerate(main)},
        main=main,
        remarks=tuple(remarks),
    )


def _known(counts: Mapping[Colour, Count]) -> known_classes.KnownColours | None:
    """The data set whose colours these are: at least three, and most of the pixels."""
    total = sum(count.pixels for count in counts.values())

    def share(known: known_classes.KnownColours) -> float:
        colours = set(known.classes.values()) & set(counts)
        if len(colours) < 3:
            return 0.0
        return sum(counts[colour].pixels for colour in colours | (known.void & set(counts))) / total

    # The first of equal share: the shorter list of CamVid's if no further colour occurs.
    best = max(known_classes.KNOWN_COLOURS, key=share)
    return best if share(best) >= _KNOWN_SHARE else None


def _placeholders(count: int) -> tuple[str, ...]:
    return tuple(f"class_{number}" for number in range(count))
