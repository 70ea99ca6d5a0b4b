"""Exports a round's queries and answers for another labelling tool."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from labor_jax import output_files
from labor_jax.annotation.cost import KINDS_OF_PARTS
from labor_jax.annotation.formats import FORMATS, check_kind, documents
from labor_jax.annotation.formats.exported_round import (
    UNANSWERED,
    VOID,
    ExportedImage,
    ExportedRound,
)
from labor_jax.annotation.label_store import EXISTING_ROUND, LabelStore
from labor_jax.data.base import IGNORE_LABEL, DataError, Split
from labor_jax.data.transforms import resize_image


def describe_round(
    store: LabelStore, classes: tuple[str, ...], palette: np.ndarray, round: int
) -> ExportedRound:
    """Describes a round for the formats.

    Args:
      store: The run's label store.
      classes: Names of its classes.
      palette: Their colours, `uint8[C, 3]`.
      round: The round's number.

    Returns:
      The round with all of its images that are asked something.

    Raises:
      DataError: If the round isn't open, if an image has no query yet, or if it asks nothing.
    """
    if round not in store.rounds() and not (round == EXISTING_ROUND and store.existing_images()):
        opened = ", ".join(map(str, store.rounds())) or "none"
        raise DataError(f"{store.path} has no round {round}; its rounds: {opened}")
    unasked = store.unasked(round)
    if unasked:
        raise DataError(
            f"{len(unasked)} images of round {round} have no query yet, such as {unasked[0]!r}; "
            "continue the run until it waits for answers"
        )
    names, sizes, fingerprints, kind = {}, {}, {}, None
    for number, image in enumerate(store.images(round)):
        query = store.query(image, round)
        if query.any():
            names[number], sizes[number] = image, query.shape
            kind = store.kind(image, round)
            fingerprints[number] = _fingerprint(store.run, round, image, query)
    if not names:
        raise DataError(f"round {round} asks nothing, so there is nothing to label")
    return ExportedRound(round, classes, palette, names, sizes, fingerprints, kind=kind)


def _fingerprint(run: str, round: int, image: str, query: np.ndarray) -> str:
    described = repr((run, round, image, query.shape)).encode()
    return hashlib.sha256(described + np.packbits(query).tobytes()).hexdigest()[:12]


def export_round(
    store: LabelStore,
    exported: ExportedRound,
    format: str,
    folder: Path,
    *,
    pool: Split | None,
) -> None:
    """Writes a round's queries, and its answers so far, for another tool.

    Args:
      store: The run's label store.
      exported: The round, from `describe_round`.
      format: One of `formats.FORMATS`.
      folder: A new folder, or an empty one.
      pool: The images, written as PNG files at the size of their labels; None to leave them out.

    Raises:
      OutputError: If the folder isn't empty, or lies among the pool's images.
      DataError: If the pool lacks an image, or if the format can't contain the names of the
        classes, or several classes of a part where the round asks these.
    """
    check_kind(format, exported)
    places = {} if pool is None else {name: place for place, name in enumerate(pool.names)}
    missing = [name for name in exported.names.values() if pool is not None and name not in places]
    if missing:
        raise DataError(f"the pool lacks {len(missing)} images of the round: {missing[0]!r}, …")
    with output_files.new_folder(folder, inputs=_image_folders(pool)) as new:
        FORMATS[format].write(new, exported, _exported_images(store, exported))
        if pool is not None:
            (new / "images").mkdir()
            for number, name in exported.names.items():
                image = resize_image(pool.image(places[name]), exported.sizes[number])
                Image.fromarray(image).save(new / "images" / exported.file_name(number))
        documents.write_manifest(new, exported, format)


def _image_folders(pool: Split | None) -> list[str]:
    """The folder of a pool's image files, if it is read from files."""
    if not hasattr(pool, "files") or not pool.names:
        return []
    images = [pool.files(i)[0] for i in range(len(pool.names))]
    return [os.path.commonpath([image.parent for image in images])]


def _exported_images(store: LabelStore, exported: ExportedRound) -> Iterator[ExportedImage]:
    for number, name in exported.names.items():
        query = store.query(name, exported.round)
        labels = np.full(query.shape, UNANSWERED, np.uint8)
        answer = stored_answer(store, exported, number)
        if answer is not None:
            labels[query] = np.where(answer == IGNORE_LABEL, VOID, answer)
        kind = store.kind(name, exported.round)
        yield ExportedImage(
            number,
            kind,
            query,
            labels,
            store.parts(name, exported.round) if kind in KINDS_OF_PARTS else None,
            store.guess(name, exported.round) if kind == "corrections" else None,
            store.candidates(name, exported.round),
        )


def stored_answer(store: LabelStore, exported: ExportedRound, number: int) -> np.ndarray | None:
    """The stored answer for an image, `uint8[N]`, 255 for void; None if there is none yet."""
    name = exported.names[number]
    return store.answer_of(name, exported.round) if store.answered(name, exported.round) else None
