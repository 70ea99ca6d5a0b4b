"""Max pooling of a ResNet's stem: windows of 3x3 pixels at stride 2."""

import functools

import jax
import jax.numpy as jnp

from labor_jax.ops import platforms

_OUTSIDE = 9  # an index that no tap has
# Which taps of which windows read a padded row (or column) 2r or 2r + 1: window r - 1 + offset.
_READERS = (((1, 0), (0, 2)), ((1, 1),))


def max_pool(inputs: jax.Array, border: tuple[int, int] = (1, 1)) -> jax.Array:
    """The largest value of every second 3x3 window; padding never counts.

    Among equal largest values, the first in reading order gets the gradient. On CPUs it is
    `max_over_taps`, elsewhere `lax.reduce_window`.

    Args:
      inputs: floating [B, H, W, C].
      border: pixels of padding before and after the image, on both axes: (1, 1), or (1, 2) for
        PyTorch's ceil_mode.

    Returns:
      [B, (H + sum(border) - 1) // 2, (W + sum(border) - 1) // 2, C] in the dtype of `inputs`.
    """
    return platforms.choose(inputs, cpu=max_over_taps, default=max_over_windows, border=border)


def max_over_windows(inputs: jax.Array, border: tuple[int, int]) -> jax.Array:
    """`max_pool` as XLA's reduction of windows."""
    padding = ((0, 0), border, border, (0, 0))
    return jax.lax.reduce_window(inputs, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), padding)


def max_over_taps(inputs: jax.Array, border: tuple[int, int]) -> jax.Array:
    """`max_pool` tap by tap, whose gradient takes a thirtieth of XLA's time on a CPU."""
    return _max_pool(inputs, border, inputs.shape[1:3])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_pool(inputs, border, size):
    return _forward(inputs, border, size)[0]


def _forward(inputs, border, size):
    """The largest values, and which tap each came from, uint8."""
    batch, height, width, channels = inputs.shape
    rows, columns = ((length + sum(border) - 1) // 2 for length in size)
    low = jnp.array(-jnp.inf, inputs.dtype)
    pads = ((0, 0, 0), (1, 2 * rows - height, 0), (1, 2 * columns - width, 0), (0, 0, 0))
    padded = jax.lax.pad(inputs, low, pads)
    largest = winner = None
    for tap in range(9):
        top, left = divmod(tap, 3)
        view = jax.lax.slice(
            padded,
            (0, top, left, 0),
            (batch, top + 2 * rows - 1, left + 2 * columns - 1, channels),
            (1, 2, 2, 1),
        )
        if largest is None:
            largest, winner = view, jnp.zeros(view.shape, jnp.uint8)
        else:
            winner = jnp.where(view > largest, jnp.uint8(tap), winner)
            largest = jnp.maximum(largest, view)
    return largest, winner


def _backward(border, size, winner, cotangent):
    batch, rows, columns, channels = cotangent.shape
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    cotangent = jnp.pad(cotangent, around)
    winner = jnp.pad(winner, around, constant_values=_OUTSIDE)

    def given(top, left, tap):
        """What windows give to their tap, as seen from the pixels."""
        window = (slice(None), slice(top, top + rows + 1), slice(left, left + columns + 1))
        return jnp.where(winner[window] == tap, cotangent[window], 0)

    # A gather by pixels, for each parity of row and column: a scatter by windows is slow.
    parities = [
        jnp.stack(
            [
                sum(
                    given(top, left, 3 * row + column)
                    for top, row in _READERS[row_parity]
                    for left, column in _READERS[column_parity]
                )
                for column_parity in (0, 1)
            ],
            axis=3,
        )
        for row_parity in (0, 1)
    ]
    gradient = jnp.stack(parities, axis=2)
    gradient = gradient.reshape(batch, 2 * rows + 2, 2 * columns + 2, channels)
    return (gradient[:, 1 : size[0] + 1, 1 : size[1] + 1],)


_max_pool.defvjp(_forward, _backward)
