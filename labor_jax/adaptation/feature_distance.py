"""DAFormer's feature distance: on things of the source, features stay like those of first weights.

Reference:
  Hoyer et al., DAFormer: Improving Network Architectures and Training Strategies for
  Domain-Adaptive Semantic Segmentation, CVPR 2022, arXiv 2111.14887, Eq. 9 to 12.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from labor_jax import models
from labor_jax.adaptation.registry import register
from labor_jax.adaptation.things import THINGS, things_among
from labor_jax.training.terms import Setup, Term

WEIGHT = 0.005
"""DAFormer's weight of the term."""


@register("feature_distance")
@dataclasses.dataclass(frozen=True)
class FeatureDistance:
    """The L2 distance of the backbone's last features to those before the run's first step.

    Those are ImageNet's where `config.model.pretrained` says so; from random weights the term makes
    no sense. The source's images pass the first network once more.

    Attributes:
      things: names of classes that count. Names that no class has are an error, but not in the
        default list.
      share: the least share of a feature cell that such a class fills.
    """

    things: tuple[str, ...] = THINGS
    share: float = 0.75

    reads = ("source",)

    def __post_init__(self):
        """Checks the settings."""
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; it is from above 0 to 1.")

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Makes room for the first model, and finds which classes are things."""
        is_thing = things_among(setup.classes, self.things, default=THINGS, term="feature_distance")
        if not any(is_thing):
            raise ValueError(
                f"config.terms.feature_distance.things ({', '.join(self.things)}) names no class "
                f"of the data ({', '.join(setup.classes)}); name some of these, or leave the term "
                "out: weight 0."
            )
        return {"first": model, "is_thing": jnp.array(is_thing)}

    def before_phase(self, passes, memory) -> dict[str, Any]:
        """Takes the model before the run's first step."""
        first = memory["first"].replace(variables=passes.first_model().variables)
        return {**memory, "first": first}

    def loss(self, outputs, batch, memory, key) -> Term:
        """The mean over the cells that one thing class fills."""
        view = batch["source"]
        features = outputs["source"].features[-1].astype(jnp.float32)
        first = _as_in_training(memory["first"], view["image"], key)[-1].astype(jnp.float32)
        counted = filled_cells(
            view["label"], features.shape[1:3], memory["is_thing"], share=self.share
        )
        squares = jnp.sum(jnp.square(features - first), axis=-1)
        # The root's slope at 0, where features still agree, is infinite.
        moved = counted & (squares > 0)
        distances = jnp.where(moved, jnp.sqrt(jnp.where(moved, squares, 1.0)), 0.0)
        return Term(jnp.sum(distances), jnp.sum(counted).astype(jnp.float32))


def _as_in_training(model: models.Model, images: jax.Array, key: jax.Array) -> models.Features:
    """A model's features, with batch norm as in the step: equal weights give equal features.

    Only dropout differs, since each model draws its own.
    """
    features, _ = model.network.apply(
        model.variables,
        models.network_input(images),
        True,
        method="extract",
        rngs={"dropout": key},
        mutable=["batch_stats"],
    )
    return features


def filled_cells(
    labels: jax.Array, size: tuple[int, int], counts: jax.Array, *, share: float
) -> jax.Array:
    """The cells of a feature map that one of some classes fills.

    Args:
      labels: int[B, H, W].
      size: (h, w) of the map; each pixel belongs to the cell that its place falls into.
      counts: bool[C], which classes count.
      share: the least share of a cell's pixels, void ones included.

    Returns:
      bool[B, h, w].
    """
    classes = jnp.arange(len(counts))
    shares = (labels[..., None] == classes).astype(jnp.float32)
    for axis, side in zip((1, 2), size, strict=True):
        cells = jnp.arange(shares.shape[axis]) * side // shares.shape[axis]
        average = (cells == jnp.arange(side)[:, None]).astype(jnp.float32)
        average /= average.sum(1, keepdims=True)
        shares = jnp.moveaxis(jnp.tensordot(average, shares, axes=(1, axis)), 0, axis)
    return jnp.any((shares >= share - 1e-6) & counts, axis=-1)
