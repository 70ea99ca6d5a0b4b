"""RIPU's local consistency on the source: draws predictions at label boundaries to their 3x3 mean.

Reference:
  Xie et al., Towards Fewer Annotations: Active Learning via Region Impurity and Prediction
  Uncertainty for Domain Adaptive Semantic Segmentation, CVPR 2022, Eq. 5.
"""

import jax.numpy as jnp

from labor_jax import losses
from labor_jax.adaptation.registry import register
from labor_jax.training.terms import Term


@register("local_consistency")
class LocalConsistency:
    """`losses.local_consistency` on the source; weight 0.1 in RIPU."""

    reads = ("source",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the boundary pixels of the source's labels."""
        logits, labels = outputs["source"].logits, batch["source"]["label"]
        boundary = losses.label_boundary(labels, logits.shape[-1])
        return Term.of_mean(losses.local_consistency(logits, labels), jnp.sum(boundary))
