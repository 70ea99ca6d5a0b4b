"""BDL: translators and the segmenter teach each other, and the segmenter labels the target.

Reference:
  Li et al., Bidirectional Learning for Domain Adaptation of Semantic Segmentation, CVPR 2019.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.adaptation.registry import not_negative, register, register_method, retrain
from labor_jax.adaptation.translation import Translation, domain_images
from labor_jax.training.terms import Term


@register("cycle_translation")
@dataclasses.dataclass(frozen=True)
class CycleTranslation(Translation):
    """Cross-entropy on source images in the target's look, as CycleGAN translates them (Eq. 1, 3).

    Two translators learn beside the model, one a direction. To there and back an image should
    return as it was, and the segmenter, a copy of the model as the phase before left it, should see
    the same in an image and its translation (the perceptual loss). So each phase of retraining goes
    once around BDL's loop. In published code each part is trained by itself for days, and
    translators have nine blocks, an identity loss and a perceptual loss of the returned image as
    well; image discriminators have a least-squares loss and see images of earlier steps again.

    Attributes:
      cycle_weight: of the cycle's L1 loss in the translators' loss, next to 1 for a discriminator.
      perceptual_weight: of the perceptual loss there.
    """

    cycle_weight: float = 10.0
    perceptual_weight: float = 0.1

    translators = ("translator", "back_translator")
    discriminators = ("target_discriminator", "source_discriminator")

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        not_negative(self, "cycle_weight", "perceptual_weight")

    def memory(self, model: models.Model) -> dict[str, Any]:
        """Keeps the segmenter of the perceptual loss."""
        return {"segmenter": model}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Takes the model as it is now: in joint training, memory is older than a query."""
        segmenter = memory["segmenter"].replace(variables=passes.variables)
        return {**memory, "segmenter": segmenter}

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """Each translator's loss, and the discriminators' of images and translated ones."""
        source, target = (domain_images(batch, domain) for domain in ("source", "target"))
        as_target = self._translated("translator", source, memory)
        as_source = self._translated("back_translator", target, memory)
        returned_source = self._translated("back_translator", as_target, memory)
        returned_target = self._translated("translator", as_source, memory)
        cycle = jnp.mean(jnp.abs(returned_source - source))
        cycle += jnp.mean(jnp.abs(returned_target - target))

        def of_translator(images, translated, discriminator, is_source):
            fooling = self._adversarial(discriminator, translated, is_source, memory)
            perceptual = perceptual_loss(memory["segmenter"], images, translated)
            return fooling + self.cycle_weight * cycle + self.perceptual_weight * perceptual

        losses = {
            "translator": of_translator(source, as_target, "target_discriminator", False),
            "back_translator": of_translator(target, as_source, "source_discriminator", True),
            "target_discriminator": self._telling(
                "target_discriminator", as_target, target, memory
            ),
            "source_discriminator": self._telling(
                "source_discriminator", source, as_source, memory
            ),
        }
        # Every device and microbatch holds as many images of each domain.
        return {name: Term.of_mean(loss, 1.0) for name, loss in losses.items()}


def perceptual_loss(segmenter: models.Model, images: jax.Array, translated: jax.Array) -> jax.Array:
    """How far apart a segmenter's logits of images and their translations are.

    Args:
      segmenter: from images to logits f32[B, H, W, C].
      images: f32[B, H, W, 3] in 0 to 1.
      translated: likewise.

    Returns:
      f32[], the mean square of the difference of the logits, which are normalised first over each
      image and class, as in BDL's published code.
    """
    seen, expected = (
        _normalized(segmenter(models.normalize_images(255 * each)).logits)
        for each in (translated, images)
    )
    return jnp.mean(jnp.square(seen - expected))


def _normalized(logits: jax.Array) -> jax.Array:
    """Logits f32[B, H, W, C] of mean 0 and deviation 1 over each image and class."""
    centred = logits - logits.mean((1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(centred), (1, 2), keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5)


@register_method("bdl")
def bdl(config: ConfigDict) -> None:
    """BDL: translators, adversarial outputs, then pseudo labels as well (Li et al., CVPR 2019)."""
    adapted = {"source_labels": 0.0, "cycle_translation": 1.0, "translated_adversarial": 1e-3}
    config.warmup.terms.update(adapted)
    config.retraining.terms.update(adapted | {"median_labels": 1.0})
    config.terms.translated_adversarial.width = config.terms.adversarial.width
    retrain(config, stages=2, share=0.5)
