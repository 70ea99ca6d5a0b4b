"""Writes what an inspection found as text."""

from __future__ import annotations

import collections
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from labor_jax.data import colours, messages
from labor_jax.data.inspection.codings import NUMBERS
from labor_jax.data.inspection.inspection import Inspection
from labor_jax.data.inspection.label_sets import LabelSet
from labor_jax.data.inspection.pairing import PhotoSet
from labor_jax.data.inspection.scan import ScannedFile

_WIDTH = 100
_MOST_CODES = 40
_NO_BREAK = "\N{NO-BREAK SPACE}"

_TURNS = {
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored and turned by 180°",
    5: "mirrored and turned by 90°",
    6: "turned by 90° clockwise",
    7: "mirrored and turned by 90°",
    8: "turned by 90° anticlockwise",
}

_MODES = {"L": "grey", "LA": "grey with alpha", "P": "palette", "1": "black and white"}

_ROLES = {
    "source": "labelled, to train on",
    "pool": "to ask about",
    "evaluation": "labelled, to measure on",
}


def describe(inspection: Inspection) -> str:
    """Returns a text for people: problems first, then each folder, then the roles."""
    blocks = [_headline(inspection)]
    if inspection.problems:
        blocks.append(_list("Problems that would stop a run:", inspection.problems, numbered=True))
    if inspection.remarks:
        blocks.append(_list("Also:", inspection.remarks))
    blocks += [_photos(one) for one in inspection.photos]
    blocks += [_labels(one, inspection.photos) for one in inspection.labels]
    if inspection.roles:
        blocks.append(_roles(inspection))
    return "\n\n".join(blocks)


def _headline(inspection: Inspection) -> str:
    total, folders = len(inspection.scan.images), len(inspection.photos) + len(inspection.labels)
    return f"{inspection.scan.root}: {_number(total, 'image file')} in {_number(folders, 'folder')}"


