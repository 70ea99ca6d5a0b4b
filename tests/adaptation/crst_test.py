"""CRST: the regulariser of predictions (MRKLD) and that of labels (LRENT)."""

import numpy as np

from labor_jax.adaptation.crst import RegularizedLabels
from tests.adaptation import pool
from tests.training.every_term import CLASSES


def test_mrkld_adds_the_divergence_of_labelled_predictions():
    term = RegularizedLabels(divergence_weight=0.3)
    view = pool.view(term, pool.prepared(term), [0, 1])
    assert set(view) == {"image", "label", "void"}
    log_p, label = np.log(pool.probabilities()[:2]), view["label"]
    labelled = label != 255
    own = -log_p[labelled, label[labelled]].mean()
    expected = own - 0.3 * log_p[labelled].mean()
    np.testing.assert_allclose(pool.value(term, view), expected, rtol=1e-4)


def test_lrent_labels_softly():
    term = RegularizedLabels(regularizer="lrent", entropy_weight=0.5)
    memory = pool.prepared(term)
    view = pool.view(term, memory, [0, 1], answered=True)
    powers = (pool.probabilities()[:2] / np.asarray(memory["thresholds"])) ** 2
    total = powers.sum(-1, keepdims=True)
    expected = np.where(total >= 1, powers / total, 0)
    expected[:, :, 0] = np.eye(CLASSES)[1]
    clear = np.abs(total[..., 0] - 1) > 1e-4
    clear[:, :, 0] = True
    np.testing.assert_allclose(view["soft_label"][clear], expected[clear], rtol=1e-3, atol=1e-6)
    labelled = expected.any(-1)
    np.testing.assert_array_equal((view["label"] != 255)[clear], labelled[clear])
    assert 0 < labelled.mean() < 1
    terms = -(view["soft_label"] * np.log(pool.probabilities()[:2])).sum(-1)
    np.testing.assert_allclose(
        pool.value(term, view), terms[view["label"] != 255].mean(), rtol=1e-4
    )
