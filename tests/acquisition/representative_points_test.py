import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from tests.acquisition.batches import assert_batch_equals_single_images

DISTANCES = ["euclidean", "cosine"]


def _distances(mask, probabilities, label, distance):
    """(column, row, distance) of each masked pixel predicted as `label`, in float64."""
    probabilities = np.asarray(probabilities, np.float64)
    member = mask & (np.argmax(probabilities, axis=-1) == label)
    if not member.any():
        return []
    vectors, prototype = probabilities, probabilities[member].mean(axis=0)
    if distance == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
        prototype = prototype / np.linalg.norm(prototype)
    away = np.linalg.norm(vectors - prototype, axis=-1)
    return sorted((x, y, away[y, x]) for y, x in zip(*np.nonzero(member), strict=True))


def _twin(mask, probabilities, distance):
    """The centre of each class, with near-equal distances as ties; (-1, -1) without one."""
    centers = []
    for label in range(probabilities.shape[-1]):
        members = _distances(mask, probabilities, label, distance)
        smallest = min((away for *_, away in members), default=0.0)
        tied = [(y, x) for x, y, away in members if away <= smallest + 1e-6]
        centers.append(tied[0] if tied else (-1, -1))
    return np.array(centers)


def _probabilities(seed, shape=(9, 11, 5), scale=1.0):
    return jax.nn.softmax(scale * jax.random.normal(jax.random.key(seed), shape))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("share", [0.0, 0.15, 0.6, 1.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_points_equal_the_loop(distance, share, scale):
    for seed in range(4):
        probabilities = _probabilities(seed, scale=scale)
        mask = np.random.default_rng(seed).random((9, 11)) < share
        selection = acquisition.select_representative_points(mask, probabilities, distance=distance)
        centers = _twin(mask, probabilities, distance)
        np.testing.assert_array_equal(selection.centers, centers)
        np.testing.assert_array_equal(selection.valid, centers[:, 0] >= 0)
        query = np.zeros(mask.shape, bool)
        query[tuple(centers[centers[:, 0] >= 0].T)] = True
        np.testing.assert_array_equal(selection.query, query)
        np.testing.assert_array_equal(selection.available, mask & ~query)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    # Few distinct vectors: ties between pixels, between classes, and groups of two everywhere.
    vectors=hnp.arrays(
        np.float32,
        (4, 5, 3),
        elements=st.sampled_from([0.125, 0.25, 0.5]),
    ),
    mask=hnp.arrays(np.bool_, (4, 5)),
)
def test_ties_go_to_the_lowest_column_then_row(vectors, mask):
    probabilities = vectors / vectors.sum(axis=-1, keepdims=True)
    selection = acquisition.select_representative_points(mask, probabilities)
    np.testing.assert_array_equal(selection.centers, _twin(mask, probabilities, "euclidean"))


def test_two_pixels_of_a_class_are_a_tie():
    # Equally far from their mean by definition, whatever rounding says.
    for seed in range(20):
        probabilities = _probabilities(seed, (1, 2, 3)).at[..., 1].add(1.0)
        selection = acquisition.select_representative_points(jnp.ones((1, 2), bool), probabilities)
        assert selection.centers.tolist() == [[-1, -1], [0, 0], [-1, -1]]


def test_the_pixel_nearest_to_the_mean_is_asked():
    shares = jnp.asarray([0.95, 0.6, 0.9, 0.79, 0.7])
    probabilities = jnp.stack([shares, 1 - shares], axis=-1)[None]
    selection = acquisition.select_representative_points(jnp.ones((1, 5), bool), probabilities)
    assert selection.centers.tolist() == [[0, 3], [-1, -1]]
    assert selection.valid.tolist() == [True, False]


def test_distances_can_choose_differently():
    # The first pixel points the way of the mean but is short, the second is long but near.
    vectors = jnp.asarray([[[0.26, 0.13, 0], [0.5, 0.24, 0.04], [0.9, 0.47, 0]]])
    mask = jnp.ones((1, 3), bool)
    select = acquisition.select_representative_points
    assert select(mask, vectors).centers[0].tolist() == [0, 1]
    cosine = select(mask, vectors, distance="cosine").centers
    np.testing.assert_array_equal(cosine, _twin(np.asarray(mask), vectors, "cosine"))
    assert cosine[0].tolist() != [0, 1]


@pytest.mark.parametrize("distance", DISTANCES)
def test_batch_equals_single_images(distance):
    probabilities = _probabilities(7, (3, 8, 6, 4))
    mask = jax.random.uniform(jax.random.key(8), (3, 8, 6)) < 0.5
    select = functools.partial(acquisition.select_representative_points, distance=distance)
    assert_batch_equals_single_images(select, mask, probabilities)


def test_a_spoilt_group_still_gets_its_point():
    probabilities = _probabilities(9, (3, 3, 2)).at[1, 1].set(jnp.nan)
    selection = acquisition.select_representative_points(jnp.ones((3, 3), bool), probabilities)
    assert selection.valid[0]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("masked", [True, False])
def test_a_nan_spoils_no_other_pixel(distance, masked):
    probabilities = _probabilities(5)
    mask = jnp.ones(probabilities.shape[:2], bool).at[2, 3].set(False)
    expected = acquisition.select_representative_points(mask, probabilities, distance=distance)
    spoilt = probabilities.at[2, 3].set(jnp.nan)
    found = acquisition.select_representative_points(
        mask.at[2, 3].set(masked), spoilt, distance=distance
    )
    np.testing.assert_array_equal(found.centers, expected.centers)


def test_wrong_input_is_explained():
    probabilities, mask = _probabilities(0), jnp.ones((9, 11), bool)
    select = acquisition.select_representative_points
    with pytest.raises(ValueError, match="'manhattan'; choose one of: euclidean, cosine"):
        select(mask, probabilities, distance="manhattan")
    with pytest.raises(ValueError, match=r"one image \[H, W, C\]"):
        select(mask[None], probabilities[None])
    with pytest.raises(ValueError, match="mask must have shape"):
        select(mask.T, probabilities)
    with pytest.raises(ValueError, match="mask must be bool"):
        select(mask.astype(jnp.float32), probabilities)
