"""Labels from before the run: they train, are never asked, and count nowhere."""

import numpy as np
import pytest

from labor_jax.annotation import LabelStore
from labor_jax.annotation.label_store import EXISTING_ROUND
from labor_jax.annotation.label_store.existing import ChangedMeanwhileError, OtherLabelsError
from labor_jax.annotation.labelling_tool.item import Item, UnknownItemError
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from tests.annotation.examples import CLASSES, SHAPE, query_of, random_labels

KNOWN = query_of((0, 0), (0, 1), (2, 3))
LABELS = random_labels(3)


def test_they_train_and_are_never_asked(store):
    assert store.existing() == (0, 0) and store.existing_images() == []
    assert store.add_existing("a", LABELS, KNOWN) == (True, 3, 0)
    np.testing.assert_array_equal(store.labels("a", 0), np.where(KNOWN, LABELS, 255))
    np.testing.assert_array_equal(store.asked("a", 0), KNOWN)
    store.open_round(1, ["a", "b"])
    with pytest.raises(ValueError, match="already asked in round 0"):
        store.ask("a", 1, KNOWN)
    store.ask("a", 1, query_of((4, 4)))
    store.answer("a", 1, np.zeros(SHAPE, np.uint8))
    assert np.count_nonzero(store.asked("a")) == 4
    void = np.count_nonzero(LABELS[KNOWN] == 255)
    assert store.existing() == (1, 3 - void) and store.existing_images() == ["a"]


def test_they_count_nowhere(store, tmp_path):
    store.open_round(1, ["a", "b"])
    for name in ("a", "b"):
        store.ask(name, 1, query_of((4, 4)))
    before = store.statistics(1), store.rounds(), store.asked_images(1)
    store.add_existing("a", LABELS, KNOWN)
    store.add_existing("c", LABELS, KNOWN)
    assert (store.statistics(1), store.rounds(), store.asked_images(1)) == before
    assert store.rounds_of("a") == [1] and store.rounds_of("c") == []
    assert [each.image for each in store.asked_images(0)] == ["a", "c"]
    with LabelStore(tmp_path / "other.sqlite", classes=CLASSES) as other:
        other.merge(store.path)
        assert other.digest() == store.digest() and other.existing() == store.existing()


def test_the_tool_does_not_show_them(store):
    store.add_existing("a", LABELS, KNOWN)
    service = LabellingService(store)
    assert service.reader.current_round() is None and service.next("Ann") is None
    assert service.progress.items(EXISTING_ROUND) == []
    with pytest.raises(UnknownItemError):
        service.reopen(Item(EXISTING_ROUND, "a"), "Ann", "request")


def test_pixels_that_a_round_asks_stay_its_question(store):
    store.open_round(1, ["a"])
    store.ask("a", 1, query_of((0, 0), (4, 4)))
    assert store.add_existing("a", LABELS, KNOWN) == (True, 2, 1)
    assert store.pending(1) == ["a"]
    assert not store.asked("a", 0)[0, 0]
    assert store.add_existing("a", LABELS, KNOWN) == (False, 2, 1)  # the same again


def test_other_labels_need_replace(store):
    store.add_existing("a", LABELS, KNOWN)
    more = KNOWN | query_of((4, 6))
    before = store.digest()
    with pytest.raises(OtherLabelsError, match="at 1 pixels") as raised:
        store.add_existing("a", LABELS, more)
    assert raised.value.pixels == 1 and store.digest() == before
    assert store.add_existing("a", LABELS, more, replace=True) == (True, 4, 0)
    np.testing.assert_array_equal(store.asked("a"), more)


def test_prepared_labels_are_stored_unless_the_image_changed_since(store):
    prepared = store.prepare_existing("a", LABELS, KNOWN)
    assert store.existing_images() == [] and prepared.recorded == (True, 3, 0)
    store.open_round(1, ["a", "b"])
    store.ask("b", 1, KNOWN)
    store.add_prepared(prepared)
    np.testing.assert_array_equal(store.labels("a", 0), np.where(KNOWN, LABELS, 255))
    changes = [
        lambda: store.add_existing("a", LABELS, ~KNOWN, replace=True),
        lambda: store.ask("a", 1, query_of((0, 0))),
    ]
    for change in changes:
        prepared = store.prepare_existing("a", LABELS, KNOWN, replace=True)
        change()
        before = store.digest()
        with pytest.raises(ChangedMeanwhileError, match="image 'a' was asked, or got other"):
            store.add_prepared(prepared)
        assert store.digest() == before
    # Annotators' answers change nothing that it follows from.
    prepared = store.prepare_existing("a", LABELS, KNOWN, replace=True)
    store.answer("a", 1, LABELS * 0)
    store.add_prepared(prepared)
    assert store.asked("a", 0).sum() == 2 and store.labels("a")[0, 0] == 0


def test_what_can_not_be_labels(store):
    with pytest.raises(ValueError, match="existing labels of image 'a' hold 7"):
        store.add_existing("a", np.full(SHAPE, 7), KNOWN)
    store.open_round(1, ["a"])
    store.ask("a", 1, query_of((4, 4)))
    with pytest.raises(ValueError, match="was asked at 5x7 and not at 2x2"):
        store.add_existing("a", np.zeros((2, 2), int), np.ones((2, 2), bool))
    assert store.existing() == (0, 0)
