"""IntraDA: hard images of the target learn to look like its easy ones.

AdvEnt on one level first adapts the model from source to target, in the warm-up. Then the pool's
images are ranked by the mean entropy of their predictions: the most certain ones are easy, the
others hard. In retraining, easy images are trained on pseudo labels, and a discriminator of its own
tells easy from hard predictions, which the model evens out. People's answers are labels in easy and
hard images.

Published code trains the second network from ImageNet's weights, on the target alone; here the
adapted model goes on, and the source's labels stay beside, as in the other methods of retraining.

Reference:
  Pan et al., Unsupervised Intra-domain Adaptation for Semantic Segmentation through
  Self-Supervision, CVPR 2020, Eq. 3 to 7.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.acquisition.budget import exact
from labor_jax.adaptation import pseudo_labelling
from labor_jax.adaptation.adversarial import Adversarial, discriminator_input
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.pseudo_labelling import PseudoLabels
from labor_jax.adaptation.registry import register, register_method, retrain
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Setup, Term

VIEW = "ranked"
"""The target's images with pseudo labels on easy ones, and `sides`."""


def easiest(entropies: np.ndarray, share: float) -> np.ndarray:
    """The images of lowest entropy.

    Args:
      entropies: f32[N], the mean entropy of each image's predictions.
      share: of the images that are easy, from 0 to 1.

    Returns:
      bool[N], True for the floor(share * N) images of lowest entropy, but for at least one and not
      for all; of equals the first.
    """
    easy = np.zeros(len(entropies), bool)
    count = np.clip(math.floor(exact(share) * len(entropies)), 1, len(entropies) - 1)
    easy[np.argsort(entropies, kind="stable")[:count]] = True
    return easy


def sides(easy: jax.Array, numbers: jax.Array) -> dict[str, jax.Array]:
    """Which images of a batch are easy, and weights by which easy and hard ones count alike.

    Args:
      easy: bool[N], of the pool.
      numbers: int32[B], which images of the pool the batch has.

    Returns:
      "easy" bool[B], and "weight" f32[B]: N / (2 n), where n of the pool's images are easy for an
      easy one, and hard for a hard one.
    """
    count = jnp.where(easy, jnp.sum(easy), jnp.sum(~easy))
    weight = len(easy) / (2.0 * count.astype(jnp.float32))
    return {"easy": easy[numbers], "weight": weight[numbers]}


def _entropies(outputs: models.Outputs) -> jax.Array:
    """A pass's function: the mean entropy of each image's predictions, f32[B]."""
    return jax.vmap(losses.entropy)(outputs.logits)


@register("easy_pseudo_labels")
@dataclasses.dataclass(frozen=True)
class EasyPseudoLabels(PseudoLabels):
    """`PseudoLabels` on the easy images alone; it ranks the pool at the start of its phase.

    Attributes:
      threshold: the probability that a pseudo label needs; 0: every pixel of an easy image has one.
      share: of the pool's images that are easy, between 0 and 1.
    """

    threshold: float = 0.0
    share: float = 0.67

    reads = (VIEW,)
    makes = {VIEW: ("target",)}  # noqa: RUF012, never changed
    images_of = {VIEW: "target"}  # noqa: RUF012

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        if not 0 < self.share < 1:
            raise ValueError(f"share is {self.share}; it is between 0 and 1.")

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the model that labels, and which of the pool's images are easy.

        Raises:
          ValueError: the pool has no two images, one easy and one hard.
        """
        if setup.num_images["target"] < 2:
            raise ValueError(
                f"the pool has {setup.num_images['target']} image, but IntraDA needs at least 2, "
                "an easy one and a hard one; add images, or choose another method."
            )
        easy = jnp.zeros(setup.num_images["target"], bool)
        return {**super().memory(model, setup), "easy": easy}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Ranks the pool's images."""
        entropies = np.zeros(len(memory["easy"]), np.float32)
        for numbers, found in passes.images("target", _entropies):
            entropies[numbers] = found
        easy = jnp.asarray(easiest(entropies, self.share))
        return {**super().before_phase(passes, memory), "easy": easy}

    def labels(self, logits, target, memory) -> jax.Array:
        """Trusts the predictions on easy images."""
        easy = memory["easy"][target["index"]]
        labels = super().labels(logits, target, memory)
        return jnp.where(easy[:, None, None], labels, IGNORE_LABEL)

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The target's images with labels, and the side of each."""
        labelled = super().views(key, batch, memory)[pseudo_labelling.VIEW]
        return {VIEW: labelled | sides(memory["easy"], batch["target"]["index"])}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels with a label."""
        return cross_entropy(outputs[VIEW].logits, batch[VIEW]["label"])


@register("intra_domain_adversarial")
@dataclasses.dataclass(frozen=True)
class IntraDomainAdversarial(Adversarial):
    """`Adversarial` from easy to hard images of the target, with a discriminator of its own.

    It needs the term `easy_pseudo_labels`, which says what is easy. A batch without easy or without
    hard images adds nothing for the side that is missing.

    Attributes:
      learning_rate: the discriminator's, at step 0; it follows the phase's schedule.
      input: what the discriminator sees: "self_information" (as published) or "softmax".
      width: channels of the discriminator's first convolution; 64 is the published network.
      objective: see `Adversarial`.
    """

    input: str = "self_information"

    reads = (VIEW,)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over hard images: low where their predictions pass for easy ones."""
        hard = 1.0 - batch[VIEW]["easy"].astype(jnp.float32)
        each = self._each(outputs[VIEW].logits, memory, passes_for_easy=True)
        return Term(jnp.sum(hard * each), jnp.sum(hard))

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The discriminator's loss: low where it tells easy from hard.

        The pool's easy and hard images weigh the same, as if a step took as many of each.
        """
        easy, weight = batch[VIEW]["easy"], batch[VIEW]["weight"]
        logits = jax.lax.stop_gradient(outputs[VIEW].logits)
        each = jnp.where(
            easy,
            self._each(logits, memory, passes_for_easy=True),
            self._each(logits, memory, passes_for_easy=False),
        )
        return {"discriminator": Term(jnp.sum(weight * each), jnp.float32(len(easy)))}

    def _each(self, logits, memory, *, passes_for_easy: bool) -> jax.Array:
        """The discriminator's loss on each image, f32[B]."""
        scores = self._discriminator(memory)(discriminator_input(logits, self.input))
        loss = functools.partial(
            losses.adversarial, is_source=passes_for_easy, objective=self.objective
        )
        return jax.vmap(loss)(scores)


@register_method("intrada")
def intrada(config: ConfigDict) -> None:
    """IntraDA: AdvEnt, then hard target images learn from easy ones (Pan et al., CVPR 2020)."""
    config.warmup.terms.adversarial = 1e-3
    config.terms.adversarial.input = "self_information"
    retrain(config, stages=1, share=0.5)
    config.retraining.terms.update(easy_pseudo_labels=1.0, intra_domain_adversarial=1e-3)
    config.terms.intra_domain_adversarial.width = config.terms.adversarial.width
