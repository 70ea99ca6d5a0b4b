"""Argument checks that scores and selections share."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp


def check_array(name: str, array: jax.Array) -> None:
    """Raises a TypeError of anything but an array of JAX or NumPy, such as a list."""
    if not hasattr(array, "ndim") or not hasattr(array, "dtype"):
        raise TypeError(f"{name} must be an array, got {type(array).__name__}")


def check_classes(logits: jax.Array) -> None:
    """Raises an error unless the logits are an array [..., C] of at least two classes."""
    check_array("logits", logits)
    if logits.ndim < 1 or logits.shape[-1] < 2:
        raise ValueError(
            f"logits must have at least 2 classes on the last axis, got shape {logits.shape}; "
            "a single class has no entropy and no margin"
        )


def check_class_maps(logits: jax.Array) -> None:
    """Raises an error unless the logits are an array [..., H, W, C] of at least two classes."""
    check_classes(logits)
    if logits.ndim < 3:
        raise ValueError(f"logits must be f32[..., H, W, C], got shape {logits.shape}")


def check_image(name: str, image: jax.Array) -> None:
    """Raises an error unless the value is an array of the shape [H, W] of one image."""
    check_array(name, image)
    if image.ndim != 2:
        raise ValueError(
            f"{name} must be one image [H, W], got shape {image.shape}; use jax.vmap for a batch"
        )


def check_mask(name: str, mask: jax.Array, shape: tuple[int, ...]) -> None:
    """Raises an error unless the value is a bool array of this shape."""
    check_array(name, mask)
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
      TypeError: If one is not an array.
    """
    check_array("features", features)
    check_array("available", available)
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
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, got {value}")
    return value
