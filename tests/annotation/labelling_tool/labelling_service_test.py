"""Leases, marks, undo and second opinions, and that nothing acknowledged is lost."""

import contextlib
import itertools
import tempfile
import threading
import tracemalloc
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import stateful

from labor_jax.annotation import LabelStore, pixel_runs
from labor_jax.annotation.labelling_tool.item import Item, UnknownItemError
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.labelling_tool.leases import LeaseLostError
from labor_jax.annotation.labelling_tool.progress import SEVERAL
from tests.annotation.examples import CLASSES, SHAPE, query_of

requests = map("request {}".format, itertools.count())


def one():
    """A new request's name."""
    return next(requests)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(store, clock):
    return asking(store, clock=clock)


def asking(store, images=("a", "b", "c"), **settings):
    """A service for a round that asks two pixels of each image."""
    store.open_round(1, images)
    query = query_of((0, 0), (2, 3))
    store.ask_many(1, [(image, query, 2, None) for image in images], kind="points")
    return LabellingService(store, **settings)


def finish(service, lease, label=1, seconds=1.0):
    asked = pixel_runs.to_list(service.reader.question(lease.item).asked)
    service.mark(lease.item, lease.token, one(), label, asked, seconds)
    return service.submit(lease.item, lease.token, one())


PIXELS = (0, 17)  # of `asking`'s query


# Leases.


def test_annotators_get_different_items_and_an_item_once(service, store):
    leases = [service.next(name) for name in ("ann", "bob", "cem")]
    assert [lease.item.image for lease in leases] == ["a", "b", "c"]
    assert service.next("dan") is None
    finish(service, leases[1])
    assert service.next("dan") is None
    assert store.pending(1) == ["a", "c"] and (store.labels("b") != 255).sum() == 2
    for lease in leases[::2]:
        finish(service, lease)
    assert store.round_complete(1) and service.next("ann") is None


def test_a_lease_runs_out_and_the_next_goes_on_where_the_last_stopped(service, clock):
    lease = service.next("ann")
    service.mark(lease.item, lease.token, one(), 2, [0, 1])
    assert service.next("bob").item.image == "b"
    clock.now += 119
    service.renew(lease.item, lease.token)
    clock.now += 2
    assert service.next("cem").item.image == "b"  # bob's ran out, ann's was renewed
    clock.now += 118
    taken = service.next("dan")
    assert taken.item == lease.item and service.reader.state(taken.item).labels.tolist() == [2, 254]
    for step in (service.undo, service.redo, service.submit, service.skip):
        with pytest.raises(LeaseLostError, match="someone took it over"):
            step(lease.item, lease.token, one())
    with pytest.raises(LeaseLostError):
        service.mark(lease.item, lease.token, one(), 1, [0, 1])
    with pytest.raises(LeaseLostError):
        service.renew(lease.item, lease.token)
    assert service.reader.state(taken.item).labels.tolist() == [2, 254]


def test_a_lease_that_ran_out_and_that_nobody_took_goes_on(service, clock):
    lease = service.next("ann")
    clock.now += 10_000
    service.mark(lease.item, lease.token, one(), 2, [0, 1])
    assert service.next("bob").item.image == "b"


def test_a_page_that_is_loaded_again_gets_its_item_back(service):
    lease = service.next("ann")
    again = service.next("ann")
    assert again.item == lease.item and again.token != lease.token
    with pytest.raises(LeaseLostError):
        service.renew(lease.item, lease.token)
    behind = service.next("ann", after=lease.item)
    assert behind.item.image == "b"
    assert service.next("ann", after=behind.item).item.image == "c"
    assert service.next("ann", after=behind.item).item.image in "abc"  # nothing else is open


def test_who_comes_from_an_item_does_not_get_what_another_page_has_open(service):
    first = service.next("ann")
    opened = service.reopen(Item(1, "c"), "ann", one())
    finish(service, first)
    assert service.next("ann", after=first.item).item.image == "b"
    service.mark(opened.item, opened.token, one(), 2, [0, 1])


def test_after_a_correction_the_half_labelled_item_comes_again(service):
    finish(service, first := service.next("ann"))
    second = service.next("ann", after=first.item)
    service.mark(second.item, second.token, one(), 2, [0, 1])
    again = service.reopen(first.item, "ann", one())
    service.submit(again.item, again.token, one())
    assert service.next("ann", after=again.item, prefer=second.item).item == second.item


def test_who_comes_from_an_item_gets_it_last_even_if_they_hold_it(service):
    lease = service.next("ann")
    others = {service.next("bob").item.image, service.next("cem").item.image}
    assert others == {"b", "c"}
    assert service.next("ann", after=lease.item).item == lease.item  # nothing else is open


def test_what_was_skipped_comes_last_and_others_get_it(service):
    for expected in "abcab":
        lease = service.next("ann")
        assert lease.item.image == expected
        service.skip(lease.item, lease.token, one())
    assert [row.status for row in service.progress.items(1)] == ["skipped"] * 3
    assert service.next("bob").item.image == "a"
    assert service.next("ann").item.image == "c"
    assert [row.status for row in service.progress.items(1)] == ["leased", "skipped", "leased"]


