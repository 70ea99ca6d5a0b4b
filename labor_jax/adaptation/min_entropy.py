"""MinEnt: makes target predictions more certain.

ADVENT's MinEnt does so at two levels, with weight 1e-3 on the main predictions and 2e-4 on those of
an auxiliary head. Here it does at one, the main predictions.

Reference:
  Vu et al., ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic
  Segmentation, CVPR 2019, Eq. 3.
"""

import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import losses
from labor_jax.adaptation.registry import register, register_method
from labor_jax.adaptation.target_answers import is_void
from labor_jax.training.terms import Term


@register("min_entropy")
class MinEntropy:
    """`losses.entropy` of the target's main predictions; weight 1e-3 in ADVENT."""

    reads = ("target",)
    labels_target = True

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the target's pixels that aren't void."""
        counted = ~is_void(batch["target"])
        mean = losses.entropy(outputs["target"].logits, counted)
        return Term.of_mean(mean, jnp.sum(counted))


@register_method("min_entropy")
def min_entropy(config: ConfigDict) -> None:
    """MinEnt, one level: makes predictions on the target certain (Vu et al., CVPR 2019)."""
    config.warmup.terms.min_entropy = 1e-3
