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
    "ADVERSARIAL_OBJECTIVES",
    "adversarial",
    "bootstrapped_cross_entropy",
    "candidate_classes",
    "charbonnier_entropy",
    "classifier_discrepancy",
    "cross_entropy",
    "entropy",
    "image_wise_max_squares",
    "improbable_classes",
    "label_boundary",
    "local_consistency",
    "max_squares",
    "multi_label",
    "negative_learning",
    "phase_consistency",
    "pooled_logits",
    "prototypical_pixels",
    "soft_cross_entropy",
    "uniform_divergence",
]

ADVERSARIAL_OBJECTIVES = ("cross_entropy", "least_squares")
"""The objectives of `adversarial`."""

# Inside the logarithm of negative learning, as published.
_LOG_EPSILON = 1e-6
# Added to the squared entropy of the Charbonnier penalty, as published.
_CHARBONNIER_EPSILON = 1e-8
# Below the square of any amplitude of an image's spectrum that matters.
_AMPLITUDE_EPSILON = 1e-12


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


def soft_cross_entropy(logits: jax.Array, soft_labels: jax.Array) -> jax.Array:
    """Mean cross-entropy to soft labels, over the pixels that have any.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      soft_labels: The classes' shares of each pixel, non-negative `float[..., C]`; a pixel where
        all are 0 doesn't count.

    Returns:
      The mean of -sum y log p, `f32[]`; 0.0 where no pixel counts.

    Raises:
      ValueError: If the shapes differ.

    References:
      Zou et al., CRST, ICCV 2019, https://arxiv.org/abs/1908.09822, Eq. 3.
    """
    if logits.shape != soft_labels.shape:
        raise ValueError(
            f"logits has shape {logits.shape} and soft_labels {soft_labels.shape}; they have to "
            "agree"
        )
    soft_labels = soft_labels.astype(jnp.float32)
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    # A class without a share adds 0, also where a logit of -inf rules it out.
    logs = jnp.where(soft_labels > 0, log_probabilities, 0.0)
    losses = -jnp.sum(soft_labels * logs, axis=-1)
    return _masked_mean(losses, jnp.any(soft_labels > 0, axis=-1))


def bootstrapped_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, trust: float, ignore_label: int = 255
) -> jax.Array:
    """Mean cross-entropy to labels of which a share is replaced by the prediction itself.

    It is the soft bootstrapping for labels that may be wrong: trust * cross-entropy + (1 - trust) *
    entropy.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      labels: Classes, `int[...]`, see `cross_entropy`.
      trust: The labels' share, 0 to 1; 1 is `cross_entropy`.
      ignore_label: The label of unlabelled and void pixels.

    Returns:
      The mean over the labelled pixels, `f32[]`; 0.0 where no pixel counts.

    Raises:
      ValueError: If the shapes of `logits` and `labels` don't fit.

    References:
      Reed et al., Training Deep Neural Networks on Noisy Labels with Bootstrapping, ICLR 2015
      workshops, https://arxiv.org/abs/1412.6596, Eq. 6.
    """
    on_labels = cross_entropy(logits, labels, ignore_label=ignore_label)
    counted = _is_class(_widened(labels), logits.shape[-1], ignore_label)
    return trust * on_labels + (1 - trust) * _masked_mean(_entropies(logits), counted)


def uniform_divergence(logits: jax.Array, counted: jax.Array) -> jax.Array:
    """Mean cross-entropy of the predictions to the uniform distribution: keeps them smooth.

    It is their Kullback-Leibler divergence from it plus log C.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      counted: The pixels that count, `bool[...]`.

    Returns:
      The mean over the pixels that count of -sum log p / C, `f32[]`; 0.0 where none does.

    Raises:
      ValueError: If `counted` hasn't one value a pixel.

    References:
      Zou et al., CRST, ICCV 2019, https://arxiv.org/abs/1908.09822, Table 1 (MRKLD). IAST has it,
      too (Mei et al., ECCV 2020, https://arxiv.org/abs/2008.12197, Eq. 8).
    """
    counted = _as_counted(logits, counted)
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    return _masked_mean(-jnp.mean(log_probabilities, axis=-1), counted)


