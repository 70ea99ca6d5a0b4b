"""Gradient reversal (Ganin and Lempitsky, ICML 2015, arXiv 1409.7495)."""

import jax


@jax.custom_vjp
def reverse_gradient(values: jax.Array, scale: float | jax.Array) -> jax.Array:
    """Returns `values` unchanged; multiplies the gradient that comes back by `-scale`.

    Args:
      values: floating, any shape.
      scale: scalar. It gets no gradient.

    Returns:
      `values`.
    """
    del scale
    return values


def _forward(values, scale):
    return values, scale


def _backward(scale, gradient):
    return (-scale * gradient).astype(gradient.dtype), None


reverse_gradient.defvjp(_forward, _backward)
