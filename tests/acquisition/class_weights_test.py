import numpy as np
import pytest

from labor_jax.acquisition import class_weights


def test_rare_answers_weigh_more():
    weights = class_weights.class_weights_from_answers([4, 0, 2, 2])
    np.testing.assert_allclose(weights, [2 / 3, 2, 1, 1])
    assert weights.dtype == np.float32
    np.testing.assert_allclose(class_weights.class_weights_from_answers([0, 7]), [2, 2 / 3])
    np.testing.assert_array_equal(class_weights.class_weights_from_answers([0, 0, 0]), 1)


def test_rare_predictions_weigh_more():
    weights = class_weights.class_weights_from_predictions([1, 0, 3])
    np.testing.assert_allclose(weights, [1 / 2.5**2, 1, 1 / 5.5**2])
    assert weights.dtype == np.float32


@pytest.mark.parametrize("counts", [[[1, 2]], [1, -1], []])
def test_counts_that_are_none_are_refused(counts):
    for weights in (
        class_weights.class_weights_from_answers,
        class_weights.class_weights_from_predictions,
    ):
        with pytest.raises(ValueError, match="of 0 or more"):
            weights(counts)


def test_nothing_predicted_is_refused():
    with pytest.raises(ValueError, match="some above 0"):
        class_weights.class_weights_from_predictions([0, 0])


def test_scores_are_weighted_by_the_predicted_class():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 5, 3)).astype(np.float32)
    score = rng.normal(size=(4, 5)).astype(np.float32)
    weights = np.float32([0.5, 1, 2])
    found = np.asarray(class_weights.weighted(score, logits, weights))
    for place in np.ndindex(score.shape):
        weight = weights[np.argmax(logits[place])]
        value = score[place]
        np.testing.assert_allclose(found[place], value / weight if value < 0 else value * weight)


def test_a_larger_weight_never_lowers_a_score():
    score = np.float32([[-np.inf, -1e-6, 0, 1e-6, np.inf, np.nan]])
    logits = np.zeros((1, 6, 2), np.float32)
    low, high = (
        np.asarray(class_weights.weighted(score, logits, np.float32([weight, 1])))[0]
        for weight in (0.1, 2)
    )
    assert (high[:5] >= low[:5]).all() and np.isnan(high[5])
    assert (np.diff(low[:5]) > 0).all()
