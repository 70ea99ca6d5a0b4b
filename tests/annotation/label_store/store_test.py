"""The label store: what it keeps, what it refuses, and what survives."""

import contextlib
import re
import sqlite3
import tempfile
import threading
import zlib
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import stateful

from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.label_store.questions import AnsweredQuestion
from labor_jax.data import label_sets
from tests.annotation.examples import CLASSES, SHAPE, query_of, random_labels


def filled(path):
    with LabelStore(path, classes=CLASSES) as store:
        names = [f"image {i}" for i in range(40)]
        store.open_round(1, names)
        items = [
            (n, random_labels(i, (64, 64)) < 3, random_labels(i, (64, 64)), None)
            for i, n in enumerate(names)
        ]
        store.ask_and_answer_many(1, items)
        return store.digest()


def test_a_round_from_opening_to_training(store):
    store.open_round(1, ["b", "a", "c"])
    assert store.rounds() == [1]
    assert store.images(1) == store.unasked(1) == ["b", "a", "c"]
    assert store.pending(1) == [] and not store.round_complete(1)

    query = query_of((0, 0), (4, 6), (2, 3))
    store.ask("a", 1, query)
    store.ask("c", 1, query_of())
    assert store.unasked(1) == ["b"] and store.pending(1) == ["a"]
    assert not store.answered("a", 1) and store.answered("c", 1)
    np.testing.assert_array_equal(store.query("a", 1), query)
    np.testing.assert_array_equal(store.asked("a"), query)
    assert (store.labels("a") == 255).all()

    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0], labels[4, 6], labels[2, 3] = 2, 1, 255
    store.answer("a", 1, labels)
    expected = np.full(SHAPE, 255)
    expected[0, 0], expected[4, 6] = 2, 1
    np.testing.assert_array_equal(store.labels("a"), expected)
    expected[2, 3] = label_sets.VOID
    np.testing.assert_array_equal(store.label_sets("a"), expected)
    assert store.labels("a").dtype == np.uint8 and store.asked("a").dtype == bool

    assert not store.round_complete(1)
    store.ask_and_answer_many(1, [("b", query_of((1, 1)), labels, None)])
    assert store.round_complete(1) and not store.round_complete(2)
    assert store.pending(1) == store.unasked(1) == []


def test_statistics_charge_void_answers_and_accumulate(store):
    store.open_round(1, ["a", "b"])
    void = np.full(SHAPE, 255, np.uint8)
    queries = {"a": query_of((0, 0), (0, 1)), "b": query_of()}
    store.ask_and_answer_many(1, [(name, query, void, None) for name, query in queries.items()])
    store.open_round(2, ["a", "b"])
    store.ask("a", 2, query_of((3, 3)))
    store.ask("b", 2, query_of((3, 3), (4, 4), (4, 5)))
    store.answer("b", 2, np.zeros(SHAPE, np.uint8))

    first, second = store.statistics(1), store.statistics(2)
    assert first == (1, 2, 2, 2, 2, 2, 2, 70, 2)
    assert second == (2, 2, 2, 1, 4, 0, 6, 70, 2)
    assert second.labelled_fraction == 6 / 70 and second.pixels_per_image == 3.0
    store.open_round(3, ["a"])
    assert store.statistics(3).asked_pixels == 0 and store.statistics(3).labelled_pixels == 6
    assert store.asked_images(1) == [("a", 1, 2, 2)]  # pixels that touch are one
    assert store.asked_images(2) == [("a", 1, 1, 0), ("b", 1, 3, 0)]


def test_an_image_never_asked_needs_its_shape(store):
    with pytest.raises(ValueError, match=r"'new' has no query.*pass its shape"):
        store.labels("new")
    assert store.labels("new", shape=(2, 3)).tolist() == [[255] * 3] * 2
    assert not store.asked("new", shape=(2, 3)).any()
    store.open_round(1, ["new"])
    store.ask("new", 1, query_of((0, 0)))
    assert store.labels("new", up_to_round=0, shape=SHAPE).shape == SHAPE
    with pytest.raises(ValueError, match="'new' was asked at 5x7 and not at 2x3"):
        store.asked("new", shape=(2, 3))