def test_an_item_that_is_preferred_comes_first_if_it_is_free(service):
    assert service.next("ann", prefer=Item(1, "c")).item.image == "c"
    assert service.next("bob", prefer=Item(1, "c")).item.image == "a"
    assert service.next("cem", prefer=Item(7, "nowhere", 2)).item.image == "b"


def test_an_item_that_is_preferred_precedes_those_that_are_held(service):
    held = service.next("ann")
    preferred = Item(1, "c")
    assert service.next("ann", prefer=preferred).item == preferred
    assert service.next("ann", prefer=preferred, after=preferred).item == preferred
    assert service.next("ann", prefer=held.item, after=preferred).item == held.item


def test_images_with_nothing_to_answer_are_left_out(store):
    store.open_round(1, ["a", "b"])
    service = LabellingService(store)
    assert service.next("ann") is None  # nothing is asked yet
    store.ask("a", 1, query_of())
    assert service.next("ann") is None and service.progress.items(1) == []
    with pytest.raises(UnknownItemError):
        service.reader.state(Item(1, "a"))
    store.ask("b", 1, query_of((0, 0)))
    assert service.next("ann").item.image == "b"
    assert LabellingService(store).reader.current_round() == 1


def test_without_a_round_there_is_nothing(store):
    service = LabellingService(store)
    assert service.reader.current_round() is None and service.next("ann") is None


# Marks and answers.


def test_marks_undo_redo_and_submit(service, store):
    item, token = service.next("ann")
    state = service.mark(item, token, one(), 2, [0, 1], 1.5)
    assert (state.labels.tolist(), state.remaining) == ([2, 254], 1)
    assert state.undo_stack and not state.redo_stack
    with pytest.raises(ValueError, match="1 of the 2 asked pixels have no label"):
        service.submit(item, token, one())
    service.mark(item, token, one(), 255, [17, 1])
    state = service.mark(item, token, one(), 0, [0, 1, 17, 1], 2)
    assert state.labels.tolist() == [0, 0]
    assert service.undo(item, token, one()).labels.tolist() == [2, 255]
    assert service.undo(item, token, one()).labels.tolist() == [2, 254]
    state = service.redo(item, token, one())
    assert state.labels.tolist() == [2, 255] and state.redo_stack
    assert service.submit(item, token, one(), 0.5).seconds == 4.0
    assert [store.labels("a").flat[pixel] for pixel in PIXELS] == [2, 255]
    assert store.statistics(1).void_pixels == 1 and store.measured_seconds(1) == {"a": 4.0}
    kinds = ["mark", "mark", "mark", "undo", "undo", "redo", "submit"]
    assert [event.kind for event in service.reader.events(item)] == kinds
    assert {event.annotator for event in service.reader.events(item)} == {"ann"}


@pytest.mark.parametrize("kind", ["superpixels", "corrections"])
def test_parts_are_answered_as_wholes(store, kind):
    store.open_round(1, ["a"])
    query, parts = query_of((0, 0), (0, 1), (2, 3)), np.zeros(SHAPE, int)
    parts[2, 3] = 7
    guess = np.zeros(SHAPE, np.uint8)
    store.ask("a", 1, query, kind=kind, parts=parts, guess=guess)
    service = LabellingService(store)
    item, token = service.next("ann")
    assert service.reader.question(item).parts.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="split 1 of the parts"):
        service.mark(item, token, one(), 1, [0, 1, 17, 1])
    service.mark(item, token, one(), 1, [0, 2])
    service.mark(item, token, one(), 255, [17, 1])
    service.submit(item, token, one())
    assert store.answer_of("a", 1).tolist() == [1, 1, 255]


@pytest.fixture
def classes(store):
    """A service of a query that asks all classes of two parts."""
    store.open_round(1, ["a"])
    parts = np.zeros(SHAPE, int)
    parts[2, 3] = 1
    store.ask("a", 1, query_of((0, 0), (0, 1), (2, 3)), kind="classes", parts=parts)
    return LabellingService(store, second_opinion=1.0)


def test_classes_of_parts_are_toggled_undone_and_stored(classes, store):
    item, token = classes.next("ann")
    first, second = [0, 2], [17, 1]
    name = one()
    state = classes.toggle(item, token, name, 2, first)
    assert state.labels.tolist() == [2, 2, 254] and state.remaining == 1
    state = classes.toggle(item, token, one(), 0, first)
    assert state.labels.tolist() == [255, 255, 254]
    assert state.candidates.tolist() == [[True, False, True], [False] * 3]
    assert classes.toggle(item, token, name, 2, first).labels.tolist() == [2, 2, 254]  # repeated
    assert classes.toggle(item, token, one(), 255, [0, 2, 17, 1]).labels.tolist() == [255] * 3
    assert classes.toggle(item, token, one(), 255, second).labels.tolist() == [255, 255, 254]
    assert not classes.undo(item, token, one()).candidates.any()
    state = classes.undo(item, token, one())
    assert state.candidates.sum() == 2 and state.labels.tolist() == [255, 255, 254]
    assert classes.undo(item, token, one()).labels.tolist() == [2, 2, 254]
    classes.redo(item, token, one())
    with pytest.raises(ValueError, match="1 of the 3 asked pixels"):
        classes.submit(item, token, one())
    classes.toggle(item, token, one(), 1, second)
    classes.submit(item, token, one())
    assert store.answer_of("a", 1).tolist() == [255, 255, 1]
    held = [[True, False, True], [False, True, False]]
    assert store.candidates("a", 1).tolist() == held

    again, token = classes.reopen(item, "ann", one())
    assert classes.toggle(again, token, one(), 1, first).candidates[0].all()
    classes.skip(again, token, one())
    again, token = classes.reopen(item, "ann", one())
    assert classes.reader.state(again).candidates.tolist() == held, "the answer that stands"
    fresh = LabellingService(store, second_opinion=1.0).reader.state(item)
    np.testing.assert_array_equal(fresh.candidates, held)
    assert (
        classes.next("bob").item.opinion == 2
        and not classes.reader.state(Item(1, "a", 2)).candidates.any()
    )


