r"""Random pixels under a budget: the baseline that every acquisition must beat.

    python -m labor_jax.main --config configs/random.py --config.acquisition.fraction=0.05
    python -m labor_jax.main --config configs/random.py --config.acquisition.fraction=0 \
        --config.acquisition.points=40

The first asks SPL's share of the pixels, the second about PPL's points, both over all rounds.
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("random", pair)
    config.acquisition.method = "random"
    config.acquisition.fraction = 0.05
    return config
