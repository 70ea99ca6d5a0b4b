"""DACS: the model learns images in which half of a source image's classes cover a target image.

Reference:
  Tranheden et al., DACS: Domain Adaptation via Cross-domain Mixed Sampling, WACV 2021, arXiv
  2007.08702; the mask is that of Olsson et al., ClassMix, WACV 2021, arXiv 2007.07936. Published
  code counts void as a class and draws one weight for a batch; here an image each has its own.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import mixing
from labor_jax.adaptation.mean_teacher import check_jitter, jittered, taught_cross_entropy
from labor_jax.adaptation.registry import not_negative, one_of, register, register_method
from labor_jax.data import IGNORE_LABEL
from labor_jax.training.terms import Setup, Term

_PASTES = ("source", "source_and_answers")


@register("class_mix")
@dataclasses.dataclass(frozen=True)
class ClassMix:
    """Cross-entropy on mixed images: source labels where pasted, else the teacher's and people's.

    The teacher is that of the term `mean_teacher`, whose settings are in
    `config.terms.mean_teacher`. A pasted pixel weighs 1. Target image i gets classes of source
    image i; a source image of another size is cut, or padded with void, at a random place.

    Attributes:
      paste: what covers the target: "source", or "source_and_answers": then also what people
        answered on another target image, with the pixels around; of those that a device takes at
        once, at least 2.
      reach: how many pixels around an answer are pasted with it; their labels are the teacher's.
      jitter: strength of the change of colours, see `mixing.color_jitter`; 0 is off.
      blur: largest σ of the blur, in pixels, which half of the images get; 0 is off.
      statistics: the view that trained batch norm's running statistics follow where no term reads
        the target and no other one asks for its statistics, as `mean_teacher` does: "target", which
        costs a forward pass, or "mixed".
    """

    paste: str = "source"
    reach: int = 8
    jitter: float = 0.25
    blur: float = 1.15
    statistics: str = "target"

    reads = ("mixed",)
    makes = {"mixed": ("source", "target")}  # noqa: RUF012, never changed
    uses = ("mean_teacher",)

    def __post_init__(self):
        """Checks the settings."""
        one_of("paste", self.paste, _PASTES)
        one_of("statistics", self.statistics, ("target", "mixed"))
        check_jitter(self.jitter, self.blur)
        not_negative(self, "reach")

    @property
    def smallest_target_batch(self) -> int:
        """Another image to paste from."""
        return 2 if self.paste == "source_and_answers" else 1

    @property
    def statistics_of(self) -> str:
        """What batch norm follows."""
        return self.statistics

    def memory(self, model, setup: Setup) -> dict[str, jax.Array]:
        """Keeps the classes' numbers, of which half are drawn."""
        return {"classes": jnp.arange(setup.num_classes)}

    def views(self, key, batch, memory) -> dict[str, dict[str, jax.Array]]:
        """Pastes onto the teacher's labels and images, then changes colours."""
        paste_key, colour_key = jax.random.split(key)
        target = {name: batch["taught"][name] for name in ("image", "label", "weight")}
        if self.paste == "source_and_answers":
            target = with_neighbours_answers(target, batch["target"]["label"], self.reach)
        count = len(target["image"])
        numbers = jnp.arange(count) % len(batch["source"]["image"])
        source = {name: batch["source"][name][numbers] for name in ("image", "label")}
        paste = functools.partial(_pasted, num_classes=len(memory["classes"]))
        mixed = jax.vmap(paste)(jax.random.split(paste_key, count), source, target)
        mixed["image"] = jittered(colour_key, mixed["image"], self.jitter, self.blur)
        return {"mixed": mixed}

    def loss(self, outputs, batch, memory) -> Term:
        """The sum of the weighted losses over the number of labelled pixels."""
        return taught_cross_entropy(outputs["mixed"].logits, batch["mixed"])


def _pasted(key, source, target, num_classes):
    """One source image's classes on one target image."""
    fit_key, key = jax.random.split(key)
    image, label = mixing.fitted(
        fit_key, source["image"], source["label"], target["label"].shape, IGNORE_LABEL
    )
    image, label, from_source = mixing.class_mix(
        key, image, label, target["image"], target["label"], num_classes
    )
    return {
        "image": image,
        "label": label,
        "weight": jnp.where(from_source, 1.0, target["weight"]),
    }


def with_neighbours_answers(
    view: dict[str, jax.Array], answers: jax.Array, reach: int
) -> dict[str, jax.Array]:
    """Pastes what was answered on the next image of the batch, with the pixels around.

    Args:
      view: "image" uint8[B, h, w, 3], "label" int32[B, h, w] and "weight" f32[B, h, w].
      answers: int32[B, h, w], 255 where there is none.
      reach: how many pixels around an answer are pasted, too.
    """
    answered = answers != IGNORE_LABEL
    side = 2 * reach + 1
    near = jax.lax.reduce_window(
        answered, False, jax.lax.bitwise_or, (1, side, side), (1, 1, 1), "SAME"
    )
    # An image's own answers stay.
    pasted = jnp.roll(near, -1, axis=0) & ~answered
    return {
        name: jnp.where(
            pasted.reshape(*pasted.shape, *[1] * (each.ndim - 3)), jnp.roll(each, -1, axis=0), each
        )
        for name, each in view.items()
    }


@register_method("dacs")
def dacs(config: ConfigDict) -> None:
    """DACS: mixes classes of the source into the target (Tranheden et al., WACV 2021)."""
    config.warmup.terms.class_mix = 1.0
