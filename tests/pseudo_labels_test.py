"""Thresholds of pseudo labels against NumPy."""

import functools
import math
from fractions import Fraction

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
        rank = math.floor(Fraction(str(portion)) * len(own))
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
        assert (own >= found[number]).sum() == math.floor(Fraction(str(portion)) * len(own))


@pytest.mark.parametrize(
    ("portion", "count", "labelled"),
    [
        (0.59, 100, 59),
        (0.29, 100, 29),
        (0.42, 150, 63),
        (0.1 + 0.2, 10, 3),
        (0.99999, 100_000, 99_999),
    ],
)
def test_a_share_that_floating_point_misses_is_exact(portion, count, labelled):
    confidence = (1 - np.arange(1, count + 1) / 2**20).astype(np.float32)
    prediction = np.zeros(count, int)
    found = np.asarray(thresholds(confidence, prediction, portion))[0]
    assert (confidence >= found).sum() == labelled
    rounded = pseudo_labels.histogram_thresholds(histogram(confidence, prediction), portion)[0]
    bins = pseudo_labels.LEAST_CONFIDENCE
    assert rounded == bins[bins <= found].max()


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


@functools.partial(jax.jit, static_argnums=2)
def histogram(confidence, prediction, num_classes=CLASSES):
    return pseudo_labels.confidence_histogram(confidence, prediction, num_classes)


def drawn_pool(seed, count=4000):
    """Confidences of a network that is almost sure, as networks are, and predicted classes."""
    rng = np.random.default_rng(seed)
    doubt = rng.uniform(0, 0.75, count) ** rng.integers(1, 9, count)
    prediction = rng.choice([0, 1, 2, 255, -1], count, p=[0.5, 0.35, 0.05, 0.05, 0.05])
    return (1 - doubt).astype(np.float32), prediction


@given(st.integers(0, 2**31 - 1), st.sampled_from([0.2, 0.25, 0.5, 1.0]))
def test_thresholds_from_a_histogram_label_the_portion_of_each_class(seed, portion):
    confidence, prediction = drawn_pool(seed)
    counts = sum(
        np.asarray(histogram(*half))
        for half in zip(np.split(confidence, 2), np.split(prediction, 2), strict=True)
    )
    found = pseudo_labels.histogram_thresholds(counts, portion)
    assert found.dtype == np.float32
    exact = twin(confidence, prediction, portion)
    for number in range(CLASSES):
        own = confidence[prediction == number]
        assert counts[number].sum() == len(own)
        if not len(own):
            assert found[number] == 1
            continue
        labelled = (own >= found[number]).sum()
        assert labelled >= math.floor(Fraction(str(portion)) * len(own))
        assert abs(labelled / len(own) - portion) < 0.01 + 1 / len(own)
        assert found[number] <= exact[number]
        assert 1 - found[number] <= (1 - exact[number]) * (1 + 1 / 256)


def test_pixels_of_full_confidence_have_a_bin_of_their_own():
    confidence = np.float32([1, 1, 1 - 2**-24, 0.5])
    found = pseudo_labels.histogram_thresholds(histogram(confidence, np.zeros(4, int)), 0.5)
    assert found[0] == 1
    found = pseudo_labels.histogram_thresholds(histogram(confidence, np.zeros(4, int)), 0.75)
    assert found[0] == np.float32(1 - 2**-24)


def test_without_pixels_a_class_needs_full_confidence():
    found = pseudo_labels.class_balanced_thresholds(
        np.zeros(0, np.float32), np.zeros(0, np.int32), 3, 0.5
    )
    np.testing.assert_array_equal(found, np.ones(3, np.float32))


def test_counts_of_a_large_pool_may_exceed_32_bits():
    counts = np.zeros((1, pseudo_labels.CONFIDENCE_BINS), np.int64)
    counts[0, 3000], counts[0, 4000] = 2**33, 2**33
    first, second = (pseudo_labels.histogram_thresholds(counts, each) for each in (0.5, 0.51))
    assert 1 > first[0] > second[0] > 0.9


