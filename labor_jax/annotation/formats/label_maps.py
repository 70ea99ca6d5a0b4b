"""Label maps of images that were labelled before the run: files as the pool's own labels are.

A file has its image's name, as `config.data.pool.label_pattern` says or else "{stem}.png", and the
values that the pool's labels have: class numbers, unless `config.data.pool.label_map` says
otherwise. 255 is a pixel without a label, which the run may ask.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from labor_jax.annotation.formats import palettes
from labor_jax.annotation.formats.existing_round import ExistingRound, list_label_files
from labor_jax.annotation.formats.exported_round import ImportedImage, Problem
from labor_jax.data import messages
from labor_jax.data.base import DataError
from labor_jax.data.files import decoding
from labor_jax.data.files.listing import IMAGE_EXTENSIONS
from labor_jax.data.files.names import stem_of

logger = logging.getLogger(__name__)


def read(path: Path, existing: ExistingRound) -> Iterator[ImportedImage]:
    """Reads label maps. A warning lists images that aren't named so, such as photos beside them.

    Args:
      path: A folder, with its subfolders, or one file.
      existing: The pool's images.

    Yields:
      What each file says.

    Raises:
      DataError: If no file is named as a label map.
    """
    patterns = existing.label_patterns
    what = f"label maps ({' or '.join(patterns)})"
    files = list_label_files(path, lambda file: file.lower().endswith(IMAGE_EXTENSIONS), what)
    # "{stem}.png" would take photos and other kinds of labels too, beside those of the pattern.
    pattern = next((p for p in patterns if any(stem_of(file, p) for file in files)), None)
    if pattern is None:
        there = messages.listing(files)
        raise DataError(f"{path} holds no {what}, only other images: {there}")
    stems = {file: stem_of(file, pattern) for file in files}
    others = [file for file, stem in stems.items() if stem is None]
    if others:
        logger.warning(
            "%s: %d images are not named %s and are not read: %s.",
            *(path, len(others), pattern, messages.listing(others)),
        )
    for where, stem in stems.items():
        if stem is not None:
            yield _read_file(files[where], where, stem, existing)


def _read_file(file: Path, where: str, stem: str, existing: ExistingRound) -> ImportedImage:
    number, problems = existing.identify(stem, None, is_file=False)
    if problems:
        return ImportedImage(where, number, None, problems)
    try:
        labels = existing.read_label(file)
        problems = existing.check_size(number, labels.shape)
        if not problems and file.suffix.lower() == ".png":
            with decoding.naming_file(file), Image.open(file) as image:
                problems = palettes.contradictions(
                    image, labels, existing.classes, existing.palette
                )
    except DataError as error:
        problem = Problem(str(error), cause="the label map can't be used")
        return ImportedImage(where, number, None, (problem,))
    return ImportedImage(where, number, None if problems else labels, problems)
