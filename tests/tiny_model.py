"""A segmentation model of two layers: shows what steps do with a model, and compiles fast."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax import models
from labor_jax.models.layers import BatchNorm


class TinyBackbone(nn.Module):
    """A strided convolution and batch norm."""

    batch_norm: str = "trained"
    axis_name: str | None = None
    channels: int = 8
    output_stride: int = 2

    @nn.compact
    def __call__(self, images, train=False):
        middle = nn.Conv(self.channels, (3, 3), strides=2, use_bias=False, name="conv")(images)
        norm = BatchNorm(self.batch_norm, axis_name=self.axis_name, name="bn")
        x = nn.relu(norm(middle, train))
        return models.Features(low=x, high=x, middle=middle)


class TinyClassifier(nn.Module):
    """A pointwise convolution after dropout."""

    num_classes: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, features, train=False):
        x = nn.Dropout(self.dropout, deterministic=not train)(features.high)
        return nn.Conv(self.num_classes, (1, 1), name="conv")(x)


class TinyDiscriminator(nn.Module):
    """A single strided convolution."""

    @nn.compact
    def __call__(self, maps):
        return nn.Conv(1, (4, 4), strides=4, name="conv")(maps)


def tiny_discriminator_params(num_classes=5, seed=2):
    module, maps = TinyDiscriminator(), jnp.zeros((1, 8, 8, num_classes))
    init = jax.jit(module.init)
    return {
        part: init(jax.random.key(seed + number), maps)["params"]
        for number, part in enumerate(("classifier", "auxiliary"))
    }


def tiny_segmenter(
    num_classes=5, *, batch_norm="trained", axis_name=None, dropout=0.0, auxiliary=False
):
    return models.Segmenter(
        TinyBackbone(batch_norm, axis_name),
        TinyClassifier(num_classes, dropout),
        num_classes,
        TinyClassifier(num_classes) if auxiliary else None,
    )