def adversarial(
    discriminator_logits: jax.Array,
    is_source: bool,
    *,
    objective: str = "cross_entropy",
    weights: jax.Array | None = None,
) -> jax.Array:
    """Mean binary cross-entropy of a domain discriminator, with logits, or its mean squared error.

    The discriminator minimises it with the true domain of its input; the segmentation model
    minimises it on target predictions with `is_source=True`.

    Args:
      discriminator_logits: Log-odds that the input is from the source, `float[...]`; with
        "least_squares" the discriminator's guess itself.
      is_source: A Python bool, the domain to compare with: 1 is source and 0 target.
      objective: "cross_entropy", or "least_squares": the mean of (guess - domain)^2.
      weights: What multiplies each element, `float[...]` of the same shape; None for 1 each. The
        mean is not divided by them.

    Returns:
      The mean over all elements, `f32[]`.

    Raises:
      ValueError: If there is no such objective, or the weights have another shape.

    References:
      Tsai et al., AdaptSegNet, CVPR 2018, https://arxiv.org/abs/1802.10349, Eq. 2 and 4; L_adv of
      LabOR's Eq. 1. The published code calls source 0 and target 1, which gives the same loss.
      Least squares: Mao et al., LSGAN, ICCV 2017, https://arxiv.org/abs/1611.04076, Eq. 2, without
      its factor 1/2, as in AdaptSegNet's code.
    """
    x = discriminator_logits.astype(jnp.float32)
    if objective == "cross_entropy":
        # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without overflow.
        values = jax.nn.softplus(-x if is_source else x)
    elif objective == "least_squares":
        values = jnp.square(x - (1.0 if is_source else 0.0))
    else:
        raise ValueError(
            f"objective is {objective!r}; choose one of: {', '.join(ADVERSARIAL_OBJECTIVES)}"
        )
    if weights is None:
        return _mean(values)
    if weights.shape != values.shape:
        raise ValueError(
            f"weights has shape {weights.shape} and discriminator_logits {values.shape}; they have "
            "to agree"
        )
    return _mean(weights * values)


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


