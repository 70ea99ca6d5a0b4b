"""Which predictions to trust as labels: pure functions of logits, or of confidences and classes."""

import jax
import jax.numpy as jnp

_IGNORE_LABEL = 255  # of a pixel whose prediction is not trusted


def confident_labels(logits: jax.Array, threshold: float | jax.Array) -> jax.Array:
    """The predicted classes of which the model is sure enough.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      threshold: The probability that a label needs: a number, or one for each class, `f32[C]` or
        anything that broadcasts to `[..., C]`, such as `f32[B, 1, 1, C]` for each image.

    Returns:
      `int32[...]`: the most probable class, 255 where its probability is below its threshold.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32))
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    needed = jnp.broadcast_to(jnp.asarray(threshold, jnp.float32), logits.shape)
    is_label = labels[..., None] == jnp.arange(logits.shape[-1])
    sure = jnp.max(probabilities, -1) >= jnp.sum(jnp.where(is_label, needed, 0.0), -1)
    return jnp.where(sure, labels, _IGNORE_LABEL)


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
