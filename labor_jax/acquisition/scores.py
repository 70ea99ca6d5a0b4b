"""Acquisition scores: how much the label of each pixel is worth, given logits.

A higher score means that the label is worth more. All functions are pure and safe under jit, vmap
and grad. They take any leading batch shape, and compute in float32 for logits of any float dtype.

References:
  RIPU: Xie et al., "Towards Fewer Annotations: Active Learning via Region Impurity and Prediction
    Uncertainty for Domain Adaptive Semantic Segmentation", CVPR 2022, arXiv 2111.12940.
  LabOR: Shin et al., "LabOR: Labeling Only if Required for Domain Adaptive Semantic Segmentation",
    ICCV 2021, arXiv 2108.05570.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from labor_jax.acquisition import loop_carry, window_reductions
from labor_jax.acquisition.argument_checks import check_class_maps, check_classes, check_natural

# Added inside the logarithms, as in RIPU's published code. It changes which pixels are asked: the
# impurity of a pure window is slightly below zero, so the least uncertain pure window wins.
EPSILON = 1e-6


@jax.jit
def softmax_entropy(logits: jax.Array) -> jax.Array:
    """Entropy of the predicted distribution, divided by its largest possible value.

    `-sum_c p_c log(p_c + 1e-6) / log C` (RIPU).

    Args:
      logits: f32[..., C], `C >= 2`.

    Returns:
      f32[...], between about -1e-6 and 1.

    Raises:
      ValueError: If there are fewer than two classes.
    """
    check_classes(logits)
    probabilities = jax.nn.softmax(logits.astype(jnp.float32))
    return _normalised_entropy(probabilities, logits.shape[-1])


@jax.jit
def least_confidence(logits: jax.Array) -> jax.Array:
    """One minus the largest probability.

    Args:
      logits: f32[..., C], `C >= 2`.

    Returns:
      f32[...] in [0, 1 - 1/C].

    Raises:
      ValueError: If there are fewer than two classes.
    """
    check_classes(logits)
    return 1.0 - jnp.max(jax.nn.softmax(logits.astype(jnp.float32)), axis=-1)


@jax.jit
def margin(logits: jax.Array) -> jax.Array:
    """One minus the difference of the two largest probabilities.

    Args:
      logits: f32[..., C], `C >= 2`.

    Returns:
      f32[...] in [0, 1].

    Raises:
      ValueError: If there are fewer than two classes.
    """
    check_classes(logits)
    first, second = _largest_two(jax.nn.softmax(logits.astype(jnp.float32)))
    return 1.0 - (first - second)


@functools.partial(jax.jit, static_argnames="temperature")
def best_versus_second(logits: jax.Array, temperature: float = 1.0) -> jax.Array:
    """The second largest probability divided by the largest, `p_2 / p_1`.

    Args:
      logits: f32[..., C], `C >= 2`.
      temperature: What the logits are divided by, static, above 0.

    Returns:
      f32[...] in [0, 1].

    Raises:
      ValueError: If there are fewer than two classes, or the temperature is not above 0.
    """
    check_classes(logits)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    first, second = _largest_two(logits.astype(jnp.float32))
    return jnp.exp((second - first) / temperature)


@functools.partial(jax.jit, static_argnames="temperature")
def pixbal(logits: jax.Array, shares: jax.Array, temperature: float = 0.1) -> jax.Array:
    """MulActSeg's PixBal: `best_versus_second`, less for pixels of classes that are frequent.

    It is multiplied by `(6 shares_c + 1)^-2` of the predicted class c.

    Args:
      logits: f32[..., C], `C >= 2`; ties in the prediction go to the lowest class.
      shares: f32[C], the classes' mean probabilities, such as in the pool.
      temperature: Static, above 0. MulActSeg's 0.1 is of a model whose logits are cosines and that
        is trained at it; of ordinary logits it takes `p_2 / p_1` to the tenth power.

    Returns:
      f32[...] in [0, 1].

    Raises:
      ValueError: If there are fewer than two classes, not a share of each, or the temperature is
        not above 0.

    References:
      Hwang et al., "Active Learning for Semantic Segmentation with Multi-class Label Query",
      NeurIPS 2023, https://arxiv.org/abs/2309.09319.
    """
    check_classes(logits)
    if shares.shape != logits.shape[-1:]:
        raise ValueError(
            f"shares must have shape {logits.shape[-1:]}, one of a class, got {shares.shape}"
        )
    weights = (6.0 * shares.astype(jnp.float32) + 1.0) ** -2
    return best_versus_second(logits, temperature) * weights[jnp.argmax(logits, axis=-1)]


@jax.jit
def prediction_change(first_logits: jax.Array, logits: jax.Array) -> jax.Array:
    """One minus the cosine of the angle between two predicted distributions.

    Args:
      first_logits: f32[..., C], `C >= 2`, such as of the model before the first round.
      logits: f32[..., C], the same shape.

    Returns:
      f32[...] in [0, 1].

    Raises:
      ValueError: If the shapes differ, or there are fewer than two classes.
    """
    _check_two(first_logits, logits)
    units = []
    for each in (first_logits, logits):
        probabilities = jax.nn.softmax(each.astype(jnp.float32))
        norm = jnp.sqrt(jnp.sum(jnp.square(probabilities), axis=-1, keepdims=True))
        units.append(probabilities / norm)
    # Half the squared distance of the unit vectors, which keeps the digits that 1 - cos would lose.
    return jnp.sum(jnp.square(units[0] - units[1]), axis=-1) / 2


@functools.partial(jax.jit, static_argnames="radius")
def halo(radii: jax.Array, logits: jax.Array, radius: int) -> jax.Array:
    """HALO's score: the hyperbolic radius times `prediction_uncertainty`.

    Both are first scaled to 0 to 1 within the image: (s - min s) / (max s - min s), 0 where all are
    equal. A NaN stays one, and leaves the other pixels as they are. At the image's border the
    uncertainty is the mean over the window's pixels inside; HALO's code divides by those outside
    too, so that pixels there score lower.

    Args:
      radii: f32[..., H, W], such as `models.Hyperbolic` gives them.
      logits: f32[..., H, W, C], `C >= 2`.
      radius: Radius of the uncertainty's window in pixels, a static int >= 0; HALO's is 1.

    Returns:
      f32[..., H, W] in [0, 1].

    Raises:
      ValueError: If the shapes don't fit, there are fewer than two classes, or the radius is
        negative.
      TypeError: If the radius is not an integer.

    References:
      Franco et al., "Hyperbolic Active Learning for Semantic Segmentation under Domain Shift", ICML
      2024, https://arxiv.org/abs/2306.11180.
    """
    if radii.shape != logits.shape[:-1]:
        raise ValueError(
            f"radii has shape {radii.shape}; logits of shape {logits.shape} need one a pixel"
        )

    def scaled(score):
        if not score.size:
            return score
        least = jnp.nanmin(score, axis=(-2, -1), keepdims=True)
        span = jnp.nanmax(score, axis=(-2, -1), keepdims=True) - least
        return (score - least) / jnp.where(span > 0, span, 1.0)

    uncertainty = prediction_uncertainty(logits, radius)
    return scaled(radii.astype(jnp.float32)) * scaled(uncertainty)


@jax.jit
def bald(logit_samples: jax.Array) -> jax.Array:
    """BALD: the mutual information of prediction and model, from samples of the model.

    `H(mean_s p_s) - mean_s H(p_s)` in nats: large where the samples are certain, but of different
    classes.

    Args:
      logit_samples: f32[S, ..., C], `S >= 1`, `C >= 2`, such as of passes with dropout.

    Returns:
      f32[...], at least 0.

    Raises:
      ValueError: If there are no samples, or fewer than two classes.

    References:
      Houlsby et al., arXiv 1112.5745; with dropout: Gal, Islam and Ghahramani, ICML 2017,
      https://arxiv.org/abs/1703.02910, Eq. 3.
    """
    check_classes(logit_samples)
    if logit_samples.ndim < 2 or not logit_samples.shape[0]:
        raise ValueError(f"logit_samples must be f32[S, ..., C], got shape {logit_samples.shape}")
    num_samples = logit_samples.shape[0]

    # Sample by sample, so that the probabilities of all are never in memory.
    def add(totals, logits):
        probabilities = jax.nn.softmax(logits.astype(jnp.float32))
        return (totals[0] + probabilities, totals[1] + entropy_in_nats(probabilities)), None

    shape = logit_samples.shape[1:]
    zeros = (jnp.zeros(each, jnp.float32) for each in (shape, shape[:-1]))
    zeros = tuple(loop_carry.initial_carry(each, logit_samples) for each in zeros)
    (probabilities, entropies), _ = lax.scan(add, zeros, logit_samples)
    of_mean = entropy_in_nats(probabilities / num_samples)
    # Rounding can make the difference of two nearly equal numbers slightly negative.
    return jnp.maximum(of_mean - entropies / num_samples, 0.0)


@functools.partial(jax.jit, static_argnames="radius")
def region_impurity(logits: jax.Array, radius: int) -> jax.Array:
    """Entropy of the predicted classes in the window around each pixel.

    `-sum_c d_c log(d_c + 1e-6) / log C` (RIPU), where `d_c` is the share of pixels predicted as
    class c in the `(2 * radius + 1)^2` window, clipped to the image. Pixels are counted as
    integers, so the shares are exact. The score is piecewise constant: its gradient is zero.

    Args:
      logits: f32[..., H, W, C], `C >= 2`; ties in the prediction go to the lowest class.
      radius: Window radius in pixels, a static int >= 0.

    Returns:
      f32[..., H, W], between about -1e-6 and 1.

    Raises:
      ValueError: If there are fewer than two classes or three axes, or the radius is negative.
      TypeError: If the radius is not an integer.
    """
    radius = _check_window(logits, radius)
    num_classes = logits.shape[-1]
    *batch, height, width = logits.shape[:-1]
    if not height * width:
        return jnp.zeros(logits.shape[:-1], jnp.float32)
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32).reshape(-1, height, width)
    # One image at a time, so that the memory does not grow with the batch.
    impurity = lax.map(lambda image: _label_impurity(image, num_classes, radius), labels)
    return impurity.reshape(*batch, height, width)


@functools.partial(jax.jit, static_argnames="radius")
def prediction_uncertainty(logits: jax.Array, radius: int) -> jax.Array:
    """Mean `softmax_entropy` in the window around each pixel, clipped to the image (RIPU).

    Args:
      logits: f32[..., H, W, C], `C >= 2`.
      radius: Window radius in pixels, a static int >= 0.

    Returns:
      f32[..., H, W], between about -1e-6 and 1.

    Raises:
      ValueError: If there are fewer than two classes or three axes, or the radius is negative.
      TypeError: If the radius is not an integer.
    """
    radius = _check_window(logits, radius)
    return window_reductions.window_mean(softmax_entropy(logits), radius)


@functools.partial(jax.jit, static_argnames="radius")
def ripu(logits: jax.Array, radius: int) -> jax.Array:
    """Region impurity times prediction uncertainty: RIPU's acquisition function.

    Args:
      logits: f32[..., H, W, C], `C >= 2`.
      radius: Window radius in pixels, a static int >= 0.

    Returns:
      f32[..., H, W].

    Raises:
      ValueError: If there are fewer than two classes or three axes, or the radius is negative.
      TypeError: If the radius is not an integer.
    """
    return region_impurity(logits, radius) * prediction_uncertainty(logits, radius)


@jax.jit
def inconsistency_mask(logits_a: jax.Array, logits_b: jax.Array) -> jax.Array:
    """Marks the pixels where two heads predict different classes; LabOR Eq. 2.

    Args:
      logits_a: f32[..., C] of one head, `C >= 2`.
      logits_b: f32[..., C] of the other head, same shape.

    Returns:
      bool[...]. Ties in a prediction go to the lowest class.

    Raises:
      ValueError: If the shapes differ, or there are fewer than two classes.
    """
    _check_two(logits_a, logits_b)
    return jnp.argmax(logits_a, axis=-1) != jnp.argmax(logits_b, axis=-1)


@jax.jit
def discrepancy_map(logits_a: jax.Array, logits_b: jax.Array) -> jax.Array:
    """L1 distance of two heads' predicted distributions at each pixel; LabOR Eq. 4 without mean.

    `sum_c |softmax(a)_c - softmax(b)_c|`.

    Args:
      logits_a: f32[..., C] of one head, `C >= 2`.
      logits_b: f32[..., C] of the other head, same shape.

    Returns:
      f32[...] in [0, 2].

    Raises:
      ValueError: If the shapes differ, or there are fewer than two classes.
    """
    _check_two(logits_a, logits_b)
    difference = jax.nn.softmax(logits_a.astype(jnp.float32)) - jax.nn.softmax(
        logits_b.astype(jnp.float32)
    )
    return jnp.sum(jnp.abs(difference), axis=-1)


def random_score(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform noise. Selecting by it draws pixels at random, without replacement.

    Args:
      key: A `jax.random` key.
      shape: Shape of the score, such as `(B, H, W)`.

    Returns:
      f32[shape] in [0, 1).
    """
    return jax.random.uniform(key, shape, jnp.float32)


