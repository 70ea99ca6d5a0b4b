"""Label maps of images that were labelled before the run: files as the pool's own labels are.

A file has its image's name, as `config.data.pool.label_pattern` says, and the values that the
pool's labels have: class numbers, unless `config.data.pool.label_map` says otherwise. 255 is a
pixel without a label, which the run may ask.
"""

from collections.abc import Iterator
from pathlib import Path

from labor_jax.annotation.formats.existing_round import ExistingRound, list_label_files
from labor_jax.annotation.formats.exported_round import ImportedImage, Problem, shortened
from labor_jax.data.base import DataError
from labor_jax.data.files.listing import IMAGE_EXTENSIONS


def read(path: Path, existing: ExistingRound) -> Iterator[ImportedImage]:
    """Reads label maps.

    Args:
      path: A folder, with its subfolders, or one file.
      existing: The pool's images.

    Yields:
      What each file says.

    Raises:
      DataError: If there are no label maps.
    """
    what = f"label maps ({', '.join(existing.label_patterns)})"
    files = list_label_files(path, lambda file: file.lower().endswith(IMAGE_EXTENSIONS), what)
    for where, file in files.items():
        yield _read_file(file, where, existing)


def _read_file(file: Path, where: str, existing: ExistingRound) -> ImportedImage:
    stem = stem_of(where, existing.label_patterns)
    if stem is None:
        text = f"is not named as the pool's labels are ({', '.join(existing.label_patterns)})"
        return ImportedImage(where, None, None, (Problem.about(f"{shortened(where)} ", text),))
    number, problems = existing.identify(stem, None)
    if problems:
        return ImportedImage(where, number, None, problems)
    try:
        labels = existing.read_label(file)
    except DataError as error:
        problem = Problem(str(error), cause="the label map can't be used")
        return ImportedImage(where, number, None, (problem,))
    problems = existing.check_size(number, labels.shape)
    return ImportedImage(where, number, None if problems else labels, problems)


def stem_of(path: str, patterns: tuple[str, ...]) -> str | None:
    """The image's path that a file's path stands for by the first pattern that matches it."""
    folder, slash, base = path.rpartition("/")
    for pattern in patterns:
        before, after = pattern.split("{stem}")
        stem = base[len(before) : len(base) - len(after)]
        if stem and base == before + stem + after:
            return folder + slash + stem
    return None
