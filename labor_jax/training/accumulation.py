"""Gradient accumulation: a batch in pieces, one after the other, for the memory of one piece."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def add_up(
    function: Callable[[Any, Any, jax.Array], tuple[Any, Any]], carry: Any, batch: Any, pieces: int
) -> tuple[Any, Any]:
    """Calls a function on each piece of a batch in turn and adds up what it returns.

    Args:
      function: `(carry, piece, number) -> (carry, summands)`.
      carry: what is handed from piece to piece.
      batch: a pytree of arrays with a leading batch dimension.
      pieces: into how many it is cut; must divide the batch.

    Returns:
      (the last carry, the sum of the summands).
    """
    if pieces == 1:
        return function(carry, batch, jnp.zeros((), jnp.int32))
    cut = _cut(batch, pieces)
    first = jax.tree.map(lambda x: x[0], cut)
    shapes = jax.eval_shape(function, carry, first, jnp.zeros((), jnp.int32))[1]
    nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def add(so_far, numbered):
        carry, total = so_far
        carry, summands = function(carry, *numbered)
        return (carry, jax.tree.map(jnp.add, total, summands)), None

    return jax.lax.scan(add, (carry, nothing), (cut, jnp.arange(pieces)))[0]


def map_pieces(function: Callable[[Any], Any], batch: Any, pieces: int) -> Any:
    """Applies a function of a batch to its pieces in turn and joins the results."""
    if pieces == 1:
        return function(batch)
    cut = _cut(batch, pieces)
    joined = jax.lax.map(function, cut)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), joined)


def _cut(batch: Any, pieces: int) -> Any:
    """A batch's arrays [B, ...] as [pieces, B / pieces, ...]."""
    return jax.tree.map(lambda x: x.reshape(pieces, -1, *x.shape[1:]), batch)


def pieces_for(
    batch_sizes: dict[str, int], devices: int, per_device: int | None, at_least: int
) -> int:
    """Into how many pieces a device cuts its part of the batches.

    Args:
      batch_sizes: images of all devices together, by the config field that sets them.
      devices: how many devices share them.
      per_device: most images of a batch that a device takes at once, or None.
      at_least: the fewest pieces.

    Returns:
      The smallest number of pieces that divides each device's part and keeps both limits.

    Raises:
      ValueError: there is no such number.
    """
    parts = {field: size // devices for field, size in batch_sizes.items()}
    smallest = min(parts.values())
    for pieces in range(at_least, smallest + 1):
        if all(part % pieces == 0 for part in parts.values()) and (
            per_device is None or max(parts.values()) <= pieces * per_device
        ):
            return pieces
    listed = ", ".join(f"config.{field} gives {part}" for field, part in parts.items())
    limit = "" if per_device is None else f" of at most {per_device} images"
    raise ValueError(
        f"A device's part of a batch ({listed}, over {devices} devices) can't be cut into "
        f"{at_least} or more equal pieces{limit}. Change config.gradient_accumulation, "
        "config.per_device_batch_size or the batch sizes."
    )
