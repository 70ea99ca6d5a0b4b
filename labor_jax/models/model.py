"""A network with its variables."""

from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import linen as nn
from flax import struct

from labor_jax.models.normalization import network_input
from labor_jax.models.segmenter import Outputs


class Model(struct.PyTreeNode):
    """Variables and the network that they belong to; a pytree whose leaves are the variables.

    Attributes:
      variables: the network's, `{"params": …, "batch_stats": …}`.
      network: a `Segmenter`, or any linen module with the same calls; static.
    """

    variables: Mapping[str, Any]
    network: nn.Module = struct.field(pytree_node=False)

    def __call__(self, images: jax.Array) -> Outputs:
        """Segments images in evaluation mode.

        Args:
          images: [B, H, W, 3], uint8 RGB, or floating and already normalised.

        Returns:
          `Outputs`.
        """
        return self.network.apply(self.variables, network_input(images))

    def moved_towards(self, other: "Model", share: float) -> "Model":
        """Moves all variables by a share towards another model's: the update of a mean teacher.

        Args:
          other: a model of the same variables.
          share: 0 to 1; 1 - decay of an exponential moving average.

        Returns:
          The moved model; its network is this one's.
        """
        moved = optax.incremental_update(other.variables, self.variables, share)
        return self.replace(variables=moved)
