"""The train step: one pure function for every phase of the experiment.

Warm-up on source, adversarial warm-up and the rounds (LabOR Eq. 1 and 5, RIPU's joint training)
differ only in which loss terms count, so they are one step with other weights. A term of weight 0
is not computed.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct

from labor_jax import losses, models
from labor_jax.adaptation import adversarial
from labor_jax.training.mesh import BATCH_AXIS, global_mean

Variables = dict[str, Any]


class TrainState(struct.PyTreeNode):
    """Everything a step changes.

    Attributes:
      step: int32[], steps taken in this phase.
      key: uint32[...], key data that the step folds its number into.
      model: `{"backbone": variables, "classifier": variables}`.
      optimizer: the model optimiser's state.
      discriminator: the discriminator's parameters, handed on unchanged by phases without an
        adversarial term.
      discriminator_optimizer: its optimiser's state, None in those phases.
    """

    step: jax.Array
    key: jax.Array
    model: dict[str, Variables]
    optimizer: Any
    discriminator: Any = None
    discriminator_optimizer: Any = None


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The weight of each term of a phase's loss; 0 leaves the term out.

    Attributes:
      source: cross-entropy on source labels (LabOR Eq. 1, L_s).
      target: cross-entropy on the target labels asked so far (LabOR Eq. 5).
      adversarial: the model's adversarial term on target (LabOR Eq. 1, L_adv).
      local_consistency: RIPU's term on source.
      negative_learning: RIPU's term on target.
    """

    source: float = 1.0
    target: float = 0.0
    adversarial: float = 0.0
    local_consistency: float = 0.0
    negative_learning: float = 0.0

    @property
    def uses_source(self) -> bool:
        """Whether a batch must hold source images."""
        return any((self.source, self.adversarial, self.local_consistency))

    @property
    def uses_target(self) -> bool:
        """Whether a batch must hold target images."""
        return any((self.target, self.adversarial, self.negative_learning))


def trainable(model: dict[str, Variables]) -> dict[str, Any]:
    """The parameters of a model's variables, by part."""
    return {part: variables["params"] for part, variables in model.items()}


def with_parameters(model: dict[str, Variables], params: dict[str, Any]) -> dict[str, Variables]:
    """The model's variables with other parameters."""
    return {part: {**variables, "params": params[part]} for part, variables in model.items()}


def with_statistics(
    model: dict[str, Variables], statistics: dict[str, Any]
) -> dict[str, Variables]:
    """The model's variables with other batch-norm statistics."""
    return {
        part: {**variables, "batch_stats": statistics[part]}
        if statistics.get(part)
        else dict(variables)
        for part, variables in model.items()
    }


def create_state(
    model: dict[str, Variables],
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    *,
    discriminator: Any = None,
    discriminator_optimizer: optax.GradientTransformation | None = None,
) -> TrainState:
    """A phase's first state: fresh optimisers over the given variables.

    Args:
      model: `{"backbone": variables, "classifier": variables}`.
      optimizer: over the parameters of both parts.
      key: a JAX random key.
      discriminator: its parameters, for phases with an adversarial term.
      discriminator_optimizer: over them.

    Returns:
      The state of step 0.
    """
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(key),
        model=model,
        optimizer=optimizer.init(trainable(model)),
        discriminator=discriminator,
        discriminator_optimizer=(
            discriminator_optimizer.init(discriminator) if discriminator_optimizer else None
        ),
    )


