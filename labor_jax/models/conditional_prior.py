"""The conditional prior network of PCEDA (Yang et al., CVPR 2020, arXiv 2004.04923)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.ops import resize_bilinear_align_corners


class ConditionalPrior(nn.Module):
    """Rebuilds a label map from a bottleneck and the image: what it can't rebuild is improbable.

    Image and label map are encoded apart, by 3x3 convolutions of stride 2. The label map's code
    reaches the decoder from the last stage alone, the image's from each. Three stages of 1, 2 and 4
    x width channels without normalisation, where the published U-Net has six with batch norm.

    Attributes:
      num_classes: C.
      width: channels of the first stage; 16 is the published number.
      dtype: of the computation; parameters are float32.
    """

    num_classes: int
    width: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array) -> jax.Array:
        """Rebuilds label maps.

        Args:
          images: f32[B, H, W, 3], normalised.
          labels: int[B, H, W]; other values than 0 to C - 1 are void.

        Returns:
          f32[B, H, W, C] logits.
        """

        def convolution(x, features, name, stride=1):
            return nn.Conv(features, (3, 3), stride, padding=1, dtype=self.dtype, name=name)(x)

        def encoded(x, name):
            stages = []
            for stage in range(3):
                x = nn.relu(convolution(x, 2**stage * self.width, f"{name}{stage + 1}", 2))
                stages.append(x)
            return stages

        stages = encoded(images.astype(self.dtype), "image")
        one_hot = jax.nn.one_hot(labels, self.num_classes, dtype=self.dtype)
        x = jnp.concatenate([stages[2], encoded(one_hot, "label")[2]], axis=-1)
        x = nn.relu(convolution(x, 4 * self.width, "decoder3"))
        for stage in (1, 0):
            x = resize_bilinear_align_corners(x, stages[stage].shape[1:3])
            x = jnp.concatenate([x, stages[stage]], axis=-1)
            x = nn.relu(convolution(x, 2**stage * self.width, f"decoder{stage + 1}"))
        logits = convolution(x, self.num_classes, "logits").astype(jnp.float32)
        return resize_bilinear_align_corners(logits, images.shape[1:3])
