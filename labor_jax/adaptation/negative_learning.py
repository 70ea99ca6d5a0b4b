"""RIPU's negative learning on the target: lowers the probability of improbable classes further.

Reference:
  Xie et al., Towards Fewer Annotations: Active Learning via Region Impurity and Prediction
  Uncertainty for Domain Adaptive Semantic Segmentation, CVPR 2022, Eq. 6.
"""

import dataclasses

import jax.numpy as jnp

from labor_jax import losses
from labor_jax.adaptation.registry import register
from labor_jax.training.terms import Term


@register("negative_learning")
@dataclasses.dataclass(frozen=True)
class NegativeLearning:
    """`losses.negative_learning` on the target; weight 1 in RIPU.

    Attributes:
      threshold: the probability below which a class counts as improbable.
    """

    threshold: float = 0.05

    reads = ("target",)

    def __post_init__(self):
        """Checks the settings."""
        if not 0 < self.threshold <= 1:
            raise ValueError(
                f"threshold is {self.threshold}; it is a probability, from above 0 to 1."
            )

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pairs of a pixel and a class that is improbable there."""
        logits = outputs["target"].logits
        count = jnp.sum(losses.improbable_classes(logits, threshold=self.threshold))
        return Term.of_mean(losses.negative_learning(logits, threshold=self.threshold), count)
