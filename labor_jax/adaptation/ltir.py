"""LTIR: source images of random texture and of the target's look, then pseudo labels.

Reference:
  Kim and Byun, Learning Texture Invariant Representation for Domain Adaptation of Semantic
  Segmentation, CVPR 2020.
"""

import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import mixing
from labor_jax.adaptation.image_pairs import targets_for_sources
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import register, register_method, retrain, share
from labor_jax.adaptation.translation import VIEW, as_view
from labor_jax.training.terms import Term


@register("target_style")
@dataclasses.dataclass(frozen=True)
class TargetStyle:
    """Cross-entropy on source images with a target image's colours and low-frequency amplitudes.

    It stands in for CycleGAN, with which LTIR translates the source: without a network it changes
    light and colours, and no textures.

    Attributes:
      beta: how far the swapped frequencies reach, see `mixing.fourier_swap`.
    """

    beta: float = 0.09

    reads = (VIEW,)
    makes = {VIEW: ("source", "target")}  # noqa: RUF012, never changed

    def __post_init__(self):
        """Checks the settings."""
        if not 0 <= self.beta <= 0.5:
            raise ValueError(f"beta is {self.beta}; it is a share of the image's side, 0 to 0.5.")

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The source's images, each in the look of a target image."""
        return as_view(self._styled(batch) / 255, batch["source"]["label"])

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the labelled pixels of the source."""
        return cross_entropy(outputs[VIEW].logits, batch[VIEW]["label"])

    def _styled(self, batch) -> jax.Array:
        """f32[B, h, w, 3] in about 0 to 255."""

        def styled(image, target):
            return mixing.match_colours(mixing.fourier_swap(image, target, self.beta), target)

        return jax.vmap(styled)(batch["source"]["image"], targets_for_sources(batch))


@register("random_texture")
@dataclasses.dataclass(frozen=True)
class RandomTexture(TargetStyle):
    """`TargetStyle` in which a share of the images gets a random texture instead.

    LTIR takes turns between source images in the style of paintings, which a style network made,
    and translated ones. Here is no style network: `mixing.random_texture` draws filters and
    amplitudes.

    Attributes:
      share: probability that an image gets a random texture.
      kernel_size: of the random filter, in pixels.
      amplitude: how much amplitudes vary, see `mixing.random_texture`.
    """

    share: float = 0.5
    kernel_size: int = 3
    amplitude: float = 0.5

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        share("share", self.share)
        if self.kernel_size < 1 or self.amplitude < 0:
            raise ValueError(
                f"kernel_size is {self.kernel_size} and amplitude {self.amplitude}; a filter has "
                "at least 1 pixel, and amplitudes can't vary by less than 0."
            )

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The source's images, each in the look of a target image or with a random texture."""
        source = batch["source"]
        share_key, texture_key = jax.random.split(key)
        textured = jax.vmap(
            lambda key, image: mixing.random_texture(
                key, image, kernel_size=self.kernel_size, amplitude=self.amplitude
            )
        )(jax.random.split(texture_key, len(source["image"])), source["image"])
        drawn = jax.random.bernoulli(share_key, self.share, (len(textured), 1, 1, 1))
        images = jnp.where(drawn, textured, self._styled(batch))
        return as_view(images / 255, source["label"])


@register_method("ltir")
def ltir(config: ConfigDict) -> None:
    """LTIR: random textures and target style, then pseudo labels (Kim and Byun, CVPR 2020)."""
    config.warmup.terms.update(source_labels=0.0, random_texture=1.0, translated_adversarial=1e-3)
    config.retraining.terms.update(source_labels=0.0, target_style=1.0, median_labels=1.0)
    config.terms.translated_adversarial.width = config.terms.adversarial.width
    retrain(config, stages=1, share=0.5)
