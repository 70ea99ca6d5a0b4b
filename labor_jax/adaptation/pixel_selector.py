"""LabOR's adaptive pixel selector: a model copy whose two classifiers learn to disagree.

The selector starts from the model (φ' from φ, θ'₁ and θ'₂ from θ). It is trained on target images
with the model's own predictions as pseudo labels (Eq. 3) while θ'₁, θ'₂ maximise and φ' minimises
the discrepancy of their predictions (Eq. 4), in one pass through a gradient-reversal layer. Where
their classes then differ (Eq. 2) the model is about to change its mind: a label is worth asking.

Two exact copies would stay copies for ever: their discrepancy and its gradient are 0 and Eq. 3
pulls both alike. The symmetry is broken twice, each with a key of its own: θ'₁ and θ'₂ start with
Gaussian noise relative to each tensor's spread, and see the features through different dropout
masks.

References:
  Shin et al., LabOR: Labeling Only if Required for Domain Adaptive Semantic Segmentation,
  ICCV 2021, Eq. 2 to 4. Gradient reversal: Ganin and Lempitsky, ICML 2015. The game between
  classifiers and backbone: Saito et al., Maximum Classifier Discrepancy, CVPR 2018.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from labor_jax import losses, models
from labor_jax.training.accumulation import add_up, map_pieces
from labor_jax.training.mesh import BATCH_AXIS, global_mean

Variables = dict[str, Any]


class SelectorState(struct.PyTreeNode):
    """The pixel selector in training.

    Attributes:
      step: int32[].
      key: uint32[...], key data that the step folds its number into.
      backbone: φ', the backbone's variables.
      classifiers: (θ'₁, θ'₂), two sets of classifier variables.
      optimizer: the optimiser's state over all three.
    """

    step: jax.Array
    key: jax.Array
    backbone: Variables
    classifiers: tuple[Variables, Variables]
    optimizer: Any


def create_selector(
    model: dict[str, Variables],
    optimizer: optax.GradientTransformation,
    key: jax.Array,
    *,
    noise: float,
) -> SelectorState:
    """Copies the model into a selector.

    Args:
      model: `{"backbone": variables, "classifier": variables}`, the un-primed model.
      optimizer: over `{"backbone": params, "classifier": (params, params)}`.
      key: a JAX random key.
      noise: standard deviation of the noise on the classifiers' kernels, as a share of each
        kernel's own; 0 leaves them equal, and only dropout then tells them apart.

    Returns:
      The state of step 0.
    """
    noise_key, step_key = jax.random.split(key)
    classifiers = tuple(
        {
            **model["classifier"],
            "params": _perturb(model["classifier"]["params"], classifier_key, noise),
        }
        for classifier_key in jax.random.split(noise_key)
    )
    backbone = jax.tree.map(jnp.copy, model["backbone"])
    return SelectorState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(step_key),
        backbone=backbone,
        classifiers=classifiers,
        optimizer=optimizer.init(_trainable(backbone, classifiers)),
    )


def make_selector_step(
    segmenter: models.Segmenter,
    optimizer: optax.GradientTransformation,
    *,
    discrepancy_weight: float,
    reversal: float,
    feature_dropout: float,
    pseudo_label_threshold: float,
    accumulation: int = 1,
    axis_name: str | None = BATCH_AXIS,
) -> Callable[..., tuple[SelectorState, dict[str, jax.Array]]]:
    """Builds the pure step that trains the selector.

    Args:
      segmenter: backbone and classifier; build it with frozen batch norm, so that the selector
        differs from the model by its weights and not by its statistics.
      optimizer: over `{"backbone": params, "classifier": (params, params)}`.
      discrepancy_weight: weight of Eq. 4 against Eq. 3.
      reversal: how strongly φ' minimises what θ'₁, θ'₂ maximise.
      feature_dropout: share of feature values each classifier does not see in training, with a
        mask of its own.
      pseudo_label_threshold: pseudo labels of lower probability do not count (0: all count).
      accumulation: into how many pieces a device's batch is cut, see `steps.make_train_step`.
      axis_name: the device axis; None outside of one.

    Returns:
      `step(state, model, batch) -> (state, metrics)` with the un-primed model's variables and
      `batch = {"image": uint8[B, h, w, 3]}`.
    """

    def loss_terms(params, state, piece, keys, totals):
        images, pseudo_labels = models.normalize_images(piece["image"]), piece["label"]
        features, _ = models.extract(
            segmenter,
            {**state.backbone, "params": params["backbone"]},
            images,
            train=False,
            rngs=None,
        )
        logits, reversed_logits = [], []
        for number, classifier in enumerate(state.classifiers):
            variables = {**classifier, "params": params["classifier"][number]}
            seen = features._replace(high=_dropout(features.high, keys[number], feature_dropout))
            logits.append(_classify(segmenter, variables, seen, images.shape[1:3]))
            turned = jax.tree.map(lambda x: _reverse_gradient(x, reversal), seen)
            reversed_logits.append(_classify(segmenter, variables, turned, images.shape[1:3]))
        counted = jnp.sum(pseudo_labels != 255)
        self_training = sum(
            global_mean(
                losses.cross_entropy(each, pseudo_labels), counted, axis_name, totals["labelled"]
            )
            for each in logits
        )
        discrepancy = global_mean(
            losses.classifier_discrepancy(*reversed_logits),
            jnp.ones(()),
            axis_name,
            totals["pieces"],
        )
        # The classifiers descend on -discrepancy; through the reversal φ' descends on +discrepancy.
        total = self_training - discrepancy_weight * discrepancy
        return total, {"self_training": self_training, "discrepancy": discrepancy}

    def step(state: SelectorState, model: dict[str, Variables], batch: dict):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))

        def pseudo_labels(images):
            predictions, _ = models.apply(segmenter, model, models.normalize_images(images))
            return confident_labels(predictions, pseudo_label_threshold)

        labels = map_pieces(pseudo_labels, batch["image"], accumulation)
        totals = {
            "labelled": jnp.sum(labels != 255).astype(jnp.float32),
            "pieces": jnp.float32(accumulation),
        }
        if axis_name is not None:
            totals = jax.lax.psum(totals, axis_name)
        params = _trainable(state.backbone, state.classifiers)

        def differentiate(carry, piece, number):
            piece_key = key if accumulation == 1 else jax.random.fold_in(key, number)
            (_, metrics), gradients = jax.value_and_grad(loss_terms, has_aux=True)(
                params, state, piece, jax.random.split(piece_key), totals
            )
            return carry, (gradients, metrics)

        pieces = {"image": batch["image"], "label": labels}
        _, (gradients, metrics) = add_up(differentiate, None, pieces, accumulation)
        if axis_name is not None:
            gradients, metrics = jax.lax.psum((gradients, metrics), axis_name)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        params = optax.apply_updates(params, updates)
        state = state.replace(
            step=state.step + 1,
            backbone={**state.backbone, "params": params["backbone"]},
            classifiers=tuple(
                {**classifier, "params": new}
                for classifier, new in zip(state.classifiers, params["classifier"], strict=True)
            ),
            optimizer=optimizer_state,
        )
        return state, metrics

    return step


def selector_logits(
    segmenter: models.Segmenter,
    backbone: Variables,
    classifiers: tuple[Variables, Variables],
    images: jax.Array,
    size: tuple[int, int],
    *,
    window: tuple[int, int] | None = None,
    overlap: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """The two classifiers' logits.

    Args:
      segmenter: backbone and classifier.
      backbone: φ', the backbone's variables.
      classifiers: (θ'₁, θ'₂), two sets of classifier variables.
      images: f32[B, h, w, 3], normalised.
      size: (H, W) of the logits.
      window: see `models.windowed_outputs`; both classifiers share the backbone's passes.
      overlap: see there.

    Returns:
      (f32[B, H, W, C], f32[B, H, W, C]).
    """

    def head(features: models.Features) -> tuple[jax.Array, ...]:
        return tuple(models.coarse_logits(segmenter, each, features)[0] for each in classifiers)

    first, second = models.windowed_outputs(
        segmenter, backbone, head, images, window=window, overlap=overlap
    )
    return (
        models.resize_bilinear_align_corners(first, size),
        models.resize_bilinear_align_corners(second, size),
    )


def confident_labels(logits: jax.Array, threshold: float, ignore_label: int = 255) -> jax.Array:
    """Predicted classes int32[...], `ignore_label` where the largest probability is < threshold."""
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if threshold <= 0:
        return labels
    confidence = jnp.max(jax.nn.softmax(logits.astype(jnp.float32)), axis=-1)
    return jnp.where(confidence >= threshold, labels, ignore_label)


def _classify(segmenter, variables, features, size):
    logits, _ = models.classify(segmenter, variables, features, size, train=False, rngs=None)
    return logits


def _trainable(backbone, classifiers):
    return {"backbone": backbone["params"], "classifier": tuple(c["params"] for c in classifiers)}


def _perturb(params, key, noise):
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


def _dropout(values, key, rate):
    if rate <= 0:
        return values
    kept = jax.random.bernoulli(key, 1 - rate, values.shape)
    return jnp.where(kept, values / (1 - rate), 0).astype(values.dtype)


@jax.custom_vjp
def _reverse_gradient(values, scale):
    return values


def _reverse_forward(values, scale):
    return values, scale


def _reverse_backward(scale, gradient):
    return (-scale * gradient).astype(gradient.dtype), None


_reverse_gradient.defvjp(_reverse_forward, _reverse_backward)