def make_train_step(
    segmenter: models.Segmenter,
    optimizer: optax.GradientTransformation,
    weights: LossWeights,
    *,
    discriminator: nn.Module | None = None,
    discriminator_optimizer: optax.GradientTransformation | None = None,
    discriminator_input: str = "softmax",
    axis_name: str | None = BATCH_AXIS,
) -> Callable[[TrainState, dict], tuple[TrainState, dict[str, jax.Array]]]:
    """Builds the pure step of a phase.

    Args:
      segmenter: backbone and classifier.
      optimizer: over the model's parameters.
      weights: which terms count, and how much.
      discriminator: needed where `weights.adversarial` is not 0.
      discriminator_optimizer: likewise.
      discriminator_input: see `adversarial.discriminator_input`.
      axis_name: the device axis of means and batch norm; None outside of one.

    Returns:
      `step(state, batch) -> (state, metrics)`. `batch` is `{"source": {"image": uint8[B, h, w, 3],
      "label": int32[B, h, w]}, "target": the same}`, the target only where a term needs it;
      `metrics` are f32[] means over all devices, one a term, and the sum as "loss".
    """
    adapts = weights.adversarial > 0

    def forward(model, batch, rngs):
        """Logits of each domain, and the batch-norm statistics that follow from them.

        Each domain is normalised by its own batch; the running statistics follow the target as soon
        as there is one, since that is where the model is used (AdaBN, Li et al. 2017).
        """
        logits = {}
        for number, name in enumerate(each for each in ("source", "target") if each in batch):
            logits[name], statistics = models.apply(
                segmenter,
                model,
                models.normalize_images(batch[name]["image"]),
                train=True,
                rngs=jax.tree.map(lambda key, n=number: jax.random.fold_in(key, n), rngs),
            )
        return logits, statistics

    def loss_terms(params, state, batch, rngs):
        logits, statistics = forward(with_parameters(state.model, params), batch, rngs)
        terms = {}
        if weights.source:
            labels = batch["source"]["label"]
            terms["source"] = global_mean(
                losses.cross_entropy(logits["source"], labels), jnp.sum(labels != 255), axis_name
            )
        if weights.target:
            labels = batch["target"]["label"]
            terms["target"] = global_mean(
                losses.cross_entropy(logits["target"], labels), jnp.sum(labels != 255), axis_name
            )
        images = jnp.ones(())  # every device has as many images
        if weights.adversarial:
            fooled = adversarial.model_loss(
                lambda x: discriminator.apply({"params": state.discriminator}, x),
                logits["target"],
                discriminator_input,
            )
            terms["adversarial"] = global_mean(fooled, images, axis_name)
        if weights.local_consistency:
            labels = batch["source"]["label"]
            terms["local_consistency"] = global_mean(
                losses.local_consistency(logits["source"], labels),
                jnp.sum(losses.label_boundary(labels, segmenter.num_classes)),
                axis_name,
            )
        if weights.negative_learning:
            terms["negative_learning"] = global_mean(
                losses.negative_learning(logits["target"]),
                jnp.sum(losses.improbable_classes(logits["target"])),
                axis_name,
            )
        total = sum(getattr(weights, name) * value for name, value in terms.items())
        return total, (terms, logits, statistics)

    def step(state: TrainState, batch: dict):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        params = trainable(state.model)
        (loss, (terms, logits, statistics)), gradients = jax.value_and_grad(
            loss_terms, has_aux=True
        )(params, state, batch, {"dropout": key})
        metrics = {"loss": loss, **terms}

        if adapts:

            def discriminator_terms(discriminator_params):
                separated = adversarial.discriminator_loss(
                    lambda x: discriminator.apply({"params": discriminator_params}, x),
                    logits["source"],
                    logits["target"],
                    discriminator_input,
                )
                return global_mean(separated, jnp.ones(()), axis_name)

            metrics["discriminator"], discriminator_gradients = jax.value_and_grad(
                discriminator_terms
            )(state.discriminator)
            discriminator_gradients = _sum_over_devices(discriminator_gradients, axis_name)
            updates, discriminator_state = discriminator_optimizer.update(
                discriminator_gradients, state.discriminator_optimizer, state.discriminator
            )
            state = state.replace(
                discriminator=optax.apply_updates(state.discriminator, updates),
                discriminator_optimizer=discriminator_state,
            )

        updates, optimizer_state = optimizer.update(
            _sum_over_devices(gradients, axis_name), state.optimizer, params
        )
        model = with_parameters(state.model, optax.apply_updates(params, updates))
        state = state.replace(
            step=state.step + 1,
            model=with_statistics(model, statistics),
            optimizer=optimizer_state,
        )
        return state, _sum_over_devices(metrics, axis_name)

    return step


def _sum_over_devices(tree: Any, axis_name: str | None) -> Any:
    """`global_mean` gives each device its share, so the shares are summed."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)
