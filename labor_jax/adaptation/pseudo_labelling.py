"""Self-training: labels of the target by the model as it was at the stage's start.

`PseudoLabelling` is what all terms that retrain on pseudo labels share. It keeps a frozen copy of
the model, the labeller, which labels each batch on the way. So no label is written to a file, and
a label fits the augmented image; published code labels each image once, before augmentation. An
answer of a person is the label wherever there is one, or one of its classes if it names several;
what is void has no label.

A method's own rule is a subclass: it says in `labels` which predictions to trust, and in
`before_phase` what it has to know of the pool for that, such as thresholds. The labelled images are
the view "pseudo_labelled", which other terms on the same pixels read as well.

References:
  Lee, Pseudo-Label, ICML 2013 workshops. A constant threshold of 0.9: Li et al., Bidirectional
  Learning for Domain Adaptation of Semantic Segmentation, CVPR 2019.
"""

import dataclasses
from typing import Any

import jax

from labor_jax import models, pseudo_labels
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import register, share
from labor_jax.adaptation.target_answers import given_answers, is_void, with_answers
from labor_jax.training.terms import Setup, Term

VIEW = "pseudo_labelled"
"""The name of the view with pseudo labels."""


class PseudoLabelling:
    """Cross-entropy on labels of the model at the stage's start; subclasses choose the labels."""

    reads = (VIEW,)
    makes = {VIEW: ("target",)}  # noqa: RUF012, never changed
    images_of = {VIEW: "target"}  # noqa: RUF012
    labels_target = True

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the model that labels."""
        del setup
        return {"labeller": model}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Takes the model as it is now: in joint training, memory is older than a query."""
        labeller = memory["labeller"].replace(variables=passes.variables)
        return {**memory, "labeller": labeller}

    def labels(
        self, logits: jax.Array, target: dict[str, jax.Array], memory: dict[str, Any]
    ) -> jax.Array:
        """The rule: which predictions to trust.

        Args:
          logits: the labeller's, f32[B, h, w, C]; -inf for classes that an answer leaves out.
          target: the batch's view "target".
          memory: the term's.

        Returns:
          int32[B, h, w], 255 where there is no label.
        """
        raise NotImplementedError

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The target's images with pseudo labels, with answers where there are any, and "void"."""
        del key
        target = batch["target"]
        logits = given_answers(memory["labeller"](target["image"]).logits, target)
        labels = with_answers(self.labels(logits, target, memory), target)
        return {VIEW: {"image": target["image"], "label": labels, "void": is_void(target)}}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels with a label."""
        return cross_entropy(outputs[VIEW].logits, batch[VIEW]["label"])


@register("pseudo_labels")
@dataclasses.dataclass(frozen=True)
class PseudoLabels(PseudoLabelling):
    """Cross-entropy on the predictions of the model at the stage's start of which it is sure.

    Attributes:
      threshold: the probability that a pseudo label needs; 0: every pixel has one.
    """

    threshold: float = 0.9

    def __post_init__(self):
        """Checks the settings."""
        share("threshold", self.threshold)

    def labels(self, logits, target, memory) -> jax.Array:
        """The predicted classes, above the threshold."""
        return pseudo_labels.confident_labels(logits, self.threshold)


def growing_share(first: float, step: float, largest: float, stage: int) -> float:
    """The share of a stage: it grows by a step from stage to stage up to the largest."""
    return min(first + step * stage, largest)


def check_growing_share(term: Any) -> None:
    """Raises a ValueError unless a term's portion can grow by its step up to the largest."""
    for field in ("portion", "portion_step", "largest_portion"):
        share(field, getattr(term, field))
    if term.portion > term.largest_portion:
        raise ValueError(
            f"portion is {term.portion}, above largest_portion {term.largest_portion}; raise that, "
            "too."
        )
