"""PatchAdapt: aligns the domains' patches in a space that the source's label patches span.

An image is divided into patches, and each patch into 2x2 cells. How often each class occurs in each
cell describes a patch of labels; K-means on the source's descriptions finds its typical patches. A
classifier learns to tell from the model's probabilities in which cluster a source patch's labels
are. A discriminator sees its answers on both domains, and the model and the classifier learn to
make the target's pass for the source's. AdaptSegNet's adversarial term goes on beside it.

The classifier is a player that has the model's loss, so both train as one network. It reads the
mean probabilities of each patch's 2x2 cells. K-means sees a random sample of at most 50,000
patches. A patch is a share of the training image, which may be a crop; the clusters are those of
whole images.

Reference:
  Tsai et al., Domain Adaptation for Structured Output via Discriminative Patch Representations,
  ICCV 2019, Eq. 2 to 5.
"""

import dataclasses
import functools
import warnings
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.adaptation.adversarial import apply_player
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import above_zero, not_negative, register, register_method
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Player, Setup, Term

_CELLS = 2  # of a patch, down and across
_MOST_PATCHES = 50_000  # for K-means
_ITERATIONS = 50  # of K-means


def cell_means(maps: jax.Array, cells: int) -> jax.Array:
    """Means over a grid of cells; pixel i of n along an axis is in cell floor(i * cells / n).

    Args:
      maps: floating [..., H, W, C].
      cells: how many of them, down and across.

    Returns:
      f32[..., cells, cells, C].
    """
    rows, columns = (_averages(size, cells) for size in maps.shape[-3:-1])
    return jnp.einsum("gh,...hwc,kw->...gkc", rows, maps.astype(jnp.float32), columns)


def label_patches(labels: jax.Array, num_classes: int, patches: int) -> jax.Array:
    """Describes each patch of label maps by the classes in its 2x2 cells.

    Args:
      labels: int[B, H, W]; what is no class counts for none.
      num_classes: C.
      patches: how many of them, down and across.

    Returns:
      f32[B, patches, patches, 4 * C]: of the upper left, upper right, lower left and lower right
      cell in turn, the share of its pixels that has each class. All 0 where nothing is labelled.
    """
    cells = patches * _CELLS
    rows, columns = (_averages(size, cells) for size in labels.shape[-2:])

    # A class at a time: the labels of all classes side by side would fill the memory.
    def shares(number):
        return jnp.einsum("gh,bhw,kw->bgk", rows, jnp.float32(labels == number), columns)

    found = jnp.moveaxis(jax.lax.map(shares, jnp.arange(num_classes)), 0, -1)
    split = found.reshape(-1, patches, _CELLS, patches, _CELLS, num_classes)
    return jnp.moveaxis(split, 2, 3).reshape(-1, patches, patches, _CELLS**2 * num_classes)


def patch_clusters(described: jax.Array, centres: jax.Array) -> jax.Array:
    """The cluster of each patch.

    Args:
      described: f32[..., D], see `label_patches`.
      centres: f32[K, D]; infinite ones are no cluster's.

    Returns:
      int32[...], the number of the nearest centre; 255 where nothing is labelled.
    """
    distances = jnp.sum(jnp.square(described[..., None, :] - centres), axis=-1)
    nearest = jnp.argmin(distances, axis=-1).astype(jnp.int32)
    return jnp.where(jnp.any(described > 0, axis=-1), nearest, IGNORE_LABEL)


def cluster(described: np.ndarray, number: int) -> np.ndarray:
    """Finds clusters by K-means.

    Args:
      described: f32[n, D], the patches.
      number: K.

    Returns:
      f32[K, D], the centres; where fewer than K patches differ, the last ones are infinite.
    """
    centres = np.full((number, described.shape[-1]), np.inf, np.float32)
    different = np.unique(described, axis=0)
    if len(different) <= number:
        centres[: len(different)] = different
    else:
        from scipy.cluster import vq  # a fifth of the time that importing the package takes

        with warnings.catch_warnings():  # of a cluster without patches, which does no harm
            warnings.simplefilter("ignore", UserWarning)
            centres[:], _ = vq.kmeans2(described, number, iter=_ITERATIONS, minit="++", seed=0)
    return centres


