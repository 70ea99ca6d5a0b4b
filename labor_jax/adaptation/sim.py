"""SIM: target features of stuff and of single things move to their nearest source prototypes.

Stuff, such as road or sky, looks alike everywhere: of each image, the mean feature of the class is
matched. Things, such as cars, differ: the mean feature of each instance is, where an instance is a
connected component of the prediction. Source features are those where the prediction is right.

The prototypes are a player. Passing over the source, a phase starts with a feature for each of
them. Then each source region pulls the nearest prototype of its class towards itself, as in online
k-means, so that prototypes follow the features as the model changes. Published code instead keeps
the latest features, 50 of a stuff class and 500 of a thing class. It also skips a mean feature that
the classifier gives another class, for which heads other than a single convolution have no answer.

As published, adversarial adaptation goes on beside, and pseudo labels follow in a second stage;
their thresholds are the medians of each class's confidence, without the published cap at 0.9.

Reference:
  Wang et al., Differential Treatment for Stuff and Things: A Simple Unsupervised Domain Adaptation
  Method for Semantic Segmentation, CVPR 2020, arXiv 2003.08040.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.adaptation.registry import register, register_method, retrain
from labor_jax.adaptation.target_answers import is_void
from labor_jax.adaptation.things import THINGS, things_among
from labor_jax.data import IGNORE_LABEL
from labor_jax.ops import connected_components, resize_bilinear_align_corners
from labor_jax.training.terms import Player, Setup, Term

_THINGS = ("pole", *THINGS)


class Regions(NamedTuple):
    """Regions of images: of each class a single one if it is stuff, else its largest instances.

    Attributes:
      means: f32[B, C, K, D], the mean feature of each.
      weights: f32[B, C, K], which sum to 1 for a class of an image, or to 0 where there is none.
    """

    means: jax.Array
    weights: jax.Array


def regions(
    classes: jax.Array, features: jax.Array, is_thing: jax.Array, instances: int
) -> Regions:
    """Finds the regions of each class, and their mean features.

    Args:
      classes: int32[B, h, w], 255 for none.
      features: [B, h, w, D].
      is_thing: bool[C], which classes are divided into instances.
      instances: K, the most of a class in an image; larger ones come first.

    Returns:
      `Regions`.
    """

    def of_image(classes, features):
        pixels, num_classes = classes.size, len(is_thing)
        known = jnp.clip(classes.ravel(), 0, num_classes - 1)
        group = jnp.where(
            is_thing[known], connected_components(classes).ravel(), pixels + known
        )  # a thing's instance by its first pixel, and stuff by its class
        group = jnp.where(classes.ravel() < num_classes, group, pixels + num_classes)
        sizes = jnp.zeros(pixels + num_classes).at[group].add(1.0, mode="drop")
        owner = jnp.concatenate([known, jnp.arange(num_classes)])
        of_class = jnp.where(owner == jnp.arange(num_classes)[:, None], sizes, 0.0)
        size, largest = jax.lax.top_k(of_class, min(instances, of_class.shape[1]))
        exists = size > 0
        members = (group == largest[..., None]) & exists[..., None]
        flat = features.reshape(pixels, -1).astype(jnp.float32)
        means = jnp.einsum("ckp,pd->ckd", members.astype(jnp.float32), flat)
        means = means / jnp.maximum(size, 1.0)[..., None]
        return Regions(means, exists / jnp.maximum(exists.sum(-1, keepdims=True), 1))

    return jax.vmap(of_image)(classes, features)


def nearest(means: jax.Array, prototypes: jax.Array, valid: jax.Array) -> jax.Array:
    """The prototype of its class that is nearest to each region, in L1.

    Args:
      means: f32[B, C, K, D].
      prototypes: f32[C, P, D].
      valid: bool[C, P], which prototypes there are.

    Returns:
      int32[B, C, K], among the valid ones if the class has any.
    """
    distances = jnp.sum(jnp.abs(means[:, :, :, None] - prototypes[:, None]), axis=-1)
    return jnp.argmin(jnp.where(valid[:, None], distances, jnp.inf), axis=-1)


@register("instance_matching")
@dataclasses.dataclass(frozen=True)
class InstanceMatching:
    """L1 of the target's mean features of stuff and things to the nearest prototypes.

    Attributes:
      things: names of the classes that are divided into instances; names with no such class don't
        matter as long as it is the default.
      prototypes: of each class.
      instances: of a thing, the most that count in an image; the largest do.
      rate: how far an image's region moves its prototype, times the batch size; above 0, up to 1.
      pass_images: how many source images a phase looks at to find its first prototypes, at most.
    """

    things: tuple[str, ...] = _THINGS
    prototypes: int = 50
    instances: int = 10
    rate: float = 1.0
    pass_images: int = 500

    reads = ("source", "target")
    labels_target = True

    def __post_init__(self):
        """Checks the settings."""
        for field in ("prototypes", "instances", "pass_images"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; it must be at least 1.")
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate is {self.rate}; it is above 0, up to 1.")

    def players(self, setup: Setup) -> dict[str, Player]:
        """The prototypes, f32[C, P, D], which move by plain descent."""
        shape = (setup.num_classes, self.prototypes, setup.feature_shape()[-1])
        return {
            "prototypes": Player(lambda key: jnp.zeros(shape, jnp.float32), optax.sgd(self.rate))
        }

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Which classes are things, and which prototypes there are."""
        is_thing = things_among(
            setup.classes, self.things, default=_THINGS, term="instance_matching"
        )
        return {
            "is_thing": jnp.array(is_thing),
            "valid": jnp.zeros((setup.num_classes, self.prototypes), bool),
        }

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Fills the prototypes with features of the first source images that have any."""
        is_thing = tuple(np.asarray(memory["is_thing"]).tolist())
        source_regions = _right_regions_of(is_thing, self.instances)
        found, left = np.zeros(memory["prototypes"].shape, np.float32), self.pass_images
        counts = np.zeros(len(found), int)
        for numbers, rows in passes.images("source", source_regions, with_labels=True):
            # Not the whole batch: how large one is depends on the number of devices.
            for image, c, k in np.argwhere(rows.weights[:left] > 0):
                if counts[c] < self.prototypes:
                    found[c, counts[c]] = rows.means[image, c, k]
                    counts[c] += 1
            left -= len(numbers)
            if left <= 0 or np.all(counts == self.prototypes):
                break
        valid = np.arange(self.prototypes) < counts[:, None]
        return {**memory, "prototypes": jnp.asarray(found), "valid": jnp.asarray(valid)}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over images of the sum over classes of the mean over a class's regions.

        A region's distance is a mean over the features' channels. Void is in no region.
        """
        classes, features = _coarse(outputs["target"])
        void = _nearest_pixels(is_void(batch["target"]), classes.shape[1:])
        classes = jnp.where(void, IGNORE_LABEL, classes)
        found = regions(classes, features, memory["is_thing"], self.instances)
        prototypes, weights = self._pulls(found, memory)
        difference = found.means - jax.lax.stop_gradient(prototypes)
        # `jnp.abs` has the slope 1 at 0; sign(0) is 0.
        distances = jnp.mean(difference * jax.lax.stop_gradient(jnp.sign(difference)), axis=-1)
        return Term(jnp.sum(weights * distances), jnp.float32(len(classes)))

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """Half the squared distance of the source's regions to their nearest prototypes."""
        found = _right_regions(
            outputs["source"], batch["source"]["label"], memory["is_thing"], self.instances
        )
        prototypes, weights = self._pulls(found, memory)
        distances = jnp.sum(jnp.square(found.means - prototypes), axis=-1) / 2
        return {"prototypes": Term(jnp.sum(weights * distances), jnp.float32(len(found.means)))}

    def _pulls(self, found: Regions, memory) -> tuple[jax.Array, jax.Array]:
        """Each region's nearest prototype, f32[B, C, K, D], and its weight; 0 if there is none."""
        prototypes, valid = memory["prototypes"], memory["valid"]
        chosen = nearest(*jax.lax.stop_gradient((found.means, prototypes)), valid)
        of_class = jnp.arange(len(valid))[:, None]
        return prototypes[of_class, chosen], found.weights * jnp.any(valid, -1)[:, None]