def test_toggles_are_for_classes_of_whole_parts_alone(classes):
    item, token = classes.next("ann")
    with pytest.raises(ValueError, match="asks classes, which no mark answers"):
        classes.mark(item, token, one(), 1, [0, 2])
    with pytest.raises(ValueError, match="split 1 of the parts"):
        classes.toggle(item, token, one(), 1, [0, 1])
    with pytest.raises(ValueError, match="label is 3"):
        classes.toggle(item, token, one(), 3, [0, 2])
    assert classes.reader.events(item) == []


def test_imported_classes_of_parts_have_their_place_in_the_history(classes, store):
    held = np.array([[True, True, False], [False] * 3])
    labels = np.full(SHAPE, 255, np.uint8)
    for _ in range(2):
        classes.import_answer("a", 1, labels, candidates=held, annotator="vendor")
    (event,) = classes.reader.events(Item(1, "a"))
    assert event.kind == "import"
    state = classes.reader.state(Item(1, "a"))
    np.testing.assert_array_equal(state.candidates, held)
    np.testing.assert_array_equal(store.candidates("a", 1), held)
    other = ~held & [[True], [False]]
    labels[0, :2] = 2
    with pytest.raises(ValueError, match="replace=True"):
        classes.import_answer("a", 1, labels, candidates=other, annotator="vendor")
    with pytest.raises(ValueError, match="missing"):
        classes.import_answer("a", 1, labels, annotator="vendor", replace=True)


def test_a_new_mark_forgets_what_was_undone(service):
    item, token = service.next("ann")
    service.mark(item, token, one(), 2, [0, 1])
    service.undo(item, token, one())
    state = service.mark(item, token, one(), 1, [17, 1])
    assert not state.redo_stack
    with pytest.raises(ValueError, match="nothing to redo"):
        service.redo(item, token, one())
    service.undo(item, token, one())
    with pytest.raises(ValueError, match="nothing to undo"):
        service.undo(item, token, one())


def test_a_repeated_request_is_done_once_and_answered_the_same(service, store):
    item, token = service.next("ann")
    names = [one() for _ in range(4)]
    first = service.mark(item, token, names[0], 2, [0, 1], 3.0)
    service.mark(item, token, names[1], 1, [17, 1])
    service.undo(item, token, names[2])
    for _ in range(2):
        again = service.mark(item, token, names[0], 2, [0, 1], 3.0)
        np.testing.assert_array_equal(again.labels, first.labels)
        assert (again.last, again.seconds) == (first.last, first.seconds)
    with pytest.raises(ValueError, match="another step"):
        service.mark(item, token, names[0], 1, [0, 1])
    with pytest.raises(ValueError, match="another step"):
        service.redo(item, token, names[2])
    service.redo(item, token, one())
    service.submit(item, token, names[3])
    assert service.submit(item, token, names[3]).remaining == 0  # its answer was lost on the way
    assert len(service.reader.events(item)) == 5
    with pytest.raises(LeaseLostError):
        service.submit(item, token, one())


def test_answers_are_corrected_and_the_history_keeps_both(service, store):
    first = service.next("ann")
    finish(service, first, label=1)
    name = one()
    lease = service.reopen(first.item, "bob", name)
    assert service.reopen(first.item, "bob", name) == lease
    with pytest.raises(LeaseLostError, match="bob works on this item"):
        service.reopen(first.item, "ann", one())
    service.mark(lease.item, lease.token, one(), 0, [0, 1])
    assert store.labels("a").flat[0] == 1  # until it is submitted
    service.submit(lease.item, lease.token, one())
    assert [store.labels("a").flat[pixel] for pixel in PIXELS] == [0, 1]
    with pytest.raises(LeaseLostError, match="given back"):
        service.reopen(first.item, "bob", name)
    assert [(event.annotator, event.kind) for event in service.reader.events(first.item)] == [
        ("ann", "mark"),
        ("ann", "submit"),
        ("bob", "reopen"),
        ("bob", "mark"),
        ("bob", "submit"),
    ]


