"""Every pick of a core-set is as far from those before as any pixel, by explicit upsampling."""

import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.ops import resize_bilinear_align_corners
from tests.acquisition.batches import assert_batch_equals_single_images


def _matrix(size, out_size):
    """Interpolation with aligned corners along one axis, f64[out_size, size]."""
    place = np.arange(out_size) * (size - 1) / max(out_size - 1, 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(size)), 0)


def _upsampled(features, shape):
    rows, columns = (_matrix(*sizes) for sizes in zip(features.shape, shape, strict=False))
    return np.einsum("Hh,Ww,hwd->HWd", rows, columns, np.asarray(features, np.float64))


def _squared_distances(vectors, vector):
    return ((vectors - vector) ** 2).sum(axis=-1)


def _scores(vectors, asked):
    """What the next pick maximises, by the words of the contract."""
    if not asked.any():
        return -_squared_distances(vectors, vectors.mean(axis=(0, 1)))
    return np.min([_squared_distances(vectors, center) for center in vectors[asked]], axis=0)


def _twin(features, available, count):
    """The core-set with one full search a pick."""
    vectors, left = _upsampled(features, available.shape), available.copy()
    centers = np.full((count, 2), -1)
    for pick in range(min(count, available.sum())):
        score = np.where(left, _scores(vectors, ~left), -np.inf)
        x, y = np.unravel_index(np.argmax(score.T), score.T.shape)
        centers[pick] = y, x
        left[y, x] = False
    return centers


def _assert_consistent(selection, available):
    centers, valid = np.asarray(selection.centers), np.asarray(selection.valid)
    np.testing.assert_array_equal(valid, centers[:, 0] >= 0)
    assert (centers[~valid] == -1).all()
    assert valid.sum() == min(len(centers), available.sum())
    query = np.zeros(available.shape, bool)
    query[tuple(centers[valid].T)] = True
    np.testing.assert_array_equal(selection.query, query)
    np.testing.assert_array_equal(selection.available, available & ~query)
    assert not (query & ~available).any()
    assert query.sum() == valid.sum()


def _assert_greedy(selection, features, available):
    """No pixel would have been a clearly better pick than the one made."""
    vectors, left = _upsampled(features, available.shape), available.copy()
    scale = np.abs(_scores(vectors, np.zeros_like(left))).max()
    for y, x in np.asarray(selection.centers)[np.asarray(selection.valid)]:
        score = _scores(vectors, ~left)
        best = score[left].max()
        assert score[y, x] >= best - 1e-4 * abs(best) - 1e-6 * scale
        left[y, x] = False


@pytest.mark.parametrize(
    ("low", "shape"),
    [((3, 4), (13, 18)), ((5, 2), (5, 11)), ((1, 3), (4, 9)), ((6, 7), (3, 4)), ((2, 2), (1, 7))],
)
@pytest.mark.parametrize("share", [1.0, 0.9])
def test_each_pick_is_the_farthest(low, shape, share):
    rng = np.random.default_rng(0)
    for offset in (0, 30):  # features after a ReLU lie far from the origin
        features = offset + rng.normal(size=(*low, 6)).astype(np.float32)
        available = rng.random(shape) < share
        selection = acquisition.select_core_set(features, available, count=8)
        _assert_consistent(selection, available)
        _assert_greedy(selection, features, available)


# Sizes at which interpolation by halves and quarters is exact, and so is the order of ties.
@pytest.mark.parametrize(("low", "shape"), [((4, 5), (4, 5)), ((3, 3), (5, 9)), ((1, 2), (3, 5))])
@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(data=st.data())
def test_ties_go_to_the_lowest_column_then_row(low, shape, data):
    features = data.draw(hnp.arrays(np.float32, (*low, 2), elements=st.integers(-3, 3)))
    available = data.draw(hnp.arrays(np.bool_, shape))
    available[-1, 0] = False  # a mean would not be exact
    selection = acquisition.select_core_set(features, available, count=6)
    np.testing.assert_array_equal(selection.centers, _twin(features, available, 6))
    _assert_consistent(selection, available)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(features=hnp.arrays(np.float32, (4, 8, 2), elements=st.integers(-3, 3)))
def test_the_first_pick_is_nearest_to_the_mean(features):
    available = np.ones((4, 8), bool)
    selection = acquisition.select_core_set(features, available, count=5)
    np.testing.assert_array_equal(selection.centers, _twin(features, available, 5))


def test_rounds_add_up_to_one_selection():
    features = np.random.default_rng(1).integers(0, 9, (8, 4, 3)).astype(np.float32)
    everything = np.ones((8, 4), bool)
    together = acquisition.select_core_set(features, everything, count=6)
    first = acquisition.select_core_set(features, everything, count=2)
    then = acquisition.select_core_set(features, first.available, count=4)
    np.testing.assert_array_equal(together.centers, np.concatenate([first.centers, then.centers]))


def test_equal_features_are_all_ties():
    features = np.full((3, 4, 5), 0.3, np.float32)
    selection = acquisition.select_core_set(features, np.ones((7, 6), bool), count=8)
    expected = [[row, 0] for row in range(7)] + [[0, 1]]
    assert selection.centers.tolist() == expected


