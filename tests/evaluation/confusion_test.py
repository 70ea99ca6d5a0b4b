"""Confusion matrix and IoU against loops over pixels."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.evaluation import confusion

CLASSES = 4
compiled = jax.jit(confusion.confusion_matrix, static_argnums=(2, 3))


def confusion_twin(predictions, labels, ignore_label=255):
    counts = np.zeros((CLASSES, CLASSES), np.int64)
    for predicted, label in zip(predictions.ravel(), labels.ravel(), strict=True):
        if label != ignore_label:
            counts[label, predicted] += 1
    return counts


def iou_twin(predictions, labels, ignore_label=255):
    counted = labels != ignore_label
    result = []
    for number in range(CLASSES):
        here, there = (labels == number) & counted, (predictions == number) & counted
        union = np.sum(here | there)
        result.append(np.sum(here & there) / union if union else np.nan)
    return np.array(result)


def maps(elements):
    return hnp.arrays(np.int32, (2, 3, 4), elements=st.sampled_from(elements))


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(maps(range(CLASSES)), maps([*range(CLASSES), 255]))
def test_equals_twins(predictions, labels):
    counts = compiled(predictions, labels, CLASSES, 255)
    np.testing.assert_array_equal(counts, confusion_twin(predictions, labels))
    iou = confusion.intersection_over_union(counts)
    np.testing.assert_allclose(iou, iou_twin(predictions, labels))
    present = np.unique(labels[labels != 255])
    if present.size:
        np.testing.assert_allclose(confusion.mean_iou(counts), iou[present].mean())
    else:
        with pytest.raises(ValueError, match="no labelled pixel"):
            confusion.mean_iou(counts)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
def test_types_of_label_files_do_not_overflow(make):
    predictions, labels = make(np.full(16, 15, np.uint8)), make(np.full(16, 14, np.uint8))
    for each in (predictions, predictions.astype(np.int32)):
        counts = np.asarray(confusion.confusion_matrix(each, labels, 19))
        assert counts[14, 15] == counts.sum() == 16


def test_what_is_no_class_is_not_counted():
    predictions, labels = np.array([0, CLASSES, 1, -1]), np.array([-1, 0, CLASSES, 1])
    assert not compiled(predictions, labels, CLASSES, 255).any()


def test_another_ignore_label():
    predictions, labels = np.array([0, 1, 2]), np.array([0, 3, 3])
    counts = compiled(predictions, labels, CLASSES, 3)
    np.testing.assert_array_equal(counts, confusion_twin(predictions, labels, ignore_label=3))


def test_a_class_neither_labelled_nor_predicted_has_no_iou_and_no_say():
    counts = np.diag([5, 0, 7, 0])
    iou = confusion.intersection_over_union(counts)
    np.testing.assert_array_equal(np.isnan(iou), [False, True, False, True])
    assert confusion.mean_iou(counts) == 1.0


def test_predicting_an_absent_class_costs_the_class_that_was_there():
    counts = np.zeros((CLASSES, CLASSES), int)
    counts[0, 0], counts[0, 3], counts[1, 1] = 6, 2, 4
    np.testing.assert_allclose(confusion.intersection_over_union(counts), [0.75, 1.0, np.nan, 0.0])
    assert confusion.mean_iou(counts) == (0.75 + 1.0) / 2


def test_no_labelled_pixel_is_an_error():
    with pytest.raises(ValueError, match="no labelled pixel"):
        confusion.mean_iou(np.zeros((CLASSES, CLASSES)))


def images_of(count, seed=0):
    """Confusion matrices of images of different mixtures of classes, int[N, C, C]."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(np.ones(CLASSES**2), count)
    return rng.multinomial(500, mixtures).reshape(count, CLASSES, CLASSES)


def test_the_error_of_miou_is_the_jackknifes():
    counts = images_of(200)
    moments = confusion.image_moments(counts)
    found = confusion.mean_iou_error(counts.sum(axis=0), moments, len(counts))
    without = [confusion.mean_iou(counts.sum(axis=0) - each) for each in counts]
    jackknife = np.sqrt((len(counts) - 1) * np.var(without))
    assert found == pytest.approx(jackknife, rel=0.02)


def test_equal_images_leave_no_error_and_few_tell_nothing():
    counts = np.repeat(images_of(1), 8, axis=0)
    moments = np.asarray(confusion.image_moments(counts))
    assert confusion.mean_iou_error(counts.sum(axis=0), moments, 8) == pytest.approx(0, abs=1e-4)
    assert confusion.mean_iou_error(counts[:7].sum(axis=0), moments, 7) is None


def test_absent_classes_have_no_say_in_the_error():
    counts = images_of(20)
    wider = np.pad(counts, ((0, 0), (0, 1), (0, 1)))
    found = [
        confusion.mean_iou_error(each.sum(axis=0), confusion.image_moments(each), 20)
        for each in (counts, wider)
    ]
    assert found[0] == pytest.approx(found[1])
