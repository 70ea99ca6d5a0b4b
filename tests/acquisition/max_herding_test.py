"""MaxHerding against plain loops in float64."""

import functools

import jax
import numpy as np
import pytest

from labor_jax import acquisition
from tests.acquisition.batches import assert_batch_equals_single_images


def twin(features, available, count, lengthscale=1.0, every=1):
    """Centres and gains."""
    height, width = features.shape[:2]
    places = [(y, x) for x in range(0, width, every) for y in range(0, height, every)]
    pixels = [
        tuple(
            int(np.round(i * (size - 1) / max(n - 1, 1)))
            for i, n, size in zip(place, (height, width), available.shape, strict=True)
        )
        for place in places
    ]
    vectors = [np.float64(features[place]) for place in places]
    vectors = [v / max(np.linalg.norm(v), 1e-30) for v in vectors]
    kernel = np.exp(
        [[-((a - b) ** 2).sum() / (2 * lengthscale**2) for a in vectors] for b in vectors]
    )
    asked = [i for i, pixel in enumerate(pixels) if not available[pixel]]
    centers, gains = [], []
    for _ in range(count):
        covered = kernel[:, asked].max(1) if asked else np.zeros(len(places))
        gain = {
            i: np.maximum(kernel[:, i] - covered, 0).mean()
            for i in range(len(places))
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
    [(4, {}), (30, {}), (5, {"lengthscale": 0.3}), (4, {"positions": 12}), (0, {})],
)
def test_picks_and_gains_equal_the_twin(seed, count, settings):
    features, available = image(seed)
    found = acquisition.select_max_herding(features, available, count=count, **settings)
    every = 2 if "positions" in settings else 1
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


def test_like_pixels_are_not_asked_twice():
    features = np.zeros((4, 6, 2), np.float32)
    features[:, :3, 0] = features[:, 3:, 1] = 1
    found = acquisition.select_max_herding(
        features, np.ones((4, 6), bool), count=2, lengthscale=0.2
    )
    assert found.centers.tolist() == [[0, 0], [0, 3]]
    np.testing.assert_allclose(found.scores, 0.5, atol=1e-4)


def test_earlier_rounds_are_gone_on_from():
    features, _ = image(0)
    everything = np.ones((9, 13), bool)
    select = functools.partial(acquisition.select_max_herding, features)
    whole = select(everything, count=5)
    first = select(everything, count=2)
    second = select(first.available, count=3)
    assert whole.centers[2:].tolist() == second.centers.tolist()


def test_a_single_position_and_batches():
    found = acquisition.select_max_herding(np.zeros((1, 1, 2)), np.ones((3, 3), bool), count=2)
    assert found.centers.tolist() == [[0, 0], [-1, -1]]
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
