"""What people's answers say of the target's pixels, for terms that label them.

A pixel may be answered by a class, by a set of classes of which it is one, or as void. A term that
labels pixels of the target, such as by the predictions of a teacher, keeps to all three: it chooses
among `given_answers` instead of the logits, and puts its labels through `with_answers`. A term that
makes predictions certain leaves out what `is_void`. The attribute `labels_target` of both is True,
so that batches tell what is void.
"""

import jax
import jax.numpy as jnp

from labor_jax.data import IGNORE_LABEL

Target = dict[str, jax.Array]
"""A batch's view "target"."""


def candidate_classes(target: Target, num_classes: int) -> jax.Array:
    """The classes of which a pixel was answered to be one: bool[B, h, w, C], none at most pixels.

    Args:
      target: with "candidates", see `data.label_sets`.
      num_classes: C.
    """
    return (target["candidates"][..., None] >> jnp.arange(num_classes)) & 1 > 0


def given_answers(logits: jax.Array, target: Target) -> jax.Array:
    """The logits given that a pixel is of one of its candidate classes, where it has any.

    Args:
      logits: floating[B, h, w, C].
      target: the view that they are of.

    Returns:
      The same, but -inf for classes that the answer leaves out.
    """
    if "candidates" not in target:
        return logits
    held = candidate_classes(target, logits.shape[-1])
    return jnp.where(held | ~jnp.any(held, axis=-1, keepdims=True), logits, -jnp.inf)


def is_void(view: dict[str, jax.Array]) -> jax.Array:
    """The pixels that can have no class: answered as void, or beyond the image; bool[B, h, w]."""
    return view["void"] if "void" in view else jnp.zeros(view["image"].shape[:-1], bool)


def with_answers(labels: jax.Array, target: Target) -> jax.Array:
    """Labels in which people's answers stand wherever there are any.

    Args:
      labels: int32[B, h, w], 255 where there is none.
      target: the view that they are of.

    Returns:
      int32[B, h, w]; 255 where a pixel can have no class, and where its label is none of the
      classes that an answer leaves.
    """
    if "candidates" in target:
        bits = target["candidates"]
        left = (bits == 0) | ((bits >> jnp.minimum(labels, 31)) & 1 > 0)
        labels = jnp.where(left, labels, IGNORE_LABEL)
    labels = jnp.where(target["label"] == IGNORE_LABEL, labels, target["label"])
    return jnp.where(is_void(target), IGNORE_LABEL, labels)
