import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from tests.slow import all_but

SHAPE = (2, 12, 15)
REGIONS = {
    "ripu_ra": acquisition.ripu,
    "impurity": acquisition.region_impurity,
    "uncertainty": acquisition.prediction_uncertainty,
}
POINTS = {
    "entropy": acquisition.softmax_entropy,
    "least_confidence": acquisition.least_confidence,
    "margin": acquisition.margin,
}
LOGITS = jax.random.normal(jax.random.key(0), (*SHAPE, 5))
AVAILABLE = jax.random.uniform(jax.random.key(1), SHAPE) < 0.9


@pytest.mark.parametrize("method", POINTS)
def test_points_of_largest_score_are_asked(method):
    select = functools.partial(acquisition.select_points, count=7)
    best = jax.vmap(select)(POINTS[method](LOGITS), AVAILABLE).query
    found = acquisition.query(LOGITS, method, points=7, available=AVAILABLE)
    np.testing.assert_array_equal(found, best)


@pytest.mark.parametrize("method", REGIONS)
@pytest.mark.parametrize("radius", all_but([2], [0, 2]))
def test_regions_of_largest_score_are_asked(method, radius):
    count = acquisition.region_count(*SHAPE[1:], ratio=0.3, rounds=1, radius=radius)
    select = functools.partial(
        acquisition.select_regions, count=count, radius=radius, suppression_radius=2 * radius
    )
    best = jax.vmap(select)(REGIONS[method](LOGITS, radius), jnp.ones(SHAPE, bool)).query
    found = acquisition.query(LOGITS, method, fraction=0.3, radius=radius)
    np.testing.assert_array_equal(found, best)


_OWN_ENTROPY = acquisition.region_impurity(LOGITS, 2) * acquisition.softmax_entropy(LOGITS)


@pytest.mark.parametrize(
    ("method", "score"),
    [("ripu_pa", acquisition.ripu(LOGITS, 2)), ("ripu_pa_code", _OWN_ENTROPY)],
)
def test_the_radius_keeps_ripus_points_apart(method, score):
    select = functools.partial(acquisition.select_points, count=5, suppression_radius=2)
    best = jax.vmap(select)(score, jnp.ones(SHAPE, bool)).query
    found = acquisition.query(LOGITS, method, points=5, radius=2)
    np.testing.assert_array_equal(found, best)


def test_a_fraction_of_points_is_of_the_pixels():
    found = acquisition.query(LOGITS, "entropy", fraction=0.11)
    assert found.sum(axis=(1, 2)).tolist() == [math.ceil(0.11 * 12 * 15)] * 2


@pytest.mark.parametrize("method", ["random", "random_regions"])
def test_random_queries_differ_by_image_and_key(method):
    ask = functools.partial(acquisition.query, LOGITS, method, fraction=0.2)
    found = ask(key=jax.random.key(0))
    np.testing.assert_array_equal(found, ask(key=jax.random.key(0)))
    assert (found[0] != found[1]).any()
    assert (found != ask(key=jax.random.key(1))).any()


@pytest.mark.parametrize(
    ("method", "budget"),
    [("ripu_ra", {"fraction": 0.2}), ("ripu_pa", {"points": 5}), ("entropy", {"points": 9})],
)
def test_rounds_ask_new_pixels(method, budget):
    first = acquisition.query(LOGITS, method, available=AVAILABLE, **budget)
    second = acquisition.query(LOGITS, method, available=AVAILABLE & ~first, **budget)
    assert first.any() and second.any()
    assert not (first & second).any() and not ((first | second) & ~AVAILABLE).any()


def test_corrections_are_the_most_uncertain_points():
    found = acquisition.query(LOGITS, "corrections", points=7, available=AVAILABLE)
    expected = acquisition.query(LOGITS, "entropy", points=7, available=AVAILABLE)
    np.testing.assert_array_equal(found, expected)


def test_all_asks_what_is_available():
    np.testing.assert_array_equal(acquisition.query(LOGITS, "all", available=AVAILABLE), AVAILABLE)


def test_it_can_be_compiled():
    ask = functools.partial(acquisition.query, method="ripu_ra", fraction=0.1)
    np.testing.assert_array_equal(jax.jit(ask)(LOGITS), ask(LOGITS))
    ask = jax.jit(acquisition.query, static_argnames=("method", "points"))
    found = ask(LOGITS, method="random", points=3, available=AVAILABLE, key=jax.random.key(3))
    assert found.sum(axis=(1, 2)).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("rippu", {}, "method is 'rippu'; choose one of: spl, ppl"),
        ("spl", {}, "spl reads selector_logits, but query has logits alone"),
        ("ppl", {}, "ppl reads selector_logits, but"),
        ("core_set", {"points": 3}, "core_set reads features, but"),
        ("multi_hot", {"points": 3}, "multi_hot reads image, but"),
        ("superpixels", {"points": 3}, "superpixels reads image and first_logits, but"),
        ("image_entropy", {"points": 3}, "image_entropy scores whole images"),
        ("pixel_pick", {"points": 3}, "pixel_pick draws random numbers"),
        ("human_points", {}, "human_points are picked by the annotator"),
        ("random", {"points": 3}, r"random draws random numbers; pass key=jax\.random\.key"),
        ("entropy", {}, "entropy needs fraction or points; got fraction=None and points=None"),
        ("entropy", {"fraction": 0.1, "points": 3}, "entropy needs fraction or points; got"),
        ("ripu_ra", {}, "ripu_ra needs fraction; got"),
        ("ripu_ra", {"points": 3}, "ripu_ra needs fraction; got fraction=None and points=3"),
        ("all", {"fraction": 0.1}, r"all needs no budget; got fraction=0\.1"),
        ("entropy", {"fraction": 1.5}, "fraction is 1.5; it is a share from 0 to 1"),
        ("entropy", {"points": -1}, "points must be 0 or more"),
        ("ripu_ra", {"fraction": 0.1, "radius": -1}, "radius must be 0 or more"),
        ("entropy", {"points": 3, "available": AVAILABLE[0]}, "available must have shape"),
    ],
)
def test_wrong_arguments_are_explained(method, settings, message):
    with pytest.raises(ValueError, match=message):
        acquisition.query(LOGITS, method, **settings)


def test_lists_and_images_without_pixels_are_explained():
    with pytest.raises(TypeError, match="logits must be an array, got list"):
        acquisition.query(LOGITS.tolist(), "entropy", points=3)
    with pytest.raises(TypeError, match="available must be an array, got list"):
        acquisition.query(LOGITS, "entropy", points=3, available=AVAILABLE.tolist())
    with pytest.raises(ValueError, match=r"no pixels: logits are \[2, 0, "):
        acquisition.query(LOGITS[:, :0], "entropy", points=3)
    with pytest.raises(TypeError, match=r"points must be an integer, got 2\.5"):
        acquisition.query(LOGITS, "entropy", points=2.5)


def test_a_fraction_may_be_any_number():
    found = acquisition.query(LOGITS, "entropy", fraction=jnp.float32(0.25))
    np.testing.assert_array_equal(found, acquisition.query(LOGITS, "entropy", fraction=0.25))


@pytest.mark.parametrize("logits", [LOGITS[0], jnp.zeros((*SHAPE, 5), jnp.int32)])
def test_wrong_logits_are_explained(logits):
    with pytest.raises(ValueError, match=r"logits must be f32\[B, H, W, C\], got "):
        acquisition.query(logits, "entropy", points=3)