def test_exhausted_image_leaves_the_rest_invalid():
    available = np.zeros((3, 4), bool)
    available[1, 2] = True
    features = np.random.default_rng(2).normal(size=(2, 2, 3)).astype(np.float32)
    selection = acquisition.select_core_set(features, available, count=3)
    assert selection.centers.tolist() == [[1, 2], [-1, -1], [-1, -1]]
    nothing = acquisition.select_core_set(features, np.zeros((3, 4), bool), count=2)
    assert not nothing.valid.any() and not nothing.query.any()


def test_count_zero_asks_nothing():
    selection = acquisition.select_core_set(np.ones((2, 2, 3)), np.ones((3, 4), bool), count=0)
    assert selection.centers.shape == (0, 2)
    assert not selection.query.any() and selection.available.all()


def test_batch_equals_single_images():
    rng = np.random.default_rng(3)
    features = rng.integers(-4, 5, (4, 3, 3, 2)).astype(np.float32)
    available = rng.random((4, 5, 9)) < np.array([0.9, 0.5, 0.1, 0.0])[:, None, None]
    select = functools.partial(acquisition.select_core_set, count=6)
    assert_batch_equals_single_images(select, features, available)


def test_lower_precision_features_are_accepted():
    features = np.random.default_rng(4).integers(-4, 5, (4, 8, 2))
    available = np.ones((4, 8), bool)
    selection = acquisition.select_core_set(jnp.asarray(features, jnp.bfloat16), available, count=5)
    np.testing.assert_array_equal(selection.centers, _twin(features, available, 5))


def test_a_pixel_beside_a_broken_one_is_sound():
    features = np.float32([0, 9, np.nan, 5, 3]).reshape(1, 5, 1)
    available = np.array([[False, True, True, True, True]])
    for axes in ((0, 1), (1, 0)):
        found = acquisition.select_core_set(
            features.transpose(*axes, 2), available.transpose(axes), count=4
        )
        assert found.centers[:, axes.index(1)].tolist() == [1, 3, 4, 2]
        np.testing.assert_array_equal(found.scores, [81, 16, 4, np.nan])


@pytest.mark.parametrize(("asked", "value"), [(False, np.nan), (True, np.nan), (False, np.inf)])
def test_pixels_of_nan_or_inf_features_decide_nothing_and_come_last(asked, value):
    features = np.random.default_rng(5).normal(size=(6, 6, 2)).astype(np.float32)
    features[0, 0] = features[5, 5, 0] = np.nan
    broken = np.isnan(features).any(axis=-1)
    available = np.ones((6, 6), bool)
    available[0, 0] = not asked
    spoilt = np.where(np.isnan(features), np.float32(value), features)
    found = acquisition.select_core_set(spoilt, available, count=36)
    _assert_consistent(found, available)
    centers = np.asarray(found.centers)[: available.sum()]
    sound = (~broken).sum()
    assert not broken[tuple(centers[:sound].T)].any() and broken[tuple(centers[sound:].T)].all()
    if not asked:
        mean = np.nanmean(features, axis=(0, 1))
        first = np.nanargmin(np.where(broken, np.nan, _squared_distances(features, mean)))
        assert centers[0].tolist() == [*divmod(first, 6)]
    for pick in range(1, sound):
        before = features[tuple(centers[:pick].T)]
        nearest = np.min([_squared_distances(features, each) for each in before], axis=0)
        farthest = np.nanmax(np.where(broken, np.nan, nearest))
        assert nearest[tuple(centers[pick])] == pytest.approx(farthest, rel=1e-4)


def test_pixels_features_are_upsampled_as_logits_are():
    features = np.random.default_rng(6).normal(size=(3, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(
        _upsampled(features, (7, 12)),
        resize_bilinear_align_corners(features, (7, 12)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_upsampled_features_are_never_in_memory():
    height, width, channels = 256, 512, 512
    compiled = jax.jit(functools.partial(acquisition.select_core_set, count=5)).lower(
        jax.ShapeDtypeStruct((16, 32, channels), jnp.float32),
        jax.ShapeDtypeStruct((height, width), jnp.bool_),
    )
    memory = compiled.compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * height * width * channels / 20


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"features": jnp.zeros((2, 3))}, ValueError, r"one image \[h, w, D\]"),
        ({"features": jnp.zeros((2, 0, 3))}, ValueError, r"got shape \(2, 0, 3\)"),
        ({"available": jnp.ones((2, 4, 3), bool)}, ValueError, r"one image \[H, W\]"),
        ({"available": jnp.ones((4, 3))}, ValueError, "available must be bool"),
        ({"count": -1}, ValueError, "count must be 0 or more"),
        ({"count": 1.5}, TypeError, "integer"),
    ],
)
def test_wrong_input_is_explained(change, error, message):
    arguments = {
        "features": jnp.zeros((2, 3, 4)),
        "available": jnp.ones((4, 6), bool),
        "count": 1,
    } | change
    with pytest.raises(error, match=message):
        acquisition.select_core_set(
            arguments["features"], arguments["available"], count=arguments["count"]
        )
