"""DUC's uncertainties against sums over classes, its integral, and its choice against two sorts."""

import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from scipy.special import digamma

from labor_jax import acquisition
from tests.acquisition.batches import assert_batch_equals_single_images


def twin(logits):
    alpha = np.exp(logits.astype(np.float64))
    total = alpha.sum(-1, keepdims=True)
    p = alpha / total
    data = (p * (digamma(total + 1) - digamma(alpha + 1))).sum(-1)
    knowledge = (p * (digamma(alpha + 1) - digamma(total + 1))).sum(-1) - (p * np.log(p)).sum(-1)
    return knowledge, data


@hypothesis.given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-8, 8, width=32)))
def test_uncertainties_equal_the_twin(logits):
    knowledge, data = twin(logits)
    found = acquisition.distribution_uncertainty(logits)
    np.testing.assert_allclose(found, knowledge, rtol=2e-4, atol=1e-8)
    np.testing.assert_allclose(acquisition.data_uncertainty(logits), data, rtol=1e-3, atol=1e-5)


def test_data_uncertainty_is_the_expected_entropy():
    alpha = np.array([0.5, 2.0, 3.5])
    drawn = np.random.default_rng(0).dirichlet(alpha, 200_000)
    entropies = -np.sum(np.where(drawn > 0, drawn * np.log(np.maximum(drawn, 1e-300)), 0), -1)
    found = acquisition.data_uncertainty(np.log(alpha).astype(np.float32))
    assert float(found) == pytest.approx(entropies.mean(), abs=3e-3)


def test_the_knowledge_of_confident_pixels_is_no_rounding_noise():
    """With a mass m(a) = a (digamma(a + 1) - log a), near 1/2 for large a, see the source."""
    little = np.exp(-5.0)
    mass = little * (digamma(little + 1) + 5)
    logits = np.float32([[30, 10, -60], [25, 10, 9], [30, -5, -60], [40, -5, -60]])
    expected = [0.5 * np.exp(-30), 1.0 * np.exp(-25), mass * np.exp(-30), mass * np.exp(-40)]
    found = acquisition.distribution_uncertainty(logits)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    gradient = jax.grad(lambda logits: acquisition.distribution_uncertainty(logits).sum())
    assert np.isfinite(gradient(np.float32([*logits, [120, 0, -1], [-200, -300, -np.inf]]))).all()


def test_extreme_logits_are_finite():
    logits = np.float32([[1e30, 0, -1e30], [500, 500, 500], [-1e30, -1e30, -1e30], [90, 0, 90]])
    for score in (acquisition.distribution_uncertainty, acquisition.data_uncertainty):
        found = np.asarray(score(logits))
        assert np.isfinite(found).all() and (found >= 0).all()
    # Much evidence for two classes: nothing to learn of the model, but an ambiguous pixel.
    assert float(acquisition.distribution_uncertainty(logits[3])) < 1e-5
    assert float(acquisition.data_uncertainty(logits[3])) == pytest.approx(np.log(2), rel=1e-4)


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([0, 1, 4, 50]),
    factor=st.sampled_from([1, 3]),
)
@hypothesis.settings(max_examples=25)
def test_the_choice_equals_two_sorts(seed, count, factor):
    rng = np.random.default_rng(seed)
    first, second = rng.choice(np.float32([0, 1, 2, 3]), (2, 5, 8))
    available = rng.random((5, 8)) < 0.8
    pixels = [(x, y) for x in range(8) for y in range(5) if available[y, x]]
    left = sorted(pixels, key=lambda each: -first[each[1], each[0]])[: factor * count]
    chosen = sorted(sorted(left), key=lambda each: -second[each[1], each[0]])[:count]
    found = acquisition.select_in_two_steps(first, second, available, count=count, factor=factor)
    expected = [[y, x] for x, y in chosen]
    assert found.centers[: len(chosen)].tolist() == expected
    assert found.valid.sum() == found.query.sum() == len(chosen)
    np.testing.assert_array_equal(found.available, available & ~np.asarray(found.query))


def test_batches_and_wrong_arguments():
    rng = np.random.default_rng(0)
    select = functools.partial(acquisition.select_in_two_steps, count=3)
    first, second = rng.normal(size=(2, 3, 5, 8)).astype(np.float32)
    available = rng.random((3, 5, 8)) < 0.8
    assert_batch_equals_single_images(select, first, second, available)
    with pytest.raises(ValueError, match="factor must be 1 or more"):
        select(first[0], second[0], available[0], factor=0)
    with pytest.raises(ValueError, match="one image"):
        select(first, second, available)