def test_class_balanced_labels_are_cbsts():
    needed = np.float32([0.9, 0.3, 0.5, 0.7])
    labels = np.asarray(pseudo_labels.class_balanced_labels(LOGITS, needed))
    assert labels.dtype == np.int32 and len(set(labels.ravel())) > 2
    for place in np.ndindex(labels.shape):
        excess = probabilities(LOGITS[place]) / needed
        assert labels[place] == (excess.argmax() if excess.max() >= 1 else 255)


@given(st.integers(0, 2**31 - 1), st.sampled_from([0.2, 0.3, 0.5]))
def test_cbst_keeps_the_stated_share_of_each_class(seed, portion):
    logits = np.random.default_rng(seed).normal(size=(40, 40, CLASSES), scale=3)
    p = np.asarray(jax.nn.softmax(np.float32(logits)))
    needed = np.asarray(thresholds(p.max(-1), p.argmax(-1), portion))
    labels = np.asarray(pseudo_labels.class_balanced_labels(np.float32(logits), needed))
    for number in range(CLASSES):
        predicted = p.argmax(-1) == number
        kept = (labels != 255) & predicted
        # All of the portion, and the pixels that another class wins by its lower threshold.
        surest = kept & (p[..., number] >= needed[number])
        assert surest.sum() == int(np.float32(portion) * np.float32(predicted.sum()))
        assert (labels[kept & ~surest] != number).all()


def test_soft_labels_are_those_of_lrent():
    needed, alpha = np.float32([0.9, 0.4, 0.6, 0.7]), 0.25
    soft = np.asarray(pseudo_labels.soft_class_balanced_labels(LOGITS, needed, alpha))
    some = 0
    for place in np.ndindex(LOGITS.shape[:-1]):
        powers = (probabilities(LOGITS[place].astype(np.float64)) / needed) ** (1 / alpha)
        expected = powers / powers.sum() if powers.sum() >= 1 else 0 * powers
        np.testing.assert_allclose(soft[place], expected, rtol=1e-4, atol=1e-6)
        some += powers.sum() >= 1
    assert 0 < some < soft[..., 0].size


def test_soft_labels_minimise_lrents_objective():
    """-sum y log(p / k) + alpha sum y log y, which is below 0 where labelling is worthwhile."""
    needed, alpha = np.float32([0.2, 0.4, 0.6, 0.7]), 0.5

    def cost(soft, logits):
        log_excess = np.log(probabilities(logits) / needed)
        return -(soft * log_excess).sum() + alpha * (soft * np.log(soft)).sum()

    rng = np.random.default_rng(3)
    for logits in LOGITS.reshape(-1, CLASSES):
        soft = np.asarray(pseudo_labels.soft_class_balanced_labels(logits, needed, alpha))
        if soft.any():
            others = rng.dirichlet(np.ones(CLASSES), 50)
            assert cost(soft, logits) <= min(0, *(cost(each, logits) for each in others)) + 1e-5


def adapted_twin(confidence, prediction, theta, portion, gamma):
    theta, found = np.array(theta, np.float64), []
    for values, classes in zip(confidence, prediction, strict=True):
        new = theta.copy()
        for number in range(len(theta)):
            own = np.append(values[classes == number], theta[number])
            new[number] = np.percentile(own, 100 * (1 - portion * theta[number] ** gamma))
        theta = np.minimum(0.9 * theta + 0.1 * new, 0.999)
        found.append(theta)
    return np.array(found)


@functools.partial(jax.jit, static_argnames=("gamma",))
def adapted(confidence, prediction, theta, portion, gamma):
    return pseudo_labels.instance_adaptive_thresholds(
        confidence, prediction, theta, portion=portion, gamma=gamma
    )


