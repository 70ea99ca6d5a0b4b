import jax
import numpy as np
import pytest

from configs import common
from labor_jax import acquisition
from labor_jax.acquisition import strategies

SHAPE = (12, 15)
POINTS = 4


@pytest.fixture(scope="module")
def image():
    keys = jax.random.split(jax.random.key(0), 4)
    logits, first, second = (jax.random.normal(key, (*SHAPE, 5)) for key in keys[:3])
    available = jax.random.uniform(keys[3], SHAPE) < 0.95
    return strategies.PoolImage(logits, (first, second), available, jax.random.key(1))


def _ask(image, method, rounds=3, **settings):
    config = common.base("x", "street").acquisition
    config.update(method=method, **settings)
    return jax.jit(strategies.build(config, rounds))(image)


@pytest.mark.parametrize(
    ("method", "score"),
    [
        ("entropy", acquisition.softmax_entropy),
        ("least_confidence", acquisition.least_confidence),
        ("margin", acquisition.margin),
    ],
)
def test_scores_ask_their_best_points(image, method, score):
    query = _ask(image, method, points=POINTS)
    best = acquisition.select_points(score(image.logits), image.available, count=POINTS)
    np.testing.assert_array_equal(query.pixels, best.query)


def test_a_fraction_is_shared_by_the_rounds(image):
    query = _ask(image, "random", fraction=0.2, rounds=3)
    assert query.pixels.sum() == 12 * 15 * 0.2 // 3


def test_random_depends_on_the_images_key(image):
    first, again = (_ask(image, "random", points=POINTS).pixels for _ in range(2))
    other = _ask(image._replace(key=jax.random.key(2)), "random", points=POINTS).pixels
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_spl_asks_the_whole_inconsistency_mask_without_a_cap(image):
    query = _ask(image, "spl")
    mask = acquisition.inconsistency_mask(*image.selector_logits)
    np.testing.assert_array_equal(query.candidates, mask)
    np.testing.assert_array_equal(query.pixels, mask & image.available)


def test_spls_cap_keeps_the_largest_discrepancies(image):
    query = _ask(image, "spl", max_fraction=0.2, rounds=3)
    discrepancy = np.asarray(acquisition.discrepancy_map(*image.selector_logits))
    pixels = np.asarray(query.pixels)
    rest = np.asarray(query.candidates & image.available & ~query.pixels)
    assert pixels.sum() == 12 * 15 * 0.2 // 3
    assert discrepancy[pixels].min() >= discrepancy[rest].max()


def test_ppl_asks_one_point_of_each_class_in_the_mask(image):
    query = _ask(image, "ppl")
    predicted = np.asarray(image.logits.argmax(-1))
    mask = np.asarray(query.candidates & image.available)
    assert sorted(predicted[query.pixels]) == sorted(set(predicted[mask]))
    assert not (query.pixels & ~mask).any()


def test_ripu_regions_keep_clear_of_earlier_rounds(image):
    asked = np.zeros(SHAPE, bool)
    for _ in range(2):
        query = _ask(image._replace(available=~asked), "ripu_ra", fraction=0.2, rounds=2)
        assert query.pixels.any()
        assert not (query.pixels & asked).any()
        asked |= np.asarray(query.pixels)
    assert asked.sum() <= 2 * 9 * acquisition.region_count(*SHAPE, ratio=0.2, rounds=2, radius=1)


def test_ripu_points_keep_their_distance(image):
    rows, columns = np.nonzero(_ask(image, "ripu_pa", points=POINTS, radius=2).pixels)
    assert 1 < len(rows) <= POINTS
    for i in range(len(rows)):
        distances = np.maximum(abs(rows - rows[i]), abs(columns - columns[i]))
        assert (np.delete(distances, i) > 2).all()


def test_all_asks_what_is_left(image):
    np.testing.assert_array_equal(_ask(image, "all").pixels, image.available)


@pytest.mark.parametrize("method", strategies.METHODS)
def test_no_pixel_is_asked_that_is_not_available(image, method):
    query = _ask(image, method, fraction=0.3 if method != "ripu_pa" else 0.0, points=2)
    assert query.pixels.any()
    assert not (query.pixels & ~image.available).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "rippu"}, "choose one of: spl, ppl"),
        ({"method": "random"}, "needs a budget"),
        ({"method": "entropy", "fraction": 1.5}, "a share from 0 to 1"),
        ({"method": "ripu_ra"}, "needs a budget"),
        ({"method": "ripu_pa"}, "needs 1 or more"),
        ({"method": "margin", "points": -1}, "can't be negative"),
        ({"method": "ppl", "distance": "taxicab"}, "euclidean, cosine"),
        ({"method": "spl", "max_fraction": -0.1}, "a share from 0 to 1"),
    ],
)
def test_impossible_settings_are_named(image, settings, message):
    with pytest.raises(ValueError, match=message):
        _ask(image, **settings)


def test_only_labor_needs_the_selector():
    assert [m for m in strategies.METHODS if strategies.uses_selector(m)] == ["spl", "ppl"]


def test_budgets_of_the_papers():
    assert acquisition.region_count(1024, 2048, ratio=0.022, rounds=5, radius=1) == 1026
    assert acquisition.point_count(1024, 2048, pixels=40, rounds=5) == 21
    assert acquisition.pixel_count(1024, 2048, fraction=0.022, rounds=3) == 15379
