"""What was asked: classes, lumps and places, from the label store."""

import numpy as np
import pytest
from scipy import ndimage

from labor_jax.annotation import LabelStore
from labor_jax.experiment.report import asked
from tests.finished_runs import CLASSES, UNASKED, answered_store


def test_rounds_and_their_sum(tmp_path):
    first = np.array([[[0, 0, 9], [1, 9, 255]], [[9, 9, 9], [1, 9, 9]]], np.uint8)
    second = np.array([[[9, 9, 1], [9, 1, 9]], [[9, 9, 255], [9, 9, 9]]], np.uint8)
    found = asked.statistics(answered_store(tmp_path / "s", [first, second]))
    assert [each.pixels for each in found.rounds.values()] == [5, 3]
    assert [each.lumps.sum() for each in found.rounds.values()] == [2, 2]
    total = found.total
    assert (total.images, total.asked_images, total.pixels, total.void_pixels) == (2, 2, 8, 2)
    assert total.class_pixels.tolist() == [2, 4, 0]
    assert total.class_images.tolist() == [1, 2, 0]
    assert total.classes_per_image == 1.5
    assert total.effective_classes == pytest.approx(
        np.exp(-(np.log([1 / 3, 2 / 3]) @ [1 / 3, 2 / 3]))
    )
    # All six pixels of the first image are one lump, the two of the second touch at no corner.
    assert total.lumps.tolist()[:3] == [2, 0, 1]
    assert total.lump_pixels.tolist()[:3] == [2, 0, 6]
    assert (total.lumps_per_image, total.pixels_per_lump) == (1.5, pytest.approx(8 / 3))
    assert total.share_in_largest == pytest.approx((6 / 6 + 1 / 2) / 2)


def test_classes_are_those_of_an_image_that_has_answers(tmp_path):
    labels = np.array([[0, 1, UNASKED, 255]], np.uint8)
    store = answered_store(tmp_path / "s", [[labels] * 3])
    store.open_round(2, ["image 0", "image 1", "image 2"])
    query = labels == UNASKED
    for number, each in enumerate((query, query, np.zeros_like(query))):
        store.ask(f"image {number}", 2, each)
    store.answer("image 0", 2, np.where(query, 2, labels))
    found = asked.statistics(store)
    assert [each.classes_per_image for each in found.rounds.values()] == [2, 0.5]
    assert (found.total.answered_images, found.total.classes_per_image) == (3, 7 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_rounds_make_no_difference_to_the_sum(tmp_path, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, 1, 1, 2, 255], np.uint8), (3, 25, 37))
    asked_in = rng.integers(0, 4, labels.shape)  # 0: in no round
    rounds = [np.where(asked_in == number, labels, UNASKED) for number in (1, 2, 3)]
    together = np.where(asked_in > 0, labels, UNASKED)
    one = asked.statistics(answered_store(tmp_path / "one", [together])).total
    three = asked.statistics(answered_store(tmp_path / "three", rounds)).total
    for field, value in one._asdict().items():
        np.testing.assert_array_equal(getattr(three, field), value, err_msg=field)
    assert one.void_fraction == pytest.approx((together == 255).sum() / (together != UNASKED).sum())


@pytest.mark.parametrize("share", [0, 0.05, 0.3, 0.7, 1])
def test_lumps_are_the_connected_components(share):
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (1, 9), (9, 1), (7, 11), (20, 30)]:
        mask = rng.random((height, width)) < share
        numbers, count = ndimage.label(mask, np.ones((3, 3)))
        expected = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
        sizes = asked.lump_sizes(np.flatnonzero(mask), width)
        assert sorted(sizes) == sorted(expected)


def test_images_of_any_sizes_share_a_map_of_places(tmp_path):
    rows, columns = asked.GRID
    labels = []
    for height, width in [(2 * rows, 3 * columns), (50, 70), (4, 5)]:
        each = np.full((height, width), UNASKED, np.uint8)
        each[: height // 2] = 0  # the upper half
        labels.append(each)
    places = asked.statistics(answered_store(tmp_path / "s", [labels])).total.places
    assert places.shape == asked.GRID
    assert places.mean() == pytest.approx(1)
    np.testing.assert_allclose(places[: rows // 2 - 1], 2, rtol=0.05)
    assert (places[rows // 2 + 1 :] == 0).all()


def test_a_whole_image_is_one_lump_everywhere(tmp_path):
    total = asked.statistics(answered_store(tmp_path / "s", [[np.zeros((40, 40), np.uint8)]])).total
    assert (total.lumps.sum(), total.pixels_per_lump, total.share_in_largest) == (1, 1600, 1)
    assert (total.places == 1).all()


def test_classes_of_a_part_are_classes_of_the_image_and_no_void(tmp_path):
    query = np.ones((1, 4), bool)
    store = LabelStore(tmp_path / "s", classes=CLASSES)
    store.open_round(1, ["image"])
    store.ask("image", 1, query, kind="classes", parts=np.array([[0, 0, 1, 2]]))
    labels = np.array([[255, 255, 1, 255]], np.uint8)
    candidates = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
    store.answer("image", 1, labels, candidates=candidates)
    total = asked.statistics(store).total
    assert total.class_images.tolist() == [1, 1, 1]
    assert total.class_pixels.tolist() == [0, 1, 0]
    assert total.void_pixels == 1


def test_a_run_that_waits_has_what_was_asked_so_far(tmp_path):
    store = LabelStore(tmp_path / "s", classes=CLASSES)
    assert asked.statistics(store).rounds == {}
    assert asked.statistics(store).total.effective_classes == 0
    store.open_round(1, ["a", "b", "c"])
    query = np.eye(3, dtype=bool)
    store.ask("a", 1, query)
    store.ask("b", 1, query)
    store.answer("a", 1, np.full((3, 3), 2))
    store.add_existing("old", np.zeros((3, 3), np.uint8), query)  # costs nothing, so isn't asked
    total = asked.statistics(store).total
    assert (total.images, total.pixels, total.answered_pixels) == (2, 6, 3)
    assert total.class_images.tolist() == [0, 0, 1]


def test_what_there_is_to_ask():
    there = asked.present(np.array([[4, 0, 0], [2, 6, 0]]))
    assert (there.classes_per_image, there.class_images.tolist()) == (1.5, [2, 1, 0])
    assert there.effective_classes == 2
