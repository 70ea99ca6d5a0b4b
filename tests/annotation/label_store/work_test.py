"""The work of a round is that of its answered images."""

import numpy as np
import pytest

from labor_jax.annotation import LabelStore, Work, cost, work_of
from labor_jax.annotation.label_store import work
from labor_jax.annotation.label_store.questions import AnsweredQuestion

CLASSES = ("road", "car", "sky")


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        yield store


def drawn(seed, shape=(9, 7)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < 0.4, rng.choice([0, 1, 2, 255], shape).astype(np.uint8)


@pytest.mark.parametrize("kind", ["points", "mask", "full", "superpixels", "corrections"])
def test_work_is_summed_over_the_images_that_are_answered(store, kind):
    store.open_round(1, ["a", "b", "empty", "waiting", "unasked"])
    parts = np.arange(63).reshape(9, 7) // 5
    works = []
    for image, seed in (("a", 0), ("b", 1)):
        query, answer = drawn(seed)
        asked = AnsweredQuestion(image, query, answer, 4, guess=answer * 0, parts=parts)
        store.ask_and_answer_many(1, [asked], kind=kind)
        works.append(work_of(kind, query, answer, picks=4, parts=parts, guess=answer * 0))
    store.ask("empty", 1, np.zeros((9, 7), bool))
    store.ask("waiting", 1, drawn(2)[0])
    assert work.of_round(store, 1) == cost.total(works)
    assert work.of_round(store, 1).images == 2


def test_a_round_that_is_not_open(store):
    with pytest.raises(ValueError, match="round 1 is not open"):
        work.of_round(store, 1)
    store.open_round(1, ["a"])
    assert work.of_round(store, 1) == Work()