def sample(batches: Iterable[np.ndarray], most: int) -> np.ndarray:
    """Draws labelled patches at random, without holding all of them.

    Args:
      batches: f32[..., D] each, see `label_patches`.
      most: how many patches to draw; all if there are fewer.

    Returns:
      f32[n, D], the same each time.
    """
    generator, kept, ranks = np.random.default_rng(0), [], []
    for described in batches:
        rows = described.reshape(-1, described.shape[-1])
        rows = rows[rows.any(-1)]
        kept.append(rows)
        ranks.append(generator.random(len(rows)))
        if sum(map(len, ranks)) > 2 * most:
            kept, ranks = ([each] for each in _first(kept, ranks, most))
    return _first(kept, ranks, most)[0]


class PatchClassifier(nn.Module):
    """Tells each patch's cluster from the probabilities of its cells.

    Attributes:
      clusters: K.
      width: channels between the two layers.
    """

    clusters: int
    width: int = 64

    @nn.compact
    def __call__(self, cells: jax.Array) -> jax.Array:
        """From f32[B, 2P, 2P, C] to logits f32[B, P, P, K]."""
        x = nn.Conv(self.width, (_CELLS, _CELLS), strides=_CELLS, name="patch")(cells)
        return nn.Dense(self.clusters, name="logits")(nn.leaky_relu(x, 0.2))


class PatchDiscriminator(nn.Module):
    """Tells a patch's domain from its cluster's probabilities: three layers, 256, 512 and 1."""

    @nn.compact
    def __call__(self, probabilities: jax.Array) -> jax.Array:
        """From f32[B, P, P, K] to logits f32[B, P, P, 1]."""
        x = nn.leaky_relu(nn.Dense(256, name="layer1")(probabilities), 0.2)
        x = nn.leaky_relu(nn.Dense(512, name="layer2")(x), 0.2)
        return nn.Dense(1, name="layer3")(x)


