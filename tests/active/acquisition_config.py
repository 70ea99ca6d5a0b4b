"""A config's section `acquisition` for one method."""

import labor_jax
from labor_jax.active import strategies

BUDGETS = {"fraction", "points", "seconds", "seconds_per_image"}


def acquisition_config(method, **settings):
    config = labor_jax.get_config("spl").copy_and_resolve_references().acquisition
    config.update(method=method, max_fraction=0.0)
    if strategies.method(method).budget == "images" and not settings.keys() & BUDGETS:
        config.fraction = 0.5
    config.update(settings)
    return config