def test_repeating_is_no_change_and_differing_is_an_error(store):
    query, labels = query_of((0, 0), (1, 1)), np.zeros(SHAPE, np.uint8)
    for _ in range(2):
        store.open_round(1, ["a", "b"])
        store.ask("a", 1, query)
        store.answer("a", 1, labels)
    before = store.digest()
    store.open_round(1, ["b", "a"])
    with pytest.raises(ValueError, match=r"round 1 .* other images: 1 of its 2 .*\(b\).*1 are new"):
        store.open_round(1, ["a", "c"])
    with pytest.raises(ValueError, match="round 1 already asked 2 pixels of image 'a'"):
        store.ask("a", 1, query_of((0, 0)))
    with pytest.raises(ValueError, match="'a' was already answered in round 1, and 2 of its 2"):
        store.answer("a", 1, labels + 1)
    assert store.digest() == before
    store.answer("a", 1, labels + 1, replace=True)
    assert store.labels("a")[0, 0] == 1 and store.digest() != before


def test_a_pixel_is_asked_once(store):
    for round in (1, 2):
        store.open_round(round, ["a"])
    store.ask("a", 2, query_of((0, 0), (1, 1), (2, 2)))
    with pytest.raises(
        ValueError, match=r"2 of the 3 pixels that round 1 asks of image 'a'.*round 2"
    ):
        store.ask("a", 1, query_of((0, 0), (1, 1), (3, 3)))
    assert store.unasked(1) == ["a"] and store.statistics(2).labelled_pixels == 3


def test_answers_hold_asked_pixels_only(store, path):
    store.open_round(1, ["a"])
    store.ask("a", 1, query_of((2, 2)))
    labels = np.full(SHAPE, 7, np.int64)
    labels[2, 2] = 1
    store.answer("a", 1, labels)
    assert (store.labels("a") != 255).sum() == 1
    # The file, as any other program sees it: a single byte of answer.
    with contextlib.closing(sqlite3.connect(path)) as connection:
        ((blob,),) = connection.execute("SELECT labels FROM answers").fetchall()
    assert zlib.decompress(blob) == b"\x01"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda s: s.ask("a", 2, query_of()), r"round 2 is not open .*\(open: \[1\]\).*open_round"),
        (lambda s: s.ask("x", 1, query_of()), r"'x' is not one of the 2 images of round 1 \(a, b"),
        (lambda s: s.ask("b", 1, query_of().astype(np.uint8)), r"bool\[H, W\], not uint8"),
        (lambda s: s.ask("b", 1, query_of()[0]), r"of shape \(7,\)"),
        (lambda s: s.ask("b", 1, np.zeros((0, 3), bool)), r"of shape \(0, 3\)"),
        (lambda s: s.ask("", 1, query_of()), "name"),
        (lambda s: s.ask(3, 1, query_of()), "name"),
        (lambda s: s.ask("b", -1, query_of()), "numbered from 0, not -1"),
        (lambda s: s.ask("b", 1, query_of(), kind="ppl"), "'ppl'; valid are points, regions, mask"),
        (lambda s: s.ask("b", 1, query_of((0, 0)), guess=np.full(SHAPE, 3)), "guesses.*hold 3 at"),
        (lambda s: s.ask("b", 1, query_of(), guess=np.zeros((2, 2), int)), "are 2x2; its query is"),
        (lambda s: s.kind("b", 1), "has not asked image 'b'"),
        (lambda s: s.guess("b", 1), "has not asked image 'b'"),
        (lambda s: s.answer("b", 1, random_labels(0)), "round 1 has not asked image 'b'"),
        (lambda s: s.answer("a", 1, random_labels(0)[1:]), "'a' in round 1 are 4x7.* is 5x7"),
        (lambda s: s.answer("a", 1, np.full(SHAPE, 1.0)), "dtype float64"),
        (lambda s: s.answer("a", 1, np.full(SHAPE, 3)), "'a' in round 1 hold 3 at asked.*0 to 2"),
        (lambda s: s.answer("a", 1, np.full(SHAPE, -1)), "hold -1"),
        (lambda s: s.answer("a", 1, np.full(SHAPE, 256)), "hold 256"),
        (lambda s: s.answer("a", 1, np.arange(35).reshape(SHAPE)), "hold 8, 16 at asked"),
        (lambda s: s.query("b", 1), "has not asked image 'b'"),
        (lambda s: s.answered("b", 1), "has not asked image 'b'"),
        (lambda s: s.open_round(2, []), "round 2 has no images"),
        (lambda s: s.open_round(2, ["a", "b", "a"]), "more than once: a"),
        (lambda s: s.pending(5), "round 5 is not open"),
        (lambda s: s.unasked(5), "round 5 is not open"),
        (lambda s: s.statistics(5), "round 5 is not open"),
    ],
)
def test_mistakes_are_named_and_change_nothing(store, call, message):
    store.open_round(1, ["a", "b"])
    store.ask("a", 1, query_of((0, 0), (1, 1), (2, 2)))
    before = store.digest(), store.rounds(), store.pending(1), store.unasked(1)
    with pytest.raises(ValueError, match=message):
        call(store)
    assert (store.digest(), store.rounds(), store.pending(1), store.unasked(1)) == before


