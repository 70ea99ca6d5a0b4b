"""LabOR's adaptive pixel selector: a copy of the model whose two heads learn to disagree.

The selector starts from the model (φ' from φ, θ'₁ and θ'₂ from θ). It is trained on target images
with the model's own predictions as pseudo labels (Eq. 3), while θ'₁ and θ'₂ maximise and φ'
minimises the discrepancy of their predictions (Eq. 4), in one pass through two gradient reversals.
Where the heads' classes then differ (Eq. 2), the model is about to change its mind: a label is
worth asking.

Two exact copies would stay copies for ever: their discrepancy and its gradient are 0, and Eq. 3
pulls both alike. The symmetry is broken twice: θ'₁ and θ'₂ start with Gaussian noise relative to
each kernel's spread, and see the features through different dropout masks.

References:
  Shin et al., LabOR: Labeling Only if Required for Domain Adaptive Semantic Segmentation,
  ICCV 2021, Eq. 2 to 4. Gradient reversal: Ganin and Lempitsky, ICML 2015. The game between heads
  and backbone: Saito et al., Maximum Classifier Discrepancy, CVPR 2018.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax import losses, models, pseudo_labels
from labor_jax.adaptation import iast
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import one_of, register, share
from labor_jax.adaptation.target_answers import is_void
from labor_jax.data import IGNORE_LABEL
from labor_jax.ops import resize_bilinear_align_corners, reverse_gradient
from labor_jax.training.terms import Setup, Term

THRESHOLDS = ("constant", "instance_adaptive")
INPUTS = ("softmax", "logits")

_HEADS = ("head_1", "head_2")


class SelectorOutputs(NamedTuple):
    """What the pixel selector returns.

    Attributes:
      logits: both heads', (f32[B, H, W, C], f32[B, H, W, C]).
      adversarial_logits: the same values; descending on a loss of them makes the heads ascend and
        the backbone descend.
    """

    logits: tuple[jax.Array, jax.Array]
    adversarial_logits: tuple[jax.Array, jax.Array]


class PixelSelector(nn.Module):
    """A backbone and two heads; variables are `{"params": {"backbone", "head_1", "head_2"}, …}`.

    Attributes:
      backbone: g_φ', images to `models.Features`; with frozen batch norm, so that the selector
        differs from the model by its weights and not by its statistics.
      head_1: f_θ'₁, features to logits.
      head_2: f_θ'₂.
      feature_dropout: share of the last map's values that each head does not see in training, with
        a mask of its own.
      reversal: how strongly φ' minimises what θ'₁ and θ'₂ maximise.
    """

    backbone: nn.Module
    head_1: nn.Module
    head_2: nn.Module
    feature_dropout: float = 0.0
    reversal: float = 1.0

    def setup(self):
        """Makes the heads' dropout."""
        self.dropout = nn.Dropout(self.feature_dropout)

    def __call__(self, images: jax.Array, train: bool = False) -> SelectorOutputs:
        """Computes both heads' logits at the images' size.

        Args:
          images: f32[B, H, W, 3], normalised.
          train: whether feature dropout is active; it takes the "dropout" random key. The heads'
            own dropout is not.
        """
        size = images.shape[1:3]
        features = self.backbone(images, train=False)
        logits, adversarial = [], []
        for head in (self.head_1, self.head_2):
            last = self.dropout(features[-1], deterministic=not train)
            seen = features.replace(maps=(*features.maps[:-1], last))
            logits.append(resize_bilinear_align_corners(head(seen, train=False), size))
            # Turned twice on its way to φ', once on its way to θ'.
            turned = jax.tree.map(lambda x: reverse_gradient(x, self.reversal), seen)
            coarse = reverse_gradient(head(turned, train=False), 1.0)
            adversarial.append(resize_bilinear_align_corners(coarse, size))
        return SelectorOutputs(tuple(logits), tuple(adversarial))

    def extract(self, images: jax.Array, train: bool = False) -> models.Features:
        """Applies g_φ' to images f32[B, H, W, 3], normalised."""
        return self.backbone(images, train=train)

    def coarse_logits(self, features: models.Features) -> tuple[jax.Array, jax.Array]:
        """Applies both heads, at their own resolution: two times f32[B, h, w, C]."""
        return self.head_1(features, train=False), self.head_2(features, train=False)


def build_selector(
    segmenter: models.Segmenter, *, feature_dropout: float, reversal: float
) -> PixelSelector:
    """The selector of a segmenter.

    Args:
      segmenter: the model's, built with frozen batch norm.
      feature_dropout: see `PixelSelector`.
      reversal: see `PixelSelector`.
    """
    return PixelSelector(
        backbone=segmenter.backbone.clone(),
        head_1=segmenter.head.clone(),
        head_2=segmenter.head.clone(),
        feature_dropout=feature_dropout,
        reversal=reversal,
    )


