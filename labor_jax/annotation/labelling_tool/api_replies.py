"""What the API answers, as dicts for JSON: items, labels and progress."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labor_jax.annotation import pixel_runs
from labor_jax.annotation.labelling_tool.item import Question
from labor_jax.annotation.labelling_tool.item_history import ItemState
from labor_jax.annotation.labelling_tool.leases import Lease
from labor_jax.annotation.labelling_tool.pool_images import PoolImages
from labor_jax.annotation.labelling_tool.progress import (
    Agreement,
    ItemRow,
    Progress,
    agreement_names,
)


def item_reply(
    images: PoolImages, lease: Lease, question: Question, *, shows_guess: bool
) -> dict[str, Any]:
    """An item that is handed out; `labels_reply` adds its labels.

    Args:
      images: The pool's images.
      lease: The annotator's lease of the item.
      question: What the item asks.
      shows_guess: Whether to include the model's guess.
    """
    item, number, parts = lease.item, images.number(lease.item.image), question.parts
    # Of corrections, the guess is the question.
    guess = question.guess if shows_guess or question.kind == "corrections" else None
    return {
        "id": images.item_id(item),
        "lease": lease.token,
        "round": item.round,
        "number": number,
        "name": item.image,
        "height": question.shape[0],
        "width": question.shape[1],
        "kind": question.kind,
        "image": images.address(number),
        "asked": pixel_runs.to_list(question.asked),
        "segments": None if parts is None else pixel_runs.part_runs(question.asked, parts),
        "guess": None if guess is None else pixel_runs.label_runs(question.asked, guess),
        "pixels": question.asked.pixels,
    }


def labels_reply(question: Question, state: ItemState) -> dict[str, Any]:
    """An item's labels and what can be done with them."""
    candidates = state.candidates
    return {
        # The classes of each part, where they may be several.
        "candidates": None
        if candidates is None
        else [np.flatnonzero(each).tolist() for each in candidates],
        "labels": pixel_runs.label_runs(question.asked, state.labels),
        "remaining": state.remaining,
        "can_undo": state.undo_stack is not None,
        "can_redo": state.redo_stack is not None,
        "seconds": state.seconds,
    }


def row_reply(images: PoolImages, row: ItemRow) -> dict[str, Any]:
    """An item in the list of all items."""
    number = images.number(row.item.image)
    return {
        "id": images.item_id(row.item),
        "number": number,
        "name": row.item.image,
        "round": row.item.round,
        "opinion": row.item.opinion,
        "image": images.address(number),
        "state": row.status,
        "pixels": row.pixels,
        "remaining": row.remaining,
        "annotator": row.annotator,
        "seconds": row.seconds,
    }


def progress_reply(progress: Progress | None, classes: Sequence[str]) -> dict[str, Any]:
    """How far a round is; None if no round was opened."""
    is_open = progress is not None
    if progress is None:
        progress = Progress(None, 0, 0, 0, 0, 0, None, None, (), Agreement(0, *[None] * 2), 0)
    return {
        **progress._asdict(),
        "round_complete": is_open and progress.complete,
        "annotators": [annotator._asdict() for annotator in progress.annotators],
        "agreement": _agreement_reply(progress.agreement, classes),
    }


def _agreement_reply(agreement: Agreement, classes: Sequence[str]) -> dict[str, Any] | None:
    if not agreement.items:
        return None
    names = agreement_names(classes)
    return {
        "items": agreement.items,
        "pixels": int(agreement.pixels.sum()),
        "agreement": float(agreement.equal.sum() / agreement.pixels.sum()),
        "per_class": [
            {
                "number": int(label),
                "name": names[label],
                "pixels": int(agreement.pixels[label]),
                "agreement": float(agreement.equal[label] / agreement.pixels[label]),
            }
            for label in np.flatnonzero(agreement.pixels).tolist()
        ],
    }
