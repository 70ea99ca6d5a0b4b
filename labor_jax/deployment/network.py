"""A run's network as one function of images: what every exported program computes."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import struct
from ml_collections import ConfigDict

from labor_jax import models, ops


def exported_config(config: ConfigDict) -> ConfigDict:
    """A run's `config.model` as it is exported: computing in float32, whatever the run did."""
    return ConfigDict({**config.to_dict(), "dtype": "float32"})


class Network(struct.PyTreeNode):
    """A segmentation network for images of one size, computed in float32.

    Attributes:
      variables: the network's, without an auxiliary head.
      segmenter: the network, batch norm frozen.
      size: (height, width) of the images in pixels.
    """

    variables: Mapping[str, Any]
    segmenter: models.Segmenter = struct.field(pytree_node=False)
    size: tuple[int, int] = struct.field(pytree_node=False)

    @classmethod
    def build(
        cls,
        config: ConfigDict,
        num_classes: int,
        variables: Mapping[str, Any],
        size: tuple[int, int],
    ) -> "Network":
        """Builds the network that a config's section `model` names, around a run's variables."""
        segmenter = models.build_segmenter(
            exported_config(config), num_classes, batch_norm="frozen"
        )
        own = {
            collection: {part: tree for part, tree in parts.items() if part != "auxiliary_head"}
            for collection, parts in variables.items()
        }
        return cls(jax.device_get(own), segmenter, tuple(size))

    @property
    def num_classes(self) -> int:
        """C."""
        return self.segmenter.num_classes

    def function(self, *, portable: bool = False) -> Callable[[jax.Array], jax.Array]:
        """A new function from uint8[B, H, W, 3] RGB images to f32[B, H, W, C] logits.

        The variables are constants of it.

        Args:
          portable: whether it is traced as within `ops.portable`.
        """

        def logits(images: jax.Array) -> jax.Array:
            with ops.portable() if portable else contextlib.nullcontext():
                return models.Model(self.variables, self.segmenter)(images).logits

        return logits

    def input(self, batch: Any) -> jax.ShapeDtypeStruct:
        """The function's argument, for a number of images or a symbol of it."""
        return jax.ShapeDtypeStruct((batch, *self.size, 3), np.uint8)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The logits that the package computes, f32[B, H, W, C]."""
        return np.asarray(_logits(self, images))


@jax.jit
def _logits(network: Network, images: jax.Array) -> jax.Array:
    return models.Model(network.variables, network.segmenter)(images).logits