def selector_variables(model: Mapping[str, Any], key: jax.Array, *, noise: float) -> dict[str, Any]:
    """Copies a model's variables into a selector's.

    Args:
      model: a segmenter's variables.
      key: a JAX random key.
      noise: standard deviation of the noise on the heads' kernels, as a share of each kernel's own;
        0 leaves the heads equal, and only dropout then tells them apart.

    Returns:
      The selector's variables.
    """
    copied = {
        collection: {
            **({"backbone": modules["backbone"]} if "backbone" in modules else {}),
            **{name: modules["head"] for name in _HEADS if "head" in modules},
        }
        for collection, modules in model.items()
    }
    for name, own_key in zip(_HEADS, jax.random.split(key), strict=True):
        copied["params"][name] = _perturbed(copied["params"][name], own_key, noise)
    return copied


@register("self_training")
@dataclasses.dataclass(frozen=True)
class SelfTraining:
    """Both heads learn the un-primed model's predictions on the target (LabOR, Eq. 3).

    Answers don't replace them, but what is void is not learnt.

    Attributes:
      thresholds: "constant", or "instance_adaptive": those of IAST, by image and class, with which
        a review of the paper says that LabOR filters its pseudo labels.
      threshold: the probability that a pseudo label needs under "constant"; 0: all pixels have one.
      portion: IAST's alpha in the first round, see `iast.InstanceAdaptiveLabels`.
      portion_step: by how much it grows from round to round.
      largest_portion: the most that it may become.
      gamma: IAST's, likewise.
    """

    thresholds: str = "constant"
    threshold: float = 0.0
    portion: float = 0.2
    portion_step: float = 0.05
    largest_portion: float = 0.5
    gamma: float = 8.0

    reads = ("pseudo_labelled",)
    makes = {"pseudo_labelled": ("target",)}  # noqa: RUF012, never changed
    labels_target = True

    def __post_init__(self):
        """Checks the settings."""
        one_of("thresholds", self.thresholds, THRESHOLDS)
        share("threshold", self.threshold)
        _ = self._adaptive  # checks its own

    @property
    def _adaptive(self) -> iast.InstanceAdaptiveLabels:
        """The rule of IAST with these settings."""
        return iast.InstanceAdaptiveLabels(
            portion=self.portion,
            portion_step=self.portion_step,
            largest_portion=self.largest_portion,
            gamma=self.gamma,
        )

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Keeps the un-primed model, and IAST's thresholds if they are wanted."""
        if self.thresholds == "instance_adaptive":
            return self._adaptive.memory(model, setup)
        return {"labeller": model}

    def before_phase(self, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
        """Finds IAST's thresholds if they are wanted."""
        if self.thresholds == "instance_adaptive":
            return self._adaptive.before_phase(passes, memory)
        return memory

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """The target images, labelled by the un-primed model."""
        target = batch["target"]
        logits = memory["labeller"](target["image"]).logits
        if self.thresholds == "instance_adaptive":
            labels = self._adaptive.labels(logits, target, memory)
        else:
            labels = pseudo_labels.confident_labels(logits, self.threshold)
        labels = jnp.where(is_void(target), IGNORE_LABEL, labels)
        return {"pseudo_labelled": {"image": target["image"], "label": labels}}

    def loss(self, outputs, batch, memory) -> Term:
        """The sum over the heads of the mean over the pixels with a pseudo label."""
        view = batch["pseudo_labelled"]
        terms = [cross_entropy(each, view["label"]) for each in outputs["pseudo_labelled"].logits]
        return Term(sum(each.total for each in terms), terms[0].count)


@register("discrepancy")
@dataclasses.dataclass(frozen=True)
class Discrepancy:
    """The heads' discrepancy, which they maximise and the backbone minimises (LabOR, Eq. 4).

    Attributes:
      input: whose L1 distance it is: "softmax", the heads' probabilities, or "logits". The paper
        doesn't say.
    """

    input: str = "softmax"

    reads = ("pseudo_labelled",)

    def __post_init__(self):
        """Checks the setting."""
        one_of("input", self.input, INPUTS)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over the target's pixels."""
        first, second = outputs["pseudo_labelled"].adversarial_logits
        if self.input == "softmax":
            mean = losses.classifier_discrepancy(first, second)
        else:
            distances = jnp.abs(first.astype(jnp.float32) - second.astype(jnp.float32))
            mean = jnp.mean(jnp.sum(distances, axis=-1))
        return Term.of_mean(mean, first[..., 0].size)


def _perturbed(params, key, noise):
    """Noise on kernels only: a bias or a scale starts at a constant and has no spread to match."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(
        structure,
        [
            leaf + noise * jnp.std(leaf) * jax.random.normal(k, leaf.shape, leaf.dtype)
            if leaf.ndim > 1
            else leaf
            for leaf, k in zip(leaves, keys, strict=True)
        ],
    )
