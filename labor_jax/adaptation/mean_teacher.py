"""A mean teacher labels the target; the model learns its labels on images of changed colours.

`class_mix` and `masked_consistency` use this term: they learn from the same teacher's labels. Used
by them without a weight of its own it costs the teacher's forward pass alone.

References:
  Tarvainen and Valpola, Mean Teachers are Better Role Models, NeurIPS 2017, arXiv 1703.01780; as
  pseudo labels for segmentation: Tranheden et al., DACS, WACV 2021, arXiv 2007.08702. Thresholds by
  class: Zou et al., CBST, ECCV 2018, arXiv 1810.07911.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import mixing, models, pseudo_labels
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import (
    check_start,
    first_step,
    one_of,
    register,
    register_method,
)
from labor_jax.adaptation.target_answers import given_answers, is_void, with_answers
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Setup, Term

_CONFIDENCES = ("image_share", "pixel", "class_balanced")
_LARGEST_BLUR = 16  # the blur's window is unrolled, so that a large one takes long to compile


@register("mean_teacher")
@dataclasses.dataclass(frozen=True)
class MeanTeacher:
    """Cross-entropy on the teacher's labels of target images, whose colours are changed.

    It makes two views. "taught" has the batch's target images, which the teacher sees as they are,
    with the teacher's "label" int32[B, h, w] and how much each is trusted, "weight" f32[B, h, w]; a
    person's answer replaces the teacher's label and has weight 1. Where an answer names several
    classes, the teacher chooses among them. What is void has label 255, weight 0 and no share in
    what follows. "jittered" has the same labels on changed colours.

    The batch's images are augmented: the teacher sees what `config.data.augment` made of them,
    colours included. Published teachers see images of unchanged colours.

    Attributes:
      decay: α of the teacher θ' ← α_t θ' + (1 - α_t) θ after step t, α_t = min(1 - 1 / (t + 1), α).
        0.99 in DACS, 0.999 in DAFormer.
      confidence: what a label's weight is. "image_share": the share of the image's pixels whose
        largest probability is above `threshold`, as published; "pixel": 1 where that of the pixel
        is, else 0; "class_balanced": 1 where the pixel is among the `portion` of the most confident
        pixels of its class, as counted over the last 1 / (1 - decay) steps.
      threshold: of a probability, for "image_share" and "pixel".
      portion: the share of each class's pixels that "class_balanced" trusts.
      start: share of the phase's steps before the teacher's labels count; the teacher follows the
        model from the first step on. Below 1.
      jitter: strength of the change of colours, see `mixing.color_jitter`; 0 is off.
      blur: largest σ of the blur, in pixels, which half of the images get; at most 16, 0 is off.
    """

    decay: float = 0.99
    confidence: str = "image_share"
    threshold: float = 0.968
    portion: float = 0.5
    start: float = 0.0
    jitter: float = 0.25
    blur: float = 1.15

    reads = ("jittered",)
    makes = {"taught": ("target",), "jittered": ("target",)}  # noqa: RUF012, never changed
    images_of = {"taught": "target"}  # noqa: RUF012
    statistics_of = "target"
    labels_target = True

    @property
    def follows_steps(self) -> bool:
        """Whether a longer phase starts to learn later."""
        return self.start > 0

    def __post_init__(self):
        """Checks the settings."""
        one_of("confidence", self.confidence, _CONFIDENCES)
        for name in ("decay", "threshold", "portion"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is from 0 to 1.")
        check_start(self.start)
        check_jitter(self.jitter, self.blur)

    def memory(self, model: models.Model, setup: Setup) -> dict[str, Any]:
        """Starts the teacher as the model that the phase begins with."""
        memory = {
            "teacher": model,
            "steps": jnp.zeros((), jnp.int32),
            "start": jnp.asarray(first_step(self.start, setup.steps), jnp.int32),
        }
        if self.confidence == "class_balanced":
            shape = (setup.num_classes, pseudo_labels.CONFIDENCE_BINS)
            memory["confidences"] = jnp.zeros(shape, jnp.float32)
        return memory

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """Asks the teacher about the target's images, and changes their colours."""
        target = batch["target"]
        images, void = target["image"], is_void(target)
        probabilities = jax.nn.softmax(given_answers(memory["teacher"](images).logits, target))
        confidence = jnp.max(probabilities, axis=-1)
        prediction = jnp.argmax(probabilities, axis=-1).astype(jnp.int32)
        weight = self._weight(confidence, prediction, void, memory)
        weight *= memory["steps"] >= memory["start"]
        weight = jnp.where(target["label"] != IGNORE_LABEL, 1.0, weight)
        labels = {
            "label": with_answers(prediction, target),
            "weight": jnp.where(void, 0.0, weight),
        }
        prediction = jnp.where(void, IGNORE_LABEL, prediction)
        guess = {"confidence": confidence, "prediction": prediction}
        return {
            "taught": {"image": images, **labels, **guess},
            "jittered": {"image": jittered(key, images, self.jitter, self.blur), **labels},
        }

    def loss(self, outputs, batch, memory) -> Term:
        """The sum of the weighted losses over the number of labelled pixels."""
        return taught_cross_entropy(outputs["jittered"].logits, batch["jittered"])

    def measure(self, batch, memory) -> dict[str, jax.Array]:
        """Counts the teacher's predictions by class and confidence."""
        if self.confidence != "class_balanced":
            return {}
        view = batch["taught"]
        counts = pseudo_labels.confidence_histogram(
            view["confidence"], view["prediction"], len(memory["confidences"])
        )
        return {"confidences": counts.astype(jnp.float32)}

    def update(self, memory, model, measured) -> dict[str, Any]:
        """Moves the teacher, and the counts of confidences, towards what this step brought."""
        share = 1 - jnp.minimum(1 - 1 / (memory["steps"] + 1.0), self.decay)
        memory = {
            **memory,
            "teacher": memory["teacher"].moved_towards(model, share),
            "steps": memory["steps"] + 1,
        }
        for name, counts in measured.items():
            memory[name] = (1 - share) * memory[name] + share * counts
        return memory

    def _weight(self, confidence, prediction, void, memory):
        if self.confidence == "class_balanced":
            thresholds = counted_thresholds(memory["confidences"], self.portion)
            return (confidence >= thresholds[prediction]).astype(jnp.float32)
        sure = (confidence > self.threshold).astype(jnp.float32)
        if self.confidence == "image_share":
            trusted = jnp.sum(sure, axis=(1, 2), keepdims=True, where=~void)
            counted = jnp.sum(~void, axis=(1, 2), keepdims=True)
            sure = jnp.broadcast_to(trusted / jnp.maximum(counted, 1), sure.shape)
        return sure


