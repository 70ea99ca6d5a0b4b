"""Normalises images by ImageNet's mean and deviation, on the device, before the network."""

import jax
import jax.numpy as jnp

# Of ImageNet's RGB in 0 to 1, as torchvision's weights expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize_images(images: jax.Array) -> jax.Array:
    """Scales 0-255 RGB to 0-1 and normalises it by ImageNet's mean and standard deviation.

    Args:
      images: uint8 or floating [..., 3], RGB in 0 to 255.

    Returns:
      f32[..., 3].
    """
    mean, std = (jnp.asarray(each, jnp.float32) for each in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def denormalize_images(images: jax.Array) -> jax.Array:
    """Inverts `normalize_images`: f32[..., 3] to RGB f32[..., 3] in 0 to 255."""
    mean, std = (jnp.asarray(each, jnp.float32) for each in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.astype(jnp.float32) * std + mean) * 255.0


def network_input(images: jax.Array) -> jax.Array:
    """Images as a network takes them.

    Args:
      images: uint8[..., 3], RGB; or floating [..., 3], already normalised.

    Returns:
      f32[..., 3]: uint8 images normalised, floating ones as they are.

    Raises:
      ValueError: for another dtype.
    """
    if images.dtype == jnp.uint8:
        return normalize_images(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images have the dtype {images.dtype}; give uint8 RGB, or normalised floating values."
        )
    return jnp.asarray(images, jnp.float32)