def _list(title: str, sentences: Iterable[str], numbered: bool = False) -> str:
    lines = [title]
    for number, sentence in enumerate(sentences, 1):
        mark = f"  {number}. " if numbered else "  - "
        lines += textwrap.wrap(
            sentence,
            _WIDTH,
            initial_indent=mark,
            subsequent_indent=" " * len(mark),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _photos(one: PhotoSet) -> str:
    files = one.photos.files
    lines = [f"{one.photos.folder}: {_number(len(files), 'photo')}"]
    lines += _files(files)
    if one.match is not None:
        count = len(one.match.labels)
        whole = "each has a label" if count == len(files) else f"{count:,} have a label"
        naming = one.match.label_pattern
        if one.match.image_suffix:
            naming += f", where {{stem}} is the photo's name without {one.match.image_suffix}"
        lines.append(_field("labels", f"{whole} in {one.labels.folder}, named {naming}"))
    else:
        lines.append(_field("labels", "none"))
    return "\n".join(lines)


def _files(files: Sequence[ScannedFile], are_labels: bool = False) -> list[str]:
    formats = _counts(collections.Counter(file.format for file in files))
    modes = _counts(collections.Counter(_mode(file) for file in files))
    lines = [_field("files", f"{formats}; {modes}"), _field("sizes", _sizes(files, are_labels))]
    for told, applied in (("which is applied", True), ("which is not applied to labels", False)):
        turns = collections.Counter(
            _TURNS[file.orientation]
            for file in files
            if file.orientation != 1 and (not are_labels or file.format == "TIFF") == applied
        )
        if turns:
            lines.append(_field("EXIF", f"{_counts(turns, always=True)}, {told}"))
    return lines


def _mode(file: ScannedFile) -> str:
    if file.mode.startswith("I;16"):
        return "16-bit grey"
    if file.is_deep:
        return f"16-bit {file.mode}"
    return _MODES.get(file.mode, file.mode)


def _sizes(files: Sequence[ScannedFile], are_labels: bool) -> str:
    all_sizes = [file.label_size if are_labels else file.size for file in files]
    sizes = collections.Counter(all_sizes)
    if len(sizes) == 1:
        (size,) = sizes
        return f"all {messages.dimensions(size)} (height x width)"
    by_area = sorted(all_sizes, key=lambda size: size[0] * size[1])
    median = by_area[statistics.median_low(range(len(by_area)))]
    least, median, most = map(messages.dimensions, (by_area[0], median, by_area[-1]))
    shapes = collections.Counter(
        "portrait" if h > w else "square" if h == w else "landscape" for h, w in sizes.elements()
    )
    common = ", ".join(
        f"{messages.dimensions(size)} ({count:,})" for size, count in sizes.most_common(3)
    )
    return (
        f"{least} to {most}, median {median} (height x width); "
        f"{len(sizes):,} sizes, commonest {common}; {_counts(shapes)}"
    )


def _labels(one: LabelSet, photo_sets: Sequence[PhotoSet]) -> str:
    files = one.labels.files
    of = [photos.photos.folder for photos in photo_sets if photos.labels is one.labels]
    belongs = f" of {of[0]}" if of else ", taken for no photos"
    ending = f" *{one.labels.ending}" if one.labels.ending else ""
    lines = [f"{one.labels.folder}:{ending} {_number(len(files), 'label')}{belongs}"]
    lines += _files(files, are_labels=True)
    lines.append(_field("coding", f"looks like {one.coding.title}"))
    lines += [_field("", remark) for remark in one.coding.remarks]
    if one.coding.main:
        lines.append(_codes(one))
    return "\n".join(lines)


def _codes(one: LabelSet) -> str:
    """The values or colours, with their share of the pixels and the number of files."""
    contents, coding = one.contents, one.coding
    counts = contents.numbers if coding.kind == NUMBERS else contents.colours or contents.indexed
    main = [code for code in coding.main if code in counts]
    main.sort(key=lambda code: code if coding.kind == NUMBERS else -counts[code].pixels)
    entries = []
    for code in main[:_MOST_CODES]:
        share = counts[code].pixels / contents.num_pixels
        name = _name(one, code)
        percent = f"{share:.1%}" if share >= 0.0005 else "<0.1%"
        entries.append(f"{name}: {percent} in {counts[code].files:,}".replace(" ", _NO_BREAK))
    if len(main) > _MOST_CODES:
        entries.append(f"{len(main) - _MOST_CODES} more")
    read, total = contents.num_files, len(one.labels.files)
    of = f"{read:,} files" if read == total else f"{read:,} files, evenly chosen from {total:,}"
    title = "values" if coding.kind == NUMBERS else "colours"
    return _field(title, f"share of pixels, and in how many of {of}: " + ", ".join(entries))


def _name(one: LabelSet, code) -> str:
    coding = one.coding
    text = str(code) if coding.kind == NUMBERS else colours.text(code)
    if code in coding.void or (coding.kind == NUMBERS and code == 255 and not coding.codes):
        return f"{text} void"
    codes = coding.codes or {value: value for value in range(len(coding.classes))}
    if code not in codes:
        return text
    name = coding.classes[codes[code]]
    return text if name.startswith("class_") else f"{text} {name}"


def _roles(inspection: Inspection) -> str:
    lines = ["Guess at the roles, from names and labels:"]
    for role, meaning in _ROLES.items():
        one = inspection.roles.get(role)
        folder = one.photos.folder if one else "nothing found"
        lines.append(_field(role, f"{folder} ({meaning})"))
    unused = [
        one.photos.folder
        for one in inspection.photos
        if not any(one is other for other in inspection.roles.values())
    ]
    if unused:
        lines.append(_field("not used", ", ".join(unused)))
    return "\n".join(lines)


def _field(name: str, text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"  {name:10}  ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_NO_BREAK, " ")


def _counts(counts: Mapping[str, int], always: bool = False) -> str:
    if len(counts) == 1 and not always:
        return f"all {next(iter(counts))}"
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
