"""Sets of classes in label maps survive what is done to label maps."""

import hypothesis
import hypothesis.strategies as st
import numpy as np

from labor_jax.data import label_sets, transforms


@hypothesis.given(st.integers(0, 10_000), st.integers(1, label_sets.MAX_CLASSES))
def test_a_pixel_keeps_the_classes_of_its_part(seed, classes):
    rng = np.random.default_rng(seed)
    labels = rng.choice([*range(min(classes, 5)), 255], (6, 8)).astype(np.uint8)
    parts = rng.integers(-1, 4, (6, 8))
    candidates = rng.random((4, classes)) < 0.5
    coded = label_sets.coded(labels, candidates, parts)
    plain, bits, numbers = label_sets.split(coded)
    assert plain.dtype == bits.dtype == numbers.dtype == np.int32
    several = [part for part in range(4) if candidates[part].sum() > 1]
    for row, column in np.ndindex(labels.shape):
        part = parts[row, column]
        held = np.flatnonzero(candidates[part]) if part >= 0 else []
        if len(held) > 1:
            assert plain[row, column] == 255
            assert bits[row, column] == sum(1 << int(number) for number in held)
            assert numbers[row, column] == several.index(part)
        else:
            assert plain[row, column] == labels[row, column]
            assert bits[row, column] == 0 and numbers[row, column] == -1


def test_parts_are_numbered_up_to_a_limit():
    candidates = np.ones((300, label_sets.MAX_CLASSES), bool)
    labels, parts = np.full(300, 255), np.arange(300)
    _, bits, numbers = label_sets.split(label_sets.coded(labels, candidates, parts, first=2))
    assert (bits == (1 << label_sets.MAX_CLASSES) - 1).all()
    most = label_sets.MAX_PARTS
    np.testing.assert_array_equal(numbers, [*range(2, most), *[-1] * (302 - most)])
    assert (label_sets.split(np.array([label_sets.VOID, 255, 3])).part == -1).all()


def test_void_gives_way_to_labels_where_pixels_meet():
    labels = np.full((4, 4), 255, np.int32)
    labels[:2] = label_sets.VOID
    labels[1, 0] = 3  # its output pixel's nearest sample is void
    half = transforms.resize_labels(labels, (2, 2), sparse=True)
    np.testing.assert_array_equal(half, [[3, label_sets.VOID], [255, 255]])


def test_sets_are_resized_and_mirrored_as_labels_are():
    labels = np.full((4, 4), 255, np.uint8)
    parts = np.full((4, 4), -1)
    parts[:2, :2] = 0
    labels[3, 3] = 2
    coded = label_sets.coded(labels, np.array([[True, True, False]]), parts)
    half = transforms.resize_labels(coded, (2, 2), sparse=True)
    plain, bits, _ = label_sets.split(half[:, ::-1])
    np.testing.assert_array_equal(bits, [[0, 3], [0, 0]])
    np.testing.assert_array_equal(plain, [[255, 255], [2, 255]])
