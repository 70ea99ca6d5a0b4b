"""The work of a round: what people did to answer it, counted from its queries and answers."""

import numpy as np

from labor_jax.annotation import cost
from labor_jax.annotation.label_store.store import LabelStore
from labor_jax.data.base import IGNORE_LABEL


def of_round(store: LabelStore, round: int) -> cost.Work:
    """Counts a round's work so far; images without an answer don't count yet.

    Args:
      store: The label store. Every query and answer of the round is read.
      round: The round's number.

    Raises:
      ValueError: If the round isn't open.
    """
    waiting = {*store.unasked(round), *store.pending(round)}
    answered = (image for image in store.images(round) if image not in waiting)
    return cost.total(_of_image(store, image, round) for image in answered)


def _of_image(store: LabelStore, image: str, round: int) -> cost.Work:
    query = store.query(image, round)
    answer = np.full(query.shape, IGNORE_LABEL, np.uint8)
    answer[query] = store.answer_of(image, round)
    return cost.work_of(
        store.kind(image, round),
        query,
        answer,
        picks=store.clicks(image, round),
        parts=store.parts(image, round),
        guess=store.guess(image, round),
        candidates=store.candidates(image, round),
    )
