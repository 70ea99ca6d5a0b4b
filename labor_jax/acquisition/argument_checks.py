"""Argument checks that scores and selections share."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp


def check_image(name: str, image: jax.Array) -> None:
    """Raises a ValueError unless the array has the shape [H, W] of one image."""
    if image.ndim != 2:
        raise ValueError(
            f"{name} must be one image [H, W], got shape {image.shape}; use jax.vmap for a batch"
        )


def check_mask(name: str, mask: jax.Array, shape: tuple[int, ...]) -> None:
    """Raises a ValueError unless the array is bool and has this shape."""
    if mask.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {mask.shape}")
    if mask.dtype != jnp.bool_:
        raise ValueError(f"{name} must be bool, got {mask.dtype}")


def check_natural(name: str, value: int) -> int:
    """Returns a static number as an int, after checking that it is 0 or more.

    Raises:
      ValueError: If it is negative.
      TypeError: If it is not an integer.
    """
    value = operator.index(value)
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, got {value}")
    return value
