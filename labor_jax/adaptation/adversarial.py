"""Output-space adversarial adaptation: a discriminator tells the domains' predictions apart.

References:
  AdaptSegNet: Tsai et al., Learning to Adapt Structured Output Space for Semantic Segmentation,
  CVPR 2018. ADVENT: Vu et al., Adversarial Entropy Minimization, CVPR 2019. Least squares: Mao et
  al., Least Squares Generative Adversarial Networks, ICCV 2017.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.adaptation.registry import above_zero, one_of, register, register_method
from labor_jax.training.terms import Player, Setup, Term

INPUTS = ("softmax", "self_information")

Discriminate = Callable[[jax.Array], jax.Array]


def initial_parameters(module: nn.Module, key: jax.Array, *inputs: jax.ShapeDtypeStruct):
    """A network's parameters for inputs of these shapes. Equal networks are compiled once."""
    return _drawn(module, key, inputs)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _drawn(module: nn.Module, key: jax.Array, inputs: tuple[jax.ShapeDtypeStruct, ...]):
    # XLA's own generator: threefry takes seconds to compile on a CPU.
    key = jax.random.wrap_key_data(jax.random.bits(key, (4,), jnp.uint32), impl="rbg")
    return module.lazy_init(key, *inputs)["params"]


@functools.partial(jax.jit, static_argnums=0)
def apply_player(module: nn.Module, params: Any, *inputs: jax.Array) -> jax.Array:
    """Applies a player's network. Calls with inputs of the same shapes are traced once."""
    return module.apply({"params": params}, *inputs)


def discriminator_input(logits: jax.Array, kind: str) -> jax.Array:
    """What the discriminator sees of a prediction.

    Args:
      logits: f32[B, H, W, C].
      kind: "softmax" (AdaptSegNet) or "self_information" (ADVENT, -p log2 p / log2 C).

    Returns:
      f32[B, H, W, C].
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    probabilities = jnp.exp(log_probabilities)
    if kind == "softmax":
        return probabilities
    return -probabilities * log_probabilities / jnp.log(logits.shape[-1])


def model_loss(
    discriminate: Discriminate,
    target_logits: jax.Array,
    kind: str,
    objective: str = "cross_entropy",
) -> jax.Array:
    """The model's loss: target predictions should pass for source ones.

    Args:
      discriminate: predictions f32[B, H, W, C] to logits f32[B, h, w, 1]; its parameters must not
        be differentiated here.
      target_logits: f32[B, H, W, C].
      kind: see `discriminator_input`.
      objective: see `losses.adversarial`.

    Returns:
      f32[].
    """
    maps = discriminator_input(target_logits, kind)
    return losses.adversarial(discriminate(maps), is_source=True, objective=objective)


def discriminator_loss(
    discriminate: Discriminate,
    source_logits: jax.Array,
    target_logits: jax.Array,
    kind: str,
    objective: str = "cross_entropy",
) -> jax.Array:
    """The discriminator's loss: the mean over both domains, on detached predictions.

    Args:
      discriminate: predictions f32[B, H, W, C] to logits f32[B, h, w, 1].
      source_logits: f32[B, H, W, C].
      target_logits: f32[B', H', W', C].
      kind: see `discriminator_input`.
      objective: see `losses.adversarial`.

    Returns:
      f32[].
    """
    on_source, on_target = (
        losses.adversarial(
            discriminate(discriminator_input(jax.lax.stop_gradient(logits), kind)),
            is_source,
            objective=objective,
        )
        for logits, is_source in ((source_logits, True), (target_logits, False))
    )
    return (on_source + on_target) / 2


@register("adversarial")
@dataclasses.dataclass(frozen=True)
class Adversarial:
    """AdaptSegNet on the model's predictions (Eq. 2 to 4), or ADVENT's AdvEnt.

    Attributes:
      learning_rate: the discriminator's, at step 0; it follows the phase's schedule.
      input: what the discriminator sees: "softmax" (AdaptSegNet) or "self_information" (ADVENT).
      width: channels of the discriminator's first convolution; 64 is the published network.
      objective: "cross_entropy" (AdaptSegNet, ADVENT), or "least_squares" as in IAST's warm-up,
        whose weight is 0.05.
    """

    learning_rate: float = 1e-4
    input: str = "softmax"
    width: int = 64
    objective: str = "cross_entropy"

    reads = ("source", "target")
    smallest_image = models.Discriminator.TOTAL_STRIDE

    def __post_init__(self):
        """Checks the settings."""
        above_zero(self, "learning_rate", "width")
        one_of("input", self.input, INPUTS)
        one_of("objective", self.objective, losses.ADVERSARIAL_OBJECTIVES)

    def players(self, setup: Setup) -> dict[str, Player]:
        """The discriminator, trained by Adam (0.9, 0.99)."""
        maps = jax.ShapeDtypeStruct((1, *setup.image_size, setup.num_classes), jnp.float32)
        optimizer = optax.adam(setup.schedule(self.learning_rate), b1=0.9, b2=0.99)
        return {
            "discriminator": Player(
                lambda key: initial_parameters(self._module(), key, maps), optimizer
            )
        }

    def loss(self, outputs, batch, memory) -> Term:
        """The model's loss: low where target predictions pass for source ones."""
        logits = self._logits(outputs["target"])
        loss = model_loss(self._discriminator(memory), logits, self.input, self.objective)
        return Term.of_mean(loss, 1.0)

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The discriminator's loss: low where it tells the domains apart."""
        source, target = (self._logits(outputs[domain]) for domain in ("source", "target"))
        loss = discriminator_loss(
            self._discriminator(memory), source, target, self.input, self.objective
        )
        # Every device and microbatch holds as many images of each domain.
        return {"discriminator": Term.of_mean(loss, 1.0)}

    def _logits(self, outputs: models.Outputs) -> jax.Array:
        return outputs.logits

    def _module(self) -> models.Discriminator:
        return models.Discriminator(width=self.width)

    def _discriminator(self, memory) -> Discriminate:
        return lambda maps: apply_player(self._module(), memory["discriminator"], maps)


@register_method("adaptsegnet")
def adaptsegnet(config: ConfigDict) -> None:
    """AdaptSegNet, one level: target predictions should pass for source ones (CVPR 2018)."""
    config.warmup.terms.adversarial = 1e-3
