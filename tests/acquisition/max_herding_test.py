"""MaxHerding against plain loops in float64."""

import functools

import jax
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.acquisition import max_herding
from tests.acquisition.batches import assert_batch_equals_single_images


def upsampled(features, size):
    """Bilinear, with aligned corners; at the place of an input nothing but that."""
    for axis, length in enumerate(size):
        place = np.linspace(0, features.shape[axis] - 1, length)
        low = np.minimum(np.int64(place), max(features.shape[axis] - 2, 0))
        high = np.minimum(low + 1, features.shape[axis] - 1)
        weight = np.expand_dims(place - low, (1 - axis, 2))
        lower, upper = features.take(low, axis), features.take(high, axis)
        mixed = lower * (1 - weight) + upper * weight
        features = np.where(weight == 0, lower, np.where(weight == 1, upper, mixed))
    return features


def twin(features, available, count, lengthscale=1.0, every=1):
    """Centres and gains, of pixels that are `every` apart; a broken vector is like none."""
    lines = [range((side - 1) % every // 2, side, every) for side in available.shape]
    pixels = [(y, x) for x in lines[1] for y in lines[0]]
    dense = upsampled(np.float64(features), available.shape)
    vectors = [dense[pixel] for pixel in pixels]
    vectors = [v / max(np.linalg.norm(v), 1e-30) for v in vectors]
    kernel = np.exp(
        [[-((a - b) ** 2).sum() / (2 * lengthscale**2) for a in vectors] for b in vectors]
    )
    kernel = np.nan_to_num(kernel)
    asked = [i for i, pixel in enumerate(pixels) if not available[pixel]]
    centers, gains = [], []
    for _ in range(count):
        covered = kernel[:, asked].max(1) if asked else np.zeros(len(pixels))
        gain = {
            i: np.maximum(kernel[:, i] - covered, 0).mean()
            for i in range(len(pixels))
            if i not in asked
        }
        if not gain:
            break
        best = min(i for i in gain if gain[i] >= max(gain.values()) * (1 - 1e-5))
        asked.append(best)
        centers.append(list(pixels[best]))
        gains.append(gain[best])
    return centers, gains


def image(seed, shape=(4, 5, 3), size=(9, 13)):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32), rng.random(size) < 0.8


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("count", "settings"),
    [(4, {}), (30, {}), (5, {"lengthscale": 0.3}), (9, {"positions": 12}), (0, {})],
)
def test_picks_and_gains_equal_the_twin(seed, count, settings):
    features, available = image(seed)
    found = acquisition.select_max_herding(features, available, count=count, **settings)
    every = 4 if "positions" in settings else 1
    centers, gains = twin(features, available, count, settings.get("lengthscale", 1.0), every)
    assert found.centers[: len(centers)].tolist() == centers
    np.testing.assert_allclose(found.scores[: len(gains)], gains, atol=1e-5)
    assert found.valid.sum() == found.query.sum() == len(centers)
    assert np.isneginf(found.scores[len(gains) :]).all()
    assert (np.diff(np.asarray(found.scores[: len(gains)])) <= 1e-6).all()
    np.testing.assert_array_equal(found.available, available & ~np.asarray(found.query))


@pytest.mark.parametrize("seed", [2, 3])
def test_gains_never_increase_though_ties_are_picked_by_place(seed):
    coarse = np.random.default_rng(seed).normal(size=(4, 5, 8)).astype(np.float32)
    features = jax.image.resize(coarse, (16, 20, 8), "linear")
    found = acquisition.select_max_herding(features, np.ones((16, 20), bool), count=320)
    assert found.valid.all() and (np.diff(np.asarray(found.scores)) <= 0).all()


@pytest.mark.parametrize("zeros", [slice(3, None), slice(None)])
def test_zero_vectors_are_alike(zeros):
    features = np.zeros((1, 13, 2), np.float32)
    features[..., 0] = 1
    features[:, zeros] = 0
    available = np.ones((1, 13), bool)
    found = acquisition.select_max_herding(features, available, count=2, lengthscale=0.5)
    centers, gains = twin(features, available, 2, 0.5)
    assert found.centers.tolist() == centers
    np.testing.assert_allclose(found.scores, gains, atol=1e-6)


def test_like_pixels_are_not_asked_twice():
    features = np.zeros((4, 6, 2), np.float32)
    features[:, :3, 0] = features[:, 3:, 1] = 1
    found = acquisition.select_max_herding(
        features, np.ones((4, 6), bool), count=2, lengthscale=0.2
    )
    assert found.centers.tolist() == [[0, 0], [0, 3]]
    np.testing.assert_allclose(found.scores, 0.5, atol=1e-4)


def test_a_map_that_is_finer_than_the_labels_asks_no_pixel_twice():
    features, _ = image(0, shape=(16, 16, 3))
    found = acquisition.select_max_herding(features, np.ones((4, 4), bool), count=20)
    assert found.valid.sum() == found.query.sum() == 16


def test_a_coarse_map_does_not_limit_the_picks():
    features, _ = image(0, shape=(2, 2, 3))
    found = acquisition.select_max_herding(features, np.ones((9, 13), bool), count=120)
    assert found.valid.sum() == found.query.sum() == 117 == max_herding.herding_positions((9, 13))
    assert max_herding.herding_positions((64, 128)) == 2048
    assert max_herding.herding_positions((1024, 2048)) == 2048


def test_a_broken_feature_does_not_decide_the_other_picks():
    features, _ = image(0, shape=(9, 13, 3))
    broken = features.copy()
    broken[8, 12, 0] = np.nan
    everything = np.ones((9, 13), bool)
    select = functools.partial(acquisition.select_max_herding, count=4)
    found = select(broken, everything)
    assert found.centers.tolist() == twin(broken, everything, 4)[0]
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e25, 1e30])
def test_the_size_of_features_changes_nothing(scale):
    features, available = image(0)
    select = functools.partial(acquisition.select_max_herding, count=4)
    found, expected = select(np.float32(scale) * features, available), select(features, available)
    np.testing.assert_array_equal(found.centers, expected.centers)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_earlier_rounds_are_gone_on_from():
    features, _ = image(0)
    everything = np.ones((9, 13), bool)
    select = functools.partial(acquisition.select_max_herding, features)
    whole = select(everything, count=5)
    first = select(everything, count=2)
    second = select(first.available, count=3)
    assert whole.centers[2:].tolist() == second.centers.tolist()


def test_a_single_position_and_batches():
    found = acquisition.select_max_herding(
        np.zeros((1, 1, 2)), np.ones((3, 3), bool), count=2, positions=1
    )
    assert found.centers.tolist() == [[1, 1], [-1, -1]]
    batch = [np.stack(each) for each in zip(image(0), image(1), strict=True)]
    assert_batch_equals_single_images(
        functools.partial(acquisition.select_max_herding, count=3), *batch
    )


def test_wrong_arguments_are_refused():
    features, available = image(0)
    select = functools.partial(acquisition.select_max_herding, count=1)
    with pytest.raises(ValueError, match="features must be one image"):
        select(features[None], available)
    with pytest.raises(ValueError, match="available must be one image"):
        select(features, available[None])
    with pytest.raises(ValueError, match="available must be bool"):
        select(features, available * 1)
    with pytest.raises(ValueError, match="lengthscale must be above 0"):
        select(features, available, lengthscale=0.0)
    with pytest.raises(ValueError, match="positions must be 1 or more"):
        select(features, available, positions=0)
