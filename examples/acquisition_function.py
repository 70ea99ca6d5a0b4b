"""An acquisition function: asks the pixels of highest free energy, on which the model is unsure.

    labor-jax run examples/acquisition_function.py --workdir runs/free_energy

The score is the energy of Xie et al., Active Learning for Domain Adaptation: An Energy-Based
Approach, AAAI 2022, Eq. 4.
"""

import jax

import labor_jax
from labor_jax import acquisition


@acquisition.register("free_energy")
def free_energy(logits, temperature=1.0):
    """Scores the pixels of one image: f32[H, W, C] to f32[H, W], the higher the sooner asked."""
    return -temperature * jax.nn.logsumexp(logits / temperature, axis=-1)


def get_config(pair="street"):
    """Asks 40 such pixels an image over 5 rounds, while RIPU's joint training goes on."""
    return labor_jax.get_config("active:free_energy", pair)
