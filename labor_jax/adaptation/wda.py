"""WDA: which classes an image holds, as weak labels of the target, and alignment class by class.

`WeakLabels` pools each class's logits over the image to one score, and trains the scores on
image-level labels. `ClassAdversarial` lets a class's logits attend to where the class is, and a
discriminator for each class compares the attended features of both domains.

Where people have answered in an image, the classes among their answers are present, also where an
answer names several. Of all others, and in images without answers, a class is present where the
model's own score is above a threshold: the paper's pseudo-weak labels, drawn anew at each step. The
point labels of WDA(point) themselves are the term `answers`.

The paper starts from a model that AdaptSegNet has adapted; here the method starts from the source.

Reference:
  Paul et al., Domain Adaptive Semantic Segmentation Using Weak Labels, ECCV 2020, arXiv 2007.15176.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from labor_jax import losses
from labor_jax.adaptation.registry import above_zero, register, register_method, share
from labor_jax.adaptation.target_answers import Target, candidate_classes, is_void
from labor_jax.ops import resize_bilinear_align_corners
from labor_jax.training.terms import Player, Setup, Term


def classes_in(labels: jax.Array, num_classes: int) -> jax.Array:
    """The classes that an image's labels name.

    Args:
      labels: int[B, h, w], 255 for none.
      num_classes: C.

    Returns:
      bool[B, C].
    """
    return jnp.any(labels[..., None] == jnp.arange(num_classes), axis=(-3, -2))


def weak_labels(
    logits: jax.Array, target: Target, *, threshold: float, complete: bool
) -> jax.Array:
    """The classes that an image of the target is taken to hold.

    Args:
      logits: f32[B, h, w, C].
      target: the view that they are of, with people's answers.
      threshold: the score above which a class is present that no answer names.
      complete: whether the answers in an image name every class that it holds.

    Returns:
      bool[B, C]; no gradient goes through it.
    """
    scores = jax.nn.sigmoid(_pooled(jax.lax.stop_gradient(logits), target))
    answered = classes_in(target["label"], logits.shape[-1])
    if "candidates" in target:
        answered |= jnp.any(candidate_classes(target, logits.shape[-1]), axis=(-3, -2))
    guessed = scores > threshold
    if complete:
        guessed &= ~jnp.any(answered, axis=-1, keepdims=True)
    return answered | guessed


def _pooled(logits: jax.Array, target: Target) -> jax.Array:
    """Each class's logit, pooled over the pixels that can have a class, f32[B, C]."""
    return losses.pooled_logits(logits, ~is_void(target))


@dataclasses.dataclass(frozen=True)
class _OnWeakLabels:
    """What the terms on weak labels share."""

    threshold: float = 0.2
    complete_answers: bool = False

    labels_target = True

    def __post_init__(self):
        """Checks the settings."""
        share("threshold", self.threshold)

    @property
    def whole_images(self) -> bool:
        """Of a crop nobody says which classes it lacks."""
        return self.complete_answers

    def _present(self, outputs, batch) -> jax.Array:
        """The target's weak labels, f32[B, C]."""
        present = weak_labels(
            outputs["target"].logits,
            batch["target"],
            threshold=self.threshold,
            complete=self.complete_answers,
        )
        return present.astype(jnp.float32)


