"""The thresholds and labels of BDL's and LTIR's code against NumPy."""

import jax
import numpy as np
import pytest

from labor_jax import adaptation, models

CLASSES = 4
SETUP = adaptation.Setup(num_classes=CLASSES, image_size=(8, 9), schedule=lambda rate: rate)


class Pool:
    """A pass over images whose logits are given; the last class is always sure, the first never."""

    variables = None

    def __init__(self, count=5):
        logits = np.random.default_rng(0).normal(size=(count, 8, 9, CLASSES)) * [1, 2, 4, 30]
        self.logits = logits.astype(np.float32)

    def images(self, domain, function):
        assert domain == "target"
        for first in range(0, len(self.logits), 2):
            rows = jax.jit(function)(models.Outputs(self.logits[first : first + 2], None))
            numbers = np.arange(first, min(first + 2, len(self.logits)))
            yield numbers, jax.tree.map(np.asarray, rows)


def prepared(pool, **settings):
    term = adaptation.build("median_labels", {"median_labels": settings})
    model = models.Model(variables=None, network=None)
    return term, term.before_phase(pool, term.memory(model, SETUP))


@pytest.mark.parametrize(("threshold", "portion"), [(0.9, 0.5), (0.7, 0.3)])
def test_thresholds_are_medians_below_a_cap(threshold, portion):
    pool = Pool()
    term, memory = prepared(pool, threshold=threshold, portion=portion)
    exponentials = np.exp(pool.logits - pool.logits.max(-1, keepdims=True))
    probabilities = exponentials / exponentials.sum(-1, keepdims=True)
    confidence, prediction = probabilities.max(-1), probabilities.argmax(-1)
    labels = np.asarray(term.labels(pool.logits, {}, memory))
    for c in range(CLASSES):
        own = np.sort(confidence[prediction == c])[::-1]
        expected = min(own[int(portion * len(own)) - 1], threshold)
        np.testing.assert_allclose(memory["thresholds"][c], expected, atol=(1 - expected) / 100)
        share = np.mean(labels[prediction == c] == c)
        assert share >= int(portion * len(own)) / len(own)
    assert memory["thresholds"][0] < 0.9 and memory["thresholds"][-1] == np.float32(threshold)
    kept = labels != 255
    np.testing.assert_array_equal(labels[kept], prediction[kept])
    np.testing.assert_array_equal(kept, confidence >= np.asarray(memory["thresholds"])[prediction])


@pytest.mark.parametrize("field", ["threshold", "portion"])
def test_senseless_settings_are_errors(field):
    with pytest.raises(ValueError, match=rf"config\.terms\.median_labels: {field} is 1\.5"):
        adaptation.build("median_labels", {"median_labels": {field: 1.5}})
