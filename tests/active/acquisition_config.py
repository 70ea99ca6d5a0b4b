"""A config's section `acquisition` for one method."""

import labor_jax


def acquisition_config(method, **settings):
    config = labor_jax.get_config("spl").copy_and_resolve_references().acquisition
    config.update(method=method, max_fraction=0.0)
    config.update(settings)
    return config