def entropy(logits: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """Mean entropy of the predictions, normalised by log C.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      counted: The pixels that count, `bool[...]`; None for all.

    Returns:
      The mean over the pixels that count of -sum p log p / log C, `f32[]` in [0, 1]; 0.0 for a
      single class, and where no pixel counts.

    Raises:
      ValueError: If `counted` hasn't one value a pixel.

    References:
      Vu et al., ADVENT, CVPR 2019, https://arxiv.org/abs/1811.12833, Eq. 2 and 3 (MinEnt).
    """
    counted = _as_counted(logits, counted)
    # One class has no entropy, and log 1 = 0 nothing to divide by.
    return _mean_of(_entropies(logits), counted) / math.log(max(logits.shape[-1], 2))


def charbonnier_entropy(
    logits: jax.Array, counted: jax.Array | None = None, *, eta: float = 2.0
) -> jax.Array:
    """Mean robust penalty of the predictions' entropies h: (h^2 + 1e-8)^eta.

    With eta above 1/2 it penalises uncertain pixels more than `entropy` does, relative to those
    that are certain already.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      counted: The pixels that count, `bool[...]`; None for all.
      eta: The exponent, above 0.

    Returns:
      The mean over the pixels that count of (h^2 + 1e-8)^eta with h = -sum p log p / log C,
      `f32[]`; 0.0 where no pixel counts.

    Raises:
      ValueError: If `counted` hasn't one value a pixel.

    References:
      Yang and Soatto, FDA, CVPR 2020, https://arxiv.org/abs/2004.05498, Eq. 5: the Charbonnier
      penalty with eta 2; the 1e-8 is of its published code.
    """
    counted = _as_counted(logits, counted)
    normalised = _entropies(logits) / math.log(max(logits.shape[-1], 2))
    return _mean_of((jnp.square(normalised) + _CHARBONNIER_EPSILON) ** eta, counted)


def max_squares(logits: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """Negative mean of half the sum of squared probabilities.

    Unlike the entropy's, its gradient doesn't favour the pixels that are certain already.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      counted: The pixels that count, `bool[...]`; None for all.

    Returns:
      The mean over the pixels that count of -sum p^2 / 2, `f32[]` in [-1/2, -1/(2C)]; 0.0 where no
      pixel counts.

    Raises:
      ValueError: If `counted` hasn't one value a pixel.

    References:
      Chen et al., MaxSquare, ICCV 2019, https://arxiv.org/abs/1909.13589. The published code also
      averages over classes: 1/C of this.
    """
    counted = _as_counted(logits, counted)
    return -0.5 * _mean_of(jnp.sum(jnp.square(_softmax(logits)), axis=-1), counted)


def phase_consistency(images: jax.Array, references: jax.Array) -> jax.Array:
    """How far images' Fourier phases are from those of their references.

    Contrast, brightness and colour are in the amplitudes, and where things are is in the phases: an
    image whose phases stay shows the same scene.

    Args:
      images: `float[..., H, W, C]`.
      references: The same shape, such as the images that a translator has changed. Values from 0
        up, so that the mean's phase is that of a positive number.

    Returns:
      The mean over images, channels and frequencies of 1 - cos(difference of phases), weighted by
      the references' amplitudes, `f32[]` in [0, 2].

    Raises:
      ValueError: If the shapes differ.

    References:
      Yang et al., PCEDA, CVPR 2020, https://arxiv.org/abs/2004.04923, phase consistency loss. The
      weights are of its published code, which divides them by the largest, not by their sum.
    """
    if images.shape != references.shape:
        raise ValueError(
            f"images has shape {images.shape} and references {references.shape}; they have to agree"
        )
    spectra, expected = (
        jnp.fft.fft2(each.astype(jnp.float32), axes=(-3, -2)) for each in (images, references)
    )
    amplitudes, weights = (
        jnp.sqrt(jnp.square(each.real) + jnp.square(each.imag) + _AMPLITUDE_EPSILON)
        for each in (spectra, expected)
    )
    weights = jnp.where(expected == 0, 0.0, weights)
    products = spectra.real * expected.real + spectra.imag * expected.imag
    # weights * (1 - cos), in which the weight cancels against the reference's amplitude.
    total = jnp.sum(weights)
    return jnp.sum(weights - products / amplitudes) / jnp.where(total > 0, total, 1.0)


def image_wise_max_squares(
    logits: jax.Array, counted: jax.Array | None = None, *, exponent: float = 0.2
) -> jax.Array:
    """`max_squares` in which a class weighs less the more pixels of its image are predicted as it.

    A pixel predicted as class c weighs 1 / max(N_c^exponent N^(1 - exponent), 1), where N_c of its
    image's N pixels are predicted as c. So an image of a single class has the plain loss, and
    classes of an image differ by N_c^(1 - exponent) in what they add up to. The weights carry no
    gradient.

    Args:
      logits: Unnormalised log-probabilities, `float[..., H, W, C]`; weights are an image's own.
      counted: The pixels that count, `bool[..., H, W]`; None for all. The others are in no N.
      exponent: How strongly a class's size counts, 0 to 1; at 0 all pixels weigh 1 / N.

    Returns:
      The mean over the images with a pixel that counts of the weighted sum over these pixels of
      -sum p^2 / 2, `f32[]`; 0.0 where no pixel counts.

    Raises:
      ValueError: If `logits` has fewer than three dimensions, or `counted` hasn't one value a
        pixel.

    References:
      Chen et al., MaxSquare, ICCV 2019, https://arxiv.org/abs/1909.13589, image-wise weighting. The
      published code leaves the 1/2 out and averages over classes: 2/C of this.
    """
    if logits.ndim < 3:
        raise ValueError(f"logits has shape {logits.shape}; [..., H, W, C] is needed")
    counted = _as_counted(logits, counted)
    if counted is None:
        counted = jnp.ones(logits.shape[:-1], bool)
    num_classes = logits.shape[-1]
    is_predicted = jnp.argmax(logits, axis=-1)[..., None] == jnp.arange(num_classes)
    is_predicted &= counted[..., None]
    counts = jnp.sum(is_predicted, axis=(-3, -2), keepdims=True, dtype=jnp.float32)
    pixels = jnp.sum(counts, axis=-1, keepdims=True)
    weights = 1.0 / jnp.maximum(counts**exponent * pixels ** (1.0 - exponent), 1.0)
    weight = jnp.sum(jnp.where(is_predicted, weights, 0.0), axis=-1)
    squares = jnp.sum(jnp.square(_softmax(logits)), axis=-1)
    of_images = jnp.sum(weight * squares, axis=(-2, -1))
    return -0.5 * _masked_mean(of_images, jnp.any(counted, axis=(-2, -1)))


def pooled_logits(
    logits: jax.Array, counted: jax.Array | None = None, *, beta: float = 1.0
) -> jax.Array:
    """One logit for each class of an image: a smooth maximum of the class's logits.

    Args:
      logits: `float[..., H, W, C]`.
      counted: The pixels that count, `bool[..., H, W]`; None for all. If none of an image counts,
        all do.
      beta: How sharp the maximum is, above 0: near 0 the mean, at infinity the maximum.

    Returns:
      log(mean over pixels of exp(beta * logits)) / beta, `f32[..., C]`.

    Raises:
      ValueError: If `logits` has fewer than three dimensions or no pixel, if `counted` hasn't one
        value a pixel, or if `beta` isn't above 0.

    References:
      Paul et al., WDA, ECCV 2020, https://arxiv.org/abs/2007.15176, Eq. 1, inside the sigmoid.
    """
    if logits.ndim < 3 or 0 in logits.shape[-3:-1]:
        raise ValueError(
            f"logits has shape {logits.shape}; [..., H, W, C] with at least one pixel is needed"
        )
    if not beta > 0:
        raise ValueError(f"beta is {beta}; it has to be above 0")
    counted = _as_counted(logits, jnp.ones(logits.shape[:-1]) if counted is None else counted)
    counted |= ~jnp.any(counted, axis=(-2, -1), keepdims=True)
    scaled = jnp.where(counted[..., None], beta * logits.astype(jnp.float32), -jnp.inf)
    pixels = jnp.sum(counted, axis=(-2, -1), dtype=jnp.float32)
    # Of a class that is ruled out everywhere the sum's gradient would be 0 / 0.
    ruled_out = jnp.all(jnp.isneginf(scaled), axis=(-3, -2), keepdims=True)
    summed = jax.nn.logsumexp(jnp.where(ruled_out, 0.0, scaled), axis=(-3, -2))
    summed = jnp.where(ruled_out[..., 0, 0, :], -jnp.inf, summed)
    return (summed - jnp.log(pixels)[..., None]) / beta


def multi_label(logits: jax.Array, present: jax.Array) -> jax.Array:
    """Binary cross-entropy of image-level labels, with logits.

    Args:
      logits: A logit for each class, `float[..., C]`, such as `pooled_logits`.
      present: Whether the image holds the class, `bool[..., C]` or 0 and 1.

    Returns:
      The mean over images of the sum over classes, `f32[]`; 0.0 of no images.

    Raises:
      ValueError: If the shapes differ.

    References:
      Paul et al., WDA, ECCV 2020, https://arxiv.org/abs/2007.15176, Eq. 2.
    """
    if logits.shape != jnp.shape(present):
        raise ValueError(
            f"logits has shape {logits.shape} and present {jnp.shape(present)}; they have to agree"
        )
    logits = logits.astype(jnp.float32)
    # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without overflow.
    each = jax.nn.softplus(jnp.where(jnp.asarray(present, bool), -logits, logits))
    return _mean(jnp.sum(each, axis=-1))


def candidate_classes(
    logits: jax.Array, candidates: jax.Array, counted: jax.Array | None = None
) -> jax.Array:
    """Mean of -log of the probability that a pixel is of any of its candidate classes.

    Of a part that was answered by all the classes in it, each of its pixels has these as
    candidates. With one candidate it is the cross-entropy; with all classes it is 0.

    Args:
      logits: Unnormalised log-probabilities, `float[..., C]`.
      candidates: `bool[..., C]`; a pixel without candidates doesn't count.
      counted: The pixels that count, `bool[...]`; None for all.

    Returns:
      The mean over the pixels that count of -log sum p over the candidates, `f32[]`; 0.0 where none
      does.

    Raises:
      ValueError: If the shapes don't fit, or the candidates aren't bool.

    References:
      Hwang et al., MulActSeg, NeurIPS 2023, https://arxiv.org/abs/2309.09319, the merged positive
      loss. Its published code adds 1e-8 to the probability.
    """
    _check_candidates(logits, candidates)
    counted = _as_counted(logits, counted)
    some = jnp.any(candidates, axis=-1)
    counted = some if counted is None else some & counted
    # All classes where none counts: the logarithm of nothing has no gradient.
    members = candidates | ~counted[..., None]
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    losses = -jax.nn.logsumexp(jnp.where(members, log_probabilities, -jnp.inf), axis=-1)
    return _masked_mean(losses, counted)


def prototypical_pixels(
    logits: jax.Array, candidates: jax.Array, parts: jax.Array, *, bound: int
) -> jax.Array:
    """Mean of -log p of each candidate class at the pixel of its part that is most likely of it.

    A part that was answered by several classes holds a pixel of each of them.

    Args:
      logits: Unnormalised log-probabilities, `float[..., H, W, C]`.
      candidates: `bool[..., H, W, C]`, the candidate classes of each pixel, as a rule the same for
        all pixels of a part.
      parts: The number of each pixel's part, `int[..., H, W]`, below `bound` in each image; -1 for
        none.
      bound: Static, at least 1.

    Returns:
      The mean of -log p, `f32[]`, over all pairs of a part and a class that is a candidate of any
      of its pixels; p is the class's largest probability among these pixels. Only the first such
      pixel in row-major order gets a gradient. 0.0 where there are no pairs.

    Raises:
      ValueError: If the shapes don't fit, or the candidates aren't bool.

    References:
      Hwang et al., MulActSeg, NeurIPS 2023, https://arxiv.org/abs/2309.09319, the prototypical
      pixel loss. Its published code adds 1e-8 to the probability and 1 to the number of pairs.
    """
    _check_candidates(logits, candidates)
    if logits.ndim < 3 or parts.shape != logits.shape[:-1]:
        raise ValueError(
            f"parts has shape {parts.shape}; logits of shape {logits.shape} need one part a pixel "
            "of an image"
        )
    if not logits.size:
        return jnp.zeros(())
    num_classes = logits.shape[-1]
    pixels = logits.shape[-3] * logits.shape[-2]
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))

    def of_image(values, members, numbers):
        """The values f32[bound, C] at the prototypes, and where there is one."""
        numbers = jnp.where((numbers >= 0) & (numbers < bound), numbers, bound)
        fixed = jnp.where(members, jax.lax.stop_gradient(values), -jnp.inf)
        largest = jax.ops.segment_max(fixed, numbers, bound + 1)
        place = jnp.arange(pixels, dtype=jnp.int32)[:, None]
        is_largest = members & (fixed == largest[numbers])
        place = jnp.where(is_largest, place, pixels)
        prototypes = jax.ops.segment_min(place, numbers, bound + 1)[:bound]
        found = prototypes < pixels
        classes = jnp.arange(num_classes)
        return values[jnp.where(found, prototypes, 0), classes], found

    values, found = jax.vmap(of_image)(
        log_probabilities.reshape(-1, pixels, num_classes),
        candidates.reshape(-1, pixels, num_classes),
        parts.reshape(-1, pixels),
    )
    return _masked_mean(-values, found)


