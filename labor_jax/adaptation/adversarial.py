"""Output-space adversarial adaptation.

References:
  AdaptSegNet: Tsai et al., Learning to Adapt Structured Output Space for Semantic Segmentation,
  CVPR 2018. ADVENT: Vu et al., Adversarial Entropy Minimization, CVPR 2019.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from labor_jax import losses

DISCRIMINATOR_INPUTS = ("softmax", "self_information")

Discriminate = Callable[[jax.Array], jax.Array]


def discriminator_input(logits: jax.Array, kind: str) -> jax.Array:
    """What the discriminator sees of a prediction.

    Args:
      logits: f32[B, H, W, C].
      kind: "softmax" (AdaptSegNet) or "self_information" (ADVENT, -p log2 p / log2 C).

    Returns:
      f32[B, H, W, C].

    Raises:
      ValueError: unknown `kind`.
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    probabilities = jnp.exp(log_probabilities)
    if kind == "softmax":
        return probabilities
    if kind == "self_information":
        return -probabilities * log_probabilities / jnp.log(logits.shape[-1])
    raise ValueError(
        f"discriminator input is {kind!r}; choose one of: {', '.join(DISCRIMINATOR_INPUTS)}."
    )


def model_loss(discriminate: Discriminate, target_logits: jax.Array, kind: str) -> jax.Array:
    """The model's term: target predictions should pass for source ones.

    Args:
      discriminate: predictions f32[B, H, W, C] to logits f32[B, h, w, 1]; its parameters must not
        be differentiated here.
      target_logits: f32[B, H, W, C].
      kind: see `discriminator_input`.

    Returns:
      f32[].
    """
    return losses.adversarial(
        discriminate(discriminator_input(target_logits, kind)), is_source=True
    )


def discriminator_loss(
    discriminate: Discriminate, source_logits: jax.Array, target_logits: jax.Array, kind: str
) -> jax.Array:
    """The discriminator's term: the mean over both domains, on detached predictions.

    Args:
      discriminate: predictions f32[B, H, W, C] to logits f32[B, h, w, 1].
      source_logits: f32[B, H, W, C].
      target_logits: f32[B', H', W', C].
      kind: see `discriminator_input`.

    Returns:
      f32[].
    """
    on_source, on_target = (
        losses.adversarial(
            discriminate(discriminator_input(jax.lax.stop_gradient(logits), kind)), is_source
        )
        for logits, is_source in ((source_logits, True), (target_logits, False))
    )
    return (on_source + on_target) / 2