def test_size_of_an_image_stays(store):
    for round in (1, 2):
        store.open_round(round, ["a"])
    store.ask("a", 1, query_of())
    with pytest.raises(ValueError, match="'a' in round 2 is 2x2, but round 1 asked it at 5x7"):
        store.ask("a", 2, query_of(shape=(2, 2)))


def test_a_batch_is_stored_whole_or_not_at_all(store):
    store.open_round(1, ["a", "b"])
    good, bad = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 9, np.uint8)
    query = query_of((0, 0))
    with pytest.raises(ValueError, match="'b' in round 1 hold 9"):
        store.ask_and_answer_many(1, [("a", query, good, None), ("b", query, bad, None)])
    assert store.unasked(1) == ["a", "b"]
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.ask("a", 1, query)
        1 / 0  # noqa: B018
    assert store.unasked(1) == ["a", "b"]
    with store.transaction():
        store.ask("a", 1, query)
        store.ask("b", 1, query)
    assert store.pending(1) == ["a", "b"]


def test_questions_for_people_keep_their_kind_and_the_models_guess(store):
    store.open_round(1, ["a", "b", "c"])
    query, guess = query_of((0, 0), (3, 2)), random_labels(0)
    store.ask_many(1, [("a", query, 2, guess), ("b", query, None, None)], kind="points")
    store.ask("c", 1, query)
    assert [store.kind(image, 1) for image in "abc"] == ["points", "points", "mask"]
    np.testing.assert_array_equal(store.guess("a", 1), np.where(query, guess, 255))
    assert store.guess("b", 1) is None
    assert store.pending(1) == ["a", "b", "c"] and (store.labels("a") == 255).all()
    store.ask("a", 1, query, kind="regions", guess=guess * 0)  # asked already
    assert store.kind("a", 1) == "points" and (store.guess("a", 1)[query] == guess[query]).all()


def test_questions_are_stored_whole_or_not_at_all(store):
    store.open_round(1, ["a", "b"])
    query = query_of((0, 0))
    with pytest.raises(ValueError, match="guesses of image 'b' in round 1 hold 9"):
        store.ask_many(1, [("a", query, 1, None), ("b", query, 1, np.full(SHAPE, 9))])
    assert store.unasked(1) == ["a", "b"]


def test_parts_and_their_classes_are_kept(store):
    store.open_round(1, ["a", "b"])
    query = query_of((0, 0), (0, 1), (3, 2))
    parts = np.full(SHAPE, -1)
    parts[query] = [7, 7, 3]
    held = np.zeros((2, len(CLASSES)), bool)
    held[0, 1] = held[1] = True  # of part 3, of part 7
    labels = np.full(SHAPE, 255)
    labels[3, 2] = 1
    answered = AnsweredQuestion("a", query, labels, parts=parts, candidates=held)
    store.ask_and_answer_many(1, [answered], kind="classes")
    assert (store.parts("a", 1)[query] == [1, 1, 0]).all() and store.parts("a", 1)[~query].max() < 0
    np.testing.assert_array_equal(store.candidates("a", 1), held)
    assert store.labels("a")[3, 2] == 1 and (store.labels("a") == 255).sum() == labels.size - 1
    plain, bits, _ = label_sets.split(store.label_sets("a", 1))
    np.testing.assert_array_equal(plain, store.labels("a"))
    assert (bits[0, :2] == 7).all() and bits.sum() == 14
    assert (store.label_sets("a", 0, SHAPE) == 255).all()
    before = store.digest()
    store.answer("a", 1, labels, candidates=held)  # the same again
    with pytest.raises(ValueError, match="other classes of its parts"):
        store.answer("a", 1, labels, candidates=~held)
    store.answer("a", 1, labels, candidates=~held, replace=True)
    assert store.digest() != before
    store.ask("b", 1, query, kind="superpixels", parts=parts)
    assert store.candidates("b", 1) is None


def test_parts_of_later_rounds_have_further_numbers(store):
    held = np.ones((1, len(CLASSES)), bool)
    for round, place in enumerate([(0, 0), (0, 1), (3, 2)], 1):
        store.open_round(round, ["a"])
        query = query_of(place)
        store.ask("a", round, query, kind="classes", parts=np.where(query, 0, -1))
        store.answer(
            "a", round, np.full(SHAPE, 255), candidates=held if round != 2 else held & False
        )
    part = label_sets.split(store.label_sets("a")).part
    assert part[0, 0] == 0 and part[3, 2] == 1 and (part >= 0).sum() == 2