@register("patch_adapt")
@dataclasses.dataclass(frozen=True)
class PatchAdapt:
    """The source patches' clusters, and the adversarial loss of the target's patches.

    The term's own weight is 1: its parts have theirs.

    Attributes:
      clusters: K of K-means, at most 254; fewer where the source has fewer patches.
      patches: how many an image is divided into, down and across: 16 make them as large as the
        paper's 32x64 pixels of a Cityscapes image at 512x1024.
      classification_weight: of the cross-entropy of the source patches' clusters.
      adversarial_weight: of the adversarial loss; AdaptSegNet's.
      learning_rate: the discriminator's, at step 0; it follows the phase's schedule.
      classifier_learning_rate: the classifier's, likewise.
    """

    clusters: int = 50
    patches: int = 16
    classification_weight: float = 0.01
    adversarial_weight: float = 1e-3
    learning_rate: float = 1e-4
    classifier_learning_rate: float = 1e-3

    reads = ("source", "target")

    def __post_init__(self):
        """Checks the settings."""
        if not 2 <= self.clusters < IGNORE_LABEL:
            raise ValueError(f"clusters is {self.clusters}; it must be from 2 to 254.")
        if self.patches < 1:
            raise ValueError(f"patches is {self.patches}; it must be at least 1.")
        not_negative(self, "classification_weight", "adversarial_weight")
        above_zero(self, "learning_rate", "classifier_learning_rate")

    @property
    def smallest_image(self) -> int:
        """A pixel for each cell."""
        return _CELLS * self.patches

    def memory(self, model: models.Model, setup: Setup) -> dict[str, jax.Array]:
        """Keeps the clusters' centres, which `before_phase` finds."""
        shape = self._number(setup), _CELLS**2 * setup.num_classes
        return {"centres": jnp.full(shape, jnp.inf, jnp.float32)}

    def before_phase(self, passes, memory) -> dict[str, Any]:
        """Clusters the patches of the source's labels, which no phase changes."""
        number, size = memory["centres"].shape

        def centres():
            described = _described(size // _CELLS**2, self.patches)
            batches = (rows for _, rows in passes.images("source", described, with_labels=True))
            return cluster(sample(batches, _MOST_PATCHES), number)

        found = passes.once(("patch_adapt", number, size, self.patches), centres)
        return {**memory, "centres": jnp.asarray(found)}

    def players(self, setup: Setup) -> dict[str, Player]:
        """The patches' classifier and their discriminator, trained by Adam (0.9, 0.99)."""
        number, cells = self._number(setup), _CELLS * self.patches
        cells = jax.ShapeDtypeStruct((1, cells, cells, setup.num_classes), jnp.float32)
        logits = jax.ShapeDtypeStruct((1, self.patches, self.patches, number), jnp.float32)

        def player(module, argument, rate):
            init = jax.jit(lambda key: module.lazy_init(key, argument)["params"])
            return Player(init, optax.adam(setup.schedule(rate), b1=0.9, b2=0.99))

        return {
            "classifier": player(PatchClassifier(number), cells, self.classifier_learning_rate),
            "discriminator": player(PatchDiscriminator(), logits, self.learning_rate),
        }

    def loss(self, outputs, batch, memory) -> Term:
        """The loss of the model and the classifier alike."""
        source, target = (self._classified(outputs[view], memory) for view in self.reads)
        described = label_patches(
            batch["source"]["label"], outputs["source"].logits.shape[-1], self.patches
        )
        clusters = patch_clusters(described, memory["centres"])
        adversarial = losses.adversarial(_judged(target, memory), is_source=True)
        return Term.sum_of(
            (self.classification_weight, cross_entropy(source, clusters)),
            (self.adversarial_weight, Term.of_mean(adversarial, 1.0)),
        )

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The discriminator tells the domains apart; the classifier's loss is the model's."""
        source, target = (
            jax.lax.stop_gradient(self._classified(outputs[view], memory)) for view in self.reads
        )
        on_source = losses.adversarial(_judged(source, memory), is_source=True)
        on_target = losses.adversarial(_judged(target, memory), is_source=False)
        return {
            "classifier": self.loss(outputs, batch, memory),
            "discriminator": Term.of_mean((on_source + on_target) / 2, 1.0),
        }

    def _number(self, setup: Setup) -> int:
        """K: a cluster has at least one patch."""
        return max(min(self.clusters, setup.num_images["source"] * self.patches**2), 2)

    def _classified(self, outputs, memory) -> jax.Array:
        """The clusters' logits f32[B, P, P, K]."""
        probabilities = jax.nn.softmax(outputs.logits.astype(jnp.float32))
        cells = cell_means(probabilities, _CELLS * self.patches)
        classifier = PatchClassifier(memory["centres"].shape[0])
        return apply_player(classifier, memory["classifier"], cells)


@functools.cache  # so that each phase's pass is the same function, which is compiled once
def _described(num_classes: int, patches: int) -> Any:
    """A pass's function: from outputs and labels to `label_patches`."""
    return lambda outputs, labels: label_patches(labels, num_classes, patches)


def _judged(logits: jax.Array, memory) -> jax.Array:
    """The discriminator's logits f32[B, P, P, 1] on those of the clusters."""
    return apply_player(PatchDiscriminator(), memory["discriminator"], jax.nn.softmax(logits))


def _averages(size: int, cells: int) -> np.ndarray:
    """f32[cells, size], which averages an axis over cells."""
    member = np.arange(size) * cells // size == np.arange(cells)[:, None]
    return (member / np.maximum(member.sum(1, keepdims=True), 1)).astype(np.float32)


def _first(kept: list, ranks: list, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the lowest ranks, and these, joined."""
    rows, ranks = np.concatenate(kept), np.concatenate(ranks)
    chosen = np.sort(np.argsort(ranks)[:most])
    return rows[chosen], ranks[chosen]


@register_method("patch_adapt")
def patch_adapt(config: ConfigDict) -> None:
    """PatchAdapt: adversarial on the clusters of patches as well (Tsai et al., ICCV 2019)."""
    config.warmup.terms.update(adversarial=1e-3, patch_adapt=1.0)
