"""IAST: thresholds of each image of the pool, by its recursion, and their use."""

import numpy as np
import pytest

from labor_jax import get_config, pseudo_labels
from labor_jax.adaptation import iast
from labor_jax.adaptation.iast import InstanceAdaptiveLabels
from labor_jax.adaptation.pixel_selector import SelfTraining
from tests.adaptation import pool
from tests.pseudo_labels_test import adapted_twin
from tests.training.every_term import CLASSES


def expected_thresholds(portion):
    return adapted_twin(*pool.confidence_and_class(), [0.9] * CLASSES, portion, 2.0)


TERMS = {
    "labels": InstanceAdaptiveLabels(gamma=2.0),
    "selector": SelfTraining(thresholds="instance_adaptive", gamma=2.0),
}


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize(("stage", "portion"), [(0, 0.2), (2, 0.3)])
def test_the_thresholds_of_the_pool_follow_the_recursion(term, stage, portion):
    found = pool.prepared(term, stage)["thresholds"]
    np.testing.assert_allclose(found, expected_thresholds(portion), atol=2e-5)


def test_thresholds_of_all_stages_and_batches_are_compiled_once(monkeypatch):
    adapt, traced = pseudo_labels.instance_adaptive_thresholds, []

    def counted(*arguments, **settings):
        traced.append(arguments[0].shape)
        return adapt(*arguments, **settings)

    monkeypatch.setattr(pseudo_labels, "instance_adaptive_thresholds", counted)
    rng = np.random.default_rng(0)
    confidence = rng.random((10, 5, 7), np.float32)
    prediction = rng.integers(0, 3, (10, 5, 7), np.int32)

    class Batches:
        def images(self, domain, function):
            for numbers in ([0, 1, 2, 3], [4, 5], [6, 7, 8, 9]):  # images of two sizes
                yield np.array(numbers), (confidence[numbers], prediction[numbers])

    for portion in (0.2, 0.25):
        found = iast.pool_thresholds(Batches(), 10, 3, portion=portion, gamma=2.0)
        expected = adapted_twin(confidence, prediction, [0.9] * 3, portion, 2.0)
        np.testing.assert_allclose(found, expected, atol=2e-5)
    assert traced == [(4, 5, 7)]


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_an_image_is_labelled_by_its_own_thresholds(term):
    memory = pool.prepared(term)
    # Of class c in image i; unlike the real ones they differ much.
    thresholds = np.linspace(0.3, 0.9, pool.IMAGES * CLASSES).reshape(pool.IMAGES, CLASSES)
    memory["thresholds"] = thresholds.astype(np.float32)
    numbers = [4, 0, 2]
    label = pool.view(term, memory, numbers)["label"]
    confidence, predicted = (each[numbers] for each in pool.confidence_and_class())
    needed = thresholds[np.array(numbers)[:, None, None], predicted]
    np.testing.assert_array_equal(label, np.where(confidence >= needed, predicted, 255))
    assert 0 < (label == 255).mean() < 1


def test_labelled_predictions_are_kept_smooth():
    term = InstanceAdaptiveLabels(smoothing=0.3)
    view = pool.view(term, pool.prepared(term), [0, 1], answered=True)
    log_p, labelled = np.log(pool.probabilities()[:2]), view["label"] != 255
    own = -log_p[labelled, view["label"][labelled]].mean()
    # The published code takes the mean over pixels and classes of -log p / C.
    smooth = -(log_p[labelled] / CLASSES).mean()
    np.testing.assert_allclose(pool.value(term, view), own + 0.3 * smooth, rtol=1e-4)


def test_the_warm_ups_discriminator_is_the_published_one():
    terms = get_config("uda:iast", "gtav").terms
    assert terms.adversarial.objective == "least_squares"
    assert terms.adversarial.learning_rate == 2e-5
