"""Which predictions to trust as labels: pure functions of confidences and predicted classes."""

import jax
import jax.numpy as jnp


def class_balanced_thresholds(
    confidence: jax.Array, prediction: jax.Array, num_classes: int, portion: float
) -> jax.Array:
    """The confidence above which the given portion of each class's predictions lies.

    Args:
      confidence: The largest probability of each pixel, `f32[...]`.
      prediction: Its class, `int[...]`; pixels of other classes than 0 to C - 1 don't count.
      num_classes: C.
      portion: The share of the pixels predicted as a class that are to be labelled, 0 to 1.

    Returns:
      `f32[C]`: of the n pixels predicted as class c, the confidence of the one at rank
      floor(portion * n), from the most confident down. Exactly that many are at least as confident,
      ties aside. 1.0 where the rank is 0.

    Raises:
      ValueError: If the shapes differ, or `portion` is not from 0 to 1.

    References:
      Zou et al., CBST, ECCV 2018, https://arxiv.org/abs/1810.07911, Algorithm 2.
    """
    if confidence.shape != prediction.shape:
        raise ValueError(
            f"confidence has shape {confidence.shape} and prediction {prediction.shape}; they must "
            "be equal"
        )
    if not 0 <= portion <= 1:
        raise ValueError(f"portion is {portion}; it is a share from 0 to 1")
    confidence, prediction = confidence.ravel().astype(jnp.float32), prediction.ravel()
    valid = (prediction >= 0) & (prediction < num_classes)
    group = jnp.where(valid, prediction, num_classes)
    order = jnp.lexsort((-confidence, group))
    counts = jnp.bincount(group, length=num_classes + 1)[:num_classes]
    rank = jnp.floor(portion * counts.astype(jnp.float32)).astype(jnp.int32)
    place = jnp.cumsum(counts) - counts + jnp.maximum(rank, 1) - 1
    found = confidence[order][jnp.clip(place, 0, max(confidence.size - 1, 0))]
    return jnp.where(rank > 0, found, 1.0)
