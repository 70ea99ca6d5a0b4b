"""Device axes of the arguments of a custom gradient rule."""

import jax
import jax.numpy as jnp


def vary_together(inputs: jax.Array, parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Makes both arrays vary over every device axis that either varies over inside `shard_map`.

    A custom gradient rule must return gradients of its arguments' own types. A filter that is the
    same on all devices therefore has to be cast to vary like the images; the transpose of the cast
    sums the filter's gradient over devices. JAX's explicit cast has changed its name between
    versions, so this selects by a condition that reads both arrays and never holds. The compiler
    removes it.

    Args:
      inputs: any array with at least one element.
      parameters: any array with at least one element.

    Returns:
      Both arrays with their values unchanged.
    """
    never = (inputs.ravel()[0] > parameters.ravel()[0]) & False
    return jnp.where(never, 0, inputs), jnp.where(never, 0, parameters)
