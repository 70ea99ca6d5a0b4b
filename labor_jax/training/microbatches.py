"""Microbatches: a device takes its batch in equal shares, one by one, to need less memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def add_up(
    function: Callable[[Any, Any, jax.Array], tuple[Any, Any]],
    carry: Any,
    batch: Any,
    microbatches: int,
) -> tuple[Any, Any]:
    """Calls a function on each microbatch in turn and adds up what it returns.

    Args:
      function: `(carry, microbatch, number) -> (carry, summands)`.
      carry: what is handed from one to the next.
      batch: a pytree of arrays with a leading batch dimension.
      microbatches: into how many the batch is cut; must divide it.

    Returns:
      (the last carry, the sum of the summands).
    """
    if microbatches == 1:
        return function(carry, batch, jnp.zeros((), jnp.int32))
    cut = _cut(batch, microbatches)
    first = jax.tree.map(lambda x: x[0], cut)
    shapes = jax.eval_shape(function, carry, first, jnp.zeros((), jnp.int32))[1]
    nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def add(so_far, numbered):
        carry, total = so_far
        carry, summands = function(carry, *numbered)
        return (carry, jax.tree.map(jnp.add, total, summands)), None

    return jax.lax.scan(add, (carry, nothing), (cut, jnp.arange(microbatches)))[0]


def map_microbatches(
    function: Callable[[Any, jax.Array], Any], batch: Any, microbatches: int
) -> Any:
    """Applies `function(microbatch, number)` to each microbatch in turn and joins the results."""
    if microbatches == 1:
        return function(batch, jnp.zeros((), jnp.int32))
    numbered = (_cut(batch, microbatches), jnp.arange(microbatches))
    joined = jax.lax.map(lambda each: function(*each), numbered)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), joined)


def _cut(batch: Any, microbatches: int) -> Any:
    """A batch's arrays [B, ...] as [microbatches, B / microbatches, ...]."""
    return jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), batch)


def microbatches_for(
    batch_sizes: dict[str, int], devices: int, per_device: int | None, at_least: int
) -> int:
    """Into how many microbatches a device cuts its batches.

    Args:
      batch_sizes: images of all devices together, by the config field that sets them.
      devices: how many devices share them.
      per_device: most images of a domain that a device takes at once, or None for no limit.
      at_least: the fewest microbatches.

    Returns:
      The smallest number that divides each batch of a device and keeps both limits.

    Raises:
      ValueError: there is no such number.
    """
    on_device = {field: size // devices for field, size in batch_sizes.items()}
    smallest = min(on_device.values(), default=at_least)
    for number in range(at_least, smallest + 1):
        if all(size % number == 0 for size in on_device.values()) and (
            per_device is None or max(on_device.values(), default=0) <= number * per_device
        ):
            return number
    listed = ", ".join(f"config.{field} gives {size}" for field, size in on_device.items())
    limit = "" if per_device is None else f" of at most {per_device} images"
    raise ValueError(
        f"A device's batch ({listed}, over {devices} devices) can't be cut into {at_least} or more "
        f"equal microbatches{limit}. Change config.gradient_accumulation, "
        "config.per_device_batch_size or the batch sizes."
    )