def test_a_correction_starts_from_the_answer_that_stands(service, store, clock):
    answer = np.ones(SHAPE, np.uint8)
    store.answer("b", 1, answer)  # without the tool
    lease = service.reopen(Item(1, "b"), "ann", one())
    assert service.reader.state(lease.item).labels.tolist() == [1, 1]
    service.mark(lease.item, lease.token, one(), 2, [0, 1])
    clock.now += 1000
    lease = service.reopen(Item(1, "b"), "bob", one())  # ann left without submitting
    assert service.reader.state(lease.item).labels.tolist() == [1, 1]
    assert service.undo(lease.item, lease.token, one()).labels.tolist() == [2, 1]


def test_answers_from_elsewhere_have_their_place_in_the_history(service, store):
    labels = np.full(SHAPE, 2, np.uint8)
    service.import_answer("a", 1, labels, annotator="vendor", seconds=7)
    service.import_answer("a", 1, labels, annotator="vendor", seconds=7)
    assert (store.labels("a") == 2).sum() == 2 and service.next("ann").item.image == "b"
    (event,) = service.reader.events(Item(1, "a"))
    assert (event.kind, event.annotator, event.seconds) == ("import", "vendor", 7.0)
    with pytest.raises(ValueError, match="replace=True"):
        service.import_answer("a", 1, labels * 0, annotator="vendor")
    service.import_answer("a", 1, labels * 0, annotator="vendor", replace=True)
    assert service.reader.state(Item(1, "a")).submitted.tolist() == [0, 0]
    with pytest.raises(LeaseLostError, match="ann works on image 'b'"):
        service.import_answer("b", 1, labels, annotator="vendor")
    with pytest.raises(UnknownItemError):
        service.import_answer("x", 1, labels, annotator="vendor")
    with pytest.raises(ValueError, match="hold 9"):
        service.import_answer("c", 1, labels * 0 + 9, annotator="vendor")
    assert service.reader.events(Item(1, "c")) == []


def test_an_imported_correction_counts_only_the_time_since_the_import_before(service, store):
    labels = np.ones(SHAPE, np.uint8)
    service.import_answer("a", 1, labels, annotator="vendor", seconds=60)
    lease = service.reopen(Item(1, "a"), "ann", one(), seconds=5)
    finish(service, lease, label=2, seconds=7)
    service.import_answer("a", 1, labels, annotator="vendor", seconds=80, replace=True)
    assert store.measured_seconds(1) == {"a": 60 + 5 + 7 + 20}
    service.import_answer("a", 1, labels * 0, annotator="vendor", seconds=30, replace=True)
    assert store.measured_seconds(1) == {"a": 92}


def test_an_import_without_times_is_not_timed_by_who_began_before(service, store):
    for image in "ab":
        lease = service.next("ann", prefer=Item(1, image))
        if image == "b":
            service.mark(*lease, one(), 1, [0, 1], 4.0)
        service.skip(*lease, one(), 3.0)
    finish(service, service.next("ann", prefer=Item(1, "c")))
    for image in "ab":
        service.import_answer(image, 1, np.ones(SHAPE, np.uint8), annotator="vendor")
    assert store.timed_images(1) == {"c"}


def test_imported_label_maps_are_not_kept_in_memory(store):
    images = [f"image {i}" for i in range(20)]
    shape = (200, 300)
    store.open_round(1, images)
    store.ask_many(1, [(image, np.ones(shape, bool), None, None) for image in images])
    service = LabellingService(store)

    tracemalloc.start()
    try:
        for image in images:
            service.import_answer(image, 1, np.ones(shape, np.uint8), annotator="vendor")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5 * np.prod(shape)


@pytest.mark.parametrize(
    "label, pixels, message",
    [
        (3, [0, 1], "label is 3; a label is a class from 0 to 2"),
        (-1, [0, 1], "label is -1"),
        (254, [0, 1], "label is 254"),
        (True, [0, 1], "label is True"),
        ("1", [0, 1], "label is '1'"),
        (None, [0, 1], "label is None"),
        (1, [0, 2], "2 pixels from 0 on are not all asked"),
        (1, [1, 1], "not all asked"),
        (1, [0, 1, 0, 1], "overlap"),
    ],
)
def test_only_asked_pixels_and_real_labels_are_taken(service, label, pixels, message):
    item, token = service.next("ann")
    with pytest.raises(ValueError, match=message):
        service.mark(item, token, one(), label, pixels)
    assert service.reader.events(item) == []