def taught_cross_entropy(logits: jax.Array, view: dict[str, jax.Array]) -> Term:
    """The weighted cross-entropy of f32[B, H, W, C] on a view's "label" and "weight"."""
    return cross_entropy(logits, view["label"], view["weight"])


def counted_thresholds(counts: jax.Array, portion: float) -> jax.Array:
    """The confidence that at least a portion of each class's pixels have, but for a bin's width.

    Args:
      counts: f32[C, bins], a moving average of `pseudo_labels.confidence_histogram`.
      portion: the share of a class's pixels, 0 to 1.

    Returns:
      f32[C]; above 1 for a class without pixels, and for a portion of 0.
    """
    so_far = jnp.cumsum(counts, axis=1)
    wanted = portion * so_far[:, -1:]
    reached = (so_far >= wanted) & (wanted > 0)
    least = jnp.asarray(pseudo_labels.LEAST_CONFIDENCE)[jnp.argmax(reached, axis=1)]
    return jnp.where(reached.any(1), least, 2.0)


def jittered(key: jax.Array, images: jax.Array, jitter: float, blur: float) -> jax.Array:
    """Changes the colours of images and blurs half of them.

    Args:
      key: a JAX random key.
      images: uint8[B, h, w, 3].
      jitter: strength of the change of colours, see `mixing.color_jitter`; 0 is off.
      blur: largest σ of the blur in pixels; 0 is off. The least is 0.15, as in DACS.

    Returns:
      uint8[B, h, w, 3].
    """
    colours, happens, sigmas = jax.random.split(key, 3)
    count = (len(images),)
    changed = images.astype(jnp.float32)
    if jitter:
        change = functools.partial(mixing.color_jitter, strength=jitter)
        changed = jax.vmap(change)(jax.random.split(colours, count), changed)
    if blur:
        sigma = jax.random.uniform(sigmas, count, minval=min(0.15, blur), maxval=blur)
        change = functools.partial(mixing.gaussian_blur, radius=math.ceil(3 * blur))
        blurred = jax.random.bernoulli(happens, 0.5, count)[:, None, None, None]
        changed = jnp.where(blurred, jax.vmap(change)(changed, sigma), changed)
    return jnp.rint(changed).astype(jnp.uint8)


def check_jitter(jitter: float, blur: float) -> None:
    """Raises a ValueError unless these are settings of `jittered`."""
    if not 0 <= jitter <= 0.5:
        raise ValueError(f"jitter is {jitter}; it is from 0 to 0.5.")
    if not 0 <= blur <= _LARGEST_BLUR:
        raise ValueError(f"blur is {blur}; it is from 0 to {_LARGEST_BLUR} pixels.")


@register_method("mean_teacher")
def mean_teacher(config: ConfigDict) -> None:
    """Mean teacher: learns an averaged model's labels (Tarvainen and Valpola, NeurIPS 2017)."""
    config.warmup.terms.mean_teacher = 1.0
