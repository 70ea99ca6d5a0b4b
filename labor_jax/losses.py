"""Losses over dense predictions.

Every loss is a pure function that computes in float32 whatever its inputs are and returns
`f32[]`: the mean over the pixels that count. Where none counts, it is exactly 0.0 and its
gradient is 0. The leading batch shape `[...]` may be anything, also none, and the mean runs over
all of it at once; for a mean per image, `jax.vmap` the loss.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = [
    "adversarial",
    "classifier_discrepancy",
    "cross_entropy",
    "entropy",
    "improbable_classes",
    "label_boundary",
    "local_consistency",
    "max_squares",
    "negative_learning",
]

# Inside the logarithm of negative learning, as published.
_LOG_EPSILON = 1e-6


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    class_weights: jax.Array | None = None,
    pixel_weights: jax.Array | None = None,
    ignore_label: int = 255,
) -> jax.Array:
    """Mean cross-entropy over the labelled pixels.

    A pixel counts where its label is a class in [0, C) other than `ignore_label`. Any other value
    is treated as `ignore_label`: an error can't be raised under `jax.jit`, so label maps are
    validated where they are read.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      labels: Classes, `int[...]` of any integer type.
      class_weights: Non-negative weights, `float[C]`. The mean becomes weighted: each counted pixel
        weighs its label's weight, and the sum is divided by the weights of the counted pixels,
        so that scaling all weights changes nothing and weights of 1 are no weights.
      pixel_weights: Non-negative factors of the pixels' losses, `float[...]`, such as the trust in
        a pseudo label. The divisor stays as it is without them, so that less trust is a smaller
        loss.
      ignore_label: The label of unlabelled and void pixels.

    Returns:
      The mean, `f32[]`; 0.0 where no pixel counts or all counted pixels weigh 0.

    Raises:
      ValueError: If the shapes of `logits`, `labels` and the weights don't fit.

    References:
      Shin et al., LabOR, ICCV 2021, https://arxiv.org/abs/2108.05570, L_s of Eq. 1 and Eq. 5;
      Tranheden et al., DACS, WACV 2021, https://arxiv.org/abs/2007.08702, the pixel weights.
    """
    _check_labels(logits, labels)
    num_classes = logits.shape[-1]
    labels = _widened(labels)
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    counted = _is_class(labels, num_classes, ignore_label)

    # A masked sum instead of a gather: it fuses, and its gradient needs no scatter.
    is_label = labels[..., None] == jnp.arange(num_classes)
    losses = -jnp.sum(jnp.where(is_label, log_probabilities, 0.0), axis=-1)
    if pixel_weights is not None:
        if jnp.shape(pixel_weights) != labels.shape:
            raise ValueError(
                f"pixel_weights has shape {jnp.shape(pixel_weights)} and labels {labels.shape}; "
                "they must be equal"
            )
        losses *= jnp.asarray(pixel_weights, jnp.float32)
    if class_weights is None:
        return _masked_mean(losses, counted)

    class_weights = jnp.asarray(class_weights, jnp.float32)
    if class_weights.shape != (num_classes,):
        raise ValueError(
            f"class_weights has shape {class_weights.shape}; logits of shape {logits.shape} need "
            f"one weight for each of their {num_classes} classes"
        )
    weights = jnp.sum(jnp.where(is_label, class_weights, 0.0), axis=-1)
    return _masked_mean(losses, counted, weights)


def adversarial(discriminator_logits: jax.Array, is_source: bool) -> jax.Array:
    """Mean binary cross-entropy of a domain discriminator, with logits.

    The discriminator minimises it with the true domain of its input; the segmentation model
    minimises it on target predictions with `is_source=True`.

    Args:
      discriminator_logits: Log-odds that the input is from the source, `float[...]`.
      is_source: A Python bool, the domain to compare with: 1 is source and 0 target.

    Returns:
      The mean over all elements, `f32[]`.

    References:
      Tsai et al., AdaptSegNet, CVPR 2018, https://arxiv.org/abs/1802.10349, Eq. 2 and 4; L_adv of
      LabOR's Eq. 1. The published code calls source 0 and target 1, which gives the same loss.
    """
    discriminator_logits = discriminator_logits.astype(jnp.float32)
    # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without overflow.
    return _mean(jax.nn.softplus(-discriminator_logits if is_source else discriminator_logits))


def classifier_discrepancy(logits_a: jax.Array, logits_b: jax.Array) -> jax.Array:
    """Mean L1 distance of two classifiers' probabilities.

    Identical predictions have neither a discrepancy nor a gradient: two classifiers that start as
    copies have to be told apart before this loss can drive them further.

    Args:
      logits_a: Unnormalised log-probabilities of one classifier, `float[..., C]`.
      logits_b: The same of the other, `float[..., C]`.

    Returns:
      The mean over pixels of the sum over classes of |softmax(a) - softmax(b)|, `f32[]` in [0, 2].

    Raises:
      ValueError: If the shapes differ.

    References:
      Shin et al., LabOR, ICCV 2021, https://arxiv.org/abs/2108.05570, Eq. 4. MCD (Saito et al.,
      CVPR 2018, https://arxiv.org/abs/1712.02560) also averages over classes: 1/C of this.
    """
    if logits_a.shape != logits_b.shape:
        raise ValueError(
            f"logits_a has shape {logits_a.shape} and logits_b {logits_b.shape}; they have to agree"
        )
    return _mean(_l1_distance(_softmax(logits_a), _softmax(logits_b)))


def negative_learning(logits: jax.Array, *, threshold: float = 0.05) -> jax.Array:
    """Pushes improbable classes further down: mean of -log(1 - p + 1e-6) where p < threshold.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      threshold: A (pixel, class) counts where its probability is below; which of them count
        carries no gradient.

    Returns:
      The mean over the (pixel, class) pairs that count, `f32[]`; 0.0 where none does. A pair with
      p < 1e-6 adds slightly less than 0.

    References:
      Xie et al., RIPU, CVPR 2022, https://arxiv.org/abs/2111.12940, negative learning loss; the
      1e-6 is of its published code.
    """
    probabilities = _softmax(logits)
    counted = improbable_classes(logits, threshold=threshold)
    # Masked before the logarithm as well: near p = 1 its derivative is 1e6 for nothing.
    losses = -jnp.log(1.0 - jnp.where(counted, probabilities, 0.0) + _LOG_EPSILON)
    return _masked_mean(losses, counted)


def improbable_classes(logits: jax.Array, *, threshold: float = 0.05) -> jax.Array:
    """The (pixel, class) pairs that `negative_learning` counts: those with p < threshold.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      threshold: See `negative_learning`.

    Returns:
      `bool[..., C]`.
    """
    return _softmax(jax.lax.stop_gradient(logits)) < threshold


def local_consistency(
    logits: jax.Array, labels: jax.Array, *, ignore_label: int = 255
) -> jax.Array:
    """Mean L1 distance at label boundaries between a pixel's probabilities and their 3x3 mean.

    A pixel is on a boundary where one of its in-image 8-neighbours has another label. A void
    neighbour's label is another label, as in the published code; a void pixel itself never counts,
    nor does one whose label is no class (see `cross_entropy`). The 3x3 window repeats the image's
    edge.

    Args:
      logits: Unnormalised log-probabilities, `float[..., H, W, C]`.
      labels: Classes, `int[..., H, W]` of any integer type.
      ignore_label: The label of unlabelled and void pixels.

    Returns:
      The mean over the boundary pixels that count, `f32[]`; 0.0 where none does.

    Raises:
      ValueError: If the shapes of `logits` and `labels` don't fit.

    References:
      Xie et al., RIPU, CVPR 2022, https://arxiv.org/abs/2111.12940, consistency regularisation. Its
      published code finds boundaries by a Laplacian of the label numbers, in which some cancel, and
      takes the image's border for one; here neither happens.
    """
    _check_labels(logits, labels)
    if logits.ndim < 3:
        raise ValueError(f"logits has shape {logits.shape}; [..., H, W, C] is needed")
    counted = label_boundary(labels, logits.shape[-1], ignore_label=ignore_label)
    probabilities = _softmax(logits)
    local_mean = _reduce_3x3(probabilities, jnp.add, axes=(-3, -2)) / 9.0
    return _masked_mean(_l1_distance(probabilities, local_mean), counted)


def label_boundary(labels: jax.Array, num_classes: int, *, ignore_label: int = 255) -> jax.Array:
    """The pixels that `local_consistency` counts: those of a class with another label around.

    Args:
      labels: Classes, `int[..., H, W]` of any integer type.
      num_classes: C; other labels are treated as `ignore_label`.
      ignore_label: The label of unlabelled and void pixels.

    Returns:
      `bool[..., H, W]`.
    """
    labels = _widened(labels)
    # Repeating the edge brings no label into a window that isn't in its in-image part already, and
    # the window holds the pixel itself, so that two of its labels differ iff one differs from it.
    largest = _reduce_3x3(labels, jnp.maximum, axes=(-2, -1))
    smallest = _reduce_3x3(labels, jnp.minimum, axes=(-2, -1))
    return _is_class(labels, num_classes, ignore_label) & (largest != smallest)


def entropy(logits: jax.Array) -> jax.Array:
    """Mean entropy of the predictions, normalised by log C.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.

    Returns:
      The mean over pixels of -sum p log p / log C, `f32[]` in [0, 1]; 0.0 for a single class.

    References:
      Vu et al., ADVENT, CVPR 2019, https://arxiv.org/abs/1811.12833, Eq. 2 and 3 (MinEnt).
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    entropies = -jnp.sum(jnp.exp(log_probabilities) * log_probabilities, axis=-1)
    # One class has no entropy, and log 1 = 0 nothing to divide by.
    return _mean(entropies) / math.log(max(logits.shape[-1], 2))


