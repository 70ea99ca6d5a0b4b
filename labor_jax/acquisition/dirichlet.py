"""DUC's two uncertainties, of a Dirichlet distribution over what a pixel's probabilities are."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from labor_jax.acquisition import pixel_order
from labor_jax.acquisition.argument_checks import (
    check_classes,
    check_image,
    check_mask,
    check_natural,
)
from labor_jax.acquisition.scores import entropy_in_nats
from labor_jax.acquisition.selection import Selection, select_points

# Concentrations are exponentials of logits; beyond this their sum would not fit float32.
_LARGEST_LOGIT = 80.0
# From here on `_mass` has a series that is exact in float32.
_LARGE = 8.0


@jax.jit
def distribution_uncertainty(logits: jax.Array) -> jax.Array:
    """How little the model knows of the pixel: the mutual information of class and probabilities.

    With concentrations a_c = exp(logits_c), their sum a_0 and p = a / a_0 it is
    `sum_c p_c (digamma(a_c + 1) - digamma(a_0 + 1)) - sum_c p_c log p_c`, in nats: the entropy of
    the mean probabilities minus `data_uncertainty`.

    Args:
      logits: f32[..., C], `C >= 2`; above 80 they count as 80.

    Returns:
      f32[...], at least 0.

    Raises:
      ValueError: If there are fewer than two classes.

    References:
      Xie et al., DUC, ICLR 2023, https://arxiv.org/abs/2302.13824, U_dis.
    """
    check_classes(logits)
    probabilities, expected = _expectations(logits)
    little = entropy_in_nats(probabilities) - expected
    # Where there is much evidence, that would be a small difference of large numbers. The sum is
    # also (sum_c m(a_c) - m(a_0)) / a_0, where m is `_mass`. Of a large a, m is nearly 1/2: so
    # what is missing to 1/2 is compared between the sum and the largest a.
    evidence = jnp.exp(jnp.minimum(logits.astype(jnp.float32), _LARGEST_LOGIT))
    total, largest = jnp.sum(evidence, axis=-1), jnp.max(evidence, axis=-1)
    is_largest = jnp.argmax(evidence, axis=-1)[..., None] == jnp.arange(evidence.shape[-1])
    others = jnp.sum(jnp.where(is_largest, 0.0, _mass(evidence)[0]), axis=-1)
    much = (others + _mass(total)[1] - _mass(largest)[1]) / jnp.maximum(total, 1.0)
    # Rounding can make the difference of two nearly equal numbers slightly negative.
    return jnp.maximum(jnp.where(total > 1.0, much, little), 0.0)


@jax.jit
def data_uncertainty(logits: jax.Array) -> jax.Array:
    """How ambiguous the pixel itself is: the expected entropy of its probabilities.

    `sum_c p_c (digamma(a_0 + 1) - digamma(a_c + 1))`, see `distribution_uncertainty`.

    Args:
      logits: f32[..., C], `C >= 2`; above 80 they count as 80.

    Returns:
      f32[...], at least 0, in nats.

    Raises:
      ValueError: If there are fewer than two classes.

    References:
      Xie et al., DUC, ICLR 2023, https://arxiv.org/abs/2302.13824, U_data.
    """
    check_classes(logits)
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
    return chosen._replace(available=available & ~chosen.query)


def _mass(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """m(a) = a (digamma(a + 1) - log a), from 0 to 1/2; and what is missing to 1/2."""
    small = jnp.clip(a, jnp.finfo(jnp.float32).tiny, _LARGE)
    mass = small * (digamma(small + 1.0) - jnp.log(small))
    inverse = 1.0 / jnp.maximum(a, _LARGE)
    missing = inverse * (1 / 12 - inverse**2 * (1 / 120 - inverse**2 / 252))
    is_large = a > _LARGE
    return jnp.where(is_large, 0.5 - missing, mass), jnp.where(is_large, missing, 0.5 - mass)


def _expectations(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean probabilities, and the expected entropy."""
    logits = jnp.minimum(logits.astype(jnp.float32), _LARGEST_LOGIT)
    probabilities = jax.nn.softmax(logits)
    total = jnp.exp(jax.nn.logsumexp(logits, axis=-1, keepdims=True))
    gaps = digamma(total + 1.0) - digamma(jnp.exp(logits) + 1.0)
    return probabilities, jnp.sum(probabilities * gaps, axis=-1)
