"""Learning from answers that name all classes of a part: MulActSeg's merged positive loss.

Reference:
  Hwang et al., Active Learning for Semantic Segmentation with Multi-class Label Query, NeurIPS
  2023, arXiv 2309.09319.
"""

from labor_jax import losses
from labor_jax.adaptation import target_answers
from labor_jax.adaptation.registry import register
from labor_jax.training.terms import Term


@register("candidate_classes")
class CandidateClasses:
    """`losses.candidate_classes` on the target's pixels whose part was answered by several classes.

    Parts of a single class are answers like others, of the term `answers`.
    """

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the pixels of such parts."""
        logits, target = outputs["target"].logits, batch["target"]
        candidates = target_answers.candidate_classes(target, logits.shape[-1])
        count = (target["candidates"] > 0).sum()
        return Term.of_mean(losses.candidate_classes(logits, candidates), count)
