"""A term: the model predicts, from images with hidden blocks, what a teacher sees in whole ones.

    labor-jax run examples/term.py --workdir runs/masked --config.terms.hidden_blocks.block=16

It shows settings, a view made on the device, and memory. The idea is that of MIC (Hoyer et al.,
CVPR 2023); here pixels of which the teacher is unsure don't count, as in FixMatch.
"""

import dataclasses

import jax
import jax.numpy as jnp

import labor_jax
from labor_jax import adaptation, mixing


@adaptation.register("hidden_blocks")
@dataclasses.dataclass(frozen=True)
class HiddenBlocks:
    """Cross-entropy on the teacher's classes."""

    block: int = 8  # pixels along a hidden block's side
    threshold: float = 0.9  # the least probability of a class to learn
    decay: float = 0.99  # of the teacher, a moving average of the model

    reads = ("masked",)
    makes = {"masked": ("target",)}  # noqa: RUF012

    def memory(self, model):
        """Starts the teacher as the model of the phase before."""
        return {"teacher": model}

    def update(self, memory, model):
        """Moves the teacher a little after each step."""
        return {"teacher": memory["teacher"].moved_towards(model, 1 - self.decay)}

    def views(self, key, batch, memory):
        """Hides half of the blocks of the target's images; asks the teacher about whole ones."""
        images = batch["target"]["image"]
        probabilities = jax.nn.softmax(memory["teacher"](images).logits)
        label = jnp.where(probabilities.max(-1) > self.threshold, probabilities.argmax(-1), 255)
        kept = mixing.random_block_mask(key, images.shape[1:3], block=self.block, ratio=0.5)
        return {"masked": {"image": images * kept[..., None], "label": label}}

    def loss(self, outputs, batch, memory):
        """Means over the pixels of which the teacher is sure."""
        return adaptation.labels.cross_entropy(outputs["masked"].logits, batch["masked"]["label"])


def get_config(pair="street"):
    """LabOR's SPL with the term in its warm-up and in its rounds."""
    config = labor_jax.get_config("spl", pair)
    config.method = "hidden_blocks"
    config.warmup.terms.hidden_blocks = config.round.terms.hidden_blocks = 1.0
    return config
