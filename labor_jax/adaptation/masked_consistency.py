"""MIC: the model tells from images with hidden blocks what its teacher sees in whole ones.

Reference:
  Hoyer et al., MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation, CVPR 2023,
  arXiv 2212.01322, Eq. 5 to 8.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import mixing, models
from labor_jax.adaptation import feature_distance
from labor_jax.adaptation.mean_teacher import check_jitter, jittered, taught_cross_entropy
from labor_jax.adaptation.registry import register, register_method, share
from labor_jax.training.terms import Term

_BLOCKS_A_COLUMN = 16  # 64 pixels at Cityscapes' 1024 rows, 32 at half of them


@register("masked_consistency")
@dataclasses.dataclass(frozen=True)
class MaskedConsistency:
    """Cross-entropy on target images with hidden blocks: the teacher's and people's labels.

    The teacher is that of the term `mean_teacher`, whose settings are in
    `config.terms.mean_teacher`.

    Attributes:
      block: a hidden block's side in pixels; 0 for a 16th of the training images' height: 64 at
        1024 rows, as published. Set it where images are cropped.
      ratio: the share of blocks that are hidden.
      jitter: strength of the change of colours before, see `mixing.color_jitter`; 0 is off.
      blur: largest σ of the blur before, in pixels, which half of the images get; 0 is off.
    """

    block: int = 0
    ratio: float = 0.7
    jitter: float = 0.25
    blur: float = 1.15

    reads = ("masked",)
    makes = {"masked": ("target",)}  # noqa: RUF012, never changed
    uses = ("mean_teacher",)
    statistics_of = "target"

    def __post_init__(self):
        """Checks the settings."""
        if self.block < 0:
            raise ValueError(f"block is {self.block}; it is a number of pixels, or 0.")
        share("ratio", self.ratio)
        check_jitter(self.jitter, self.blur)

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """Changes the images' colours, normalises them, and sets hidden blocks to 0."""
        mask_key, colour_key = jax.random.split(key)
        view = batch["taught"]
        count, height, width = view["label"].shape
        draw = functools.partial(
            mixing.random_block_mask,
            size=(height, width),
            block=self.block or max(1, height // _BLOCKS_A_COLUMN),
            ratio=self.ratio,
        )
        kept = jax.vmap(draw)(jax.random.split(mask_key, count))
        images = jittered(colour_key, view["image"], self.jitter, self.blur)
        # Of a normalised image 0 is the mean colour. Floating images pass through the network as
        # they are.
        masked = jnp.where(kept[..., None], models.normalize_images(images), 0.0)
        return {"masked": {"image": masked, "label": view["label"], "weight": view["weight"]}}

    def loss(self, outputs, batch, memory) -> Term:
        """The sum of the weighted losses over the number of labelled pixels, hidden or not."""
        return taught_cross_entropy(outputs["masked"].logits, batch["masked"])


@register_method("mic")
def mic(config: ConfigDict) -> None:
    """MIC: DACS, masked target images, and DAFormer's recipe (Hoyer et al., CVPR 2023).

    It goes without the feature distance where the network begins with random weights: on `street`,
    and on your own images without installed weights.
    """
    # DAFormer keeps to the first features from the first step on.
    for section in (config.supervised, config.warmup):
        section.terms.feature_distance = feature_distance.WEIGHT
    config.warmup.terms.update(class_mix=1.0, masked_consistency=1.0)
    config.terms.mean_teacher.decay = 0.999
    config.data.source_sampling = "rare_classes"