def test_an_image_may_have_more_parts_than_16_bits_number(tmp_path):
    query = np.ones((260, 256), bool)
    parts = np.arange(query.size).reshape(query.shape)
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        store.open_round(1, ["a"])
        store.ask("a", 1, query, clicks=query.size, parts=parts)
        np.testing.assert_array_equal(store.parts("a", 1), parts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s, q, p: s.ask("a", 1, q, kind="superpixels"),
            "need the query's parts",
        ),
        (lambda s, q, p: s.ask("a", 1, q, kind="corrections", parts=p), "corrections need guesses"),
        (lambda s, q, p: s.ask("a", 1, q, parts=p - 9), "are -9 to -9; they count from 0"),
        (lambda s, q, p: s.ask("a", 1, q, parts=p[:2]), "its query needs integers of size"),
        (lambda s, q, p: s.ask("a", 1, q, parts=p * 1.0), "are float64 of size"),
        (lambda s, q, p: s.answer("b", 1, p), r"are missing; its query needs bool\[1, 3\]"),
        (
            lambda s, q, p: s.answer("b", 1, p, candidates=np.ones((2, 3), bool)),
            r"are bool\[2, 3\]; its query needs bool\[1, 3\]",
        ),
        (
            lambda s, q, p: s.answer("c", 1, p, candidates=np.ones((1, 3), bool)),
            r"are bool\[1, 3\]; its query needs none",
        ),
    ],
)
def test_wrong_parts_and_classes(store, call, message):
    store.open_round(1, ["a", "b", "c"])
    query, parts = query_of((0, 0), (1, 1)), np.zeros(SHAPE, int)
    store.ask("b", 1, query, kind="classes", parts=parts)
    store.ask("c", 1, query, kind="superpixels", parts=parts)
    with pytest.raises(ValueError, match=message):
        call(store, query, parts)
    assert store.unasked(1) == ["a"] and store.pending(1) == ["b", "c"]


# Digests and properties.


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(seed=st.integers(0, 10**6), data=st.data())
def test_digest_is_equal_iff_the_content_is(seed, data):
    rng = np.random.default_rng(seed)
    rows = [
        (image, round, rng.random((2, 3)) < 0.4 if round == 1 else np.zeros((2, 3), bool))
        for image in "ab"
        for round in (1, 2)
    ]
    answers = {(image, round): random_labels(seed + round, (2, 3)) for image, round, _ in rows}

    def digest_of(rows, answers, up_to_round=None):
        with (
            tempfile.TemporaryDirectory() as folder,
            LabelStore(Path(folder) / "s", classes=CLASSES) as store,
        ):
            for round in (1, 2):
                store.open_round(round, ["a", "b"])
            with store.transaction():
                for image, round, query in rows:
                    store.ask(image, round, query)
                    if (image, round) in answers:
                        store.answer(image, round, answers[image, round])
            return store.digest(up_to_round)

    digest = digest_of(rows, answers)
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert digest_of(rows[::-1], answers) == digest
    assert digest_of(rows[:-1], answers) != digest
    assert digest_of(rows, answers, up_to_round=1) != digest
    first_round = [row for row in rows if row[1] == 1]
    assert digest_of(rows, answers, up_to_round=1) == digest_of(first_round, answers)

    row = data.draw(st.sampled_from(first_round))
    pixel = (int(rng.integers(2)), int(rng.integers(3)))
    changed = {key: value.copy() for key, value in answers.items()}
    changed[row[:2]][pixel] = (int(changed[row[:2]][pixel]) + 1) % 3
    assert (digest_of(rows, changed) != digest) == bool(row[2][pixel])
    unanswered = {key: value for key, value in answers.items() if key != row[:2]}
    assert (digest_of(rows, unanswered) != digest) == bool(row[2].any())
    toggled = row[2].copy()
    toggled[pixel] ^= True
    other = [(*r[:2], toggled) if r[:2] == row[:2] else r for r in rows]
    assert digest_of(other, answers) != digest