def max_squares(logits: jax.Array) -> jax.Array:
    """Negative mean of half the sum of squared probabilities.

    Unlike the entropy's, its gradient doesn't favour the pixels that are certain already.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.

    Returns:
      The mean over pixels of -sum p^2 / 2, `f32[]` in [-1/2, -1/(2C)].

    References:
      Chen et al., MaxSquare, ICCV 2019, https://arxiv.org/abs/1909.13589. The published code also
      averages over classes: 1/C of this.
    """
    return -0.5 * _mean(jnp.sum(jnp.square(_softmax(logits)), axis=-1))


def _softmax(logits: jax.Array) -> jax.Array:
    return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)


def _l1_distance(a: jax.Array, b: jax.Array) -> jax.Array:
    """The sum over the last axis of |a - b|."""
    difference = a - b
    # `jnp.abs` has the slope 1 at 0, which would pull equal predictions apart; sign(0) is 0.
    return jnp.sum(difference * jax.lax.stop_gradient(jnp.sign(difference)), axis=-1)


def _mean(values: jax.Array) -> jax.Array:
    """The mean, `f32[]`; 0.0 of no values, where `jnp.mean` gives NaN."""
    return jnp.sum(values) / max(values.size, 1)


def _masked_mean(
    values: jax.Array, counted: jax.Array, weights: jax.Array | None = None
) -> jax.Array:
    """The (weighted) mean where counted, `f32[]`; exactly 0.0, with zero gradient, where none is.

    Args:
      values: Finite also where they don't count, `f32[...]`: `jnp.where` drops a value's gradient
        by multiplying it by 0.
      counted: What counts, `bool[...]`.
      weights: `f32[...]`, or None for 1 each.
    """
    weights = counted.astype(jnp.float32) if weights is None else jnp.where(counted, weights, 0.0)
    total = jnp.sum(weights)
    return jnp.sum(weights * jnp.where(counted, values, 0.0)) / jnp.where(total > 0, total, 1.0)


