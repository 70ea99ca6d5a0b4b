"""States of parts of several classes, against plain sets."""

import copy

import hypothesis
import hypothesis.strategies as st
import numpy as np

from labor_jax.annotation.labelling_tool import item_history
from labor_jax.annotation.labelling_tool.item_history import Event
from labor_jax.annotation.pixel_runs import UNKNOWN

PARTS = np.array([0, 0, 1, 2, 1, 2, 2])
CLASSES, VOID = 3, 255


def event(number, kind, label=None, content=None):
    return Event(number, "ann", 0.0, kind, label, content, 1.0, None)


def labels_of(plain):
    """The labels that follow from each part's set of classes; None is open."""
    values = [UNKNOWN if held is None else VOID for held in plain]
    for part, held in enumerate(plain):
        if held and len(held) == 1:
            (values[part],) = held
    return np.array(values)[PARTS]


steps = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from([0, 1, 2, VOID]), st.sets(st.integers(0, 2), min_size=1).map(sorted)
        ),
        st.sampled_from(["undo", "redo"]),
    ),
    max_size=30,
)


@hypothesis.given(steps)
def test_toggles_with_undo_and_redo_follow_plain_sets(steps):
    state = item_history.untouched(len(PARTS), PARTS, CLASSES)
    history, at, last = [[None] * 3], 0, 0
    for number, step in enumerate(steps, start=1):
        if step in ("undo", "redo"):
            to = at + (1 if step == "redo" else -1)
            if not 0 <= to < len(history):
                assert (state.undo_stack if step == "undo" else state.redo_stack) is None
                continue
            state, at = item_history.apply(state, event(number, step)), to
        else:
            label, parts = step
            ranks = np.flatnonzero(np.isin(PARTS, parts))
            content = item_history.packed_runs(np.stack([ranks, np.ones_like(ranks)], axis=1))
            before = state
            kept = before.labels.copy(), before.candidates.copy()
            state = item_history.apply(state, event(number, "toggle", label, content))
            np.testing.assert_array_equal(before.labels, kept[0])  # states never change
            np.testing.assert_array_equal(before.candidates, kept[1])
            plain = copy.deepcopy(history[at])
            for part in parts:
                if label == VOID:
                    plain[part] = None if plain[part] == set() else set()
                else:
                    plain[part] = ((plain[part] or set()) ^ {label}) or None
            history[at + 1 :], at = [plain], at + 1
        last = number
        np.testing.assert_array_equal(state.labels, labels_of(history[at]))
        found = [set(np.flatnonzero(each).tolist()) for each in state.candidates]
        assert found == [held or set() for held in history[at]]
        assert state.remaining == np.count_nonzero(labels_of(history[at]) == UNKNOWN)
    assert state.last == last


def test_an_import_brings_candidates_and_can_be_undone():
    state = item_history.untouched(len(PARTS), PARTS, CLASSES)
    held = np.array([[True, True, False], [False, False, True], [False] * 3])
    labels = np.array([VOID, 2, VOID], np.uint8)[PARTS]
    content = item_history.packed_labels(labels, held)
    state = item_history.apply(state, event(1, "import", content=content))
    np.testing.assert_array_equal(state.labels, labels)
    np.testing.assert_array_equal(state.candidates, held)
    np.testing.assert_array_equal(state.submitted_candidates, held)
    state = item_history.apply(state, event(2, "undo"))
    assert state.remaining == len(PARTS) and not state.candidates.any()


def test_a_states_bytes_are_those_of_its_labels_and_of_what_can_be_undone_and_redone():
    state = item_history.untouched(1000)
    assert state.nbytes == 1000
    content = item_history.packed_runs(np.array([[0, 600]]))
    state = item_history.apply(state, event(1, "mark", 2, content))
    assert state.nbytes == 1000 + 600 + 16
    assert item_history.apply(state, event(2, "submit")).nbytes == state.nbytes
    assert item_history.apply(state, event(2, "undo")).nbytes == state.nbytes
