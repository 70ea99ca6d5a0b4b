import itertools

import numpy as np
import pytest

from labor_jax.data import ProcessShare, label_sets, transforms
from labor_jax.data.augmentation import Augment
from tests.data import numbered
from tests.data.numbered import AUGMENT, assert_same, assert_shared, train


def test_training_batches_have_the_promised_form(array_split):
    with train(array_split(*numbered.images(5)), size=(3, 4)) as batches:
        batch = next(batches)
    assert batch["image"].shape == (4, 3, 4, 3)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].shape == (4, 3, 4)
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][..., 0], batch["label"])


def test_each_epoch_holds_every_image_once_in_its_own_order(array_split):
    with train(array_split(*numbered.images(10)), batch_size=4) as batches:
        epochs = numbered.numbers(batches, 10).reshape(4, 10)
    assert (np.sort(epochs, 1) == np.arange(10)).all()
    assert len(np.unique(epochs, axis=0)) == 4


def test_fewer_images_than_a_batch(array_split):
    with train(array_split(*numbered.images(3)), batch_size=8) as batches:
        numbers = numbered.numbers(batches, 3).reshape(8, 3)
    assert (np.sort(numbers, 1) == np.arange(3)).all()
    with train(array_split(*numbered.images(1)), batch_size=2) as batches:
        assert numbered.numbers(batches, 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("start", [1, 3, 7])
def test_starting_later_gives_the_same_batches(array_split, start):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(5)]
    labels = [image[..., 0] for image in images]
    options = {"batch_size": 3, "size": (8, 8), "augment": AUGMENT, "seed": 5}
    with train(array_split(images, labels), **options) as batches:
        whole = list(itertools.islice(batches, start + 3))
    with train(array_split(images, labels), start=start, num_threads=1, **options) as batches:
        for expected in whole[start:]:
            assert_same(next(batches), expected)
    assert any((whole[0]["image"] != batch["image"]).any() for batch in whole[1:])


def test_far_start(array_split):
    with train(array_split(*numbered.images(5)), start=10**9) as batches:
        assert numbered.numbers(batches, 1).shape == (1, 4)


def test_seed_decides(array_split):
    orders = []
    for seed in (0, 0, 1):
        with train(array_split(*numbered.images(20)), seed=seed) as batches:
            orders.append(numbered.numbers(batches, 5))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


def test_processes_share_the_batches_of_one(array_split):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(7)]
    split = array_split(images, [image[..., 1] for image in images])
    options = {"batch_size": 4, "size": (8, 8), "augment": AUGMENT, "start": 2}
    with train(split, **options) as batches:
        whole = list(itertools.islice(batches, 4))
    parts = []
    for process in range(2):
        with train(split, share=numbered.share(process), **options) as batches:
            parts.append(list(itertools.islice(batches, 4)))
    assert all(len(batch["image"]) == 2 for part in parts for batch in part)
    assert_shared(whole, parts)


_COUNTS = np.eye(3, dtype=np.int64)[[0, 0, 0, 0, 0, 1, 2]]
_BALANCED = {"sampling": "balanced", "class_counts": _COUNTS}


def test_balanced_batches_hold_rare_classes_more_often(array_split):
    with train(array_split(*numbered.images(7)), **_BALANCED) as batches:
        numbers = numbered.numbers(batches, 75).ravel()
    shares = np.bincount(_COUNTS.argmax(1)[numbers]) / len(numbers)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)
    # Each class goes through its own images.
    assert np.bincount(numbers[numbers < 5]).std() < 1


def test_balanced_batches_start_later_and_are_shared(array_split):
    images = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8) for i in range(7)]
    split = array_split(images, [image[..., 1] for image in images])
    options = {"batch_size": 4, "size": (8, 8), "augment": AUGMENT, **_BALANCED}
    with train(split, **options) as batches:
        whole = list(itertools.islice(batches, 6))
    parts = []
    for process in range(2):
        with train(split, start=3, share=numbered.share(process), **options) as batches:
            parts.append(list(itertools.islice(batches, 3)))
    assert_shared(whole[3:], parts)


def test_without_labels_none_is_read(array_split):
    split = array_split(numbered.images(3)[0])
    with train(split, labels=None, batch_size=2, size=(4, 4), augment=AUGMENT) as batches:
        for batch in itertools.islice(batches, 3):
            assert batch["label"].shape == (2, 6, 5)
            assert (batch["label"] == 255).all()
    assert split.label_reads.sum() == 0


def test_labels_come_from_the_given_function(array_split):
    split = array_split(numbered.images(3)[0])
    with train(split, labels=lambda i: np.full((6, 8), 10 + i, np.uint8), batch_size=3) as batches:
        batch = next(batches)
    np.testing.assert_array_equal(batch["label"], batch["image"][..., 0] + 10)


