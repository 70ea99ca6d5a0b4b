"""What is wrong with the files of an inspected folder, in sentences."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

from labor_jax.data import messages
from labor_jax.data.files import checks, decoding, unread
from labor_jax.data.inspection import name_patterns, scan
from labor_jax.data.inspection.codings import Coding
from labor_jax.data.inspection.label_sets import LabelSet
from labor_jax.data.inspection.pairing import PhotoSet

_REMEDIES = {
    scan.EMPTY: "Copy them again or remove them.",
    scan.NOT_REGULAR: "Remove them.",
    scan.NOT_UTF8: "Rename them.",
    scan.TOO_LARGE: decoding.TOO_LARGE.remedy,
}


def find(
    scanned: scan.Scan,
    photo_sets: Sequence[PhotoSet],
    label_sets: Sequence[LabelSet],
    roles: Mapping[str, PhotoSet],
    coding: Coding | None,
    same: Sequence[tuple[str, ...]],
) -> tuple[list[str], list[str]]:
    """Finds what is wrong.

    Args:
      scanned: all files.
      photo_sets: the photos with their labels.
      label_sets: the labels and what is in them.
      roles: what a run would use.
      coding: of the labels that a run would use.
      same: paths of photos with the same bytes.

    Returns:
      What would stop a run, and what else is worth knowing: sentences.
    """
    problems, remarks = _unreadable(scanned, roles)
    if not scanned.images:
        problems.append(_no_images(scanned))
    used = list(roles.values()) or list(photo_sets)
    for one in photo_sets:
        stops = any(one is other for other in used)
        (problems if stops else remarks).extend(_of_photos(one, scanned))
    for role, one in roles.items():
        if one.match is not None and (role != "pool" or one.is_wholly_labelled):
            problems += _of_labels(one)
    for one in roles.values():
        remarks += _unseen_turns(one)
    if "pool" in roles and roles["pool"].match and not roles["pool"].is_wholly_labelled:
        remarks.append(_partly_labelled(roles["pool"]))
    problems += _of_coding(label_sets, roles, coding)
    _add_duplicates(same, roles, problems, remarks)
    remarks += _others(scanned)
    return problems, remarks


def _unreadable(scanned: scan.Scan, roles: Mapping[str, PhotoSet]) -> tuple[list[str], list[str]]:
    """Files that can't be read; they stop a run if they are in a folder that it uses."""
    series = [each for one in roles.values() for each in (one.photos, one.labels) if each]
    used = [each.folder for each in series]
    by_problem: dict[tuple[bool, str], list[str]] = collections.defaultdict(list)
    for file in scanned.images:
        if file.problem:
            stops = not used or any(
                folder == "." or file.path.startswith(folder + "/") for folder in used
            )
            known = file.problem in _REMEDIES
            entry = file.path if known else f"{file.path} ({file.problem})"
            by_problem[stops, file.problem if known else ""].append(entry)
    sentences: tuple[list[str], list[str]] = ([], [])
    for (stops, problem), files in sorted(by_problem.items()):
        remedy = _REMEDIES.get(problem, "Copy them again or remove them.")
        sentences[0 if stops else 1].extend(
            _about(files, "file", problem or "are unusable", remedy)
        )
    return sentences


def _no_images(scanned: scan.Scan) -> str:
    others = messages.listing(scanned.others)
    found = f"holds no images, only other files: {others}" if others else "is empty"
    return f"{scanned.root} {found}. Runs read .jpg, .png, .tif, .bmp and .webp."


def _of_photos(one: PhotoSet, scanned: scan.Scan) -> list[str]:
    photos = one.photos
    wrong = [f"{f.path} ({f.mode})" for f in photos.files if f.mode not in checks.COLOUR_MODES]
    by_name = collections.defaultdict(list)
    for file in photos.files:
        by_name[file.folder, file.stem].append(file.path)
    shared = [" and ".join(paths) for paths in by_name.values() if len(paths) > 1]
    found = [
        *_about(
            *(wrong, f"photo in {photos.folder}", "are not in 8-bit colour or grey"),
            "Convert them to 8 bits per channel.",
        ),
        *_about(
            *(shared, f"name in {photos.folder}", "belong to several photos"),
            "Remove or rename all but one.",
        ),
    ]
    if name_patterns.find_pattern(photos, scanned.images) is None:
        found.append(
            f"The photos in {photos.folder} can't be told from the labels beside them by a "
            "pattern. Move the labels to a folder of their own."
        )
    return found


