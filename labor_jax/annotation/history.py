"""What the events of an item come to: its labels, and what can be undone. Pure.

A state is never changed; `after` gives the next one. The same events in the same order give the
same state, whoever reads them.
"""

import zlib
from typing import Literal, NamedTuple

import numpy as np

from labor_jax.annotation.runs import UNKNOWN, positions

EventKind = Literal["mark", "undo", "redo", "submit", "reopen", "skip", "import"]


class Event(NamedTuple):
    """One thing that an annotator did.

    Attributes:
      id: Its place in the order of all events.
      annotator: Who did it.
      time: When, in seconds since 1970.
      kind: "mark" labels pixels, "import" all of the item's at once; "undo" and "redo" take the
        last of these back and forth; "submit", "skip" and "reopen" change no labels.
      label: What a mark says, a class or 255 for void.
      content: Of a mark the runs of ranks (`packed_runs`), of an import the labels by rank
        (`packed_labels`).
      seconds: The annotator's active time since the event before.
      request: The name that the request gave it.
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


class State(NamedTuple):
    """An item after some of its events.

    Attributes:
      last: The last event's id, 0 before the first.
      labels: By rank, `uint8[pixels]`; `UNKNOWN` where there is none yet. Don't write to it.
      seconds: Active time of all annotators.
      submitted: The labels at the last submit or import, or None.
      done: What undo takes back: (change, (the one before, ...)) or None.
      undone: What redo brings back, in the same form.
    """

    last: int
    labels: np.ndarray
    seconds: float
    submitted: np.ndarray | None
    done: tuple | None
    undone: tuple | None

    @property
    def remaining(self) -> int:
        """Asked pixels without a label."""
        return int(np.count_nonzero(self.labels == UNKNOWN))


def fresh(pixels: int) -> State:
    """An item of so many asked pixels that nobody has touched."""
    return State(0, np.full(pixels, UNKNOWN, np.uint8), 0.0, None, None, None)


def after(state: State, event: Event) -> State:
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
            if state.done is None:
                raise ValueError("there is nothing to undo")
            change, rest = state.done
            labels = _with(state.labels, change.where, change.before)
            return state._replace(labels=labels, done=rest, undone=(change, state.undone))
        case "redo":
            if state.undone is None:
                raise ValueError("there is nothing to redo")
            change, rest = state.undone
            labels = _with(state.labels, change.where, change.after)
            return state._replace(labels=labels, done=(change, state.done), undone=rest)
        case "submit":
            return state._replace(submitted=state.labels)
        case _:
            return state


def packed_runs(rank_runs: np.ndarray) -> bytes:
    """Runs of ranks `int64[N, 2]` as an event's content."""
    return zlib.compress(rank_runs.astype("<u4").tobytes(), 1)


def packed_labels(labels: np.ndarray) -> bytes:
    """Labels by rank `uint8[pixels]` as an event's content."""
    return zlib.compress(labels.tobytes(), 1)


def _unpacked_runs(content: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(content), "<u4").reshape(-1, 2).astype(np.int64)


def _changed(state: State, where: np.ndarray, labels: np.ndarray | int) -> State:
    change = _Change(where, state.labels[positions(where)], labels)
    return state._replace(
        labels=_with(state.labels, where, labels), done=(change, state.done), undone=None
    )


def _with(labels: np.ndarray, where: np.ndarray, values: np.ndarray | int) -> np.ndarray:
    labels = labels.copy()
    labels[positions(where)] = values
    return labels
