"""Brings labels that existed before a run into its label store: by its config, or by a command."""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from labor_jax.annotation import LabelStore
from labor_jax.annotation.existing_labels import (
    check_complete,
    pool_round,
    read_existing,
    store_existing,
)
from labor_jax.annotation.formats.existing_round import ExistingRound
from labor_jax.data import Pair
from labor_jax.experiment.plan import plan
from labor_jax.experiment.workdir import ConfigError, Workdir
from labor_jax.training.checkpoints import read_progress

logger = logging.getLogger(__name__)

# The entry of the label store that says which labels the config brought in.
_SOURCE = "existing_labels"


def describe_pool(config: ConfigDict, pair: Pair, *, unknown: str) -> ExistingRound:
    """Describes the pool's images for an import, named as the config says, or else as its files.

    Args:
      config: The run's.
      pair: Its data.
      unknown: "void" if shapes of a name that is no class are void, "error" if they are an error.
    """
    fields = config.data.get("pool") or {}
    label_pattern, image_suffix = (
        fields.get(name) or getattr(pair.pool, name, None)
        for name in ("label_pattern", "image_suffix")
    )
    return pool_round(
        pair,
        label_pattern=label_pattern or "{stem}.png",
        image_suffix=image_suffix or "",
        unknown_is_void=unknown == "void",
    )


def read_configured(folder: Workdir, config: ConfigDict, pair: Pair, store: LabelStore) -> None:
    """Stores the labels that `config.annotation.existing_labels` names, unless they are stored.

    Without that field, a run with `config.warm_start` takes over those of the other run. Later, a
    resumed run doesn't read the files again.

    Args:
      folder: The run's workdir.
      config: The run's config.
      pair: Its data.
      store: Its label store.

    Raises:
      ConfigError: The store holds labels of a config that the run was not started with.
      DataError: The labels can't be used as they are.
    """
    annotation = config.annotation
    source = ""
    if annotation.existing_labels:
        fields = ("existing_labels", "existing_format", "existing_unknown")
        source = json.dumps({field: annotation[field] for field in fields})
    elif config.warm_start:
        source = json.dumps({"warm_start": config.warm_start})
    stored = store.database.metadata().get(_SOURCE, "")
    if stored and stored != source and not folder.begun:
        raise ConfigError(
            f"{folder.labels} holds the existing labels of another config ({stored}), with which "
            "nothing was trained yet. Delete that file, or choose another --workdir."
        )
    if stored:
        existing = store.existing()
        logger.info(
            "Existing labels, read when the run started: %s pixels in %d images.",
            f"{existing.pixels:,}",
            existing.images,
        )
        return
    if annotation.existing_labels:
        path = Path(annotation.existing_labels).expanduser()
        existing = describe_pool(config, pair, unknown=annotation.existing_unknown)
        read = read_existing(store, existing, annotation.existing_format, path)
        result = read.result
        check_complete(result, path)
        with store.transaction():
            store_existing(store, read)
            store.database.set_metadata(_SOURCE, source)
        logger.info(
            "Existing labels: %s pixels in %d images of %s.",
            f"{result.pixels:,}",
            len(result.imported) + len(result.unchanged),
            path,
        )
        if result.contradicting:
            logger.warning(
                "%s gives %s pixels several classes; they count as not labelled.",
                path,
                f"{result.contradicting:,}",
            )
    elif config.warm_start and not folder.begun:
        _take_over(Workdir(config.warm_start).labels, pair, store, source)


def _take_over(path: Path, pair: Pair, store: LabelStore, source: str) -> None:
    """Copies another run's existing labels, unless a round asks already."""
    if not path.exists() or store.rounds() or store.existing_images():
        return
    with LabelStore(path, classes=pair.classes, read_only=True) as other:
        prepared = [
            store.prepare_existing(
                image, other.labels(image, up_to_round=0), other.asked(image, up_to_round=0)
            )
            for image in other.existing_images()
        ]
    if not prepared:
        return
    with store.transaction():
        for labels in prepared:
            store.add_prepared(labels)
        store.database.set_metadata(_SOURCE, source)


@contextlib.contextmanager
def open_for_import(folder: Workdir, config: ConfigDict) -> Iterator[None]:
    """Keeps the run from going on while its existing labels are changed.

    Raises:
      ConfigError: The run is running, or has a round's answers already.
    """
    with folder.locked():
        progress = read_progress(folder.checkpoints)
        phases = {phase.name: phase for phase in plan(config)}
        phase = phases.get(progress["phase"]) if progress else None
        answered = ["round_1/train"]
        if config.annotator == "oracle":  # it has answered by the end of the query
            answered.append("round_1/query")
        if phase and (phase.round > 1 or phase.name in answered):
            raise ConfigError(
                f"{folder.path} has the answers of round 1 already, so "
                "labels that existed before can't become its round 0: resumed, it would not be "
                "the run that it was. Start a new --workdir with "
                "--config.annotation.existing_labels=PATH."
            )
        yield