def _entropies(logits: jax.Array) -> jax.Array:
    """Each pixel's entropy in nats."""
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    probabilities = jnp.exp(log_probabilities)
    # A class that is ruled out, by a logit of -inf, adds 0.
    logs = jnp.where(probabilities > 0, log_probabilities, 0.0)
    return -jnp.sum(probabilities * logs, axis=-1)


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


def _mean_of(values: jax.Array, counted: jax.Array | None) -> jax.Array:
    """The mean where counted, which None is everywhere, `f32[]`; 0.0 of no values."""
    return _mean(values) if counted is None else _masked_mean(values, counted)


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
    if not values.size:
        return values
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


def _as_counted(logits: jax.Array, counted: jax.Array | None) -> jax.Array | None:
    """`counted` as bool; None stays None.

    Raises:
      ValueError: If it doesn't hold one value for each pixel of the logits.
    """
    if counted is None:
        return None
    if jnp.shape(counted) != logits.shape[:-1]:
        raise ValueError(
            f"counted has shape {jnp.shape(counted)}; logits of shape {logits.shape} need one "
            f"value a pixel: {logits.shape[:-1]}"
        )
    return jnp.asarray(counted, bool)


def _check_candidates(logits: jax.Array, candidates: jax.Array) -> None:
    if logits.shape != candidates.shape or candidates.dtype != jnp.bool_:
        raise ValueError(
            f"candidates is {candidates.dtype}{list(candidates.shape)}; logits of shape "
            f"{logits.shape} need bool of the same shape"
        )