def _reduce_3x3(values: jax.Array, reduce: Callable, axes: tuple[int, int]) -> jax.Array:
    """Reduces the edge-repeating 3x3 window around each pixel, one axis after the other."""
    for axis in axes:
        last = values.shape[axis] - 1
        piece = functools.partial(jax.lax.slice_in_dim, values, axis=axis)
        # By concatenation: the gradient of `jnp.pad(mode="edge")` takes three times as long.
        before = jnp.concatenate([piece(0, 1), piece(0, last)], axis)
        after = jnp.concatenate([piece(1, last + 1), piece(last, last + 1)], axis)
        values = reduce(reduce(before, values), after)
    return values


def _widened(labels: jax.Array) -> jax.Array:
    """At least int32: a uint8 can't be compared with more than 255 classes."""
    return labels.astype(jnp.promote_types(labels.dtype, jnp.int32))


def _is_class(labels: jax.Array, num_classes: int, ignore_label: int) -> jax.Array:
    return (labels >= 0) & (labels < num_classes) & (labels != ignore_label)


def _check_labels(logits: jax.Array, labels: jax.Array) -> None:
    if logits.ndim == 0 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels has shape {labels.shape}; logits of shape {logits.shape} need one label a "
            f"pixel: {logits.shape[:-1]}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels has dtype {labels.dtype}; class numbers are integers")
