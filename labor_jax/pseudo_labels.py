"""Which predictions to trust as labels: pure functions of logits, or of confidences and classes."""

import math
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from labor_jax.acquisition import loop_carry
from labor_jax.acquisition.budget import exact
from labor_jax.acquisition.window_reductions import window_sum

_IGNORE_LABEL = 255  # of a pixel whose prediction is not trusted

# A float32 of at least 0.5 differs from 1 by a multiple of this.
_SPACING = 2.0**-24
# A bin of doubt 1 - p: float32 numbers with the same exponent and the same first 8 bits.
_BIN_BITS = 15
_FIRST_BIN = (127 - 24) << (23 - _BIN_BITS)  # of the smallest doubt above 0; of no doubt before it

CONFIDENCE_BINS = (127 << (23 - _BIN_BITS)) - _FIRST_BIN + 2
"""The number of bins of `confidence_histogram`, 6,146."""

_BEYOND = ((np.arange(CONFIDENCE_BINS) + _FIRST_BIN) << _BIN_BITS).astype(np.int32).view(np.float32)

LEAST_CONFIDENCE = (1.0 - (np.ceil(_BEYOND / _SPACING) - 1) * _SPACING).astype(np.float32)
"""The least confidence of each bin of `confidence_histogram`, `f32[CONFIDENCE_BINS]`."""


def confident_labels(logits: jax.Array, threshold: float | jax.Array) -> jax.Array:
    """The predicted classes of which the model is sure enough.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      threshold: The probability that a label needs: a number, or one for each class, `f32[C]` or
        anything that broadcasts to `[..., C]`, such as `f32[B, 1, 1, C]` for each image.

    Returns:
      `int32[...]`: the most probable class, 255 where its probability is below its threshold.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32))
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    needed = jnp.broadcast_to(jnp.asarray(threshold, jnp.float32), logits.shape)
    is_label = labels[..., None] == jnp.arange(logits.shape[-1])
    sure = jnp.max(probabilities, -1) >= jnp.sum(jnp.where(is_label, needed, 0.0), -1)
    return jnp.where(sure, labels, _IGNORE_LABEL)


def class_balanced_thresholds(
    confidence: jax.Array, prediction: jax.Array, num_classes: int, portion: float
) -> jax.Array:
    """The confidence above which the given portion of each class's predictions lies.

    Args:
      confidence: The largest probability of each pixel, `f32[...]`.
      prediction: Its class, `int[...]`; pixels of other classes than 0 to C - 1 don't count.
      num_classes: C.
      portion: The share of the pixels predicted as a class that are to be labelled, 0 to 1.

    Returns:
      `f32[C]`: of the n pixels predicted as class c, the confidence of the one at rank
      floor(portion * n), from the most confident down. Exactly that many are at least as confident,
      ties aside. 1.0 where the rank is 0.

    Raises:
      ValueError: If the shapes differ, or `portion` is not from 0 to 1.

    References:
      Zou et al., CBST, ECCV 2018, https://arxiv.org/abs/1810.07911, Algorithm 2.
    """
    _check_shapes(confidence, prediction)
    if not 0 <= portion <= 1:
        raise ValueError(f"portion is {portion}; it is a share from 0 to 1")
    if not confidence.size:
        return jnp.ones(num_classes, jnp.float32)
    confidence, prediction = confidence.ravel().astype(jnp.float32), prediction.ravel()
    valid = (prediction >= 0) & (prediction < num_classes)
    group = jnp.where(valid, prediction, num_classes)
    order = jnp.lexsort((-confidence, group))
    counts = jnp.bincount(group, length=num_classes + 1)[:num_classes]
    rank = _share_of_counts(portion, counts)
    place = jnp.cumsum(counts) - counts + jnp.maximum(rank, 1) - 1
    found = confidence[order][jnp.clip(place, 0, confidence.size - 1)]
    return jnp.where(rank > 0, found, 1.0)


def confidence_histogram(
    confidence: jax.Array, prediction: jax.Array, num_classes: int
) -> jax.Array:
    """Counts the pixels of each class by confidence, so that a pool needs no memory for its pixels.

    There are 256 bins each time that the doubt 1 - p halves. So they stay fine where a network is
    sure, and p = 1 has a bin of its own, the first.

    Args:
      confidence: The largest probability of each pixel, `f32[...]`.
      prediction: Its class, `int[...]`; pixels of other classes than 0 to C - 1 don't count.
      num_classes: C.

    Returns:
      `int32[C, CONFIDENCE_BINS]`, from the most confident down. Histograms of images add up to
      that of all of them.

    Raises:
      ValueError: If the shapes differ.
    """
    _check_shapes(confidence, prediction)
    doubt = jnp.maximum(1.0 - confidence.ravel().astype(jnp.float32), 0.0)
    bits = jax.lax.bitcast_convert_type(doubt, jnp.int32) >> _BIN_BITS
    bins = jnp.clip(bits - _FIRST_BIN + 1, 0, CONFIDENCE_BINS - 1)
    prediction = prediction.ravel().astype(jnp.int32)
    # A negative index would count from the end.
    rows = jnp.where(prediction < 0, num_classes, prediction)
    counts = jnp.zeros((num_classes, CONFIDENCE_BINS), jnp.int32)
    return counts.at[rows, bins].add(1, mode="drop")


def histogram_thresholds(histogram: np.ndarray, portion: float) -> np.ndarray:
    """`class_balanced_thresholds` from a histogram: the least confidence of the bin of that rank.

    It is NumPy, since the counts of a large pool don't fit into 32 bits.

    Args:
      histogram: Of `confidence_histogram`, or a sum of several, `int[C, CONFIDENCE_BINS]`.
      portion: The share of the pixels predicted as a class that are to be labelled, 0 to 1.

    Returns:
      `f32[C]`. At least floor(portion * n) of the n pixels predicted as a class are as confident,
      and the doubt 1 - p is at most 1/256 larger than that of the exact threshold. 1.0 where the
      rank is 0.

    References:
      Zou et al., CBST, ECCV 2018, https://arxiv.org/abs/1810.07911, Algorithm 2.
    """
    so_far = np.cumsum(np.asarray(histogram), axis=-1, dtype=np.int64)
    share = _exact(portion)
    rank = np.array([math.floor(share * int(count)) for count in so_far[:, -1]])
    found = np.argmax(so_far >= np.maximum(rank, 1)[:, None], axis=-1)
    return np.where(rank > 0, LEAST_CONFIDENCE[found], np.float32(1.0))


def _exact(portion: float) -> Fraction:
    """The fraction that a portion means, for `_share_of_counts`."""
    return exact(portion).limit_denominator(2**29)  # three of which fit into 32 bits


def _share_of_counts(portion: float, counts: jax.Array) -> jax.Array:
    """floor(portion * counts), int32[C]: 0.59 of 100 is 59, where floating point gives 58."""
    share = _exact(portion)

    def divide(place, state):
        """Long division, a binary digit of the counts at a time."""
        quotient, rest = state
        rest = 2 * rest + ((counts >> (30 - place)) & 1) * share.numerator
        return 2 * quotient + rest // share.denominator, rest % share.denominator

    return lax.fori_loop(0, 31, divide, (counts * 0, counts * 0))[0]


def class_balanced_labels(logits: jax.Array, thresholds: jax.Array) -> jax.Array:
    """CBST's labels: the class whose probability exceeds its threshold by the largest factor.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      thresholds: k, such as those of `class_balanced_thresholds`, positive `f32[C]`.

    Returns:
      `int32[...]`: argmax p_c / k_c, 255 where that is below 1.

    References:
      Zou et al., CBST, ECCV 2018, https://arxiv.org/abs/1810.07911, Eq. 5.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32))
    labels = jnp.argmax(probabilities / thresholds, axis=-1).astype(jnp.int32)
    # Not by the quotient, whose rounding may lose the pixel that the threshold was taken from.
    return jnp.where(jnp.any(probabilities >= thresholds, axis=-1), labels, _IGNORE_LABEL)