def test_sparse_labels_are_kept(array_split):
    label = np.full((64, 64), 255, np.uint8)
    label[10, 20] = 7
    split = array_split([np.zeros((64, 64, 3), np.uint8)], [label])
    with train(split, batch_size=1, size=(8, 8), sparse_labels=True) as batches:
        assert (next(batches)["label"] == 7).sum() == 1
    with train(split, batch_size=1, size=(8, 8)) as batches:
        assert (next(batches)["label"] == 7).sum() == 0


def test_sets_of_classes_come_beside_the_labels(array_split):
    label = np.full((6, 8), 255, np.int32)
    label[0, 0] = 7
    label[2:3, 3] = label_sets.coded(label[2, 3], np.array([[1, 0, 1]], bool), np.zeros(1, int), 4)
    split = array_split(numbered.images(1)[0])
    options = {"batch_size": 1, "labels": lambda i: label, "sparse_labels": True}
    with train(split, label_sets=True, **options) as batches:
        batch = next(batches)
    assert batch["label"].dtype == batch["candidates"].dtype == np.int32
    assert batch["label"][0, 0, 0] == 7 and batch["label"][0, 2, 3] == 255
    assert batch["candidates"][0, 2, 3] == 0b101 and (batch["candidates"] > 0).sum() == 1
    assert batch["part"][0, 2, 3] == 4 and (batch["part"] >= 0).sum() == 1


def test_void_is_told_from_what_nobody_has_answered(array_split):
    label = np.full((6, 8), 255, np.int32)
    label[0, 0], label[2, 3], label[5, 7] = 7, 256, 256 + 0b101
    split = array_split(numbered.images(1)[0])
    options = {"batch_size": 1, "labels": lambda i: label, "sparse_labels": True, "void": True}
    with train(split, **options) as batches:
        batch = next(batches)
    assert set(batch) == {"image", "label", "index", "void"} and batch["void"].dtype == bool
    assert np.argwhere(batch["void"][0]).tolist() == [[2, 3]]
    assert np.argwhere(batch["label"][0] != 255).tolist() == [[0, 0]]
    with train(split, augment=Augment(crop=(10, 9)), **{**options, "labels": None}) as batches:
        batch = next(batches)
    beyond = (batch["image"][0] == transforms.PAD_COLOUR).all(-1)
    np.testing.assert_array_equal(batch["void"][0], beyond)
    assert beyond.sum() == 90 - 48 and (batch["label"] == 255).all()


def test_images_of_several_sizes_need_a_size_or_a_crop(array_split):
    split = array_split(
        *(a + b for a, b in zip(numbered.images(1), numbered.images(1, (4, 4)), strict=True))
    )
    with pytest.raises(ValueError, match="image_0 is 6x8, image_1 is 4x4"):
        train(split)
    for options in ({"size": (5, 5)}, {"augment": Augment(crop=(5, 5))}):
        with train(split, **options) as batches:
            assert next(batches)["image"].shape == (4, 5, 5, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"size": (0, 3)}, "size must be"),
        ({"start": -1}, "start must be 0 or more"),
        ({"seed": -1}, "seed and start"),
        ({"num_threads": 0}, "num_threads must be 1 or more"),
        ({"share": ProcessShare(0, 3)}, "3 processes cannot share batches of 4 images equally"),
        (
            {"sampling": "balanced", "class_counts": np.ones((2, 3), int)},
            "class_counts is about 2 images, but the split holds 3",
        ),
        ({"sampling": "rare_classes"}, "class_counts is about 0 images"),
        (
            {"sampling": "rare_classes", "class_counts": np.zeros((3, 2), int)},
            "no label holds a class",
        ),
        ({"sampling": "often"}, "sampling is 'often'; choose one of: each_once, balanced"),
    ],
)
def test_impossible_arguments(array_split, options, message):
    with pytest.raises(ValueError, match=message):
        train(array_split(*numbered.images(3)), **options)


def test_an_empty_split(array_split):
    with pytest.raises(ValueError, match="no images"):
        train(array_split([], []))


def test_rare_classes_are_drawn_and_shown_in_crops(array_split):
    """Only image 6 holds class 1, in a corner; it is in nearly every crop of it."""
    labels = [np.zeros((20, 20), np.uint8) for _ in range(7)]
    labels[6][:10, :10] = 1
    images = [np.full((20, 20, 3), i, np.uint8) for i in range(7)]
    counts = np.array([[(label == c).sum() for c in range(2)] for label in labels])
    options = {"augment": Augment(flip=False, crop=(8, 8)), "batch_size": 4}
    split = array_split(images, labels)
    with train(split, sampling="rare_classes", class_counts=counts, **options) as batches:
        whole = list(itertools.islice(batches, 20))
    assert all((batch["index"] == 6).all() for batch in whole)
    shown = np.mean([(batch["label"] == 1).any((1, 2)).mean() for batch in whole])
    assert shown > 0.95
    with train(split, sampling="rare_classes", class_counts=counts, start=7, **options) as batches:
        assert_same(next(batches), whole[7])
