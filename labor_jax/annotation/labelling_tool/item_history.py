"""An item's state, computed from its events: its labels, and what can be undone. Pure.

States are immutable; `apply` returns the next one. The same events in the same order always give
the same state.
"""

import zlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from labor_jax.annotation.pixel_runs import UNKNOWN, positions
from labor_jax.data.base import IGNORE_LABEL

EventKind = Literal["mark", "toggle", "undo", "redo", "submit", "reopen", "skip", "import"]


class Event(NamedTuple):
    """One step of an annotator, as recorded.

    Attributes:
      id: Its place in the order of all events.
      annotator: Who did it.
      time: When, in seconds since 1970.
      kind: "mark" labels pixels, "toggle" adds a class to parts that hold several or takes it away,
        "import" labels all of the item's pixels at once; "undo" and "redo" undo and redo these;
        "submit", "skip" and "reopen" change no labels.
      label: The label of a mark or toggle, a class or 255 for void.
      content: For a mark or toggle, the runs of ranks (`packed_runs`). For an import, the labels by
        rank, and the candidates if there are any (`packed_labels`).
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
    parts: np.ndarray | slice = slice(0)  # whose candidates changed, too
    held: np.ndarray | None = None  # bool[parts, C], before
    holds: np.ndarray | None = None  # after


class ItemState(NamedTuple):
    """An item after some of its events.

    Attributes:
      last: The last event's id, 0 before the first.
      labels: By rank, `uint8[pixels]`; `UNKNOWN` where there is none yet. Read-only. A part of
        several classes is void here.
      seconds: The active time of all annotators.
      submitted: The labels at the last submit or import, or None.
      undo_stack: The changes that undo would undo, last first: (change, rest of the stack), or
        None if it is empty.
      redo_stack: The changes that redo would restore, in the same form.
      parts: The part of each rank, `int64[pixels]`, if parts may hold several classes; else None.
      candidates: Then whether each part holds each class, `bool[parts, C]`. Read-only.
      submitted_candidates: Those at the last submit or import, or None.
    """

    last: int
    labels: np.ndarray
    seconds: float
    submitted: np.ndarray | None
    undo_stack: tuple | None
    redo_stack: tuple | None
    parts: np.ndarray | None = None
    candidates: np.ndarray | None = None
    submitted_candidates: np.ndarray | None = None

    @property
    def remaining(self) -> int:
        """How many asked pixels have no label."""
        return int(np.count_nonzero(self.labels == UNKNOWN))

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays, with those of the changes that can be undone and redone."""
        values = [*self, *_changes(self.undo_stack), *_changes(self.redo_stack)]
        arrays = {id(each): each.nbytes for each in values if isinstance(each, np.ndarray)}
        return sum(arrays.values())


def untouched(pixels: int, parts: np.ndarray | None = None, num_classes: int = 0) -> ItemState:
    """The state of an item before its first event.

    Args:
      pixels: How many pixels are asked.
      parts: The part of each, by rank, if a part may hold several classes.
      num_classes: How many classes there are, if so.
    """
    labels = np.full(pixels, UNKNOWN, np.uint8)
    candidates = None if parts is None else np.zeros((int(parts.max()) + 1, num_classes), bool)
    return ItemState(0, labels, 0.0, None, None, None, parts, candidates)


