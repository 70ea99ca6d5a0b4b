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


def check_image_features(features: jax.Array, available: jax.Array) -> None:
    """Checks the arrays of a selection in feature space.

    Args:
      features: floating [h, w, D] of one image.
      available: bool[H, W] of the same image.

    Raises:
      ValueError: If one has another number of axes or is empty, or `available` is not bool.
    """
    if features.ndim != 3 or not features.size:
        raise ValueError(
            f"features must be one image [h, w, D], got shape {features.shape}; use jax.vmap for a "
            "batch"
        )
    if available.ndim != 2 or not available.size:
        raise ValueError(
            f"available must be one image [H, W], got shape {available.shape}; use jax.vmap for a "
            "batch"
        )
    check_mask("available", available, available.shape)


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
