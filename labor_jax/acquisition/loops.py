"""Initial values of compiled loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def initial(value: jax.Array, data: jax.Array) -> jax.Array:
    """`value` as the initial carry of a loop over `data`.

    Inside `jax.shard_map` a carry must vary over the same mesh axes at the start as after a step,
    which a constant does not. A choice never made takes the axes of `data` and nothing else.
    """
    return jnp.where(False, data.ravel()[0].astype(value.dtype), value)
