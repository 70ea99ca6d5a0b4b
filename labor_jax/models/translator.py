"""Networks of image translation: a translator between domains, and a discriminator of images.

Reference:
  Zhu et al., CycleGAN: Unpaired Image-to-Image Translation, ICCV 2017, arXiv 1703.10593. Both are
  smaller here than published, since they are trained beside the segmenter and not for days.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.ops import resize_bilinear_align_corners


class Translator(nn.Module):
    """Changes images so that they look like another domain's: image + a learnt difference.

    A 3x3 convolution of stride 2, residual blocks of two 3x3 convolutions with instance norm, and a
    3x3 convolution to the difference at half the images' resolution. The last convolution starts at
    0, so that an untrained translator changes nothing. CycleGAN's has nine blocks of 256 channels
    at stride 4, and puts out the image itself.

    Attributes:
      width: channels.
      blocks: number of residual blocks.
      dtype: of the computation; parameters are float32.
    """

    width: int = 32
    blocks: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Translates images f32[B, H, W, 3] in 0 to 1; the result may leave that range a little."""

        def convolution(x, name, stride=1, features=self.width, **options):
            return nn.Conv(
                features, (3, 3), stride, padding=1, dtype=self.dtype, name=name, **options
            )(x)

        def norm(x, name):
            return nn.InstanceNorm(dtype=self.dtype, name=name)(x)

        # Not normalised: what an instance norm takes away is what domains differ in.
        x = nn.relu(convolution(2 * images.astype(self.dtype) - 1, "conv_in", 2))
        for block in range(self.blocks):
            y = nn.relu(norm(convolution(x, f"conv{block}_1"), f"norm{block}_1"))
            x = x + norm(convolution(y, f"conv{block}_2"), f"norm{block}_2")
        zeros = nn.initializers.zeros_init()
        difference = convolution(nn.relu(x), "conv_out", features=3, kernel_init=zeros)
        size = images.shape[1:3]
        return images + resize_bilinear_align_corners(difference.astype(jnp.float32), size)


class ImageDiscriminator(nn.Module):
    """Tells from each patch of an image which domain it is of (PatchGAN).

    Three 4x4 convolutions of stride 2 with width, 2 and 4 x width channels and leaky ReLU of slope
    0.2, and a 3x3 one to the logits, which see 38x38 pixels each; the published one sees 70x70.

    Attributes:
      width: channels of the first convolution; 64 is the published number.
      dtype: of the computation; parameters are float32.
    """

    width: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Scores f32[B, H, W, 3] in 0 to 1; returns f32[B, H // 8, W // 8, 1] logits."""
        x = 2 * images.astype(self.dtype) - 1
        for index, multiple in enumerate((1, 2, 4)):
            features = multiple * self.width
            x = nn.Conv(features, (4, 4), 2, padding=1, dtype=self.dtype, name=f"conv{index + 1}")(
                x
            )
            x = nn.leaky_relu(x, 0.2)
        logits = nn.Conv(1, (3, 3), padding=1, dtype=self.dtype, name="conv4")(x)
        return logits.astype(jnp.float32)
