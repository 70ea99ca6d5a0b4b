"""A segmentation network of two layers and a linear head, which compiles fast."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax import models


class TinyDiscriminator(nn.Module):
    """A single strided convolution."""

    @nn.compact
    def __call__(self, maps):
        return nn.Conv(1, (4, 4), strides=4, name="conv")(maps)


def tiny_discriminator_params(num_classes=5, seed=2):
    """Parameters of two discriminators, by the name of the head whose logits they read."""
    module, maps = TinyDiscriminator(), jnp.zeros((1, 8, 8, num_classes))
    init = jax.jit(module.init)
    return {
        head: init(jax.random.key(seed + number), maps)["params"]
        for number, head in enumerate(("head", "auxiliary_head"))
    }


def tiny_segmenter(
    num_classes=5, *, batch_norm="trained", axis_name=None, dropout=0.0, auxiliary=False
):
    """Stride 2 throughout; with `auxiliary`, a second linear head of the first layer."""
    return models.Segmenter(
        backbone=models.TwoLayers(output_stride=2, batch_norm=batch_norm, axis_name=axis_name),
        head=models.Linear(num_classes, dropout),
        auxiliary_head=models.Linear(num_classes) if auxiliary else None,
    )
