"""CRST: CBST whose predictions or labels are kept from being too certain.

Pseudo labels are wrong here and there, and hard labels make a network sure of the wrong ones. CRST
adds a regulariser. "mrkld" is on the model: the divergence of its predictions from the uniform
distribution. "lrent" is on the labels: a reward for their entropy makes them soft.

Reference:
  Zou et al., Confidence Regularized Self-Training, ICCV 2019. Its published code applies the weight
  of MRKLD twice, so that 0.01 is left of 0.1; here it is 0.1, as in the paper.
"""

import dataclasses

import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import losses, pseudo_labels
from labor_jax.adaptation.cbst import ClassBalancedLabels
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.pseudo_labelling import VIEW
from labor_jax.adaptation.registry import (
    above_zero,
    not_negative,
    one_of,
    register,
    register_method,
    retrain,
)
from labor_jax.adaptation.target_answers import given_answers, is_void
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Term

REGULARIZERS = ("mrkld", "lrent")


@register("regularized_labels")
@dataclasses.dataclass(frozen=True)
class RegularizedLabels(ClassBalancedLabels):
    """Cross-entropy on the pseudo labels of CBST, with a regulariser of CRST.

    Attributes:
      portion: the share of the pixels predicted as a class that is labelled in the first stage.
      portion_step: by how much it grows from stage to stage.
      largest_portion: the most that it may become.
      regularizer: "mrkld", on the predictions, or "lrent", on the labels.
      divergence_weight: of MRKLD's divergence from the uniform distribution.
      entropy_weight: of LRENT's entropy, above 0; towards 0 labels become hard.
    """

    regularizer: str = "mrkld"
    divergence_weight: float = 0.1
    entropy_weight: float = 0.25

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        one_of("regularizer", self.regularizer, REGULARIZERS)
        not_negative(self, "divergence_weight")
        above_zero(self, "entropy_weight")

    def views(self, key, batch, memory):
        """The target's images with pseudo labels, under LRENT with soft ones."""
        if self.regularizer != "lrent":
            return super().views(key, batch, memory)
        target = batch["target"]
        logits = given_answers(memory["labeller"](target["image"]).logits, target)
        soft = pseudo_labels.soft_class_balanced_labels(
            logits, memory["thresholds"], self.entropy_weight
        )
        answers, void = target["label"][..., None], is_void(target)
        hard = (answers == jnp.arange(logits.shape[-1])).astype(soft.dtype)
        soft = jnp.where(answers == IGNORE_LABEL, soft, hard)
        soft = jnp.where(void[..., None], 0.0, soft)
        labelled = jnp.any(soft > 0, axis=-1)
        label = jnp.where(labelled, jnp.argmax(soft, -1), IGNORE_LABEL).astype(jnp.int32)
        return {VIEW: {"image": target["image"], "label": label, "void": void, "soft_label": soft}}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels with a label."""
        logits, view = outputs[VIEW].logits, batch[VIEW]
        labelled = view["label"] != IGNORE_LABEL
        if self.regularizer == "lrent":
            soft = losses.soft_cross_entropy(logits, view["soft_label"])
            return Term.of_mean(soft, jnp.sum(labelled))
        term = cross_entropy(logits, view["label"])
        divergence = losses.uniform_divergence(logits, labelled)
        return term._replace(total=term.total + self.divergence_weight * divergence * term.count)


@register_method("crst")
def crst(config: ConfigDict) -> None:
    """CRST: CBST with regularised confidence, MRKLD or LRENT (Zou et al., ICCV 2019)."""
    retrain(config, stages=4)
    config.retraining.terms.regularized_labels = 1.0
