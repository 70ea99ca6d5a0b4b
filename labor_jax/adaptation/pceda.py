"""PCEDA: source images in the target's look whose Fourier phases stay, and a prior of label maps.

Reference:
  Yang et al., Phase Consistent Ecological Domain Adaptation, CVPR 2020.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from labor_jax import losses, models, pseudo_labels
from labor_jax.adaptation.adversarial import apply_player
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import (
    above_zero,
    check_start,
    first_step,
    not_negative,
    register,
    register_method,
    share,
)
from labor_jax.adaptation.target_answers import given_answers, with_answers
from labor_jax.adaptation.translation import Translation, domain_images, initial_parameters
from labor_jax.training.terms import Player, Setup, Term


@register("phase_translation")
@dataclasses.dataclass(frozen=True)
class PhaseTranslation(Translation):
    """Cross-entropy on source images in the target's look, translated with their phases.

    The published translator is CycleGAN's, of nine blocks and trained beforehand, with a second one
    back and a cycle loss. Here a small one learns beside the model, and the phases alone tie an
    image to its translation. Image discriminators have a logistic loss instead of least squares.

    Attributes:
      phase_weight: of `losses.phase_consistency` in the translator's loss, next to 1 for the
        discriminator. Published code: 50,000 with weights that are divided by their largest, which
        is of the order of 100 here.
    """

    phase_weight: float = 100.0

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        not_negative(self, "phase_weight")

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The translator's loss, and the discriminator's between translated and target images."""
        source, target = (domain_images(batch, domain) for domain in ("source", "target"))
        translated, discriminator = (
            self._translated("translator", source, memory),
            "image_discriminator",
        )
        # Of each image, so that the mean over devices and microbatches is exact.
        phases = jnp.mean(jax.vmap(losses.phase_consistency)(translated, source))
        fooling = self._adversarial(discriminator, translated, False, memory)
        # Every device and microbatch holds as many images of each domain.
        return {
            "translator": Term.of_mean(fooling + self.phase_weight * phases, 1.0),
            discriminator: Term.of_mean(
                self._telling(discriminator, translated, target, memory), 1.0
            ),
        }


@register("conditional_prior")
@dataclasses.dataclass(frozen=True)
class ConditionalPrior:
    """Cross-entropy on the target's predictions as a prior rebuilds them from a bottleneck.

    The prior, a `models.ConditionalPrior`, learns to rebuild the source's labels, with its classes
    permuted at random, so that it knows what shapes go with an image and not what they are called.
    Isolated pixels and shapes that contradict the image's edges don't pass, so the rebuilt
    predictions are cleaner. In published code the prior is trained beforehand, for as long as the
    model, and all that it rebuilds is learnt. Here it learns beside the model, which listens to it
    from a later step on, and where it is sure: what a young prior can't rebuild, small objects
    first, would be unlearnt. A person's answer is the label wherever there is one, or one of its
    classes if it names several; what is void has no label.

    Attributes:
      threshold: the probability that a rebuilt label needs; 0: every pixel has one, as published.
      start: share of the phase's steps after which the model learns from the prior.
      learning_rate: the prior's, at step 0; it follows the phase's schedule.
      width: channels of the prior's first stage.
    """

    threshold: float = 0.9
    start: float = 0.5
    learning_rate: float = 1e-3
    width: int = 16

    reads = ("target",)
    makes = {"permuted": ("source",)}  # noqa: RUF012, never changed
    labels_target = True
    follows_steps = True

    def __post_init__(self):
        """Checks the settings."""
        share("threshold", self.threshold)
        check_start(self.start)
        above_zero(self, "learning_rate", "width")

    def players(self, setup: Setup) -> dict[str, Player]:
        """The prior, trained by Adam."""
        images = jax.ShapeDtypeStruct((1, *setup.image_size, 3), jnp.float32)
        labels = jax.ShapeDtypeStruct((1, *setup.image_size), jnp.int32)
        prior = models.ConditionalPrior(setup.num_classes, self.width)
        return {
            "prior": Player(
                lambda key: initial_parameters(prior, key, images, labels),
                optax.adam(setup.schedule(self.learning_rate)),
            )
        }

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Counts the steps until the model learns from the prior."""
        return {"steps_to_wait": jnp.asarray(first_step(self.start, setup.steps), jnp.int32)}

    def update(self, memory, model) -> dict[str, Any]:
        """One step less to wait."""
        return {**memory, "steps_to_wait": jnp.maximum(memory["steps_to_wait"] - 1, 0)}

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The source's labels with classes permuted, anew for each image."""
        labels = batch["source"]["label"]
        num_classes = memory["prior"]["logits"]["bias"].shape[0]
        orders = jax.vmap(lambda key: jax.random.permutation(key, num_classes))(
            jax.random.split(key, len(labels))
        )
        return {"permuted": {"label": jax.vmap(permuted)(labels, orders)}}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels that the prior is sure of; 0 until it has learnt enough."""
        logits, target = outputs["target"].logits, batch["target"]
        predicted = jnp.argmax(logits, axis=-1)
        rebuilt = given_answers(self._rebuilt(target["image"], predicted, logits, memory), target)
        labels = with_answers(pseudo_labels.confident_labels(rebuilt, self.threshold), target)
        term = cross_entropy(logits, labels)
        return term._replace(total=jnp.where(memory["steps_to_wait"] > 0, 0.0, term.total))

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The prior's: cross-entropy on the source's permuted labels, rebuilt from themselves."""
        labels = batch["permuted"]["label"]
        logits = self._rebuilt(batch["source"]["image"], labels, outputs["target"].logits, memory)
        return {"prior": cross_entropy(logits, labels)}

    def _rebuilt(self, images, labels, like, memory) -> jax.Array:
        """The prior's logits of label maps, of as many classes as `like` has."""
        prior = models.ConditionalPrior(like.shape[-1], self.width)
        return apply_player(prior, memory["prior"], models.network_input(images), labels)


def permuted(labels: jax.Array, order: jax.Array) -> jax.Array:
    """Labels int[...] with class c called order[c]; labels beyond `order`, void, stay."""
    renamed = order.astype(labels.dtype)[jnp.clip(labels, 0, len(order) - 1)]
    return jnp.where((labels >= 0) & (labels < len(order)), renamed, labels)


@register_method("pceda")
def pceda(config: ConfigDict) -> None:
    """PCEDA: translated source images of the same phases, and a prior (Yang et al., CVPR 2020).

    The prior weighs 0.1 instead of 1: on `street` a young one of weight 1 costs more than it
    brings.
    """
    config.warmup.terms.update(source_labels=0.0, phase_translation=1.0, conditional_prior=0.1)
