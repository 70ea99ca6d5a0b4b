"""Connected components of a class map, on the device."""

import jax
import jax.numpy as jnp

from labor_jax.ops.varying import vary_together


def connected_components(classes: jax.Array, *, sweeps: int = 8) -> jax.Array:
    """Numbers the 8-connected regions of equal class.

    Each pixel points to a pixel of its region. A sweep joins what neighbours point to, and then
    lets every pixel point to where that points, so that paths get twice as short.

    Args:
      classes: int[..., H, W].
      sweeps: how often that is done. 8 are enough for all but mazes: for a region that is too
        intricate, its parts have numbers of their own.

    Returns:
      int32[..., H, W]: the number of the pixel's region, the row-major index of its first pixel.

    References:
      Zhang, Azad and Hu, FastSV: A Distributed-Memory Connected Component Algorithm with Fast
      Convergence, SIAM PP 2020.
    """
    height, width = classes.shape[-2:]
    flat = jnp.reshape(classes, (-1, height, width))
    return jax.vmap(lambda each: _components(each, sweeps))(flat).reshape(classes.shape)


def _components(classes: jax.Array, sweeps: int) -> jax.Array:
    """The components of one map."""
    height, width = classes.shape
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    inside = jnp.pad(jnp.ones_like(classes, bool), 1)
    padded = jnp.pad(classes, 1)

    def window(values, offset):
        dy, dx = offset
        return values[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    joined = [window(inside, each) & (window(padded, each) == classes) for each in offsets]
    last = height * width

    def sweep(_, parents):
        grandparents = jnp.pad(parents[parents].reshape(height, width), 1, constant_values=last)
        least = jnp.full((height, width), last, jnp.int32)
        for each, same in zip(offsets, joined, strict=True):
            least = jnp.minimum(least, jnp.where(same, window(grandparents, each), last))
        least = least.ravel()
        parents = jnp.minimum(parents.at[parents].min(least), least)
        return parents[parents]

    parents, _ = vary_together(jnp.arange(last, dtype=jnp.int32), classes)
    parents = jax.lax.fori_loop(0, sweeps, sweep, parents)
    return parents.reshape(height, width)