def _of_labels(one: PhotoSet) -> list[str]:
    photos, labels, match = one.photos.folder, one.labels.folder, one.match
    photo_files = {file.path: file for file in one.photos.files}
    label_files = {file.path: file for file in one.labels.files}
    differing, unturned = [], []
    for path, label in match.labels.items():
        photo, size = photo_files[path], label_files[label].label_size
        if photo.size != size:
            of_photo, of_label = map(messages.dimensions, (photo.size, size))
            entry = f"{path} is {of_photo}, {label} is {of_label}"
            (unturned if photo.unturned_size == size else differing).append(entry)
    return [
        *_about(
            *(match.unlabelled, f"photo in {photos}", f"have no label in {labels}"),
            "Add the labels, or move these photos elsewhere.",
        ),
        *_about(
            *(match.leftover, f"label in {labels}", f"have no photo in {photos}"),
            "Add the photos, or move these labels elsewhere.",
        ),
        *_about(
            *(unturned, f"label in {labels}"),
            "fit the photo as it is stored, not as its EXIF orientation turns it (height x width)",
            "Turn these labels as the photos are turned.",
        ),
        *_about(
            *(differing, f"label in {labels}"),
            "differ in size from the photo (height x width)",
            "Resize one of the two, labels by nearest neighbour.",
        ),
    ]


def _unseen_turns(one: PhotoSet) -> list[str]:
    """Labelled photos of which sizes can't tell whether the label is turned too."""
    turned = [
        file.path
        for file in one.photos.files
        if one.match is not None
        and file.path in one.match.labels
        and file.orientation > 1
        and file.size == file.unturned_size
    ]
    return _about(
        *(turned, f"photo in {one.photos.folder}"),
        "are turned or mirrored by their EXIF orientation in a way that sizes don't tell",
        "Look whether their labels are turned too.",
    )


def _partly_labelled(pool: PhotoSet) -> str:
    return (
        f"{len(pool.match.labels)} of the {len(pool.photos.files)} photos in {pool.photos.folder} "
        f"have labels already (in {pool.labels.folder}). The command below gives them to the run, "
        "which trains on them from its first round."
    )


def _of_coding(
    label_sets: Sequence[LabelSet], roles: Mapping[str, PhotoSet], coding: Coding | None
) -> list[str]:
    used = [one.labels for one in roles.values() if one.labels is not None]
    found = []
    for one in label_sets:
        if used and not any(one.labels is labels for labels in used):
            continue
        found += one.contents.problems
        if one.coding.problem:
            found.append(f"{one.labels.folder}: {one.coding.problem}")
    if coding is not None and coding.problem and not found:
        found.append(f"The labels together: {coding.problem}")
    return found


def _add_duplicates(
    same: Sequence[tuple[str, ...]],
    roles: Mapping[str, PhotoSet],
    problems: list[str],
    remarks: list[str],
) -> None:
    role_of = {file.path: role for role, one in roles.items() for file in one.photos.files}
    leaks, others = [], []
    for paths in same:
        evaluated = [path for path in paths if role_of.get(path) == "evaluation"]
        asked = [path for path in paths if role_of.get(path) == "pool"]
        if evaluated and asked:
            leaks += [f"{path} = {evaluated[0]}" for path in asked]
        else:
            more = f" = {len(paths) - 2:,} more" if len(paths) > 2 else ""
            others.append(f"{paths[0]} = {paths[1]}{more}")
    problems += _about(
        *(leaks, "photo", "are both in the pool, where they are trained on, and in the evaluation"),
        "Remove them from one of the two.",
    )
    remarks += _about(others, "photo", "occur more than once, byte for byte", "")


def _others(scanned: scan.Scan) -> list[str]:
    rest = collections.Counter(
        "." + path.rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else "no extension"
        for path in scanned.others
        if not unread.is_unread(path)
    )
    found = unread.told(scanned.others)
    return [*found, f"Other files: {unread.counted(rest)}."] if rest else found


def _about(entries: Sequence[str], noun: str, predicate: str, remedy: str) -> list[str]:
    """A sentence that counts and lists the entries, unless there are none.

    Args:
      entries: the files.
      noun: what they are, in the singular; its first word gets the plural.
      predicate: what is wrong with them, in the plural.
      remedy: what to do, a sentence.
    """
    if not entries:
        return []
    first, space, rest = noun.partition(" ")
    verb, _, complement = predicate.partition(" ")
    if len(entries) == 1:
        verb = {"are": "is", "have": "has"}.get(verb, f"{verb}s")
    else:
        first += "s"
    told = f"{len(entries):,} {first}{space}{rest} {verb} {complement}"
    return [f"{told}: {messages.listing(entries)}. {remedy}".rstrip()]
