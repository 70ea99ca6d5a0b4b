"""ADVENT's adversarial method, AdvEnt: a discriminator sees where predictions are uncertain.

It is AdaptSegNet on two levels whose discriminators see the weighted self-information of the
predictions in place of their probabilities. Weights are those of the published code: 1e-3 for the
last level, 2e-4 for the auxiliary one, whose cross-entropy weighs 0.1.

Reference:
  Vu et al., ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic
  Segmentation, CVPR 2019, Eq. 5 to 7.
"""

from ml_collections import ConfigDict

from labor_jax.adaptation.registry import register_method
from labor_jax.adaptation.two_levels import adaptsegnet_two_level


@register_method("advent")
def advent(config: ConfigDict) -> None:
    """AdvEnt: target predictions should be as certain as source ones (Vu et al., CVPR 2019)."""
    adaptsegnet_two_level(config)
    for term in ("adversarial", "auxiliary_adversarial"):
        config.terms[term].input = "self_information"
