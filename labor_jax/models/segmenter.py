"""The segmentation network: a head on a backbone's features."""

from typing import NamedTuple

import jax
from flax import linen as nn

from labor_jax.models.features import Features
from labor_jax.ops import resize_bilinear_align_corners


class Outputs(NamedTuple):
    """What a segmentation network returns. Under `jit`, what is not used is not computed.

    Attributes:
      logits: f32[B, H, W, C], at the images' size.
      features: the backbone's.
      auxiliary_logits: f32[B, H, W, C] of the auxiliary head; None without one.
    """

    logits: jax.Array
    features: Features
    auxiliary_logits: jax.Array | None = None


class Segmenter(nn.Module):
    """A segmentation network f_theta o g_phi: a backbone g_phi and a head f_theta.

    Variables have linen's own layout: `{"params": {"backbone", "head"}, "batch_stats": {…}}`, with
    "auxiliary_head" beside them if there is one, and "batch_stats" only of what has batch norm.
    The methods `extract` and `coarse_logits` are the two halves of a call, for
    `segmenter.apply(variables, …, method="extract")`.

    Attributes:
      backbone: g_phi, from images to `Features`.
      head: f_theta, from `Features` to logits at a resolution of its own.
      auxiliary_head: a second head for training only, which reads the maps before the last one, as
        the second level of AdaptSegNet (Tsai et al., CVPR 2018, arXiv 1802.10349); or None.
    """

    backbone: nn.Module
    head: nn.Module
    auxiliary_head: nn.Module | None = None

    def __call__(self, images: jax.Array, train: bool = False) -> Outputs:
        """Segments images.

        Args:
          images: f32[B, H, W, 3], normalised.
          train: whether batch norm (unless frozen) and dropout are in training. Batch norm then
            updates the collection "batch_stats", and dropout takes the random key "dropout".

        Returns:
          `Outputs`.
        """
        features = self.extract(images, train)
        size = images.shape[1:3]
        logits = resize_bilinear_align_corners(self.coarse_logits(features, train), size)
        auxiliary_logits = None
        if self.auxiliary_head is not None:
            coarse = self.auxiliary_head(features.up_to(-2), train)
            auxiliary_logits = resize_bilinear_align_corners(coarse, size)
        return Outputs(logits, features, auxiliary_logits)

    def extract(self, images: jax.Array, train: bool = False) -> Features:
        """Applies the backbone to f32[B, H, W, 3], normalised."""
        return self.backbone(images, train)

    def coarse_logits(self, features: Features, train: bool = False) -> jax.Array:
        """Applies the head; returns f32[B, h, w, C] at the head's own resolution."""
        return self.head(features, train)

    def radii(self, features: Features) -> jax.Array:
        """The head's hyperbolic radii, f32[B, h, w], of a head that has the method `radii`."""
        return self.head.radii(features)

    @property
    def num_classes(self) -> int:
        """C."""
        return self.head.num_classes

    @property
    def output_stride(self) -> int:
        """Stride of the backbone's last map."""
        return self.backbone.output_stride

    @property
    def pools_image(self) -> bool:
        """Whether the head reads means over the whole image (`Features.mean`)."""
        return getattr(self.head, "pools_image", False)
