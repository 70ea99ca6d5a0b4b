"""TPLD: votes in the first stage, full labels of easy images in the second."""

import numpy as np

from labor_jax import pseudo_labels
from labor_jax.adaptation import tpld
from tests.adaptation import pool
from tests.training.every_term import CLASSES


def statistics():
    confidence, predicted = pool.confidence_and_class()
    sums, counts = np.zeros((2, pool.IMAGES, CLASSES))
    for i, number in np.ndindex(sums.shape):
        own = confidence[i][predicted[i] == number]
        sums[i, number], counts[i, number] = own.sum(), len(own)
    return sums, counts


def easy_twin(portion):
    sums, counts = statistics()
    scores = []
    for i in range(len(sums)):
        relative = [
            (sums[i, c] / counts[i, c]) / (sums[:, c].sum() / counts[:, c].sum())
            for c in range(CLASSES)
            if counts[i, c]
        ]
        scores.append(np.mean(relative))
    return np.isin(np.arange(len(sums)), np.argsort(scores)[::-1][: int(portion * len(sums))])


def test_the_easy_images_are_those_whose_classes_are_sure():
    for portion, count in ((0.0, 0), (0.4, 2), (1.0, pool.IMAGES)):
        easy = tpld.easiest(*statistics(), portion)
        np.testing.assert_array_equal(easy, easy_twin(portion))
        assert easy.sum() == count


def test_a_share_is_the_decimal_number_that_is_written():
    ones = np.ones((100, 2))
    assert tpld.easiest(ones, ones, 0.29).sum() == 29  # 0.29 * 100 is 28.999…


def test_nothing_is_easy_in_the_first_stage():
    term = tpld.DensifiedLabels(easy_share=0.4)
    assert not np.any(pool.prepared(term, 0)["easy"])
    np.testing.assert_array_equal(pool.prepared(term, 1)["easy"], easy_twin(0.4))


def test_easy_images_have_full_labels_and_the_others_votes():
    term = tpld.DensifiedLabels(easy_share=0.4, agreement=0.95)
    memory = pool.prepared(term, 1)
    easy = easy_twin(0.4)
    label = pool.view(term, memory, range(pool.IMAGES))["label"]
    np.testing.assert_array_equal(label[easy], pool.confidence_and_class()[1][easy])
    logits = np.log(pool.probabilities())
    seeds = pseudo_labels.class_balanced_labels(logits, memory["thresholds"])
    voted = pseudo_labels.voted_labels(
        logits, seeds, memory["thresholds"], radius=1, own_weight=0.5, agreement=0.95
    )
    differ = label[~easy] != np.asarray(voted)[~easy]
    assert differ.mean() < 0.01  # by rounding of the logarithm
    assert (np.asarray(seeds)[~easy] != 255).mean() < (label[~easy] != 255).mean() < 1


def test_the_window_shrinks_with_the_image():
    term = tpld.DensifiedLabels()
    assert [term.radius(width) for width in (2048, 1024, 128, 8)] == [28, 14, 2, 1]
