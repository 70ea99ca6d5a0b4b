"""Means, merging and selection of superpixels against plain loops."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from labor_jax.acquisition import superpixels as sp

SHAPE = (9, 11)
BOUND = 40
CLASSES = 4


def pieces(seed):
    """Superpixels: 4-connected pieces of random classes, some of them merged into neighbours."""
    rng = np.random.default_rng(seed)
    classes = ndimage.zoom(rng.integers(0, 3, (4, 4)), (9 / 4, 11 / 4), order=0)[:9, :11]
    numbers = np.zeros(SHAPE, np.int32)
    count = 0
    for value in range(3):
        labels, found = ndimage.label(classes == value)
        numbers[labels > 0] = labels[labels > 0] + count - 1
        count += found
    # Not every number occurs.
    return np.sort(rng.permutation(BOUND)[:count])[numbers].astype(np.int32)


def logits_of(seed, numbers):
    """Logits that are alike within a superpixel, most of them certain."""
    rng = np.random.default_rng(seed)
    of_class = 8 * np.eye(CLASSES)[rng.integers(0, 2, BOUND)] * rng.choice([0.2, 1], (BOUND, 1))
    return np.float32(of_class[numbers] + rng.normal(size=(*SHAPE, CLASSES)))


def twin_means(values, numbers):
    result = np.zeros((BOUND, *values.shape[2:]))
    for number in np.unique(numbers):
        if 0 <= number < BOUND:
            result[number] = values[numbers == number].mean(0, dtype=np.float64)
    return result


def twin_pairs(numbers):
    found = set()
    for y, x in np.ndindex(SHAPE):
        for j, i in ((y + 1, x), (y, x + 1)):
            if j < SHAPE[0] and i < SHAPE[1] and numbers[y, x] != numbers[j, i]:
                found.add(tuple(sorted((int(numbers[y, x]), int(numbers[j, i])))))
    return sorted(found)


def twin_merge(numbers, logits, entropy, divergence):
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    h = -(p * np.log(p)).sum(-1)
    mean_p, mean_h = twin_means(p, numbers), twin_means(h, numbers)

    def entropy_of(q):
        return -(q * np.log(q)).sum()

    result = numbers.copy()
    for a, b in twin_pairs(numbers):
        mixed = entropy_of((mean_p[a] + mean_p[b]) / 2)
        distance = mixed - (entropy_of(mean_p[a]) + entropy_of(mean_p[b])) / 2
        if max(mean_h[a], mean_h[b]) < entropy and distance < divergence:
            ends = {result[numbers == a][0], result[numbers == b][0]}
            result[np.isin(result, list(ends))] = min(ends)
    return result


@hypothesis.given(seed=st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=20)
def test_means_and_pairs_equal_the_twins(seed):
    numbers = pieces(seed)
    values = np.random.default_rng(seed).normal(size=(*SHAPE, 3)).astype(np.float32)
    found = sp.superpixel_means(values, numbers, bound=BOUND)
    np.testing.assert_allclose(found, twin_means(values, numbers), rtol=1e-5, atol=1e-6)
    one = sp.superpixel_means(values[..., 0] > 0, numbers, bound=BOUND)
    np.testing.assert_allclose(one, twin_means(values[..., 0] > 0, numbers), rtol=1e-6)
    pairs = np.asarray(sp.adjacent_superpixels(numbers, bound=BOUND))
    expected = twin_pairs(numbers)
    assert pairs[: len(expected)].tolist() == [list(pair) for pair in expected]
    assert (pairs[len(expected) :] == -1).all()


def test_pixels_outside_of_all_superpixels_are_left_out():
    numbers = pieces(0)
    numbers[:3] = -1
    numbers[3:5] = BOUND
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    found = sp.superpixel_means(values, numbers, bound=BOUND)
    np.testing.assert_allclose(found, twin_means(values, numbers), rtol=1e-5, atol=1e-6)
    is_outside = (numbers < 0) | (numbers >= BOUND)
    pairs = np.asarray(sp.adjacent_superpixels(numbers, bound=BOUND))
    inside = [pair for pair in twin_pairs(numbers) if min(pair) >= 0 and max(pair) < BOUND]
    assert [tuple(pair) for pair in pairs if pair[0] >= 0] == inside
    logits = np.zeros((*SHAPE, CLASSES), np.float32)
    merged = np.asarray(sp.merge_alike(numbers, logits, bound=BOUND, entropy=np.inf))
    np.testing.assert_array_equal(merged[is_outside], numbers[is_outside])
    assert (merged[~is_outside] < BOUND).all() and (merged[~is_outside] >= 0).all()
    everything = np.ones(SHAPE, bool)
    query = sp.select_superpixels(np.zeros(BOUND), numbers, everything, count=BOUND)
    np.testing.assert_array_equal(query.pixels, ~is_outside)
    assert query.picks == len(np.unique(numbers[~is_outside]))


@pytest.mark.parametrize("entropy", [0.05, 0.6, 5.0])
@hypothesis.given(seed=st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=15)
def test_merging_equals_the_twin(entropy, seed):
    numbers = pieces(seed)
    logits = logits_of(seed, numbers)
    for divergence in (0.1, 0.02):
        found = sp.merge_alike(numbers, logits, bound=BOUND, entropy=entropy, divergence=divergence)
        np.testing.assert_array_equal(found, twin_merge(numbers, logits, entropy, divergence))


def test_a_class_that_is_ruled_out_does_not_keep_superpixels_apart():
    numbers = np.int32([[0, 0, 1, 1]])
    logits = np.float32([20, 0, -np.inf]) * np.ones((1, 4, 1), np.float32)
    assert not np.any(sp.merge_alike(numbers, logits, bound=2))


def test_an_image_of_one_superpixel_has_nothing_to_merge():
    numbers, logits = np.zeros(SHAPE, np.int32), np.zeros((*SHAPE, CLASSES), np.float32)
    assert (np.asarray(sp.adjacent_superpixels(numbers, bound=1)) == -1).all()
    np.testing.assert_array_equal(sp.merge_alike(numbers, logits, bound=1), numbers)


def twin_select(score, numbers, available, count):
    ranked = sorted(
        (-score[number] if not np.isnan(score[number]) else np.inf, number)
        for number in np.unique(numbers)
        if available[numbers == number].mean() >= 0.5
    )
    parts = np.full(SHAPE, -1)
    for rank, (_, number) in enumerate(ranked[:count]):
        parts[(numbers == number) & available] = rank
    return parts, [score[number] for _, number in ranked[:count]]


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), count=st.sampled_from([0, 1, 5, 100]), asked=st.booleans()
)
@hypothesis.settings(max_examples=25)
def test_selection_equals_the_twin(seed, count, asked):
    rng = np.random.default_rng(seed)
    numbers = pieces(seed)
    # Ties are common.
    score = rng.choice(np.float32([0, 0.5, 1, -1]), BOUND)
    available = rng.random(SHAPE) < rng.choice([0.3, 0.7]) if asked else np.ones(SHAPE, bool)
    query = sp.select_superpixels(score, numbers, available, count=count)
    parts, scores = twin_select(score, numbers, available, count)
    np.testing.assert_array_equal(query.parts, parts)
    np.testing.assert_array_equal(query.pixels, parts >= 0)
    assert query.picks == len(scores)
    assert query.scores.shape == (count,)
    np.testing.assert_array_equal(query.scores[: len(scores)], scores)
    assert np.isneginf(query.scores[len(scores) :]).all()


def test_a_superpixel_without_a_score_comes_last():
    numbers = np.repeat(np.arange(3, dtype=np.int32), 4)[None]
    score = np.float32([np.nan, -np.inf, 0])
    query = sp.select_superpixels(score, numbers, np.ones((1, 12), bool), count=3)
    assert query.parts[0, ::4].tolist() == [2, 1, 0]


def test_batches_are_images_one_by_one():
    numbers = np.stack([pieces(seed) for seed in range(3)])
    logits = np.stack([logits_of(seed, numbers[seed]) for seed in range(3)])
    merge = functools.partial(sp.merge_alike, bound=BOUND, entropy=0.6)
    together = jax.vmap(merge)(numbers, logits)
    for each, image, expected in zip(numbers, logits, together, strict=True):
        np.testing.assert_array_equal(merge(each, image), expected)


def test_wrong_shapes_are_refused():
    numbers, available = pieces(0), np.ones(SHAPE, bool)
    with pytest.raises(ValueError, match="values must be"):
        sp.superpixel_means(jnp.zeros((3, 3)), numbers, bound=BOUND)
    with pytest.raises(ValueError, match=r"superpixels must be numbers .* got float32"):
        sp.superpixel_means(jnp.zeros(SHAPE), jnp.zeros(SHAPE), bound=BOUND)
    with pytest.raises(ValueError, match="take larger ones"):
        sp.adjacent_superpixels(numbers, bound=2**16)
    with pytest.raises(ValueError, match="logits must be"):
        sp.merge_alike(numbers, jnp.zeros(SHAPE), bound=BOUND)
    with pytest.raises(ValueError, match="score must be"):
        sp.select_superpixels(jnp.zeros(SHAPE), numbers, available, count=1)
    with pytest.raises(ValueError, match="count must be 0 or more"):
        sp.select_superpixels(jnp.zeros(BOUND), numbers, available, count=-1)
    with pytest.raises(ValueError, match="available must be bool"):
        sp.select_superpixels(jnp.zeros(BOUND), numbers, numbers, count=1)
