import jax
import numpy as np
import pytest

from labor_jax import acquisition

SETTINGS = acquisition.Settings(count=4, radius=1, suppression_radius=2, max_pixels=6)
SHAPE = (2, 12, 15)


@pytest.fixture(scope="module")
def predictions():
    keys = jax.random.split(jax.random.key(0), 3)
    return acquisition.Predictions(*(jax.random.normal(key, (*SHAPE, 5)) for key in keys))


@pytest.fixture(scope="module")
def available():
    return jax.random.uniform(jax.random.key(1), SHAPE) < 0.7


def _acquire(strategy, predictions, available, settings=SETTINGS, seed=2):
    return acquisition.acquire(strategy, predictions, available, jax.random.key(seed), settings)


def _images(select, *batches):
    """Queries of `select` image by image."""
    return np.stack([select(*image).query for image in zip(*batches, strict=True)])


@pytest.mark.parametrize("strategy", ["entropy", "least_confidence", "margin", "ripu_pa"])
def test_point_strategies_ask_the_points_of_their_score(strategy, predictions, available):
    score = {
        "entropy": acquisition.softmax_entropy,
        "least_confidence": acquisition.least_confidence,
        "margin": acquisition.margin,
        "ripu_pa": lambda logits: acquisition.ripu(logits, 1),
    }[strategy](predictions.logits)

    def select(score, available):
        return acquisition.select_points(score, available, count=4, suppression_radius=2)

    selection = _acquire(strategy, predictions, available)
    np.testing.assert_array_equal(selection.query, _images(select, score, available))
    assert not (selection.query & selection.available).any()
    assert not (selection.query & ~available).any()


def test_ripu_regions_ask_regions(predictions, available):
    def select(score, available):
        return acquisition.select_regions(score, available, count=4, radius=1, suppression_radius=2)

    selection = _acquire("ripu_ra", predictions, available)
    expected = _images(select, acquisition.ripu(predictions.logits, 1), available)
    np.testing.assert_array_equal(selection.query, expected)


def test_random_draws_other_pixels_with_another_key(predictions, available):
    first, again, other = (_acquire("random", predictions, available, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.query, again.query)
    assert (first.query != other.query).any()
    assert first.query.sum(axis=(1, 2)).tolist() == [4, 4]
    assert not (first.query & ~available).any()


def test_spl_asks_the_most_discrepant_inconsistent_pixels(predictions, available):
    _, a, b = predictions
    selection = _acquire("spl", predictions, available)
    inconsistent = acquisition.inconsistency_mask(a, b) & available
    assert selection.query.sum(axis=(1, 2)).tolist() == [6, 6]
    assert not (selection.query & ~inconsistent).any()
    np.testing.assert_array_equal(selection.available, available & ~selection.query)

    unlimited = _acquire("spl", predictions, available, acquisition.Settings())
    np.testing.assert_array_equal(unlimited.query, inconsistent)


def test_ppl_asks_one_pixel_a_class_of_the_models_own_prediction(predictions, available):
    logits, a, b = predictions
    selection = _acquire("ppl", predictions, available)
    mask = acquisition.inconsistency_mask(a, b) & available
    expected = _images(acquisition.select_representative_points, mask, jax.nn.softmax(logits))
    np.testing.assert_array_equal(selection.query, expected)
    np.testing.assert_array_equal(selection.available, available & ~selection.query)


def test_labor_needs_both_classifiers(predictions, available):
    alone = acquisition.Predictions(predictions.logits)
    for strategy in ("spl", "ppl"):
        with pytest.raises(ValueError, match=f"{strategy} needs the logits of both"):
            _acquire(strategy, alone, available)


def test_unknown_strategy_lists_the_valid_ones(predictions, available):
    with pytest.raises(ValueError, match=r"unknown strategy 'rippu'; valid: entropy, .*spl"):
        _acquire("rippu", predictions, available)


def test_budgets_are_those_of_the_paper():
    assert acquisition.region_count(1024, 2048, ratio=0.022, rounds=5, radius=1) == 1026
    assert acquisition.point_count(1024, 2048, pixels=40, rounds=5) == 21


@pytest.mark.parametrize("strategy", ["spl", "ppl"])
def test_labor_works_under_shard_map(strategy, predictions, available):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    sharded = jax.shard_map(
        lambda predictions, available: _acquire(strategy, predictions, available),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
    )
    expected = _acquire(strategy, predictions, available)
    np.testing.assert_array_equal(jax.jit(sharded)(predictions, available).query, expected.query)
