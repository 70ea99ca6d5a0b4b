"""An item's state, computed from its events: its labels, and what can be undone. Pure.

States are immutable; `apply` returns the next one. The same events in the same order always give
the same state.
"""

import zlib
from typing import Literal, NamedTuple

import numpy as np

from labor_jax.annotation.pixel_runs import UNKNOWN, positions

EventKind = Literal["mark", "undo", "redo", "submit", "reopen", "skip", "import"]


class Event(NamedTuple):
    """One step of an annotator, as recorded.

    Attributes:
      id: Its place in the order of all events.
      annotator: Who did it.
      time: When, in seconds since 1970.
      kind: "mark" labels pixels, "import" labels all of the item's pixels at once; "undo" and
        "redo" undo and redo these; "submit", "skip" and "reopen" change no labels.
      label: The label of a mark, a class or 255 for void.
      content: For a mark, the runs of ranks (`packed_runs`). For an import, the labels by rank
        (`packed_labels`).
      seconds: The annotator's active time since the event before.
      request: The unique name that the client gave it.
    """

    id: int
    annotator: str
    time: float
    kind: EventKind
    label: int | None
    content: bytes | None
    seconds: float
    request: str | None


class _Change(NamedTuple):
    where: np.ndarray  # int64[N, 2], runs of ranks
    before: np.ndarray  # uint8[pixels of the runs]
    after: np.ndarray | int


class ItemState(NamedTuple):
    """An item after some of its events.

    Attributes:
      last: The last event's id, 0 before the first.
      labels: By rank, `uint8[pixels]`; `UNKNOWN` where there is none yet. Read-only.
      seconds: The active time of all annotators.
      submitted: The labels at the last submit or import, or None.
      undo_stack: The changes that undo would undo, last first: (change, rest of the stack), or
        None if it is empty.
      redo_stack: The changes that redo would restore, in the same form.
    """

    last: int
    labels: np.ndarray
    seconds: float
    submitted: np.ndarray | None
    undo_stack: tuple | None
    redo_stack: tuple | None

    @property
    def remaining(self) -> int:
        """How many asked pixels have no label."""
        return int(np.count_nonzero(self.labels == UNKNOWN))


def untouched(pixels: int) -> ItemState:
    """The state of an item with so many asked pixels before its first event."""
    return ItemState(0, np.full(pixels, UNKNOWN, np.uint8), 0.0, None, None, None)


def apply(state: ItemState, event: Event) -> ItemState:
    """The state after one more event.

    Raises:
      ValueError: If there is nothing to undo or redo.
    """
    state = state._replace(last=event.id, seconds=state.seconds + event.seconds)
    match event.kind:
        case "mark":
            return _changed(state, _unpacked_runs(event.content), event.label)
        case "import":
            labels = np.frombuffer(zlib.decompress(event.content), np.uint8)
            whole = np.array([[0, labels.size]])
            return _changed(state, whole, labels)._replace(submitted=labels)
        case "undo":
            if state.undo_stack is None:
                raise ValueError("there is nothing to undo")
            change, rest = state.undo_stack
            labels = _with(state.labels, change.where, change.before)
            redo_stack = (change, state.redo_stack)
            return state._replace(labels=labels, undo_stack=rest, redo_stack=redo_stack)
        case "redo":
            if state.redo_stack is None:
                raise ValueError("there is nothing to redo")
            change, rest = state.redo_stack
            labels = _with(state.labels, change.where, change.after)
            undo_stack = (change, state.undo_stack)
            return state._replace(labels=labels, undo_stack=undo_stack, redo_stack=rest)
        case "submit":
            return state._replace(submitted=state.labels)
        case _:
            return state


def packed_runs(rank_runs: np.ndarray) -> bytes:
    """Packs runs of ranks, `int64[N, 2]`, into an event's content."""
    return zlib.compress(rank_runs.astype("<u4").tobytes(), 1)


def packed_labels(labels: np.ndarray) -> bytes:
    """Packs labels by rank, `uint8[pixels]`, into an event's content."""
    return zlib.compress(labels.tobytes(), 1)


def _unpacked_runs(content: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(content), "<u4").reshape(-1, 2).astype(np.int64)


def _changed(state: ItemState, where: np.ndarray, labels: np.ndarray | int) -> ItemState:
    change = _Change(where, state.labels[positions(where)], labels)
    return state._replace(
        labels=_with(state.labels, where, labels),
        undo_stack=(change, state.undo_stack),
        redo_stack=None,
    )


def _with(labels: np.ndarray, where: np.ndarray, values: np.ndarray | int) -> np.ndarray:
    labels = labels.copy()
    labels[positions(where)] = values
    return labels