def soft_class_balanced_labels(
    logits: jax.Array, thresholds: jax.Array, entropy_weight: float
) -> jax.Array:
    """CRST's soft labels under a reward for their entropy (LRENT).

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      thresholds: k, such as those of `class_balanced_thresholds`, positive `f32[C]`.
      entropy_weight: alpha, above 0; towards 0 labels become hard.

    Returns:
      `f32[..., C]`: proportional to (p_c / k_c)^(1 / alpha), and they add up to 1; all 0 where
      labelling costs more than it brings, that is where these powers add up to less than 1.

    References:
      Zou et al., Confidence Regularized Self-Training, ICCV 2019,
      https://arxiv.org/abs/1908.09822, Eq. 8; alpha is 0.25 in its published code.
    """
    log_excess = jax.nn.log_softmax(logits.astype(jnp.float32)) - jnp.log(thresholds)
    powers = log_excess / entropy_weight
    worthwhile = jax.nn.logsumexp(powers, axis=-1, keepdims=True) >= 0
    return jnp.where(worthwhile, jax.nn.softmax(powers), 0.0)


class AdaptedThresholds(NamedTuple):
    """What `instance_adaptive_thresholds` returns.

    Attributes:
      thresholds: `f32[N, C]`, each image's.
      last: `f32[C]`, those of the last image, from which the next call goes on.
    """

    thresholds: jax.Array
    last: jax.Array


