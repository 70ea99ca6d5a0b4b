import shutil

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


def test_unknown_pair_lists_the_valid_ones():
    with pytest.raises(
        ValueError, match=r"unknown pair 'strret'.*street, camvid, gtav, synthia, folders"
    ):
        data.load_pair("strret", _street())


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


def test_folders(tree):
    pair = data.load_pair("folders", tree.config)
    assert len(pair.pool) == 3
    shutil.rmtree(tree.root / "source")
    part = data.load_pair("folders", tree.config, ["pool"])
    assert part.pool.names == pair.pool.names
    assert part.source is part.evaluation is None
    tree.config.root = ""
    assert data.load_pair("folders", tree.config, []).classes == pair.classes


def test_street_draws_only_the_roles_asked_for():
    whole = data.load_pair("street", _street())
    pair = data.load_pair("street", _street(source_count=0), ["evaluation"])
    assert pair.source is pair.pool is None
    np.testing.assert_array_equal(pair.evaluation.image(1), whole.evaluation.image(1))


def test_an_unknown_role():
    with pytest.raises(ValueError, match="unknown roles test; valid roles: source, pool, eval"):
        data.load_pair("street", _street(), ["test"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source_size": (0, 4)}, r"data\.source_size must be \(height, width\)"),
        ({"target_size": 4}, r"data\.target_size .* got 4"),
        ({"evaluation_size": (3, 4, 5)}, r"data\.evaluation_size"),
        ({"cache_bytes": -1}, r"data\.cache_bytes must be 0 or more"),
        ({"pool_count": 0}, "count must be positive"),
    ],
)
def test_impossible_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        data.load_pair("street", _street(**fields))