@register("weak_labels")
@dataclasses.dataclass(frozen=True)
class WeakLabels(_OnWeakLabels):
    """Cross-entropy of each class's pooled score with the target's image-level labels.

    Attributes:
      threshold: the score above which a class counts as present that no answer names.
      complete_answers: whether the answers in an image name every class that it holds, as those of
        the acquisition method `human_points` do; then no other class is present there. It needs
        whole images: the only answer of a class may be outside of a crop that shows the class.
    """

    reads = ("target",)

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over images of the sum over classes."""
        logits = outputs["target"].logits
        pooled = _pooled(logits, batch["target"])
        mean = losses.multi_label(pooled, self._present(outputs, batch))
        return Term.of_mean(mean, len(logits))


@register("class_adversarial")
@dataclasses.dataclass(frozen=True)
class ClassAdversarial(_OnWeakLabels):
    """A discriminator for each class, on the features that the class's logits attend to.

    Attributes:
      threshold: see the term `weak_labels`.
      complete_answers: likewise.
      learning_rate: the discriminators', at step 0; it follows the phase's schedule.
      width: of their two hidden layers; 2048 in the paper.
    """

    learning_rate: float = 1e-4
    width: int = 256

    reads = ("source", "target")

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        above_zero(self, "learning_rate", "width")

    def players(self, setup: Setup) -> dict[str, Player]:
        """A network of three layers for each class, trained by Adam (0.9, 0.99)."""
        sizes = (setup.feature_shape()[-1], self.width, self.width, 1)

        def init(key):
            kernel = jax.nn.initializers.variance_scaling(
                1 / 3, "fan_in", "uniform", batch_axis=(0,)
            )
            return [
                {
                    "kernel": kernel(layer_key, (setup.num_classes, inputs, outputs), jnp.float32),
                    "bias": jnp.zeros((setup.num_classes, outputs), jnp.float32),
                }
                for layer_key, inputs, outputs in zip(
                    jax.random.split(key, 3), sizes[:-1], sizes[1:], strict=True
                )
            ]

        optimizer = optax.adam(setup.schedule(self.learning_rate), b1=0.9, b2=0.99)
        return {"discriminators": Player(init, optimizer)}

    def loss(self, outputs, batch, memory) -> Term:
        """The mean over images of the sum over the classes present: pass for the source."""
        scores = self._scores(outputs["target"], memory, ~is_void(batch["target"]))
        summed = jnp.sum(self._present(outputs, batch) * jax.nn.softplus(-scores))
        return Term(summed, jnp.float32(len(scores)))

    def player_losses(self, outputs, batch, memory) -> dict[str, Term]:
        """The sum over the domains of the mean over their images: tell the domains apart."""
        source = self._scores(outputs["source"], memory)
        target = self._scores(outputs["target"], memory, ~is_void(batch["target"]))
        in_source = classes_in(batch["source"]["label"], source.shape[-1])
        on_source = jnp.sum(in_source * jax.nn.softplus(-source)) / len(source)
        on_target = jnp.sum(self._present(outputs, batch) * jax.nn.softplus(target)) / len(target)
        # Every device and microbatch holds as many images of each domain.
        return {"discriminators": Term.of_mean(on_source + on_target, 1.0)}

    def _scores(self, outputs, memory, counted=None) -> jax.Array:
        """Each class's logit that its features are of the source, f32[B, C]."""
        values = attended_features(outputs.logits, outputs.features[-1], counted)
        for number, layer in enumerate(memory["discriminators"]):
            values = jnp.einsum("bci,cio->bco", values, layer["kernel"]) + layer["bias"]
            values = jax.nn.relu(values) if number < 2 else values
        return values[..., 0]


def attended_features(
    logits: jax.Array, features: jax.Array, counted: jax.Array | None = None
) -> jax.Array:
    """The mean feature of each class, weighted by the class's softmax over positions.

    Args:
      logits: f32[B, H, W, C].
      features: [B, h, w, D].
      counted: the pixels that count, bool[B, H, W]; None for all. A position counts if more than
        half of it does; if none of an image does, all do.

    Returns:
      f32[B, C, D].
    """
    size = features.shape[1:3]
    coarse = resize_bilinear_align_corners(logits.astype(jnp.float32), size)
    if counted is not None:
        shares = resize_bilinear_align_corners(counted[..., None].astype(jnp.float32), size)
        kept = shares > 0.5
        kept |= ~jnp.any(kept, axis=(-3, -2), keepdims=True)
        coarse = jnp.where(kept, coarse, -jnp.inf)
    attention = jax.nn.softmax(coarse, axis=(-3, -2))
    return jnp.einsum("bhwc,bhwd->bcd", attention, features.astype(jnp.float32))


@register_method("wda")
def wda(config: ConfigDict) -> None:
    """WDA: image-level labels, guessed or asked, and alignment by class (Paul et al., ECCV 2020).

    WDA(point) asks people a pixel of each class in each image, and goes on from there:

        labor-jax run uda:wda --config.rounds=1 --config.terms.weak_labels.complete_answers=True \\
          --config.terms.class_adversarial.complete_answers=True
    """
    for section in (config.warmup, config.round):
        section.terms.update(weak_labels=0.2, class_adversarial=0.001)
    config.acquisition.method = "human_points"
