"""What a store asked, image by image."""

import numpy as np
import pytest

from labor_jax.annotation import LabelStore

CLASSES = ("road", "sky", "tree")


@pytest.mark.parametrize("share", [0, 0.005, 0.3, 1])
def test_places_are_where_the_query_is(tmp_path, share):
    rng = np.random.default_rng(0)
    query = rng.random((37, 53)) < share
    labels = rng.integers(0, 3, query.shape, np.uint8)
    with LabelStore(tmp_path / "s", classes=CLASSES) as store:
        store.open_round(1, ["image"])
        store.ask_and_answer_many(1, [("image", query, labels, None)])
        (found,) = store.asked_pixels()
    assert (found.image, found.round, found.shape) == ("image", 1, (37, 53))
    np.testing.assert_array_equal(found.places, np.flatnonzero(query))
    np.testing.assert_array_equal(found.labels, labels[query])
    assert found.parts is None and found.candidates is None


def test_images_come_one_after_the_other_with_their_rounds_in_order(tmp_path):
    query = np.zeros((2, 8), bool)
    with LabelStore(tmp_path / "s", classes=CLASSES) as store:
        for number in (1, 2):
            store.open_round(number, ["b", "a"])
            query[:] = False
            query[number - 1] = True
            store.ask_many(number, [(image, query, None, None) for image in ("b", "a")])
        store.answer("a", 2, np.zeros(query.shape, np.uint8))
        store.add_existing("c", np.zeros((2, 8), np.uint8), query)
        found = list(store.asked_pixels())
    assert [(each.image, each.round) for each in found] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert [each.labels is None for each in found] == [True, False, True, True]
