"""Pairs source images with target images, for views that are made of both."""

import jax
import jax.numpy as jnp


def targets_for_sources(batch) -> jax.Array:
    """A target image for each source image: batches are drawn at random, so their order will do.

    Args:
      batch: with the domains "source" and "target", which may differ in number and size of images.

    Returns:
      f32[B, h, w, 3] in 0 to 255, of the source images' shape.
    """
    source, target = (batch[domain]["image"] for domain in ("source", "target"))
    target = target[jnp.arange(len(source)) % len(target)].astype(jnp.float32)
    if target.shape == source.shape:
        return target
    return jax.image.resize(target, source.shape, "linear")
