"""Active domain-adaptive semantic segmentation in JAX.

Train on labelled source images, adapt to unlabelled target ones, ask a person for only the pixels
that matter. `labor_jax.losses` and `labor_jax.acquisition` are pure functions of arrays that stand
on their own; `labor_jax.experiment.run` is the whole method.
"""

__version__ = "0.1.0"
