"""Weights of classes, which make the scores of some classes' pixels count more than others'."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def class_weights_from_answers(counts: np.ndarray) -> np.ndarray:
    """Weights that are larger for classes that are rare among the answers so far.

    `2 / (1 + C s_c)`, where `s_c` is the share of class c in the answers: 1 for a class with its
    fair share of 1/C, 2 for one that was never answered, and 2 / (1 + C) for one that is all there
    is. Without answers all weights are 1.

    The idea is that of CBDA (Schachtsiek et al., 2023, arXiv 2311.14146): scores are weighted by
    the statistics of the labels collected before. The formula is ours, because we know no text of
    the paper that gives its own.

    Args:
      counts: int[C], how many answered pixels each class has.

    Returns:
      f32[C].

    Raises:
      ValueError: If `counts` is no vector, is empty, or a count is negative.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not counts.size or (counts < 0).any():
        raise ValueError(f"counts are int[C] of 0 or more, got {counts.tolist()}")
    total = counts.sum()
    shares = counts / total if total else np.full(counts.size, 1 / counts.size)
    return (2 / (1 + counts.size * shares)).astype(np.float32)


def class_weights_from_predictions(counts: np.ndarray) -> np.ndarray:
    """PixBal's weights, larger for classes that are rarely predicted in the pool.

    `(6 p_c + 1)^-2`, where `p_c` is the share of the pool's pixels that are predicted as class c.
    From MulActSeg (Hwang et al., NeurIPS 2023).

    Args:
      counts: int[C], of how many pixels each class is predicted, at least one in all.

    Returns:
      f32[C].

    Raises:
      ValueError: If `counts` is no vector, a count is negative, or all are 0.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or (counts < 0).any() or not counts.sum():
        raise ValueError(f"counts are int[C] of 0 or more, some above 0, got {counts.tolist()}")
    return ((6 * counts / counts.sum() + 1) ** -2).astype(np.float32)


def weighted(score: jax.Array, logits: jax.Array, weights: jax.Array) -> jax.Array:
    """Multiplies each pixel's score by the weight of its predicted class.

    A negative score is divided instead, so that a larger weight never lowers a score. (RIPU's
    scores of pure windows are slightly below 0.) Its order beside scores of 0 or more stays.

    Args:
      score: f32[H, W].
      logits: f32[H, W, C].
      weights: f32[C], above 0.

    Returns:
      f32[H, W].
    """
    weight = weights[jnp.argmax(logits, axis=-1)]
    return jnp.where(score < 0, score / weight, score * weight)
