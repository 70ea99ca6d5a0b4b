"""FDA: source images with the target's low-frequency amplitudes, and certain target predictions.

Reference:
  Yang and Soatto, FDA: Fourier Domain Adaptation for Semantic Segmentation, CVPR 2020.
"""

import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import losses, mixing, models
from labor_jax.adaptation.image_pairs import targets_for_sources
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import above_zero, register, register_method
from labor_jax.adaptation.target_answers import is_void
from labor_jax.training.terms import Term


@register("fourier_swap")
@dataclasses.dataclass(frozen=True)
class FourierSwap:
    """Cross-entropy on source images with a target image's lowest-frequency amplitudes (Eq. 4).

    The phases, and so the shapes that the labels belong to, are the source's.

    Attributes:
      beta: how far the swapped frequencies reach, as a share of the image's smaller side, see
        `mixing.fourier_swap`; 0.01, 0.05 and 0.09 in FDA. They reach floor(beta * side) periods: of
        64 rows 0.01 swaps nothing but the mean, and 0.09 the 5 periods that 0.01 swaps of 512.
    """

    beta: float = 0.09

    reads = ("fourier_swapped",)
    makes = {"fourier_swapped": ("source", "target")}  # noqa: RUF012, never changed

    def __post_init__(self):
        """Checks the settings."""
        if not 0 <= self.beta <= 0.5:
            raise ValueError(f"beta is {self.beta}; it is a share of the image's side, 0 to 0.5.")

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The source's images, each with the low-frequency amplitudes of a target image."""
        swap = jax.vmap(lambda image, target: mixing.fourier_swap(image, target, self.beta))
        images = swap(batch["source"]["image"], targets_for_sources(batch))
        view = {"image": models.normalize_images(images), "label": batch["source"]["label"]}
        return {"fourier_swapped": view}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the labelled pixels."""
        view = "fourier_swapped"
        return cross_entropy(outputs[view].logits, batch[view]["label"])


@register("charbonnier_entropy")
@dataclasses.dataclass(frozen=True)
class CharbonnierEntropy:
    """`losses.charbonnier_entropy` of the target's predictions; weight 0.005 in FDA (Eq. 6).

    Attributes:
      eta: the penalty's exponent, above 0.
    """

    eta: float = 2.0

    reads = ("target",)
    labels_target = True

    def __post_init__(self):
        """Checks the settings."""
        above_zero(self, "eta")

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the target's pixels that aren't void."""
        counted = ~is_void(batch["target"])
        mean = losses.charbonnier_entropy(outputs["target"].logits, counted, eta=self.eta)
        return Term.of_mean(mean, jnp.sum(counted))


@register_method("fda")
def fda(config: ConfigDict) -> None:
    """FDA: source images with the target's low-frequency amplitudes (Yang and Soatto, CVPR 2020).

    A single model of one beta, without self-training: `uda:fda+cbst` adds that, and then trains on
    the swapped images too. The published best is the mean of three models, one a beta.
    """
    for section in (config.warmup, config.retraining):
        section.terms.update(source_labels=0.0, fourier_swap=1.0, charbonnier_entropy=0.005)
