"""Rankings list what a strategy would select, down to a floor."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.acquisition import class_weights, pool_order
from tests.slow import all_but

SHAPE = (14, 19)
PICKED = ["ripu_ra", "ripu_pa", "entropy", "random_regions", "core_set"]


@pytest.fixture(scope="module")
def image():
    keys = jax.random.split(jax.random.key(0), 5)
    logits, first, second = (jax.random.normal(key, (*SHAPE, 4)) for key in keys[:3])
    return acquisition.PoolImage(
        logits=logits,
        features=jax.random.normal(keys[4], (3, 4, 6)),
        selector_logits=(first, second),
        available=jax.random.uniform(keys[3], SHAPE) < 0.99,
        key=jax.random.key(1),
    )


@functools.cache
def ranker(name, length, radius=1):
    method = acquisition.method(name)
    return jax.jit(acquisition.bind_ranking(method, length, radius=radius))


@pytest.mark.parametrize("name", all_but(("entropy", "ripu_pa"), PICKED))
def test_a_ranking_lists_what_the_strategy_asks(image, name):
    method = acquisition.method(name)
    budget = {
        "regions": acquisition.Budget(fraction=8.5 * 9 / math.prod(SHAPE)),
        "points": acquisition.Budget(points=9),
    }[method.budget]
    query = acquisition.bind(method, budget, radius=1)(image)
    found = ranker(name, 9)(image)
    valid = np.asarray(found.valid)
    assert valid.sum() == query.picks > 4
    asked = np.zeros(SHAPE, bool)
    reach = 1 if method.asks == "regions" else 0
    for row, column in np.asarray(found.centers)[valid]:
        top, left = max(row - reach, 0), max(column - reach, 0)
        asked[top : row + reach + 1, left : column + reach + 1] = True
    np.testing.assert_array_equal(asked & np.asarray(image.available), query.pixels)
    keys = pool_order.sort_keys(np.asarray(found.scores)[valid])
    assert (np.diff(keys.astype(np.int64)) <= 0).all()


@pytest.mark.parametrize("name", ["ripu_ra", "ripu_pa", "entropy"])
@pytest.mark.parametrize(
    "weights", [pytest.param(None, marks=pytest.mark.slow), (0.5, 1.0, 2.0, 0.1)]
)
def test_a_floor_ends_the_same_list_earlier(image, name, weights):
    weights = None if weights is None else jnp.float32(weights)
    whole = ranker(name, 12)(image, weights)
    count = int(whole.valid.sum())
    for place in (0, 4, count - 1):
        floor = whole.scores[place]
        found = ranker(name, 12)(image, weights, floor)
        reached = int(np.sum(np.asarray(whole.scores)[:count] >= floor))
        assert found.valid.sum() == reached
        np.testing.assert_array_equal(found.centers[:reached], whole.centers[:reached])
        np.testing.assert_array_equal(found.scores[:reached], whole.scores[:reached])
    assert not ranker(name, 12)(image, weights, jnp.float32(jnp.inf)).valid.any()


def test_scores_are_weighted_before_they_are_ranked(image):
    weights = np.float32([0.5, 1.0, 2.0, 0.1])
    score = class_weights.weighted(acquisition.softmax_entropy(image.logits), image.logits, weights)
    best = acquisition.select_points(score, image.available, count=7)
    found = ranker("entropy", 7)(image, jnp.asarray(weights))
    np.testing.assert_array_equal(found.centers, best.centers)
    np.testing.assert_array_equal(found.scores, score[*best.centers.T])
    strategy = acquisition.bind(acquisition.method("entropy"), acquisition.Budget(points=7))
    np.testing.assert_array_equal(strategy(image, weights).pixels, best.query)
    assert (np.asarray(strategy(image).pixels) != best.query).any()


def test_a_score_may_be_an_array_of_numpy(image):
    prior = np.random.default_rng(0).random(SHAPE, np.float32)
    method = acquisition.Method("own", lambda available: prior, "points", "points", ("available",))
    query = acquisition.bind(method, acquisition.Budget(points=7))(image)
    best = acquisition.select_points(jnp.asarray(prior), image.available, count=7)
    np.testing.assert_array_equal(query.pixels, best.query)


def test_a_function_that_takes_class_weights_weighs_itself(image):
    given = []

    def select(logits, available, count, class_weights):
        given.append(class_weights)
        return acquisition.select_points(logits[..., 0], available, count=count)

    parameters = ("logits", "available", "count", "class_weights")
    method = acquisition.Method("own", select, "points", "points", parameters)
    strategy = acquisition.bind(method, acquisition.Budget(points=7))
    plain, weighed = strategy(image), strategy(image, jnp.ones(4))
    assert given[0] is None and given[1].shape == (4,)
    np.testing.assert_array_equal(plain.pixels, weighed.pixels)
    assert method.settings == {}


def test_nan_is_listed_unless_there_is_a_floor(image):
    image = image._replace(logits=image.logits.at[:7].set(jnp.nan))
    assert ranker("entropy", 300)(image).valid.sum() == image.available.sum()
    found = ranker("entropy", 300)(image, None, jnp.float32(-jnp.inf))
    assert found.valid.sum() == image.available[7:].sum()


def test_a_mask_is_ranked_by_its_pixels(image):
    found = ranker("spl", None)(image)
    mask = acquisition.inconsistency_mask(*image.selector_logits)
    np.testing.assert_array_equal(found.candidates, mask)
    np.testing.assert_array_equal(found.valid, mask & image.available)
    np.testing.assert_allclose(
        found.scores, acquisition.discrepancy_map(*image.selector_logits), rtol=1e-6
    )
    assert found.centers is None


def test_superpixels_of_nan_are_listed_as_they_are_asked(image):
    numbers = (jnp.arange(SHAPE[0])[:, None] // 3) + jnp.zeros(SHAPE, jnp.int32)
    score = jnp.array([1.0, jnp.nan, -jnp.inf, 2.0, 0.5])[: int(numbers.max()) + 1]

    def superpixels(available, count):
        return acquisition.select_superpixels(score, numbers, available, count=count)

    method = acquisition.Method(
        "own", superpixels, "superpixels", "superpixels", ("available", "count")
    )
    image = image._replace(available=jnp.ones(SHAPE, bool))
    found = acquisition.bind_ranking(method, score.size)(image)
    assert found.valid.all()
    budget = acquisition.Budget(points=score.size)
    np.testing.assert_array_equal(found.parts, acquisition.bind(method, budget)(image).parts)


def test_a_query_with_parts_and_scores_is_a_ranking(image):
    parts = np.full(SHAPE, -1, np.int32)
    parts[:2], parts[5:] = 1, 0
    scores = jnp.float32([3.0, 2.0, -jnp.inf])

    def superpixels(logits):
        query = acquisition.Query(parts >= 0, jnp.int32(2), jnp.ones(SHAPE, bool))
        return query._replace(parts=jnp.asarray(parts), scores=scores)

    method = acquisition.Method("own", superpixels, "points", "points", ("logits",))
    found = acquisition.bind_ranking(method, 3)(image)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.valid, [True, True, False])
    np.testing.assert_array_equal(found.parts, parts)
    assert found.centers is None


def test_selections_without_scores_and_weights_of_selections_are_refused(image):
    def select(logits, available, count):
        return acquisition.select_points(logits[..., 0], available, count=count)

    method = acquisition.Method("own", select, "points", "points", ("logits", "available", "count"))
    with pytest.raises(ValueError, match=r"'own' returns no score.*, a ScoredSelection or"):
        acquisition.bind_ranking(method, 3)(image)
    with pytest.raises(ValueError, match="'ppl' returns no score, which a budget over the pool"):
        ranker("ppl", 3)(image)
    with pytest.raises(ValueError, match="'core_set' selects for itself, so class weights can't"):
        ranker("core_set", 3)(image, jnp.ones(4))
    with pytest.raises(ValueError, match="'ppl' selects for itself"):
        acquisition.bind(acquisition.method("ppl"), acquisition.Budget())(image, jnp.ones(4))


def test_a_mask_of_the_pool_needs_a_score_of_each_pixel(image):
    def select(logits, available):
        return acquisition.select_points(logits[..., 0], available, count=3)

    method = acquisition.Method("own", select, "mask", "points", ("logits", "available"))
    with pytest.raises(ValueError, match=r"'own' returns no score.*or return ScoredPixels"):
        acquisition.bind_ranking(method, None)(image)


def test_the_core_sets_scores_are_its_distances(image):
    free = jnp.ones(SHAPE, bool)
    chosen = acquisition.select_core_set(image.features, free, count=4)
    assert chosen.scores[0] == jnp.inf and (jnp.diff(chosen.scores[1:]) <= 0).all()
    later = acquisition.select_core_set(image.features, chosen.available, count=2)
    assert later.scores[0] <= chosen.scores[3]


def test_a_selection_with_scores_is_a_ranking(image):
    def select(logits, available, count):
        chosen = acquisition.select_points(logits[..., 0], available, count=count)
        rows, columns = chosen.centers.T
        return acquisition.ScoredSelection(*chosen, scores=logits[rows, columns, 0])

    method = acquisition.Method("own", select, "points", "points", ("logits", "available", "count"))
    found = acquisition.bind_ranking(method, 5)(image)
    best = acquisition.select_points(image.logits[..., 0], image.available, count=5)
    np.testing.assert_array_equal(found.centers, best.centers)
    np.testing.assert_array_equal(found.scores, image.logits[*best.centers.T, 0])


def test_a_function_chooses_its_candidates_and_its_distance(image):
    method = acquisition.Method(
        "own",
        lambda logits: acquisition.ScoredPixels(
            logits[..., 0], candidates=logits[..., 1] > 0, suppression_radius=3
        ),
        asks="regions",
        budget="regions",
        parameters=("logits",),
    )
    candidates = image.logits[..., 1] > 0
    free = acquisition.clear_of_asked(image.available, 2) & candidates
    expected = acquisition.select_regions(
        image.logits[..., 0], free, count=5, radius=1, suppression_radius=3
    )
    found = acquisition.bind_ranking(method, 5)(image)
    np.testing.assert_array_equal(found.centers, expected.centers)
    np.testing.assert_array_equal(found.candidates, candidates)
    budget = acquisition.Budget(fraction=5 * 9 / math.prod(SHAPE))
    query = acquisition.bind(method, budget)(image)
    np.testing.assert_array_equal(query.pixels, expected.query & image.available)
