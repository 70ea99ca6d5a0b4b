"""From the config: the images, labels and batch sizes of each domain; reads nothing itself."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from labor_jax.active import strategies
from labor_jax.data import Augment, BatchSpec
from labor_jax.data.pipeline import TrainingImages
from labor_jax.experiment.components import Components
from labor_jax.training import mesh as mesh_lib

Labels = Callable[[int], np.ndarray]


def training_images(
    components: Components,
    domain: str,
    target_labels: Labels | None = None,
    *,
    void: bool = False,
) -> TrainingImages:
    """The images of a domain that phases train on.

    Args:
      components: the run's.
      domain: "source" or "target".
      target_labels: the answered labels of pool image i, integer[H, W]; None where there are none
        yet. The pool's own labels are never read.
      void: whether batches of the target tell what is void; then answered labels do, too.
    """
    pair = components.pair
    augment = Augment.from_config(components.config.data.augment)
    if domain == "source":
        return TrainingImages(
            pair.source,
            pair.source.label,
            augment,
            sampling=components.config.data.source_sampling,
            class_counts=components.source_class_counts,
        )
    return TrainingImages(
        pair.pool,
        target_labels,
        augment,
        sparse_labels=True,
        label_sets=strategies.asks_sets(components.config),
        void=void,
    )


def training_shapes(
    components: Components, domain: str, *, void: bool = False
) -> dict[str, jax.ShapeDtypeStruct]:
    """The arrays of a domain's training batches over all devices, as shapes and dtypes.

    Args:
      components: the run's.
      domain: "source" or "target".
      void: see `training_images`.
    """
    images = training_images(components, domain, void=void)
    spec = training_spec(components, domain)
    crop = images.augment.crop if images.augment else None
    size = tuple(crop or spec.size or images.split.size(0))  # without any, all have one size

    def of(dtype, *shape):
        return jax.ShapeDtypeStruct((spec.batch_size, *shape), dtype)

    shapes = {
        "image": of(jnp.uint8, *size, 3),
        "label": of(jnp.int32, *size),
        "index": of(jnp.int32),
    }
    if images.void:
        shapes["void"] = of(jnp.bool_, *size)
    if images.label_sets:
        shapes |= {"candidates": of(jnp.int32, *size), "part": of(jnp.int32, *size)}
    return shapes


def training_spec(components: Components, domain: str) -> BatchSpec:
    """The form of a domain's training batches."""
    config = components.config
    return BatchSpec(
        batch_size=config[f"{domain}_batch_size"],
        size=config.data[f"{domain}_size"],
        num_threads=config.data.num_threads,
        share=mesh_lib.process_share(components.mesh),
    )


def inference_spec(components: Components, domain: str) -> BatchSpec:
    """The form of batches that visit each image of a domain once."""
    config = components.config
    return BatchSpec(
        batch_size=components.evaluation_batch_size,
        size=config.data[f"{domain}_size"],
        num_threads=config.data.num_threads,
        share=mesh_lib.process_share(components.mesh),
    )
