"""What methods with translated source images share: translators, and the view that they make.

A translator is a player: a network that is trained beside the model, against a discriminator that
tells its images from the target's. The model trains on the source images as they are translated in
the same step.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from labor_jax import losses, models
from labor_jax.adaptation.adversarial import Adversarial, apply_player, initial_parameters
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import above_zero, not_negative, register
from labor_jax.training.terms import Player, Setup, Term

VIEW = "translated"
"""The view of source images that look like the target's."""


def as_view(images: jax.Array, labels: jax.Array) -> dict[str, dict[str, jax.Array]]:
    """The view of translated images f32[B, H, W, 3] in 0 to 1 with the source's labels."""
    images = models.normalize_images(255 * jnp.clip(images, 0, 1))
    return {VIEW: {"image": images, "label": labels}}


def image_players(modules: Mapping[str, nn.Module], setup: Setup, rate: float) -> dict[str, Player]:
    """Players of networks of images, trained by Adam (0.5, 0.999) as in CycleGAN.

    Args:
      modules: networks of f32[B, H, W, 3], by the player's name.
      setup: the phase's.
      rate: learning rate at step 0; it follows the phase's schedule.
    """
    images = jax.ShapeDtypeStruct((1, *setup.image_size, 3), jnp.float32)
    return {
        name: Player(
            lambda key, module=module: initial_parameters(module, key, images),
            optax.adam(setup.schedule(rate), b1=0.5, b2=0.999),
        )
        for name, module in modules.items()
    }


@dataclasses.dataclass(frozen=True)
class Translation:
    """Cross-entropy on translated source images; a method's term says how translators learn.

    Attributes:
      learning_rate: the translators', at step 0; it follows the phase's schedule.
      discriminator_learning_rate: likewise of image discriminators: a fifth of it, as in PCEDA's
        published code. In CycleGAN's the two are equal, and a small translator then falls behind.
      width: channels of a translator.
      blocks: residual blocks of a translator.
      discriminator_width: channels of an image discriminator's first convolution.
    """

    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 2e-4
    width: int = 16
    blocks: int = 2
    discriminator_width: int = 16

    reads = (VIEW,)
    makes = {VIEW: ("source", "target")}  # noqa: RUF012, never changed
    translators = ("translator",)
    discriminators = ("image_discriminator",)

    def __post_init__(self):
        """Checks the settings."""
        above_zero(
            self, "learning_rate", "discriminator_learning_rate", "width", "discriminator_width"
        )
        not_negative(self, "blocks")

    def players(self, setup: Setup) -> dict[str, Player]:
        """The translators and the image discriminators."""
        translators = {name: self._translator() for name in self.translators}
        judges = {name: self._discriminator() for name in self.discriminators}
        return {
            **image_players(translators, setup, self.learning_rate),
            **image_players(judges, setup, self.discriminator_learning_rate),
        }

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The source's images, translated."""
        images = self._translated("translator", domain_images(batch, "source"), memory)
        return as_view(images, batch["source"]["label"])

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the labelled pixels of the source."""
        return cross_entropy(outputs[VIEW].logits, batch[VIEW]["label"])

    def _translator(self) -> models.Translator:
        return models.Translator(width=self.width, blocks=self.blocks)

    def _discriminator(self) -> models.ImageDiscriminator:
        return models.ImageDiscriminator(width=self.discriminator_width)

    def _translated(self, name: str, images: jax.Array, memory) -> jax.Array:
        """Images f32[B, H, W, 3] in 0 to 1, as the translator of that name changes them."""
        return apply_player(self._translator(), memory[name], images)

    def _adversarial(self, name: str, images: jax.Array, is_source: bool, memory) -> jax.Array:
        """How far the discriminator of that name is from taking images for a domain's."""
        logits = apply_player(self._discriminator(), memory[name], images)
        return losses.adversarial(logits, is_source)

    def _telling(self, name: str, source: jax.Array, target: jax.Array, memory) -> jax.Array:
        """The discriminator's own loss, the mean over both domains."""
        on_source = self._adversarial(name, source, True, memory)
        return (on_source + self._adversarial(name, target, False, memory)) / 2


def domain_images(batch, domain: str) -> jax.Array:
    """A domain's images, f32[B, H, W, 3] in 0 to 1."""
    return batch[domain]["image"].astype(jnp.float32) / 255


@register("translated_adversarial")
@dataclasses.dataclass(frozen=True)
class TranslatedAdversarial(Adversarial):
    """`Adversarial` between translated source images and the target."""

    reads = (VIEW, "target")

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The discriminator's loss: low where it tells the domains apart."""
        return super().player_losses({**outputs, "source": outputs[VIEW]}, batch, memory)
