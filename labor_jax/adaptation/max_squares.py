"""MaxSquare: makes target predictions more certain, with less pull on those that are already.

Reference:
  Chen et al., Domain Adaptation for Semantic Segmentation with Maximum Squares Loss, ICCV 2019,
  Eq. 2.
"""

from labor_jax import losses
from labor_jax.adaptation.registry import register
from labor_jax.training.terms import Term


@register("max_squares")
class MaxSquares:
    """`losses.max_squares` of the target's predictions."""

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the target's pixels."""
        logits = outputs["target"].logits
        return Term.of_mean(losses.max_squares(logits), logits[..., 0].size)