def test_mistakes_are_named(service, store):
    item, token = service.next("ann")
    for name in ("", "  ", "x" * 101, 3, None, "a\nb", "\ud800"):
        with pytest.raises(ValueError, match="annotator's name"):
            service.next(name)
    for request in ("", "x" * 101, None, 3, "a\0", "\ud800"):
        with pytest.raises(ValueError, match="request"):
            service.undo(item, token, request)
    for seconds in (-1, float("nan"), float("inf"), 1e9, "1", None, True, 10**400):
        with pytest.raises(ValueError, match="seconds"):
            service.skip(item, token, one(), seconds)
    for unknown in (Item(1, "x"), Item(2, "a"), Item(1, "a", 2), Item(1, "a", 3)):
        with pytest.raises(UnknownItemError):
            service.renew(unknown, token)
    for lease in ("", "x", None, 3):
        with pytest.raises(LeaseLostError):
            service.renew(item, lease)
    for setting in ({"lease_seconds": 0}, {"second_opinion": 1.5}, {"lease_seconds": np.nan}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            LabellingService(store, **setting)


def test_names_are_kept_as_they_are_meant(service):
    strange = '  <b>"Zoë"</b> \'; DROP TABLE events; -- ../../etc 標 '
    item, token = service.next(strange)
    service.skip(item, token, one())
    (event,) = service.reader.events(item)
    assert event.annotator == strange.strip()
    assert service.progress.items(1)[0].annotator == strange.strip()
    assert service.next("Zoe\u0308 ").item == service.next("Zoë").item  # the same person
    # The latter would take hours to compose.
    for long in (" " * 2000 + "Zoë", "e" + "\u0316\u0301" * 10**6):
        with pytest.raises(ValueError, match="1 to 100 characters"):
            service.next(long)


# Second opinions and progress.


def test_second_opinions_are_given_by_others_and_measure_agreement(store, clock):
    service = asking(store, clock=clock, second_opinion=1.0)
    for _ in "abc":
        finish(service, service.next("ann"), label=1)
    assert service.next("ann") is None and store.round_complete(1)
    lease = service.next("bob")
    assert lease.item == Item(1, "a", 2)
    assert service.reader.state(lease.item).remaining == 2  # the first isn't shown
    service.mark(*lease, one(), 1, [0, 1])
    service.mark(*lease, one(), 2, [17, 1])
    service.submit(*lease, one(), 7.0)
    assert (store.labels("a") == 1).sum() == 2
    assert store.measured_seconds(1) == dict.fromkeys("abc", 1.0)
    assert store.measured_seconds(1, opinion=2) == {"a": 7.0}
    agreement = service.progress.agreement(1)
    assert agreement.items == 1
    assert (agreement.pixels[1], agreement.equal[1], agreement.pixels.sum()) == (2, 1, 2)
    lease = service.reopen(Item(1, "a", 1), "ann", one())
    service.mark(*lease, one(), 2, [17, 1])
    service.submit(*lease, one())
    agreement = service.progress.agreement(1)
    assert (agreement.equal[1], agreement.equal[2], agreement.pixels.sum()) == (1, 1, 2)
    with pytest.raises(LeaseLostError, match="other opinion"):
        service.reopen(Item(1, "a", 1), "bob", one())


def test_parts_of_several_classes_agree_if_all_classes_do(classes):
    first, second = [0, 2], [17, 1]
    toggled = {1: [(0, first), (1, first), (0, second)], 2: [(1, first), (2, first), (0, second)]}
    for name, opinion in (("ann", 1), ("bob", 2)):
        lease = classes.next(name)
        assert lease.item.opinion == opinion
        for label, part in toggled[opinion]:
            classes.toggle(*lease, one(), label, part)
        classes.submit(*lease, one())
    agreement = classes.progress.agreement(1)
    assert (agreement.pixels[[0, SEVERAL, 255]] == [1, 2, 0]).all()
    assert (agreement.equal[0], agreement.equal.sum()) == (1, 1)
    lease = classes.reopen(Item(1, "a", 2), "bob", one())
    classes.toggle(*lease, one(), 0, first)
    classes.toggle(*lease, one(), 2, first)
    classes.submit(*lease, one())
    assert classes.progress.agreement(1).equal.sum() == 3


def test_who_gives_a_second_opinion_first_is_not_asked_for_the_first(store, clock):
    service = asking(store, images=("a",), clock=clock, second_opinion=1.0)
    assert service.next("ann").item == Item(1, "a", 1)
    lease = service.next("bob")
    assert lease.item == Item(1, "a", 2)
    finish(service, lease)
    clock.now += 1000  # ann is gone
    assert service.next("bob") is None
    assert service.next("cem").item == Item(1, "a", 1)


@pytest.mark.parametrize("kind", ["mark", "toggle", "undo", "redo", "submit", "reopen", "import"])
def test_whoever_worked_on_an_opinion_does_not_get_the_other(store, clock, kind):
    first, second, whole = Item(1, "a", 1), Item(1, "a", 2), [0, 1]
    asks = "classes" if kind == "toggle" else "mask"
    store.open_round(1, ["a"])
    store.ask("a", 1, query_of((0, 0)), kind=asks, parts=np.zeros(SHAPE, int))
    service = LabellingService(store, clock=clock, second_opinion=1.0)
    lease = service.next("bob")
    for label in (0, 1):
        (service.toggle if kind == "toggle" else service.mark)(*lease, one(), label, whole)
    service.undo(*lease, one())
    service.skip(*lease, one())
    if kind == "import":
        service.import_answer("a", 1, np.ones(SHAPE, np.uint8), annotator="ann")
    elif kind == "reopen":
        service.reopen(first, "ann", one())
    else:
        lease = service.next("ann")
        assert lease.item == first
        getattr(service, kind)(*lease, one(), *((2, whole) if kind in ("mark", "toggle") else ()))
    clock.now += 1000
    given = service.next("ann", prefer=second)
    assert given is None or given.item == first
    clock.now += 1000
    with pytest.raises(LeaseLostError, match="other opinion"):
        service.reopen(second, "ann", one())
    assert service.next("cem", prefer=second).item == second


def test_who_only_skipped_an_opinion_may_give_the_other(store, clock):
    service = asking(store, images=("a",), clock=clock, second_opinion=1.0)
    lease = service.next("ann")
    service.skip(*lease, one())
    finish(service, service.next("bob"))
    assert service.next("ann").item == Item(1, "a", 2)


def test_who_skipped_a_first_opinion_is_not_kept_from_it(store, clock):
    service = asking(store, images=("a", "b"), clock=clock, second_opinion=1.0)
    lease = service.next("ann")
    service.skip(*lease, one())
    finish(service, service.next("ann", after=lease.item))
    lease = service.next("ann", after=Item(1, "b"))
    assert lease.item == Item(1, "a", 1)
    service.skip(*lease, one())
    assert service.next("bob", prefer=Item(1, "a", 2)).item == Item(1, "a", 2)
    finish(service, service.next("ann"))
    assert service.next("ann") is None and service.progress.of_round(1).complete


def test_who_skipped_a_first_opinion_and_began_the_second_may_go_on(store, clock):
    service = asking(store, images=("a",), clock=clock, second_opinion=1.0)
    service.skip(*service.next("ann"), one())
    service.reopen(Item(1, "a", 2), "ann", one())
    assert service.next("ann").item == Item(1, "a", 2)
    clock.now += 1000
    assert service.next("ann").item == Item(1, "a", 2)


def test_a_lease_that_ran_out_is_lost_to_who_gave_the_other_opinion_since(store, clock):
    service = asking(store, images=("a",), clock=clock, second_opinion=1.0)
    first, _ = service.next("ann"), service.next("bob")
    clock.now += 1000
    lease = service.reopen(Item(1, "a", 2), "ann", one())
    service.mark(*lease, one(), 1, [0, 1])
    with pytest.raises(LeaseLostError, match="other opinion"):
        service.mark(*first, one(), 1, [0, 1])


def test_the_share_of_second_opinions_is_kept_and_grows_with_the_setting(store, clock):
    images = [f"image {i}" for i in range(60)]
    asking(store, images=images, clock=clock)

    def second(share):
        rows = LabellingService(store, second_opinion=share, clock=clock).progress.items(1)
        assert {row.item.image for row in rows if row.item.opinion == 1} == set(images)
        return {row.item.image for row in rows if row.item.opinion == 2}

    assert second(0.0) == set() and second(1.0) == set(images)
    assert 5 < len(second(0.3)) < 31 and second(0.3) == second(0.3)
    assert second(0.3) < second(0.7)


def test_progress_and_the_overview_count(service, store):
    assert service.progress.of_round(1)[:6] == (1, 3, 0, 0, 6, 0)
    assert service.progress.of_round(1).seconds_left is None
    for name, seconds in (("ann", 4.0), ("bob", 10.0)):
        finish(service, service.next(name), seconds=seconds)
    lease = service.next("cem")
    service.mark(*lease, one(), 1, [0, 1])
    progress = service.progress.of_round(1)
    assert progress[:6] == (1, 3, 2, 1, 6, 5) and not progress.complete
    assert (progress.seconds_per_item, progress.seconds_left) == (7.0, 7.0)
    assert [(a.name, a.items, a.seconds_per_item, a.active) for a in progress.annotators] == [
        ("ann", 1, 4.0, False),
        ("bob", 1, 10.0, False),
        ("cem", 0, None, True),
    ]
    rows = service.progress.items(1)
    assert [(row.item.image, row.status, row.remaining, row.annotator) for row in rows] == [
        ("a", "done", 0, "ann"),
        ("b", "done", 0, "bob"),
        ("c", "leased", 1, "cem"),
    ]
    assert service.progress.items(1, "done", offset=1, limit=5) == rows[1:2]
    assert (
        service.progress.items(1, limit=1) == rows[:1] and service.progress.items(1, "open") == []
    )
    old = service.progress.of_round(1, max_age=60)
    service.mark(*lease, one(), 1, [17, 1])
    assert service.progress.of_round(1, max_age=60) is old
    service.submit(*lease, one())
    assert (
        service.progress.of_round(1, max_age=60).complete and service.progress.of_round(1).done == 3
    )


def test_an_item_counts_for_who_answered_it_and_not_for_who_looked_at_it(service):
    finish(service, service.next("ann"), seconds=10.0)
    lease = service.reopen(Item(1, "a"), "lead", one())
    service.mark(*lease, one(), 2, [0, 1])
    service.release(*lease)
    service.progress.forget()
    (annotator,) = service.progress.of_round(1).annotators
    assert (annotator.name, annotator.items) == ("ann", 1)


def test_nor_for_who_opens_it_after_a_correction_that_was_given_up(service):
    finish(service, service.next("ann"), seconds=10.0)
    lease = service.reopen(Item(1, "a"), "ann", one())
    service.mark(*lease, one(), 2, [0, 1])
    service.release(*lease)
    lease = service.reopen(Item(1, "a"), "bob", one())
    service.release(*lease)
    service.progress.forget()
    (annotator,) = service.progress.of_round(1).annotators
    assert (annotator.name, annotator.items, annotator.seconds_per_item) == ("ann", 1, 10.0)


@pytest.mark.parametrize("last", ["submitted", "imported"])
def test_a_count_that_began_before_an_answer_is_not_kept(service, monkeypatch, last):
    leases = [service.next(name) for name in ("ann", "bob", "cem")]
    for lease in leases[:2]:
        finish(service, lease)
    count = service.progress.agreement

    def answer_meanwhile(round):
        monkeypatch.undo()
        if last == "submitted":
            finish(service, leases[2])
        else:
            service.skip(*leases[2], one())
            labels = np.ones(SHAPE, np.uint8)
            service.import_answer(leases[2].item.image, round, labels, annotator="vendor")
        return count(round)

    monkeypatch.setattr(service.progress, "agreement", answer_meanwhile)
    assert not service.progress.of_round(1, max_age=60).complete
    assert service.progress.of_round(1, max_age=60).complete


# Many at once.


def test_threads_share_the_items_without_doubling_any(store):
    images = [f"image {i}" for i in range(40)]
    service = asking(store, images=images)
    other = LabellingService(LabelStore(store.path, classes=CLASSES))  # as another process would
    done, errors = [], []

    def annotate(name, service):
        try:
            while lease := service.next(name):
                finish(service, lease)
                done.append(lease.item.image)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=annotate, args=(f"annotator {i}", (service, other)[i % 2]))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and sorted(done) == sorted(images) and store.round_complete(1)
    assert all(len(service.reader.events(Item(1, image))) == 2 for image in images)
    other._store.close()


