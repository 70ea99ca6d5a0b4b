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
from labor_jax.training.accumulation import add_up
from labor_jax.training.mesh import BATCH_AXIS, global_mean

Variables = dict[str, Any]


class TrainState(struct.PyTreeNode):
    """Everything a step changes.

    Attributes:
      step: int32[], steps taken in this phase.
      key: uint32[...], key data that the step folds its number into.
      model: `{"backbone": variables, "classifier": variables}`, and maybe "auxiliary".
      optimizer: the model optimiser's state.
      discriminator: the discriminators' parameters by the classifier whose predictions they see,
        `{"classifier": params}` and maybe "auxiliary"; handed on unchanged by phases without an
        adversarial term.
      discriminator_optimizer: its optimiser's state, None in those phases.
    """

    step: jax.Array
    key: jax.Array
    model: dict[str, Variables]
    optimizer: Any
    discriminator: Any = None
    discriminator_optimizer: Any = None


# The names of each classifier's adversarial terms: its own and its discriminator's.
_ADVERSARIAL_TERMS = {
    "classifier": ("adversarial", "discriminator"),
    "auxiliary": ("auxiliary_adversarial", "auxiliary_discriminator"),
}


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The weight of each term of a phase's loss; 0 leaves the term out.

    Attributes:
      source: cross-entropy on source labels (LabOR Eq. 1, L_s).
      target: cross-entropy on the target labels asked so far (LabOR Eq. 5).
      adversarial: the model's adversarial term on target (LabOR Eq. 1, L_adv).
      local_consistency: RIPU's term on source.
      negative_learning: RIPU's term on target.
      auxiliary: cross-entropy of the auxiliary classifier on source labels (AdaptSegNet).
      auxiliary_adversarial: its adversarial term on target.
    """

    source: float = 1.0
    target: float = 0.0
    adversarial: float = 0.0
    local_consistency: float = 0.0
    negative_learning: float = 0.0
    auxiliary: float = 0.0
    auxiliary_adversarial: float = 0.0

    @property
    def adversarial_classifiers(self) -> tuple[str, ...]:
        """The classifiers that have an adversarial term."""
        return tuple(part for part, (term, _) in _ADVERSARIAL_TERMS.items() if getattr(self, term))

    @property
    def uses_auxiliary(self) -> bool:
        """Whether a term looks at the auxiliary classifier."""
        return any((self.auxiliary, self.auxiliary_adversarial))

    @property
    def uses_source(self) -> bool:
        """Whether a batch must hold source images."""
        terms = self.source, self.local_consistency, self.auxiliary
        return any((*terms, self.adversarial_classifiers))

    @property
    def uses_target(self) -> bool:
        """Whether a batch must hold target images."""
        return any((self.target, self.negative_learning, self.adversarial_classifiers))


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
      model: `{"backbone": variables, "classifier": variables}`, and maybe "auxiliary".
      optimizer: over the parameters of all parts.
      key: a JAX random key.
      discriminator: the discriminators' parameters by the classifier whose predictions they see.
      discriminator_optimizer: over them, for phases with an adversarial term.

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
    accumulation: int = 1,
    axis_name: str | None = BATCH_AXIS,
) -> Callable[[TrainState, dict], tuple[TrainState, dict[str, jax.Array]]]:
    """Builds the pure step of a phase.

    Args:
      segmenter: backbone and classifier, and the auxiliary one where a term looks at it.
      optimizer: over the model's parameters.
      weights: which terms count, and how much.
      discriminator: the module of all discriminators, needed where a term is adversarial.
      discriminator_optimizer: over their parameters, likewise.
      discriminator_input: see `adversarial.discriminator_input`.
      accumulation: into how many pieces, which must divide a device's batch, the step cuts it, for
        less memory. Means are over the whole batch, so it changes nothing but dropout's draws and,
        where it is trained, batch norm, which normalises each piece by itself. Negative learning
        has to count first and costs a forward pass more.
      axis_name: the device axis of means and batch norm; None outside of one.

    Returns:
      `step(state, batch) -> (state, metrics)`. `batch` is `{"source": {"image": uint8[B, h, w, 3],
      "label": int32[B, h, w]}, "target": the same}`, the target only where a term needs it;
      `metrics` are f32[] means over all devices, one a term, and the sum as "loss".

    Raises:
      ValueError: a term looks at the auxiliary classifier, and the segmenter has none.
    """
    if weights.uses_auxiliary and segmenter.auxiliary is None:
        raise ValueError(
            "Terms of the auxiliary classifier have a weight, but the segmenter has none; build it "
            "by build_segmenter(..., auxiliary=True)."
        )
    classifiers = ("classifier", "auxiliary") if weights.uses_auxiliary else ("classifier",)
    classify = {"classifier": models.classify, "auxiliary": models.classify_auxiliary}

    def forward(model, batch, rngs):
        """Logits by classifier and domain, and the batch-norm statistics that follow from them.

        Each domain is normalised by its own batch; the running statistics follow the target as soon
        as there is one, since that is where the model is used (AdaBN, Li et al. 2017).
        """
        logits, statistics = {part: {} for part in classifiers}, {}
        for number, name in enumerate(each for each in ("source", "target") if each in batch):
            images = models.normalize_images(batch[name]["image"])
            training = {
                "train": True,
                "rngs": jax.tree.map(lambda key, n=number: jax.random.fold_in(key, n), rngs),
            }
            features, statistics["backbone"] = models.extract(
                segmenter, model["backbone"], images, **training
            )
            for part in classifiers:
                logits[part][name], statistics[part] = classify[part](
                    segmenter, model[part], features, images.shape[1:3], **training
                )
        return logits, statistics

    def counts(batch, logits):
        """How many pixels, or whatever else, the mean of each term is over."""
        counted = {}
        if weights.source:
            counted["source"] = jnp.sum(batch["source"]["label"] != 255)
        if weights.target:
            counted["target"] = jnp.sum(batch["target"]["label"] != 255)
        if weights.auxiliary:
            counted["auxiliary"] = jnp.sum(batch["source"]["label"] != 255)
        for part in weights.adversarial_classifiers:  # every device and piece has as many images
            counted.update(dict.fromkeys(_ADVERSARIAL_TERMS[part], jnp.ones(())))
        if weights.local_consistency:
            counted["local_consistency"] = jnp.sum(
                losses.label_boundary(batch["source"]["label"], segmenter.num_classes)
            )
        if weights.negative_learning:
            counted["negative_learning"] = jnp.sum(
                losses.improbable_classes(logits["classifier"]["target"])
            )
        return {name: count.astype(jnp.float32) for name, count in counted.items()}

    def means(state, batch, logits):
        """Each term of the model's loss, as a mean over this device's batch."""
        main, terms = logits["classifier"], {}
        if weights.source:
            terms["source"] = losses.cross_entropy(main["source"], batch["source"]["label"])
        if weights.auxiliary:
            terms["auxiliary"] = losses.cross_entropy(
                logits["auxiliary"]["source"], batch["source"]["label"]
            )
        if weights.target:
            terms["target"] = losses.cross_entropy(main["target"], batch["target"]["label"])
        for part in weights.adversarial_classifiers:
            terms[_ADVERSARIAL_TERMS[part][0]] = adversarial.model_loss(
                lambda x, part=part: discriminator.apply({"params": state.discriminator[part]}, x),
                logits[part]["target"],
                discriminator_input,
            )
        if weights.local_consistency:
            terms["local_consistency"] = losses.local_consistency(
                main["source"], batch["source"]["label"]
            )
        if weights.negative_learning:
            terms["negative_learning"] = losses.negative_learning(main["target"])
        return terms

    def model_loss(params, state, batch, rngs, totals):
        logits, statistics = forward(with_parameters(state.model, params), batch, rngs)
        counted = counts(batch, logits)
        terms = {
            name: global_mean(mean, counted[name], axis_name, totals.get(name))
            for name, mean in means(state, batch, logits).items()
        }
        total = sum(getattr(weights, name) * value for name, value in terms.items())
        return total, (terms, logits, statistics)

    def discriminator_loss(params, logits, totals):
        terms = {}
        for part in weights.adversarial_classifiers:
            separated = adversarial.discriminator_loss(
                lambda x, part=part: discriminator.apply({"params": params[part]}, x),
                logits[part]["source"],
                logits[part]["target"],
                discriminator_input,
            )
            name = _ADVERSARIAL_TERMS[part][1]
            terms[name] = global_mean(separated, jnp.ones(()), axis_name, totals.get(name))
        return sum(terms.values()), terms

    def totals_of(state, batch, key):
        """What `counts` gives over all pieces and devices; where there is one piece, it knows."""
        if accumulation == 1:
            return {}

        def count(model, piece, number):
            logits, statistics = {}, None
            if weights.negative_learning:  # what is improbable shows only in the logits
                rngs = {"dropout": jax.random.fold_in(key, number)}
                logits, statistics = forward(model, piece, rngs)
                model = with_statistics(model, statistics)
            return model, counts(piece, logits)

        _, totals = add_up(count, state.model, batch, accumulation)
        return _sum_over_devices(totals, axis_name)

    def step(state: TrainState, batch: dict):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        params = trainable(state.model)
        totals = totals_of(state, batch, key)

        def differentiate(model, piece, number):
            rngs = {"dropout": key if accumulation == 1 else jax.random.fold_in(key, number)}
            (loss, (terms, logits, statistics)), gradients = jax.value_and_grad(
                model_loss, has_aux=True
            )(params, state.replace(model=model), piece, rngs, totals)
            metrics, discriminator_gradients = {"loss": loss, **terms}, None
            if weights.adversarial_classifiers:
                discriminator_gradients, separated = jax.grad(discriminator_loss, has_aux=True)(
                    state.discriminator, logits, totals
                )
                metrics.update(separated)
            return with_statistics(model, statistics), (gradients, discriminator_gradients, metrics)

        model, summed = add_up(differentiate, state.model, batch, accumulation)
        gradients, discriminator_gradients, metrics = _sum_over_devices(summed, axis_name)
        if weights.adversarial_classifiers:
            updates, discriminator_state = discriminator_optimizer.update(
                discriminator_gradients, state.discriminator_optimizer, state.discriminator
            )
            state = state.replace(
                discriminator=optax.apply_updates(state.discriminator, updates),
                discriminator_optimizer=discriminator_state,
            )
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        moved = optax.apply_updates(params, updates)
        if "auxiliary" in params and not weights.uses_auxiliary:
            moved["auxiliary"] = params["auxiliary"]  # weight decay would shrink it
        state = state.replace(
            step=state.step + 1,
            model=with_parameters(model, moved),
            optimizer=optimizer_state,
        )
        return state, metrics

    return step


def _sum_over_devices(tree: Any, axis_name: str | None) -> Any:
    """`global_mean` gives each device its share, so the shares are summed."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)