def entropy_in_nats(probabilities: jax.Array) -> jax.Array:
    """`-sum_c p_c log p_c`, f32[..., C] to f32[...]; a class of probability 0 adds 0.

    Its gradient is 0 there as well. That of `jax.scipy.special.xlogy` is NaN.
    """
    logs = jnp.log(jnp.where(probabilities > 0, probabilities, 1.0))
    return -jnp.sum(probabilities * logs, axis=-1)


def _largest_two(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest and the second largest value along the last axis."""
    best = jnp.argmax(values, axis=-1, keepdims=True)
    is_best = lax.broadcasted_iota(best.dtype, values.shape, values.ndim - 1) == best
    first = jnp.sum(jnp.where(is_best, values, 0.0), axis=-1)
    return first, jnp.max(jnp.where(is_best, -jnp.inf, values), axis=-1)


def _normalised_entropy(probabilities: jax.Array, num_classes: int) -> jax.Array:
    terms = probabilities * jnp.log(probabilities + EPSILON)
    return -jnp.sum(terms, axis=-1) / math.log(num_classes)


def _label_impurity(labels: jax.Array, num_classes: int, radius: int) -> jax.Array:
    """`region_impurity` of one label map, i32[H, W] to f32[H, W]."""
    height, width = labels.shape
    area = window_reductions.window_area(height, width, radius)
    largest_count = min(2 * radius + 1, height) * min(2 * radius + 1, width)
    # Two classes share an integer if 16 bits can hold the pixels of a full window.
    fields = 2 if largest_count < 2**16 else 1
    bits = 32 // fields

    def add_classes(word: jax.Array, total: jax.Array) -> jax.Array:
        field = labels - word * fields
        one = jnp.left_shift(jnp.uint32(1), (field * bits).astype(jnp.uint32))
        packed = jnp.where((field >= 0) & (field < fields), one, jnp.uint32(0))
        counts = window_reductions.column_window_sum(
            window_reductions.window_sum(packed, radius, 1), radius
        )
        for index in range(fields):
            count = (counts >> (index * bits)) & jnp.uint32(2**bits - 1)
            share = count.astype(jnp.float32) / area
            total = total - share * jnp.log(share + EPSILON)
        return total

    words = -(-num_classes // fields)
    total = loop_carry.initial_carry(jnp.zeros((height, width), jnp.float32), labels)
    total = lax.fori_loop(0, words, add_classes, total)
    return total / math.log(num_classes)


def _check_window(logits: jax.Array, radius: int) -> int:
    check_class_maps(logits)
    return check_natural("radius", radius)


def _check_two(logits_a: jax.Array, logits_b: jax.Array) -> None:
    check_classes(logits_a)
    check_classes(logits_b)
    if logits_a.shape != logits_b.shape:
        raise ValueError(
            "the logits of the two heads must have one shape, "
            f"got {logits_a.shape} and {logits_b.shape}"
        )
