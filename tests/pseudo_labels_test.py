"""Thresholds of pseudo labels against NumPy."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labor_jax import pseudo_labels

CLASSES = 4


@functools.partial(jax.jit, static_argnums=2)
def thresholds(confidence, prediction, portion):
    return pseudo_labels.class_balanced_thresholds(confidence, prediction, CLASSES, portion)


def twin(confidence, prediction, portion):
    found = np.ones(CLASSES, np.float32)
    for number in range(CLASSES):
        own = np.sort(confidence[prediction == number])[::-1]
        rank = int(np.floor(np.float32(portion) * np.float32(len(own))))
        if rank:
            found[number] = own[rank - 1]
    return found


@given(st.integers(0, 2**31 - 1), st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]))
def test_thresholds_are_cbsts(seed, portion):
    rng = np.random.default_rng(seed)
    confidence = rng.permutation(60).reshape(3, 4, 5).astype(np.float32) / 60
    prediction = rng.choice([0, 1, 2, 255], (3, 4, 5), p=[0.5, 0.3, 0.1, 0.1])
    found = np.asarray(thresholds(confidence, prediction, portion))
    np.testing.assert_array_equal(found, twin(confidence, prediction, portion))
    for number in range(CLASSES):
        own = confidence[prediction == number]
        assert (own >= found[number]).sum() == int(np.float32(portion) * np.float32(len(own)))


@pytest.mark.parametrize("portion", [-0.1, 1.1])
def test_a_portion_is_a_share(portion):
    with pytest.raises(ValueError, match=f"portion is {portion}"):
        pseudo_labels.class_balanced_thresholds(np.ones(3), np.zeros(3, int), 2, portion)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"shape \(3,\) and prediction \(2,\)"):
        pseudo_labels.class_balanced_thresholds(np.ones(3), np.zeros(2, int), 2, 0.5)


LOGITS = np.random.default_rng(0).normal(size=(2, 3, 4, CLASSES)).astype(np.float32)


def probabilities(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_without_a_threshold_labels_are_the_predictions():
    labels = pseudo_labels.confident_labels(LOGITS, 0.0)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, LOGITS.argmax(-1))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.999])
def test_unconfident_pixels_have_no_label(threshold):
    expected = np.where(probabilities(LOGITS).max(-1) >= threshold, LOGITS.argmax(-1), 255)
    np.testing.assert_array_equal(pseudo_labels.confident_labels(LOGITS, threshold), expected)


def test_a_class_may_have_its_own_threshold_in_each_image():
    needed = np.random.default_rng(1).uniform(0.3, 0.7, (2, CLASSES)).astype(np.float32)
    labels = np.asarray(pseudo_labels.confident_labels(LOGITS, needed[:, None, None]))
    for place in np.ndindex(labels.shape):
        own = probabilities(LOGITS[place])
        sure = own.max() >= needed[place[0], own.argmax()]
        assert labels[place] == (own.argmax() if sure else 255)