@given(st.integers(0, 2**31 - 1), st.sampled_from([0.2, 0.3, 1.0]), st.sampled_from([1.0, 8.0]))
def test_thresholds_follow_iasts_recursion(seed, portion, gamma):
    rng = np.random.default_rng(seed)
    confidence = (1 - rng.uniform(0, 0.7, (6, 5, 7)) ** 2).astype(np.float32)
    prediction = rng.choice([0, 1, 2, 255], (6, 5, 7), p=[0.6, 0.3, 0.05, 0.05])
    theta = rng.uniform(0.4, 0.999, CLASSES).astype(np.float32)
    found = adapted(confidence, prediction, theta, portion, gamma)
    expected = adapted_twin(confidence, prediction, theta, portion, gamma)
    np.testing.assert_allclose(found.thresholds, expected, atol=2e-5)
    np.testing.assert_array_equal(found.last, found.thresholds[-1])


def test_iasts_recursion_goes_on_from_batch_to_batch():
    confidence, prediction = (each.reshape(8, 20, 25) for each in drawn_pool(0))
    theta = np.full(CLASSES, 0.9, np.float32)
    at_once = adapted(confidence, prediction, theta, 0.2, 8.0)
    first = adapted(confidence[:3], prediction[:3], theta, 0.2, 8.0)
    second = adapted(confidence[3:], prediction[3:], first.last, 0.2, 8.0)
    in_two = np.concatenate([first.thresholds, second.thresholds])
    np.testing.assert_allclose(in_two, at_once.thresholds, rtol=1e-6)


def test_a_class_that_no_pixel_shows_keeps_its_threshold():
    confidence, prediction = np.full((3, 4, 4), 0.5, np.float32), np.zeros((3, 4, 4), int)
    found = adapted(confidence, prediction, np.full(CLASSES, 0.9, np.float32), 0.2, 8.0)
    np.testing.assert_allclose(found.thresholds[:, 1:], 0.9, rtol=1e-6)
    assert found.last[0] < 0.9


def voted_twin(logits, labels, needed, radius, own_weight, agreement):
    expected = labels.copy()
    for b, row, column in np.ndindex(labels.shape):
        if labels[b, row, column] < CLASSES:
            continue
        rows, columns = (slice(max(at - radius, 0), at + radius + 1) for at in (row, column))
        window = rows, columns
        voters, p = labels[b][window].ravel(), probabilities(logits[b][window]).reshape(-1, CLASSES)
        votes = np.array([p[voters == c, c].sum() for c in range(CLASSES)])
        own = probabilities(logits[b, row, column])
        best, score = 255, agreement
        for c in np.argsort(-votes)[:2]:
            if votes[c] > 0:
                its = own_weight * min(own[c] / needed[c], 1)
                its += (1 - own_weight) * votes[c] / votes.sum()
                if its >= score:
                    best, score = c, its
        expected[b, row, column] = best
    return expected


@pytest.mark.parametrize("radius", [1, 2, 20])
@pytest.mark.parametrize("own_weight", [0.5, 0.8])
def test_labelled_pixels_vote_on_those_around(radius, own_weight):
    rng = np.random.default_rng(radius)
    logits = rng.normal(size=(2, 7, 9, CLASSES), scale=2).astype(np.float32)
    labels = np.where(rng.random((2, 7, 9)) < 0.3, logits.argmax(-1), 255).astype(np.int32)
    needed = np.float32([0.9, 0.8, 0.7, 0.95])
    settings = {"radius": radius, "own_weight": own_weight, "agreement": 0.6}
    voted = np.asarray(pseudo_labels.voted_labels(logits, labels, needed, **settings))
    np.testing.assert_array_equal(voted, voted_twin(logits, labels, needed, **settings))
    labelled = labels != 255
    np.testing.assert_array_equal(voted[labelled], labels[labelled])
    assert labelled.sum() < (voted != 255).sum() < labels.size


def test_nobody_votes_where_nothing_is_labelled():
    none = np.full(LOGITS.shape[:-1], 255)
    needed = np.ones(CLASSES, np.float32)
    voted = pseudo_labels.voted_labels(LOGITS, none, needed, radius=1, agreement=0.0)
    np.testing.assert_array_equal(voted, 255)
