"""Keys and seeds depend on their names alone."""

import jax
import numpy as np

from labor_jax.experiment import keys


def test_named_keys_depend_on_seed_and_name_alone():
    def data(seed, name):
        return tuple(np.asarray(jax.random.key_data(keys.named_key(seed, name))))

    cases = [(seed, name) for seed in (0, 1) for name in ("round_1/query", "round_2/query")]
    assert len({data(*case) for case in cases}) == len(cases)
    assert data(0, "warmup") == data(0, "warmup")


def test_named_seeds_stay_the_same_between_processes():
    # A fixed number: a resumed run must draw the order that the killed one drew.
    assert keys.named_seed(0, "source/source") == 183345700
    seeds = {keys.named_seed(seed, name) for seed in range(5) for name in ("a", "b", "c")}
    assert len(seeds) == 15 and all(0 <= seed < 2**31 for seed in seeds)
