"""Scores of whole images, and their k-centres against a plain loop."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from labor_jax import acquisition

LOGITS = jax.random.normal(jax.random.key(0), (2, 3, 4, 5, 6))


def test_scores_are_means_over_an_images_pixels():
    for score, pixels in (
        (acquisition.image_entropy, acquisition.softmax_entropy),
        (acquisition.image_margin, acquisition.margin),
    ):
        found = score(LOGITS)
        assert found.shape == (2, 3)
        expected = np.asarray(pixels(LOGITS), np.float64).mean((2, 3))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_inconsistency_is_a_share_of_pixels():
    found = acquisition.image_inconsistency(LOGITS[0], LOGITS[1])
    differ = np.asarray(LOGITS[0]).argmax(-1) != np.asarray(LOGITS[1]).argmax(-1)
    np.testing.assert_allclose(found, differ.mean((1, 2)), rtol=1e-6)


def test_an_images_vector_is_its_mean_feature():
    found = acquisition.image_vector(LOGITS)
    np.testing.assert_allclose(found, np.asarray(LOGITS).mean((2, 3)), rtol=1e-5, atol=1e-6)


def twin(vectors, available, count):
    vectors = vectors.astype(np.float64)
    asked = np.flatnonzero(~available).tolist()
    picks, distances = [], []
    for _ in range(count):
        free = [i for i in range(len(vectors)) if i not in asked]
        if not free:
            break

        def nearest(i):
            return min((((vectors[i] - vectors[j]) ** 2).sum() for j in asked), default=np.inf)

        def centrality(i):
            return ((vectors[i] - vectors.mean(0)) ** 2).sum()

        best = max(free, key=nearest) if asked else min(free, key=centrality)
        picks.append(best)
        distances.append(nearest(best))
        asked.append(best)
    return picks, distances


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), count=st.sampled_from([0, 3, 12]), asked=st.booleans()
)
@hypothesis.settings(max_examples=30)
def test_k_centres_equal_the_twin(seed, count, asked):
    rng = np.random.default_rng(seed)
    # Whole numbers, so that distances are exact and ties common; 8 divides their sum exactly.
    vectors = rng.integers(-3, 4, (8, 2)).astype(np.float32)
    available = rng.random(8) < 0.7 if asked else np.ones(8, bool)
    picks, distances = acquisition.select_image_core_set(vectors, available, count=count)
    expected, expected_distances = twin(vectors, available, count)
    assert picks[: len(expected)].tolist() == expected
    np.testing.assert_array_equal(distances[: len(expected)], expected_distances)
    assert (np.asarray(picks[len(expected) :]) == -1).all()
    assert np.isneginf(distances[len(expected) :]).all()


def test_images_with_vectors_are_chosen_by_k_centres_and_never_those_with_nothing_left():
    vectors = np.array([[0.0], [1.0], [5.0], [9.0]], np.float32)
    asked = np.array([-np.inf, 0, 0, 0], np.float32)
    assert acquisition.best_images(asked, 2, vectors=vectors).tolist() == [3, 2]
    assert acquisition.best_images(asked, 9, vectors=vectors).tolist() == [3, 2, 1]
    unknown = np.full(4, np.nan, np.float32)  # a score that is NaN may be chosen
    assert len(acquisition.best_images(unknown, 9, vectors=vectors)) == 4


@pytest.mark.parametrize("asked", [False, True])
def test_an_image_of_nan_comes_last_and_covers_nothing(asked):
    vectors = np.array([[np.nan], [1.0], [5.0], [9.0], [4.5]], np.float32)
    available = np.array([not asked, True, True, True, True])
    picks, distances = acquisition.select_image_core_set(vectors, available, count=5)
    rest, expected = acquisition.select_image_core_set(vectors[1:], available[1:], count=4)
    np.testing.assert_array_equal(picks, [*(rest + 1), -1 if asked else 0])
    if not asked:
        np.testing.assert_array_equal(distances[:4], expected)


def test_wrong_arguments_are_refused():
    vectors, available = np.zeros((3, 2)), np.ones(3, bool)
    with pytest.raises(ValueError, match=r"vectors must be \[N, D\]"):
        acquisition.select_image_core_set(vectors[0], available, count=1)
    with pytest.raises(ValueError, match="available must"):
        acquisition.select_image_core_set(vectors, available[:2], count=1)
    with pytest.raises(ValueError, match="count must be"):
        acquisition.select_image_core_set(vectors, available, count=-1)


def test_the_best_images_come_in_order_and_never_those_with_nothing_left():
    scores = np.array([0.5, np.nan, 0.7, -np.inf, 0.5, -1.0], np.float32)
    assert acquisition.best_images(scores, 9).tolist() == [2, 0, 4, 5, 1]
    assert acquisition.best_images(scores, 2).tolist() == [2, 0]
    assert acquisition.best_images(scores, 0).tolist() == []


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_image_of_broken_features_comes_last(broken):
    vectors = np.asarray([[0.0], [broken], [1.0], [9.0]], np.float32)
    picks, _ = acquisition.select_image_core_set(vectors, np.ones(4, bool), count=4)
    np.testing.assert_array_equal(picks, [2, 3, 0, 1])
