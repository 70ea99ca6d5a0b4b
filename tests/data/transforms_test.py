from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labor_jax.data import transforms

_SIDES = st.integers(1, 12)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _paired(height, width):
    """An image whose red and green channels say where a pixel was, and the label likewise."""
    row, column = np.indices((height, width), dtype=np.uint8)
    return np.stack([row, column, row + column], -1), row * 16 + column


def _check_paired(image, label):
    """Image and label of `_paired` still say the same where the label is not padding."""
    inside = label != 255
    np.testing.assert_array_equal(image[inside][:, 0] * 16 + image[inside][:, 1], label[inside])
    return inside


def test_images_are_resized_bicubic():
    image = _rng().integers(0, 256, (20, 30, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((17, 9), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(transforms.resize_image(image, (9, 17)), expected)
    assert transforms.resize_image(image, (20, 30)) is image


@pytest.mark.parametrize("size", [(9, 17), (40, 60), (20, 90), (10, 15), (1, 1)])
def test_dense_labels_are_sampled_at_the_nearest_pixel(size):
    label = _rng().integers(0, 20, (20, 30)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(label).resize(size[::-1], Image.Resampling.NEAREST))
    np.testing.assert_array_equal(transforms.resize_labels(label, size), expected)


def _sparse_twin(label, size):
    """`resize_labels(sparse=True)`, a loop over output pixels and their labelled pixels."""
    (height, width), (new_height, new_width) = label.shape, size
    result = np.full(size, 255, np.uint8)
    half = Fraction(1, 2)
    for new_row in range(new_height):
        for new_column in range(new_width):
            best = None
            nearest = (
                int((new_row + 0.5) * height / new_height + 1e-9),
                int((new_column + 0.5) * width / new_width + 1e-9),
            )
            for row, column in np.argwhere(label != 255).tolist():
                y = (row + 0.5) * new_height / height
                x = (column + 0.5) * new_width / width
                if (int(y + 1e-9), int(x + 1e-9)) != (new_row, new_column):
                    continue
                # In input pixels; as fractions, since only then are equals equal.
                distance = (row + half - (new_row + half) * Fraction(height, new_height)) ** 2
                distance += (column + half - (new_column + half) * Fraction(width, new_width)) ** 2
                key = ((row, column) != nearest, distance, row, column)
                if best is None or key < best[0]:
                    best = (key, label[row, column])
            if best is not None:
                result[new_row, new_column] = best[1]
    return result


_SPARSE = st.tuples(_SIDES, _SIDES, st.integers(0, 2**32 - 1), st.floats(0, 1)).map(
    lambda t: np.where(
        _rng(t[2]).random(t[:2]) < t[3], _rng(t[2]).integers(0, 19, t[:2]), 255
    ).astype(np.uint8)
)


@settings(deadline=None)
@given(_SPARSE, st.tuples(_SIDES, _SIDES))
def test_sparse_labels_equal_the_plain_loop(label, size):
    result = transforms.resize_labels(label, size, sparse=True)
    np.testing.assert_array_equal(result, _sparse_twin(label, size))


@settings(deadline=None)
@given(_SPARSE, st.tuples(_SIDES, _SIDES))
def test_no_label_is_lost_or_invented(label, size):
    result = transforms.resize_labels(label, size, sparse=True)
    (height, width), (new_height, new_width) = label.shape, size
    row, column = np.nonzero(label != 255)
    cells = set(
        zip(
            ((2 * row + 1) * new_height // (2 * height)).tolist(),
            ((2 * column + 1) * new_width // (2 * width)).tolist(),
            label[row, column].tolist(),
            strict=True,
        )
    )
    labelled = {(y, x, result[y, x].item()) for y, x in np.argwhere(result != 255).tolist()}
    assert labelled <= cells  # not invented
    assert {cell[:2] for cell in labelled} == {cell[:2] for cell in cells}  # not lost
    if new_height >= height and new_width >= width:
        assert len(labelled) == len(row)
    if new_height <= height and new_width <= width:
        dense = transforms.resize_labels(label, size)
        np.testing.assert_array_equal(result[dense != 255], dense[dense != 255])


def test_flip_mirrors_both():
    image, label = transforms.flip(*_paired(4, 6))
    assert _check_paired(image, label).all()
    assert label[0].tolist() == [5, 4, 3, 2, 1, 0]


@settings(deadline=None)
@given(_SIDES, _SIDES, _SIDES, _SIDES, st.integers(0, 1000))
def test_crop_cuts_one_window_of_both_and_pads(height, width, new_height, new_width, seed):
    size = (new_height, new_width)
    image, label = transforms.random_crop(*_paired(height, width), size, _rng(seed))
    assert image.shape == (*size, 3)
    assert label.shape == size
    assert image.dtype == label.dtype == np.uint8
    inside = _check_paired(image, label)
    assert inside.sum() == min(height, new_height) * min(width, new_width)
    assert (image[~inside] == transforms.PAD_COLOUR).all()
    rows, columns = np.nonzero(inside)
    assert rows.max() - rows.min() + 1 == min(height, new_height)  # one block
    assert columns.max() - columns.min() + 1 == min(width, new_width)


def test_crop_reaches_every_place():
    places = {
        transforms.random_crop(*_paired(3, 4), (2, 2), _rng(seed))[1][0, 0] for seed in range(200)
    }
    assert places == {0, 1, 2, 16, 17, 18}
    corners = {
        tuple(np.argwhere(transforms.random_crop(*_paired(1, 1), (2, 2), _rng(seed))[1] == 0)[0])
        for seed in range(100)
    }
    assert corners == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_scale_stays_in_its_range_and_is_even_in_log():
    sizes = np.array(
        [transforms.random_scale((100, 200), (0.5, 2.0), _rng(seed)) for seed in range(400)]
    )
    assert sizes[:, 0].min() >= 50
    assert sizes[:, 0].max() <= 200
    np.testing.assert_allclose(sizes[:, 1], 2 * sizes[:, 0], atol=1)
    assert 0.4 < np.mean(sizes[:, 0] < 100) < 0.6
    assert transforms.random_scale((1, 1), (0.1, 0.1), _rng()) == (1, 1)


def test_colour_jitter_off_changes_nothing():
    image = _rng().integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(transforms.colour_jitter(image, _rng()), image)


def test_brightness_scales_and_saturation_and_contrast_move_from_grey():
    image = _rng().integers(40, 100, (8, 8, 3), np.uint8)
    for seed in range(5):
        brighter = transforms.colour_jitter(image, _rng(seed), brightness=0.5)
        ratio = brighter.astype(float).mean() / image.mean()
        assert 0.5 < ratio < 1.5
        np.testing.assert_allclose(brighter, image * ratio, atol=2)
        contrasted = transforms.colour_jitter(image, _rng(seed), contrast=0.5)
        assert abs(contrasted.astype(float).mean() - image.mean()) < 3
        grey = np.repeat(image[..., :1], 3, -1)
        np.testing.assert_allclose(
            transforms.colour_jitter(grey, _rng(seed), saturation=0.9), grey, atol=1
        )


def test_hue_turns_colours_and_leaves_grey():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    turned = [transforms.colour_jitter(red, _rng(seed), hue=0.5)[0, 0] for seed in range(20)]
    assert all(colour.max() == 200 and colour.min() <= 1 for colour in turned)
    assert {int(colour.argmax()) for colour in turned} == {0, 1, 2}
    grey = np.full((2, 2, 3), 90, np.uint8)
    np.testing.assert_array_equal(transforms.colour_jitter(grey, _rng(), hue=0.5), grey)


def test_blur_keeps_the_mean_and_lowers_the_variance():
    image = _rng().integers(0, 256, (32, 32, 3), np.uint8)
    blurred = transforms.gaussian_blur(image, 2.0)
    assert blurred.std() < 0.3 * image.std()
    assert abs(blurred.mean() - image.mean()) < 2
    assert transforms.gaussian_blur(image, 0.0) is image
