"""The output-space discriminator of AdaptSegNet (Tsai et al., CVPR 2018, arXiv 1802.10349)."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn


class Discriminator(nn.Module):
    """Predicts which domain each patch of a segmentation map comes from.

    Five 4x4 convolutions of stride 2 and padding 1 with width, 2, 4, 8 x width and 1 channels,
    leaky ReLU of slope 0.2 between, no normalisation (section 3.2 of the paper).

    Attributes:
      width: channels of the first convolution.
      dtype: of the computation; parameters are float32.
    """

    width: int = 64
    dtype: Any = jnp.float32

    TOTAL_STRIDE: ClassVar[int] = 32

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        """Scores maps.

        Args:
          maps: f32[B, H, W, C], softmax probabilities or weighted self-information; H, W >= 32.

        Returns:
          f32[B, H // 32, W // 32, 1] logits.

        Raises:
          ValueError: when the maps are smaller than 32 x 32.
        """
        least = self.TOTAL_STRIDE
        if min(maps.shape[1:3]) < least:
            raise ValueError(
                f"The discriminator needs maps of at least {least}x{least} pixels, "
                f"got {maps.shape[1]}x{maps.shape[2]}; upsample the logits to the image size first."
            )
        x = maps.astype(self.dtype)
        channels = (self.width, 2 * self.width, 4 * self.width, 8 * self.width, 1)
        for index, features in enumerate(channels):
            x = nn.Conv(
                features,
                (4, 4),
                strides=2,
                padding=1,
                dtype=self.dtype,
                # The published code keeps PyTorch's default: uniform with variance 1 / (3 fan-in).
                kernel_init=nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
                name=f"conv{index + 1}",
            )(x)
            if index < len(channels) - 1:
                x = nn.leaky_relu(x, 0.2)
        return x.astype(jnp.float32)
