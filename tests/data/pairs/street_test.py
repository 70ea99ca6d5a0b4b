import ml_collections
import numpy as np
import pytest

from labor_jax import data


def _street(**fields):
    config = {
        "source_size": None,
        "target_size": None,
        "evaluation_size": None,
        "cache_bytes": 2**20,
        "image_size": (48, 96),
        "source_count": 3,
        "pool_count": 2,
        "evaluation_count": 2,
        "seed": 0,
    }
    return ml_collections.ConfigDict({**config, **fields})


def test_street():
    pair = data.load_pair("street", _street())
    assert pair.name == "street"
    assert (len(pair.source), len(pair.pool), len(pair.evaluation)) == (3, 2, 2)
    assert pair.num_classes == 19
    assert pair.source.image(0).shape == (48, 96, 3)
    for a in range(2):
        for b in range(2):
            assert (pair.pool.image(a) != pair.evaluation.image(b)).any()


def test_street_scenes_follow_the_seed():
    first, again, other = (
        data.load_pair("street", _street(seed=seed)).pool.image(0) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # The pool of a seed is not the evaluation of another.
    evaluation = data.load_pair("street", _street(seed=0)).evaluation.image(0)
    assert (evaluation != other).any()


def test_street_draws_only_the_roles_asked_for():
    whole = data.load_pair("street", _street())
    pair = data.load_pair("street", _street(source_count=0), ["evaluation"])
    assert pair.source is pair.pool is None
    np.testing.assert_array_equal(pair.evaluation.image(1), whole.evaluation.image(1))


def test_a_split_without_scenes():
    with pytest.raises(ValueError, match="count must be positive"):
        data.load_pair("street", _street(pool_count=0))
