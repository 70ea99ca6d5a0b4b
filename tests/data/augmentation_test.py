import dataclasses

import ml_collections
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data import augmentation, transforms
from labor_jax.data.augmentation import Augment


def _rng(seed=0):
    return np.random.default_rng(seed)


def _paired(height, width):
    """An image whose red and green channels say where a pixel was, and the label likewise."""
    row, column = np.indices((height, width), dtype=np.uint8)
    return np.stack([row, column, row + column], -1), row * 16 + column


def test_prepare_without_augmentation_only_resizes():
    image, label = _paired(8, 8)
    got = augmentation.prepare(image, label, _rng(), size=(4, 4))
    np.testing.assert_array_equal(got[0], transforms.resize_image(image, (4, 4)))
    np.testing.assert_array_equal(got[1], transforms.resize_labels(label, (4, 4)))
    got = augmentation.prepare(image, label, _rng())
    np.testing.assert_array_equal(got[0], image)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_prepare_treats_image_and_label_alike(seed):
    # A ramp, which interpolation and nearest sampling change by at most the step of a pixel.
    row, column = np.indices((48, 64))
    label = (2 * column + row).astype(np.uint8)
    image = np.repeat(label[..., None], 3, -1)
    augment = Augment(flip=True, scale=(0.5, 2.0), crop=(40, 30))
    image, label = augmentation.prepare(image, label, _rng(seed), augment=augment)
    assert image.shape == (40, 30, 3)
    assert label.shape == (40, 30)
    assert image.dtype == label.dtype == np.uint8
    inside = label != 255
    assert inside.sum() >= 24 * 30
    assert (image[~inside] == transforms.PAD_COLOUR).all()
    assert np.abs(image[..., 0].astype(int) - label)[inside].max() <= 3


def test_prepare_is_a_function_of_the_generators_state():
    image, label = _paired(12, 12)
    augment = Augment(scale=(0.5, 2.0), crop=(8, 8), brightness=0.5, blur=1.0)
    runs = [
        [augmentation.prepare(image, label, _rng(seed), augment=augment) for seed in range(8)]
        for _ in range(2)
    ]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    assert len({label.tobytes() for _, label in runs[0]}) > 4


def test_switching_a_step_off_leaves_the_others():
    image, label = _paired(12, 12)
    for seed in range(5):
        _, a = augmentation.prepare(image, label, _rng(seed), augment=Augment(crop=(5, 5)))
        _, b = augmentation.prepare(image, label, _rng(seed), augment=Augment(crop=(5, 5), hue=0.2))
        np.testing.assert_array_equal(a, b)


def test_a_sparse_label_survives_prepare():
    image = np.zeros((64, 64, 3), np.uint8)
    label = np.full((64, 64), 255, np.uint8)
    label[5, 9] = 3
    _, small = augmentation.prepare(image, label, _rng(), size=(8, 8), sparse=True)
    assert np.argwhere(small == 3).tolist() == [[0, 1]]
    assert (small != 255).sum() == 1


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"flop": True}, "no field 'flop'; its fields are flip, scale, crop"),
        ({"flip": 1}, r"augment\.flip = 1, but it must be True"),
        ({"flip": None}, r"augment\.flip = None"),
        ({"scale": (2.0, 1.0)}, r"augment\.scale = \(2\.0, 1\.0\)"),
        ({"scale": (0.5, 2.0)}, "set augment.crop as well"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": 2.0}, "scale"),
        ({"crop": (0, 4)}, r"augment\.crop = \(0, 4\), but it must be \(height, width\)"),
        ({"hue": 0.6}, "at most 0.5"),
        ({"brightness": -0.1}, "brightness"),
        ({"blur": float("nan")}, "blur"),
        ({"contrast": "high"}, "contrast"),
    ],
)
def test_impossible_augmentations(augment, message):
    with pytest.raises(ValueError, match=message):
        Augment.from_config(ml_collections.ConfigDict(augment))


def test_possible_augmentations():
    settings = {"flip": False, "crop": [4, 5], "hue": 0.5, "brightness": 0, "blur": 2.0}
    augment = Augment.from_config({**settings, "scale": None})
    assert augment == Augment(flip=False, crop=(4, 5), hue=0.5, brightness=0, blur=2.0)


def test_a_config_of_the_defaults_is_the_defaults():
    section = ml_collections.ConfigDict(dataclasses.asdict(Augment()))
    assert Augment.from_config(section) == Augment.from_config({}) == Augment()


def test_no_augmentation_is_all_of_it_off():
    image, label = _paired(8, 8)
    for seed in range(4):
        got = augmentation.prepare(image, label, _rng(seed), augment=Augment(flip=False))
        np.testing.assert_array_equal(got[0], image)
        np.testing.assert_array_equal(got[1], label)


def test_a_crop_shows_the_wanted_class_where_one_of_ten_does():
    label = np.zeros((8, 400), np.uint8)
    label[:, 30:38] = 3
    image = np.zeros((8, 400, 3), np.uint8)
    augment = Augment(flip=False, crop=(8, 8))

    def shares(shown):
        return np.array(
            [
                (
                    augmentation.prepare(image, label, _rng(i), augment=augment, shown=shown)[1]
                    == 3
                ).mean()
                for i in range(300)
            ]
        )

    assert 0.01 < (shares(None) > 0).mean() < 0.09
    chance = 1 - (1 - 15 / 393) ** 10  # of 393 places 15 show a column of it
    assert abs((shares(3) > 0).mean() - chance) < 0.08
    plain = augmentation.prepare(image, label, _rng(5), augment=augment)
    unseen = augmentation.prepare(image, label, _rng(5), augment=augment, shown=9)
    assert plain[1].shape == unseen[1].shape and (unseen[1] != 9).all()