def instance_adaptive_thresholds(
    confidence: jax.Array,
    prediction: jax.Array,
    thresholds: jax.Array,
    *,
    portion: float | jax.Array,
    gamma: float = 8.0,
    momentum: float = 0.9,
    largest: float = 0.999,
) -> AdaptedThresholds:
    """IAST's thresholds, which go from image to image and adapt to each.

    For each image and class, t is the quantile 1 - portion * theta^gamma of the confidences of the
    pixels predicted as the class, together with theta itself, interpolated linearly. Then
    theta <- min(momentum * theta + (1 - momentum) * t, largest) is the image's threshold.

    Args:
      confidence: The largest probability of each pixel, `f32[N, H, W]`.
      prediction: Its class, `int[N, H, W]`; pixels of other classes than 0 to C - 1 don't count.
      thresholds: theta before the first image, `f32[C]`; 0.9 at the start.
      portion: alpha, the share of pixels that a class of threshold 1 would have labelled.
      gamma: How much less of a class is labelled whose threshold is low.
      momentum: The share of theta that stays.
      largest: The most that theta may become.

    Returns:
      `AdaptedThresholds`.

    Raises:
      ValueError: If the shapes differ.

    References:
      Mei et al., Instance Adaptive Self-Training, ECCV 2020, https://arxiv.org/abs/2008.12197,
      Eq. 4 and 5. Published code adapts once a batch.
    """
    _check_shapes(confidence, prediction)
    num_classes = thresholds.shape[0]

    def adapt(theta, image):
        confidence, prediction = (each.ravel() for each in image)
        share = jnp.clip(1 - portion * theta**gamma, 0, 1)
        quantiles = _class_quantiles(confidence.astype(jnp.float32), prediction, theta, share)
        theta = jnp.minimum(momentum * theta + (1 - momentum) * quantiles, largest)
        return theta, theta

    start = loop_carry.initial_carry(jnp.asarray(thresholds, jnp.float32), confidence)
    last, each = jax.lax.scan(adapt, start, (confidence, prediction))
    return AdaptedThresholds(each.reshape(-1, num_classes), last)


def _class_quantiles(confidence, prediction, extra, share):
    """A quantile of each class's confidences and one value more: f32[P], int[P], f32[C] twice."""
    num_classes = len(extra)
    valid = (prediction >= 0) & (prediction < num_classes)
    # The extra value of each class is one more pixel of it.
    group = jnp.concatenate([jnp.where(valid, prediction, num_classes), jnp.arange(num_classes)])
    values = jnp.concatenate([confidence, extra])
    ordered = values[jnp.lexsort((values, group))]
    counts = jnp.bincount(group, length=num_classes + 1)[:num_classes]
    place = share * (counts - 1).astype(jnp.float32)
    below = jnp.floor(place).astype(jnp.int32)
    first = jnp.cumsum(counts) - counts
    lower = ordered[first + below]
    upper = ordered[first + jnp.minimum(below + 1, counts - 1)]
    return lower + (upper - lower) * (place - below)


def voted_labels(
    logits: jax.Array,
    labels: jax.Array,
    thresholds: jax.Array,
    *,
    radius: int,
    own_weight: float = 0.5,
    agreement: float = 0.75,
) -> jax.Array:
    """Densifies pseudo labels: labelled pixels vote on those around them that have none.

    Each labelled pixel of the square window votes for its class, with its probability of it. The
    two classes of most votes compete for the pixel in the middle. The score of each is
    own_weight * min(p_c / k_c, 1) + (1 - own_weight) * its share of the votes, p of the pixel.

    Args:
      logits: Unnormalised log-probabilities, `float[B, H, W, C]`.
      labels: Pseudo labels, `int[B, H, W]`; a label outside of 0 to C - 1 is none.
      thresholds: k, by which the labels were chosen, positive `f32[C]`.
      radius: Of the window, which is clipped at the image's border.
      own_weight: How much the pixel's own probability counts, 0 to 1.
      agreement: The score that a label needs.

    Returns:
      `int32[B, H, W]`: the labels, and where there was none the competitor of the higher score, 255
      if that is below `agreement` or nobody votes.

    References:
      Shin et al., Two-phase Pseudo Label Densification, ECCV 2020,
      https://arxiv.org/abs/2012.04828, voting-based densification. There is no public code; how a
      pixel's own probability and its neighbours' votes are weighed is ours.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32))
    is_label = labels[..., None] == jnp.arange(logits.shape[-1])
    votes = jnp.where(is_label, probabilities, 0.0)
    for axis in (-3, -2):
        votes = window_sum(votes, radius, votes.ndim + axis)
    total = jnp.sum(votes, axis=-1, keepdims=True)
    competes = votes >= jax.lax.top_k(votes, 2)[0][..., -1:]
    score = own_weight * jnp.minimum(probabilities / thresholds, 1.0)
    score += (1 - own_weight) * votes / jnp.where(total > 0, total, 1.0)
    score = jnp.where(competes & (votes > 0), score, -1.0)
    winner = jnp.argmax(score, axis=-1).astype(jnp.int32)
    voted = jnp.where(jnp.max(score, axis=-1) >= agreement, winner, _IGNORE_LABEL)
    return jnp.where(jnp.any(is_label, axis=-1), labels.astype(jnp.int32), voted)


def _check_shapes(confidence: jax.Array, prediction: jax.Array) -> None:
    if confidence.shape != prediction.shape:
        raise ValueError(
            f"confidence has shape {confidence.shape} and prediction {prediction.shape}; they must "
            "be equal"
        )
