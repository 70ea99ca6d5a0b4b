"""CLAN: adversarial adaptation that spares the pixels on which two heads agree.

A second head reads the same features as the model's head. Both learn the source's labels,
and their weights are kept apart, so that they are two views of a pixel. The discriminator sees the
softmax of their summed logits. Where they disagree on a target pixel, its class is not aligned yet,
and the adversarial loss weighs more there.

The second head is a player: a copy of the model's head with weights of its own, trained by
the model's optimiser at once with the model. It sees dropout, and batch norm normalises it by the
batch as it does the model's head. The published code evaluates the sum of both heads; here
the model goes on without the second one, and predictions are its own head's. The published code
also uses a focal loss where the paper has the cross-entropy; this is the paper's.

Reference:
  Luo et al., Taking A Closer Look at Domain Shift: Category-Level Adversaries for Semantics
  Consistent Domain Adaptation, CVPR 2019, Eq. 1 to 5.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.adaptation.adversarial import Adversarial, discriminator_input
from labor_jax.adaptation.labels import cross_entropy
from labor_jax.adaptation.registry import not_negative, register, register_method, share
from labor_jax.ops import resize_bilinear_align_corners
from labor_jax.training.terms import Player, Setup, Term


def disagreement(logits_a: jax.Array, logits_b: jax.Array) -> jax.Array:
    """How far two heads disagree on each pixel (CLAN, Eq. 4, the map M).

    Args:
      logits_a: one head's, f32[..., C].
      logits_b: the other's, of the same shape.

    Returns:
      f32[...], 1 - the cosine of the two probability vectors: 0 where they are equal, at most 1.
    """
    p, q = (jax.nn.softmax(logits.astype(jnp.float32)) for logits in (logits_a, logits_b))
    norms = jnp.linalg.norm(p, axis=-1) * jnp.linalg.norm(q, axis=-1)
    return 1.0 - jnp.sum(p * q, axis=-1) / norms


def weight_discrepancy(first: Any, second: Any) -> jax.Array:
    """The cosine of two heads' weights, plus 1 (CLAN, Eq. 3).

    Args:
      first: a tree of one head's parameters.
      second: the same tree of the other's.

    Returns:
      f32[], from 0 for opposite weights to 2 for equal ones; 1, without a gradient, for a head
      of zero weights, which have no direction.
    """
    first, second = ([x.astype(jnp.float32) for x in jax.tree.leaves(w)] for w in (first, second))
    product = sum(jnp.vdot(a, b) for a, b in zip(first, second, strict=True))
    squares = [sum(jnp.vdot(x, x) for x in weights) for weights in (first, second)]
    have_angle = (squares[0] > 0) & (squares[1] > 0)
    norms = [jnp.sqrt(jnp.where(have_angle, square, 1.0)) for square in squares]
    return jnp.where(have_angle, product / norms[0] / norms[1], 0.0) + 1.0


@register("clan")
@dataclasses.dataclass(frozen=True)
class Clan(Adversarial):
    """The second head's labels, the weighted adversarial loss and the weights' discrepancy.

    The term's own weight is 1: its parts have theirs.

    Attributes:
      learning_rate: the discriminator's, see `Adversarial`.
      input: what the discriminator sees of the summed logits, see `Adversarial`.
      width: of the discriminator, see `Adversarial`.
      objective: see `Adversarial`.
      adversarial_weight: of the adversarial loss, before it fades with the phase's steps.
      discrepancy_weight: of the heads' weight discrepancy, likewise.
      global_weight: what the adversarial loss weighs on a pixel on which the heads agree.
      local_weight: what it weighs more per unit of disagreement; 40 for GTAV, 10 for SYNTHIA.
      start: share of the phase's steps before which all pixels weigh 1: 5,000 of 100,000.
    """

    adversarial_weight: float = 1e-3
    discrepancy_weight: float = 0.02
    global_weight: float = 0.4
    local_weight: float = 40.0
    start: float = 0.05

    follows_steps = True

    def __post_init__(self):
        """Checks the settings."""
        super().__post_init__()
        not_negative(
            self, "adversarial_weight", "discrepancy_weight", "global_weight", "local_weight"
        )
        share("start", self.start)

    def memory(self, model: models.Model, setup: Setup) -> dict[str, jax.Array]:
        """Keeps the steps taken, and how many the phase has."""
        return {"step": jnp.zeros((), jnp.int32), "steps": jnp.asarray(setup.steps, jnp.int32)}

    def update(self, memory, model) -> dict[str, Any]:
        """Counts the step."""
        return {**memory, "step": memory["step"] + 1}

    def players(self, setup: Setup) -> dict[str, Player]:
        """The discriminator, and the second head."""

        def init(key):
            variables = models.init_variables(setup.network, key, setup.image_size)
            return {"head": variables["params"]["head"]}

        return {**super().players(setup), "second_head": Player(init, setup.optimizer)}

    def loss(self, outputs, batch, memory, model, key) -> Term:
        """The loss of the model and the second head alike."""
        second = {view: self._second(outputs, view, memory, model, key) for view in self.reads}
        labels = cross_entropy(second["source"], batch["source"]["label"])
        maps, weights = self._judged(outputs["target"].logits, second["target"], memory)
        adversarial = self._adversarial(memory, maps, True, weights)
        heads = model.variables["params"]["head"], memory["second_head"]["head"]
        fading = 1.0 - _share_taken(memory)
        return Term.sum_of(
            (1.0, labels),
            (self.adversarial_weight * fading, Term.of_mean(adversarial, 1.0)),
            (self.discrepancy_weight * fading, Term.of_mean(weight_discrepancy(*heads), 1.0)),
        )

    def player_losses(self, outputs, batch, memory, model, key) -> dict[str, Term]:
        """The discriminator tells the domains apart; the second head's loss is the model's."""
        found = []
        for view, is_source in (("source", True), ("target", False)):
            second = jax.lax.stop_gradient(self._second(outputs, view, memory, model, key))
            maps, weights = self._judged(outputs[view].logits, second, memory)
            found.append(self._adversarial(memory, maps, is_source, None if is_source else weights))
        return {
            "discriminator": Term.of_mean((found[0] + found[1]) / 2, 1.0),
            "second_head": self.loss(outputs, batch, memory, model, key),
        }

    def _second(self, outputs, view: str, memory, model: models.Model, key) -> jax.Array:
        """The second head's logits f32[B, H, W, C] on a view."""
        statistics = model.variables.get("batch_stats", {}).get("head")
        variables = {"params": memory["second_head"]["head"]}
        if statistics is not None:  # which a trained batch norm does not read, and none keeps
            variables["batch_stats"] = statistics
        coarse, _ = model.network.head.apply(
            variables,
            outputs[view].features,
            train=True,
            rngs={"dropout": jax.random.fold_in(key, self.reads.index(view))},
            mutable=["batch_stats"],
        )
        return resize_bilinear_align_corners(coarse, outputs[view].logits.shape[1:3])

    def _judged(self, first, second, memory) -> tuple[jax.Array, jax.Array]:
        """What the discriminator sees of a view, and what its pixels weigh f32[B, H, W, 1]."""
        weights = self.global_weight + self.local_weight * disagreement(first, second)
        weights = jnp.where(_share_taken(memory) > self.start, weights, 1.0)
        return discriminator_input(first + second, self.input), weights[..., None]

    def _adversarial(self, memory, maps, is_source: bool, weights) -> jax.Array:
        """The mean over the pixels, at which the discriminator's patches are interpolated."""
        logits = resize_bilinear_align_corners(self._discriminator(memory)(maps), maps.shape[1:3])
        return losses.adversarial(logits, is_source, objective=self.objective, weights=weights)


def _share_taken(memory) -> jax.Array:
    """Which share of the phase's steps lies behind."""
    return memory["step"] / jnp.maximum(memory["steps"], 1)


@register_method("clan")
def clan(config: ConfigDict) -> None:
    """CLAN: adversarial, stronger where two heads disagree (Luo et al., CVPR 2019)."""
    config.warmup.terms.clan = 1.0
    config.terms.clan.width = config.terms.adversarial.width
