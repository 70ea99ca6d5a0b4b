"""The initial carry of a loop that runs inside `jax.shard_map`."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def initial_carry(value: jax.Array, data: jax.Array) -> jax.Array:
    """Returns `value`, made to vary over the same mesh axes as `data`.

    Inside `jax.shard_map` a loop's carry must vary over the same mesh axes before and after an
    iteration. A constant varies over none. The `where` below never takes a value from `data`, but
    its result has the mesh axes of `data`.

    Args:
      value: The initial carry, of any shape.
      data: Any array that the loop reads.
    """
    if not data.size:  # it has no value to vary
        return value
    return jnp.where(False, data.ravel()[0].astype(value.dtype), value)
