"""AdaptSegNet's second level: an auxiliary head on the backbone's map before the last.

Both terms together, beside those of the main head, are AdaptSegNet's two-level model: weights 0.1
and 2e-4 in its published code. Predictions are the main head's.

Reference:
  Tsai et al., Learning to Adapt Structured Output Space for Semantic Segmentation, CVPR 2018,
  section 4.3 (multi-level adversarial learning).
"""

import dataclasses

import jax
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.adaptation.adversarial import Adversarial
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import register, register_method
from labor_jax.training.terms import Term


@register("auxiliary_source_labels")
class AuxiliarySourceLabels:
    """Cross-entropy of the auxiliary head on the source's labels."""

    reads = ("source",)
    uses_auxiliary_head = True

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the labelled pixels of the source."""
        return cross_entropy(outputs["source"].auxiliary_logits, batch["source"]["label"])


@register("auxiliary_adversarial")
@dataclasses.dataclass(frozen=True)
class AuxiliaryAdversarial(Adversarial):
    """`Adversarial` on the auxiliary head's predictions, with a discriminator of its own."""

    uses_auxiliary_head = True

    def _logits(self, outputs: models.Outputs) -> jax.Array:
        return outputs.auxiliary_logits


@register_method("adaptsegnet_two_level")
def adaptsegnet_two_level(config: ConfigDict) -> None:
    """AdaptSegNet, two levels: adversarial on an auxiliary head's predictions too (CVPR 2018)."""
    for phase in (config.supervised, config.warmup):
        phase.terms.auxiliary_source_labels = 0.1
    config.warmup.terms.update(adversarial=1e-3, auxiliary_adversarial=2e-4)
