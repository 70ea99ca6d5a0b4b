"""MaxSquare: makes target predictions more certain, with less pull on those that are already.

Reference:
  Chen et al., Domain Adaptation for Semantic Segmentation with Maximum Squares Loss, ICCV 2019,
  Eq. 2, and the image-wise weighting factor.
"""

import dataclasses

import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import losses
from labor_jax.adaptation.registry import register, register_method, share
from labor_jax.adaptation.target_answers import is_void
from labor_jax.training.terms import Term


@register("max_squares")
@dataclasses.dataclass(frozen=True)
class MaxSquares:
    """`losses.max_squares` of the target's predictions.

    The method's weight of 0.1 is the published code's, whose loss is 2 / C of this one (1 / C
    without image-wise weights): of 19 classes, 0.1 here is about ten times as strong.

    Attributes:
      image_wise: whether a class weighs less the more of an image it fills, see
        `losses.image_wise_max_squares`.
      exponent: of the image-wise weights, how strongly a class's size counts, 0 to 1.
    """

    image_wise: bool = False
    exponent: float = 0.2

    reads = ("target",)
    labels_target = True

    def __post_init__(self):
        """Checks the settings."""
        share("exponent", self.exponent)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the target's pixels that aren't void, or over its images with any."""
        logits, counted = outputs["target"].logits, ~is_void(batch["target"])
        if self.image_wise:
            mean = losses.image_wise_max_squares(logits, counted, exponent=self.exponent)
            return Term.of_mean(mean, jnp.sum(jnp.any(counted, axis=(1, 2))))
        return Term.of_mean(losses.max_squares(logits, counted), jnp.sum(counted))


@register_method("max_squares")
def max_squares(config: ConfigDict) -> None:
    """MaxSquare with image-wise class weights (Chen et al., ICCV 2019)."""
    config.warmup.terms.max_squares = 0.1
    config.terms.max_squares.image_wise = True