def apply(state: ItemState, event: Event) -> ItemState:
    """The state after one more event.

    Raises:
      ValueError: If there is nothing to undo or redo.
    """
    state = state._replace(last=event.id, seconds=state.seconds + event.seconds)
    match event.kind:
        case "mark":
            return _changed(state, _unpacked_runs(event.content), event.label)
        case "toggle":
            return _toggled(state, _unpacked_runs(event.content), event.label)
        case "import":
            labels, candidates = _unpacked_labels(event.content, state)
            whole = np.array([[0, labels.size]])
            parts = slice(0) if candidates is None else slice(None)
            changed = _changed(state, whole, labels, parts, candidates)
            return changed._replace(submitted=labels, submitted_candidates=candidates)
        case "undo":
            if state.undo_stack is None:
                raise ValueError("there is nothing to undo")
            change, rest = state.undo_stack
            state = _written(state, change, change.before, change.held)
            return state._replace(undo_stack=rest, redo_stack=(change, state.redo_stack))
        case "redo":
            if state.redo_stack is None:
                raise ValueError("there is nothing to redo")
            change, rest = state.redo_stack
            state = _written(state, change, change.after, change.holds)
            return state._replace(undo_stack=(change, state.undo_stack), redo_stack=rest)
        case "submit":
            return state._replace(submitted=state.labels, submitted_candidates=state.candidates)
        case _:
            return state


def packed_runs(rank_runs: np.ndarray) -> bytes:
    """Packs runs of ranks, `int64[N, 2]`, into an event's content."""
    return zlib.compress(rank_runs.astype("<u4").tobytes(), 1)


def packed_labels(labels: np.ndarray, candidates: np.ndarray | None = None) -> bytes:
    """Packs labels by rank, `uint8[pixels]`, and candidates, `bool[parts, C]`, into a content."""
    held = b"" if candidates is None else np.packbits(candidates).tobytes()
    return zlib.compress(labels.tobytes() + held, 1)


def _changes(stack: tuple | None) -> Iterator[Any]:
    """What the changes of a stack hold."""
    while stack is not None:
        change, stack = stack
        yield from change


def _unpacked_runs(content: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(content), "<u4").reshape(-1, 2).astype(np.int64)


def _unpacked_labels(content: bytes, state: ItemState) -> tuple[np.ndarray, np.ndarray | None]:
    content = np.frombuffer(zlib.decompress(content), np.uint8)
    if state.candidates is None:
        return content, None
    labels, held = np.split(content, [state.labels.size])
    candidates = np.unpackbits(held, count=state.candidates.size).view(bool)
    return labels, candidates.reshape(state.candidates.shape)


def _toggled(state: ItemState, where: np.ndarray, label: int) -> ItemState:
    """The state after a class, or void, was toggled in each of some whole parts."""
    ranks = positions(where)
    parts, first, place = np.unique(state.parts[ranks], return_index=True, return_inverse=True)
    candidates = state.candidates[parts]
    if label == IGNORE_LABEL:
        is_void = (state.labels[ranks][first] == IGNORE_LABEL) & ~candidates.any(axis=1)
        candidates[:] = False
        none = np.where(is_void, UNKNOWN, IGNORE_LABEL)
    else:
        candidates[:, label] ^= True
        none = UNKNOWN
    held = np.count_nonzero(candidates, axis=1)
    several = np.where(held == 1, np.argmax(candidates, axis=1), IGNORE_LABEL)
    labels = np.where(held == 0, none, several).astype(np.uint8)
    return _changed(state, where, labels[place], parts, candidates)


def _changed(
    state: ItemState,
    where: np.ndarray,
    labels: np.ndarray | int,
    parts: np.ndarray | slice = slice(0),
    candidates: np.ndarray | None = None,
) -> ItemState:
    held = None if candidates is None else state.candidates[parts]
    before = state.labels[positions(where)]
    change = _Change(where, before, labels, parts, held, candidates)
    changed = _written(state, change, labels, candidates)
    return changed._replace(undo_stack=(change, state.undo_stack), redo_stack=None)


def _written(
    state: ItemState, change: _Change, labels: np.ndarray | int, candidates: np.ndarray | None
) -> ItemState:
    """The state with other labels, and other candidates if any, where something changed."""
    if candidates is not None:
        held = state.candidates.copy()
        held[change.parts] = candidates
        state = state._replace(candidates=held)
    return state._replace(labels=_with(state.labels, change.where, labels))


def _with(labels: np.ndarray, where: np.ndarray, values: np.ndarray | int) -> np.ndarray:
    labels = labels.copy()
    labels[positions(where)] = values
    return labels
