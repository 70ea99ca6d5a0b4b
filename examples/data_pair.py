"""A data pair: landscapes by day with labels, by night without, from NumPy arrays.

labor-jax run examples/data_pair.py --workdir runs/day_night
labor-jax run ppl:day_night --extension examples/data_pair.py --workdir runs/day_night_ppl
"""

import numpy as np

import labor_jax
from labor_jax import data

CLASSES = ("ground", "sky", "orb")
COLOURS = np.array([(90, 120, 60), (130, 170, 220), (250, 240, 180)])


def draw(seed, count, light):
    """Draws images uint8[count, 64, 96, 3] and their labels int[count, 64, 96]."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:64, :96]
    ranges = rng.uniform((30, 10, 10), (50, 22, 86), (count, 3))
    horizon, orb_row, orb_column = ranges.T[..., None, None]
    labels = np.where(row < horizon, 1, 0)
    labels[(row - orb_row) ** 2 + (column - orb_column) ** 2 < 64] = 2
    images = light * COLOURS[labels] + rng.normal(0, 12, (*labels.shape, 3))
    return images.clip(0, 255).astype(np.uint8), labels


def defaults(config):
    """Settings of this pair for every method; `config.data` may get fields of its own."""
    config.data.count = 64  # images of each domain
    config.model.update(width=16, stem="small", head_channels=32)
    for phase in (config.supervised, config.warmup, config.round):
        phase.update(steps=100, learning_rate=1e-2)
    config.selector.steps, config.terms.adversarial.width = 20, 16


@data.register_pair("day_night", defaults=defaults)
def load(config, roles):
    """Loads the pair; `config` is the run's `config.data`."""
    day, night, evaluation = (draw(i, config.count, (1, 0.4, 0.4)[i]) for i in range(3))
    return data.pair_from_arrays(
        "day_night", CLASSES, source=day, pool=night, evaluation=evaluation
    )


def get_config(method="spl"):
    """Any method on this pair, LabOR's SPL if none is named."""
    return labor_jax.get_config(method, "day_night")