def _right_regions(
    outputs: models.Outputs, labels: jax.Array, is_thing: jax.Array, instances: int
) -> Regions:
    """The regions where the prediction is right, on labels of any size."""
    classes, features = _coarse(outputs)
    labels = _nearest_pixels(labels, classes.shape[1:])
    right = jnp.where(classes == labels, classes, IGNORE_LABEL)
    return regions(right, features, is_thing, instances)


@functools.cache  # so that each phase's pass is the same function, which is compiled once
def _right_regions_of(is_thing: tuple[bool, ...], instances: int) -> Any:
    """A pass's function: from outputs and labels to `_right_regions`."""
    return lambda outputs, labels: _right_regions(outputs, labels, jnp.array(is_thing), instances)


def _coarse(outputs: models.Outputs) -> tuple[jax.Array, jax.Array]:
    """Predicted classes and features, both at the resolution of the backbone's last map."""
    features = outputs.features[-1]
    coarse = resize_bilinear_align_corners(outputs.logits, features.shape[1:3])
    return jnp.argmax(coarse, axis=-1).astype(jnp.int32), features


def _nearest_pixels(maps: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Maps [B, H, W] at a size, each from the nearest pixel, with corners in place."""
    rows, columns = (
        np.rint(np.linspace(0, old - 1, new)).astype(int)
        for old, new in zip(maps.shape[1:], size, strict=True)
    )
    return maps[:, rows[:, None], columns]


@register_method("sim")
def sim(config: ConfigDict) -> None:
    """SIM: moves features of stuff and of each thing to the source's (Wang et al., CVPR 2020)."""
    retrain(config, stages=1, share=0.5)
    for section in (config.warmup, config.retraining):
        section.terms.update(adversarial=1e-3, instance_matching=0.01)
    config.retraining.terms.class_balanced_labels = 1.0
    config.terms.class_balanced_labels.portion = 0.5
