"""DUC's two uncertainties, of a Dirichlet distribution over what a pixel's probabilities are."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from labor_jax.acquisition import pixel_order
from labor_jax.acquisition.argument_checks import check_image, check_mask, check_natural
from labor_jax.acquisition.selection import Selection, select_points

# Concentrations are exponentials of logits; beyond this their sum would not fit float32.
_LARGEST_LOGIT = 80.0


@jax.jit
def distribution_uncertainty(logits: jax.Array) -> jax.Array:
    """How little the model knows of the pixel: the mutual information of class and probabilities.

    With concentrations a_c = exp(logits_c), their sum a_0 and p = a / a_0 it is
    `sum_c p_c (digamma(a_c + 1) - digamma(a_0 + 1)) - sum_c p_c log p_c`, in nats: the entropy of
    the mean probabilities minus `data_uncertainty`.

    Args:
      logits: f32[..., C]; above 80 they count as 80.

    Returns:
      f32[...], at least 0.

    References:
      Xie et al., DUC, ICLR 2023, https://arxiv.org/abs/2302.13824, U_dis.
    """
    probabilities, expected = _expectations(logits)
    entropies = -jnp.sum(jax.scipy.special.xlogy(probabilities, probabilities), axis=-1)
    # Rounding can make the difference of two nearly equal numbers slightly negative.
    return jnp.maximum(entropies - expected, 0.0)


@jax.jit
def data_uncertainty(logits: jax.Array) -> jax.Array:
    """How ambiguous the pixel itself is: the expected entropy of its probabilities.

    `sum_c p_c (digamma(a_0 + 1) - digamma(a_c + 1))`, see `distribution_uncertainty`.

    Args:
      logits: f32[..., C]; above 80 they count as 80.

    Returns:
      f32[...], at least 0, in nats.

    References:
      Xie et al., DUC, ICLR 2023, https://arxiv.org/abs/2302.13824, U_data.
    """
    return jnp.maximum(_expectations(logits)[1], 0.0)


@functools.partial(jax.jit, static_argnames=("count", "factor"))
def select_in_two_steps(
    first_score: jax.Array,
    second_score: jax.Array,
    available: jax.Array,
    *,
    count: int,
    factor: int = 10,
) -> Selection:
    """Asks the pixels of largest second score among those of largest first score: DUC's choice.

    Args:
      first_score: f32[H, W]; the `factor * count` best available pixels by it are left.
      second_score: f32[H, W]; the `count` best of these by it are asked. Ties go to the lowest
        column, then the lowest row, in both.
      available: bool[H, W].
      count: Number of pixels, static, >= 0.
      factor: Static, >= 1; DUC's kappa.

    Returns:
      A `Selection` of `count` picks. They have no scores: another count leaves other pixels for the
      second step, so that they are no sequence to merge over the pool.

    Raises:
      ValueError: If the shapes differ or are not [H, W], `available` is not bool, the factor is
        below 1 or the count negative.
      TypeError: If a number is not an integer.
    """
    check_image("first_score", first_score)
    check_mask("available", available, first_score.shape)
    count, factor = check_natural("count", count), check_natural("factor", factor)
    if not factor:
        raise ValueError("factor must be 1 or more, got 0")
    key = pixel_order.sort_key(jax.lax.stop_gradient(first_score), available)
    left = pixel_order.best_mask(key, factor * count)
    chosen = select_points(second_score, left, count=count)
    return chosen._replace(available=available & ~chosen.query, scores=None)


def _expectations(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean probabilities, and the expected entropy."""
    logits = jnp.minimum(logits.astype(jnp.float32), _LARGEST_LOGIT)
    probabilities = jax.nn.softmax(logits)
    total = jnp.exp(jax.nn.logsumexp(logits, axis=-1, keepdims=True))
    gaps = digamma(total + 1.0) - digamma(jnp.exp(logits) + 1.0)
    return probabilities, jnp.sum(probabilities * gaps, axis=-1)