class LabellingMachine(stateful.RuleBasedStateMachine):
    """Annotators who come, go and repeat themselves, against plain lists of what was told."""

    IMAGES = ("a", "b")
    ASKED = (0, 1, 2, 17)
    NAMES = ("ann", "bob", "cem")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "labels.sqlite"
        self.clock = Clock()
        self.leases = {}  # annotator: the last lease they were given
        self.holders = {}  # item: (annotator, token, expires) of the last lease
        self.marks = {}  # item: [labels before each change ..., labels now]
        self.undone = {}
        self.told = []  # (item, kind) of each acknowledged event
        self.answers = {}
        self.submitted = {}
        self.knows = set()  # (annotator, item)
        self.skipped = set()  # (annotator, item)
        self.repeatable = []  # (step, arguments, state)
        self.open(create=True)

    def open(self, create=False):
        self.store = LabelStore(self.path, classes=CLASSES)
        if create:
            self.store.open_round(1, self.IMAGES)
            pixels = [divmod(pixel, SHAPE[1]) for pixel in self.ASKED]
            self.store.ask_many(
                1, [(image, query_of(*pixels), None, None) for image in self.IMAGES]
            )
        self.service = LabellingService(self.store, clock=self.clock, second_opinion=1.0)

    names = st.sampled_from(NAMES)
    items = st.builds(Item, st.just(1), st.sampled_from(IMAGES), st.sampled_from((1, 2)))

    def live(self, item):
        holder = self.holders.get(item)
        return holder if holder and holder[2] > self.clock.now else None

    def may_take(self, name, item):
        other = item._replace(opinion=3 - item.opinion)
        live, live_other = self.live(item), self.live(other)
        return (
            (live is None or live[0] == name)
            and (name, other) not in self.knows
            and (live_other is None or live_other[0] != name)
        )

    def is_done(self, item):
        return item in (self.answers if item.opinion == 1 else self.submitted)

    def given(self, name, lease):
        self.leases[name] = lease
        self.holders[lease.item] = (name, lease.token, self.clock.now + 120)

    def labels(self, item):
        return self.marks.setdefault(item, [(254,) * 4])[-1]

    def may_get(self, name, item):
        first = item._replace(opinion=1)
        live = self.live(item)
        return self.may_take(name, item) and (
            item.opinion == 1
            or (name, first) not in self.skipped
            or self.is_done(first)
            or (name, item) in self.knows
            or (live is not None and live[0] == name)
        )

    @stateful.rule(name=names)
    def next(self, name):
        open_items = [
            Item(1, image, opinion)
            for image in self.IMAGES
            for opinion in (1, 2)
            if not self.is_done(Item(1, image, opinion))
            and self.may_get(name, Item(1, image, opinion))
        ]
        lease = self.service.next(name)
        if lease is None:
            assert not open_items
        else:
            assert lease.item in open_items
            self.given(name, lease)

    @stateful.rule(name=names, item=items)
    def reopen(self, name, item):
        if not self.may_take(name, item):
            with pytest.raises(LeaseLostError):
                self.service.reopen(item, name, one())
            return
        self.given(name, self.service.reopen(item, name, one()))
        standing = (self.answers if item.opinion == 1 else self.submitted).get(item)
        if standing is not None and standing != self.labels(item):
            self.marks[item].append(standing)
            self.undone[item] = []
            self.told.append((item, "import"))
        self.knows.add((name, item))
        self.told.append((item, "reopen"))

    def step(self, name, kind, *arguments):
        """Takes a step of the annotator's last lease; None if it was lost."""
        if name not in self.leases:
            return None
        item, token = self.leases[name]
        arguments = (item, token, one(), *arguments)
        owner = self.holders.get(item)
        held = owner is not None and owner[1] == token
        if held and owner[2] <= self.clock.now:
            held = self.may_take(name, item)
        if not held:
            with pytest.raises(LeaseLostError):
                getattr(self.service, kind)(*arguments)
            return None
        self.labels(item)
        refused = (
            (kind == "undo" and len(self.marks[item]) == 1)
            or (kind == "redo" and not self.undone.get(item))
            or (kind == "submit" and 254 in self.labels(item))
        )
        if refused:
            with pytest.raises(ValueError):
                getattr(self.service, kind)(*arguments)
            return None
        state = getattr(self.service, kind)(*arguments)
        self.holders[item] = (name, token, self.clock.now + 120)
        self.told.append((item, kind))
        self.repeatable.append((kind, arguments, state))
        if kind != "skip":
            self.knows.add((name, item))
        return item

    @stateful.rule(
        name=names,
        label=st.sampled_from([0, 1, 2, 255]),
        which=st.lists(st.booleans(), min_size=4, max_size=4).filter(any),
    )
    def mark(self, name, label, which):
        pixels = [value for pixel in itertools.compress(self.ASKED, which) for value in (pixel, 1)]
        item = self.step(name, "mark", label, pixels)
        if item:
            now = self.labels(item)
            self.marks[item].append(
                tuple(label if w else b for w, b in zip(which, now, strict=True))
            )
            self.undone[item] = []

    @stateful.rule(name=names)
    def undo(self, name):
        item = self.step(name, "undo")
        if item:
            self.undone.setdefault(item, []).append(self.marks[item].pop())

    @stateful.rule(name=names)
    def redo(self, name):
        item = self.step(name, "redo")
        if item:
            self.marks[item].append(self.undone[item].pop())

    @stateful.rule(name=names)
    def submit(self, name):
        item = self.step(name, "submit")
        if item:
            (self.answers if item.opinion == 1 else self.submitted)[item] = self.labels(item)
            del self.holders[item]

    @stateful.rule(name=names)
    def skip(self, name):
        item = self.step(name, "skip")
        if item:
            del self.holders[item]
            self.skipped.add((name, item))

    @stateful.rule(name=names, data=st.data())
    def fill_and_submit(self, name, data):
        self.mark(name, data.draw(st.sampled_from([0, 1, 2, 255])), [True] * 4)
        self.submit(name)

    @stateful.precondition(lambda self: self.repeatable)
    @stateful.rule(data=st.data())
    def repeat(self, data):
        kind, arguments, before = data.draw(st.sampled_from(self.repeatable))
        again = getattr(self.service, kind)(*arguments)
        assert (again.last, again.seconds) == (before.last, before.seconds)
        np.testing.assert_array_equal(again.labels, before.labels)

    @stateful.rule(seconds=st.sampled_from([1, 60, 119, 121, 1000]))
    def wait(self, seconds):
        self.clock.now += seconds

    @stateful.rule(close=st.booleans())
    def begin_anew(self, close):
        """A process ends, or is killed, and another comes."""
        if close:
            self.store.close()
        self.open()

    @stateful.invariant()
    def nothing_is_lost_and_nobody_shares(self):
        for item in [Item(1, image, opinion) for image in self.IMAGES for opinion in (1, 2)]:
            events = self.service.reader.events(item)
            assert [event.kind for event in events] == [k for i, k in self.told if i == item]
            state = self.service.reader.state(item)
            assert tuple(state.labels) == self.labels(item)
            fresh = LabellingService(self.store, clock=self.clock).reader.state(item)  # replays all
            np.testing.assert_array_equal(fresh.labels, state.labels)
            assert (fresh.undo_stack is None) == (len(self.marks[item]) == 1)
        for image in self.IMAGES:
            expected = np.full(SHAPE, 255)
            answer = self.answers.get(Item(1, image))
            if answer:
                expected.flat[list(self.ASKED)] = answer
            np.testing.assert_array_equal(self.store.labels(image, shape=SHAPE), expected)
        rows = {row.item: row for row in self.service.progress.items(1)}
        for item, row in rows.items():
            assert row.remaining == self.labels(item).count(254)
            live = self.live(item)
            assert (row.status == "leased") == (live is not None)
            if live:
                assert row.annotator == live[0]
            else:
                assert (row.status == "done") == self.is_done(item)
        progress = self.service.progress.of_round(1)
        assert progress.done == len(self.answers) + len(self.submitted)
        assert progress.complete == (len(self.answers) == len(self.IMAGES))

    def teardown(self):
        with contextlib.suppress(Exception):
            self.store.close()
        self.folder.cleanup()


LabellingMachine.TestCase.settings = hypothesis.settings(
    max_examples=15, stateful_step_count=25, deadline=None
)
TestLabellingService = LabellingMachine.TestCase