class StoreMachine(stateful.RuleBasedStateMachine):
    """Random calls against dictionaries of queries and answers."""

    IMAGES = ("a", "b")
    ROUNDS = (1, 2, 3)

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "labels.sqlite"
        self.store = LabelStore(self.path, classes=CLASSES)
        for round in self.ROUNDS:
            self.store.open_round(round, self.IMAGES)
        self.queries = {}
        self.answers = {}

    masks = st.lists(st.booleans(), min_size=6, max_size=6).map(
        lambda bits: np.array(bits).reshape(2, 3)
    )
    maps = st.lists(st.sampled_from([0, 1, 2, 255]), min_size=6, max_size=6).map(
        lambda values: np.array(values, np.uint8).reshape(2, 3)
    )
    images = st.sampled_from(IMAGES)
    rounds = st.sampled_from(ROUNDS)

    def union(self, image, last=99):
        queries = [q for (i, r), q in self.queries.items() if i == image and r <= last]
        return np.logical_or.reduce([np.zeros((2, 3), bool), *queries])

    @stateful.rule(image=images, round=rounds, query=masks, leave_out=st.booleans())
    def ask(self, image, round, query, leave_out):
        if leave_out:
            query = query & ~self.union(image)
        recorded = self.queries.get((image, round))
        if recorded is None:
            allowed = not (query & self.union(image)).any()
        else:
            allowed = np.array_equal(recorded, query)
        if allowed:
            self.store.ask(image, round, query)
            self.queries[image, round] = query
        else:
            with pytest.raises(ValueError):
                self.store.ask(image, round, query)

    @stateful.rule(image=images, round=rounds, labels=maps, replace=st.booleans())
    def answer(self, image, round, labels, replace):
        query = self.queries.get((image, round))
        told = None if query is None else np.where(query, labels, 255)
        recorded = self.answers.get((image, round))
        if query is None or (
            recorded is not None and not replace and not np.array_equal(recorded, told)
        ):
            with pytest.raises(ValueError):
                self.store.answer(image, round, labels, replace=replace)
        else:
            self.store.answer(image, round, labels, replace=replace)
            self.answers[image, round] = told

    @stateful.rule()
    def reopen(self):
        self.store.close()
        self.store = LabelStore(self.path, classes=CLASSES)

    @stateful.invariant()
    def holds_what_was_told(self):
        for last in self.ROUNDS:
            for image in self.IMAGES:
                expected = np.full((2, 3), 255)
                for (i, r), told in self.answers.items():
                    if i == image and r <= last:
                        query = self.queries[i, r]
                        expected[query] = told[query]
                labels = self.store.labels(image, last, shape=(2, 3))
                np.testing.assert_array_equal(labels, expected)
                asked = self.store.asked(image, last, shape=(2, 3))
                np.testing.assert_array_equal(asked, self.union(image, last))
            statistics = self.store.statistics(last)
            charged = sum(int(self.union(image, last).sum()) for image in self.IMAGES)
            assert statistics.labelled_pixels == charged <= 12
            unasked = [i for i in self.IMAGES if (i, last) not in self.queries]
            pending = [
                i
                for i in self.IMAGES
                if self.queries.get((i, last), np.zeros(1)).any() and (i, last) not in self.answers
            ]
            assert self.store.unasked(last) == unasked
            assert self.store.pending(last) == pending
            assert self.store.round_complete(last) == (not unasked and not pending)
            assert statistics.answered_images == 2 - len(unasked) - len(pending)

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = hypothesis.settings(
    max_examples=15, stateful_step_count=15, deadline=None
)
TestStore = StoreMachine.TestCase


def test_other_classes_are_refused(path):
    filled(path)
    for classes in (CLASSES[:2], CLASSES[::-1]):
        with pytest.raises(LabelStoreError, match=r"3 classes \(road, building, sky\), this run"):
            LabelStore(path, classes=classes)
    for classes in ((), ["a", "a"], "road"):
        with pytest.raises(ValueError, match="classes"):
            LabelStore(path, classes=classes)


def test_a_damaged_answer_is_an_error_that_names_the_image(path):
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        blob = connection.execute("SELECT labels FROM answers WHERE image = 'image 3'").fetchone()[
            0
        ]
        wrong = blob[:20] + bytes([blob[20] ^ 255]) + blob[21:]
        connection.execute("UPDATE answers SET labels = ? WHERE image = 'image 3'", (wrong,))
        connection.execute("UPDATE queries SET mask = x'' WHERE image = 'image 4'")
        connection.commit()
    with LabelStore(path, classes=CLASSES) as store:
        for image in ("image 3", "image 4"):
            with pytest.raises(LabelStoreError, match=f"damaged at image '{image}', round 1"):
                store.labels(image)
        assert (store.labels("image 5") < 3).any()


def test_of_threads_that_ask_the_same_pixel_one_wins(store):
    for round in range(1, 9):
        store.open_round(round, ["a"])
    outcomes = []

    def ask(round):
        try:
            store.ask("a", round, query_of((2, 2), (0, round % 7)))
            outcomes.append(True)
        except ValueError:
            outcomes.append(False)

    threads = [threading.Thread(target=ask, args=(round,)) for round in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]
    assert store.statistics(8).labelled_pixels == 2
