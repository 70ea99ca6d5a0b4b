"""CBST: the stated share of each class of the pool is labelled, a larger one in each stage."""

import numpy as np
import pytest

from labor_jax.adaptation.cbst import ClassBalancedLabels
from tests.adaptation import pool


@pytest.mark.parametrize(("stage", "portion"), [(0, 0.2), (1, 0.25), (6, 0.5), (9, 0.5)])
def test_the_stated_share_of_each_class_of_the_pool_is_labelled(stage, portion):
    memory = pool.prepared(ClassBalancedLabels(), stage)
    confidence, predicted = pool.confidence_and_class()
    several = 0
    for number, threshold in enumerate(np.asarray(memory["thresholds"])):
        own = confidence[predicted == number]
        labelled = (own >= threshold).sum()
        assert int(portion * len(own)) <= labelled <= (portion + 0.02) * len(own) + 1
        several += len(own) > 100
    assert several > 1


def test_labels_are_those_above_the_thresholds():
    term = ClassBalancedLabels()
    memory = pool.prepared(term)
    label = pool.view(term, memory, [3, 1])["label"]
    excess = pool.probabilities()[[3, 1]] / np.asarray(memory["thresholds"])
    clear = np.abs(excess.max(-1) - 1) > 1e-5
    expected = np.where(excess.max(-1) >= 1, excess.argmax(-1), 255)
    np.testing.assert_array_equal(label[clear], expected[clear])
