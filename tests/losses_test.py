"""Each loss against a float64 twin that loops over pixels, and what all of them promise."""

import math
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import losses

BATCH_SHAPES = [(), pytest.param((2,), marks=pytest.mark.slow), (2, 3)]


def softmax_twin(logits):
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def pixels(array):
    return np.ndindex(*array.shape)


def cross_entropy_twin(logits, labels, class_weights=None, ignore_label=255):
    logits = np.asarray(logits, np.float64)
    num_classes = logits.shape[-1]
    total = weight = 0.0
    for pixel in pixels(labels):
        label = int(labels[pixel])
        if label == ignore_label or not 0 <= label < num_classes:
            continue
        largest = logits[pixel].max()
        log_sum = largest + math.log(np.exp(logits[pixel] - largest).sum())
        w = 1.0 if class_weights is None else float(class_weights[label])
        total += w * (log_sum - logits[pixel][label])
        weight += w
    return total / weight if weight else 0.0


def adversarial_twin(discriminator_logits, is_source):
    terms = []
    for logit in np.asarray(discriminator_logits, np.float64).ravel():
        x = -logit if is_source else logit
        terms.append(max(x, 0.0) + math.log1p(math.exp(-abs(x))))
    return np.mean(terms)


def least_squares_twin(guesses, is_source):
    return np.mean([(x - is_source) ** 2 for x in np.asarray(guesses, np.float64).ravel()])


def classifier_discrepancy_twin(logits_a, logits_b):
    return np.abs(softmax_twin(logits_a) - softmax_twin(logits_b)).sum(-1).mean()


def negative_learning_twin(logits, threshold=0.05):
    terms = [-math.log(1 - p + 1e-6) for p in softmax_twin(logits).ravel() if p < threshold]
    return np.mean(terms) if terms else 0.0


def local_consistency_twin(logits, labels, ignore_label=255):
    probabilities = softmax_twin(logits)
    height, width = labels.shape[-2:]
    terms = []
    for *image, row, column in pixels(labels):
        image = tuple(image)
        label = int(labels[(*image, row, column)])
        around = [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        inside = [(y, x) for y, x in around if 0 <= y < height and 0 <= x < width]
        on_boundary = any(int(labels[(*image, y, x)]) != label for y, x in inside)
        if label == ignore_label or not 0 <= label < probabilities.shape[-1] or not on_boundary:
            continue
        clamped = [(np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)) for y, x in around]
        mean = np.mean([probabilities[(*image, y, x)] for y, x in clamped], axis=0)
        terms.append(np.abs(probabilities[(*image, row, column)] - mean).sum())
    return np.mean(terms) if terms else 0.0


def entropy_twin(logits):
    probabilities = softmax_twin(logits)
    terms = probabilities * np.log(np.maximum(probabilities, 1e-300))
    return -terms.sum(-1).mean() / math.log(logits.shape[-1])


def charbonnier_entropy_twin(logits, eta=2.0):
    flat = softmax_twin(logits).reshape(-1, np.shape(logits)[-1])
    entropies = [-sum(p * math.log(max(p, 1e-300)) for p in row) for row in flat]
    return np.mean([((h / math.log(flat.shape[1])) ** 2 + 1e-8) ** eta for h in entropies])


def phase_consistency_twin(images, references):
    """Of the whole batch, frequency by frequency, from the phases themselves."""
    spectra = [np.fft.fft2(np.asarray(x, np.float64), axes=(-3, -2)) for x in (images, references)]
    total = weights = 0.0
    for a, b in zip(*(x.ravel() for x in spectra), strict=True):
        total += abs(b) * (1 - math.cos(np.angle(a) - np.angle(b)))
        weights += abs(b)
    return total / weights


def max_squares_twin(logits):
    return -0.5 * (softmax_twin(logits) ** 2).sum(-1).mean()


def is_class(labels, num_classes):
    return (labels >= 0) & (labels < num_classes)


def soft(labels, num_classes):
    """Soft labels f32[..., C], all 0 where there is no label."""
    shares = np.linspace(1.0, 3.0, num_classes, dtype=np.float32) + 5 * np.eye(
        num_classes, dtype=np.float32
    )
    shares /= shares.sum(1, keepdims=True)
    valid = is_class(labels, num_classes)
    return jnp.where(valid[..., None], jnp.asarray(shares)[jnp.where(valid, labels, 0)], 0.0)


def soft_cross_entropy_twin(logits, labels):
    terms = []
    for pixel in pixels(labels):
        shares = np.asarray(soft(labels[pixel], logits.shape[-1]), np.float64)
        if shares.any():
            terms.append(shares @ -log_softmax_twin(logits[pixel]))
    return np.mean(terms) if terms else 0.0


def log_softmax_twin(logits):
    logits = np.asarray(logits, np.float64)
    largest = logits.max(-1, keepdims=True)
    return logits - largest - np.log(np.exp(logits - largest).sum(-1, keepdims=True))


def mean_over_labelled(values, labels, num_classes):
    counted = is_class(labels, num_classes)
    return values[counted].mean() if counted.any() else 0.0


def nats(logits):
    return -(softmax_twin(logits) * log_softmax_twin(logits)).sum(-1)


def bootstrapped_twin(logits, labels, trust):
    own = mean_over_labelled(nats(logits), labels, logits.shape[-1])
    return trust * cross_entropy_twin(logits, labels) + (1 - trust) * own


def uniform_divergence_twin(logits, labels):
    return mean_over_labelled(-log_softmax_twin(logits).mean(-1), labels, logits.shape[-1])


def labelled_entropy_twin(logits, labels):
    num_classes = logits.shape[-1]
    return mean_over_labelled(nats(logits), labels, num_classes) / math.log(num_classes)


def labelled_charbonnier_twin(logits, labels):
    num_classes = logits.shape[-1]
    values = ((nats(logits) / math.log(num_classes)) ** 2 + 1e-8) ** 2
    return mean_over_labelled(values, labels, num_classes)


def labelled_max_squares_twin(logits, labels):
    squares = (softmax_twin(logits) ** 2).sum(-1)
    return -0.5 * mean_over_labelled(squares, labels, logits.shape[-1])


def image_wise_max_squares_twin(logits, labels=None, exponent=0.2):
    probabilities, num_classes = softmax_twin(logits), logits.shape[-1]
    labels = np.zeros(logits.shape[:-1]) if labels is None else labels
    totals = []
    for image in np.ndindex(*logits.shape[:-3]):
        counted = is_class(labels[image], num_classes)
        if not counted.any():
            continue
        predicted = np.where(counted, np.asarray(logits[image]).argmax(-1), -1)
        total = 0.0
        for c in range(num_classes):
            n_c = (predicted == c).sum()
            weight = 1 / max(n_c**exponent * counted.sum() ** (1 - exponent), 1)
            total += weight * (probabilities[image][predicted == c] ** 2).sum()
        totals.append(-total / 2)
    return np.mean(totals) if totals else 0.0


def pooled_logits_twin(logits, beta=1.0):
    logits = np.asarray(logits, np.float64)
    return np.log(np.exp(beta * logits).mean((-3, -2))) / beta


def multi_label_twin(logits, present):
    total = 0.0
    for image in np.ndindex(*present.shape[:-1]):
        for x, y in zip(np.asarray(logits[image], np.float64), present[image], strict=True):
            p = 1 / (1 + math.exp(-x))
            total -= math.log(p if y else 1 - p)
    return total / math.prod(present.shape[:-1])


def candidates_of(labels, num_classes):
    """A pixel's class and the one below it; of some pixels nothing."""
    labels = np.asarray(labels)[..., None]
    classes = np.arange(num_classes)
    return (labels == classes) | (labels == (classes + 1) % num_classes)


def candidates_in_jax(labels, num_classes):
    labels, classes = jnp.asarray(labels)[..., None], jnp.arange(num_classes)
    return (labels == classes) | (labels == (classes + 1) % num_classes)


def parts_in_jax(labels):
    labels = jnp.asarray(labels)
    rows = jnp.arange(labels.shape[-2])[:, None] // 2
    return jnp.where(labels < 0, -1, rows)


def candidate_classes_twin(logits, labels):
    log_p = log_softmax_twin(logits)
    members = candidates_of(labels, log_p.shape[-1])
    terms = [
        -np.logaddexp.reduce(log_p[pixel][members[pixel]])
        for pixel in pixels(labels)
        if members[pixel].any() and labels[pixel] % 3 != 1
    ]
    return np.mean(terms) if terms else 0.0


def parts_of(labels):
    """Rows in pairs; pixels of a negative label are in no part."""
    rows = np.broadcast_to(np.arange(labels.shape[-2])[:, None] // 2, labels.shape)
    return np.where(np.asarray(labels) < 0, -1, rows).astype(np.int32)


def prototypical_pixels_twin(logits, labels):
    log_p = log_softmax_twin(logits)
    members, parts = candidates_of(labels, log_p.shape[-1]), parts_of(labels)
    largest = {}
    for pixel in pixels(labels):
        for c in range(log_p.shape[-1]):
            if members[pixel][c] and parts[pixel] >= 0:
                key = (*pixel[:-2], parts[pixel], c)
                largest[key] = max(largest.get(key, -np.inf), log_p[pixel][c])
    return -np.mean(list(largest.values())) if largest else 0.0


# Each loss as a function of (logits, labels), so that one test can go through all of them.
LOSSES = {
    "cross_entropy": (losses.cross_entropy, cross_entropy_twin),
    "cross_entropy_weighted": (
        lambda z, y: losses.cross_entropy(z, y, class_weights=jnp.arange(1.0, 1 + z.shape[-1])),
        lambda z, y: cross_entropy_twin(z, y, class_weights=np.arange(1.0, 1 + z.shape[-1])),
    ),
    "adversarial_source": (
        lambda z, y: losses.adversarial(z, is_source=True),
        lambda z, y: adversarial_twin(z, True),
    ),
    "adversarial_target": (
        lambda z, y: losses.adversarial(z, is_source=False),
        lambda z, y: adversarial_twin(z, False),
    ),
    "least_squares_source": (
        lambda z, y: losses.adversarial(z, is_source=True, objective="least_squares"),
        lambda z, y: least_squares_twin(z, True),
    ),
    "least_squares_target": (
        lambda z, y: losses.adversarial(z, is_source=False, objective="least_squares"),
        lambda z, y: least_squares_twin(z, False),
    ),
    "classifier_discrepancy": (
        lambda z, y: losses.classifier_discrepancy(z, z[..., ::-1]),
        lambda z, y: classifier_discrepancy_twin(z, z[..., ::-1]),
    ),
    "negative_learning": (
        lambda z, y: losses.negative_learning(z),
        lambda z, y: negative_learning_twin(z),
    ),
    "local_consistency": (losses.local_consistency, local_consistency_twin),
    "entropy": (lambda z, y: losses.entropy(z), lambda z, y: entropy_twin(z)),
    "labelled_entropy": (
        lambda z, y: losses.entropy(z, is_class(y, z.shape[-1])),
        labelled_entropy_twin,
    ),
    "charbonnier_entropy": (
        lambda z, y: losses.charbonnier_entropy(z),
        lambda z, y: charbonnier_entropy_twin(z),
    ),
    "labelled_charbonnier": (
        lambda z, y: losses.charbonnier_entropy(z, is_class(y, z.shape[-1])),
        labelled_charbonnier_twin,
    ),
    "max_squares": (lambda z, y: losses.max_squares(z), lambda z, y: max_squares_twin(z)),
    "labelled_max_squares": (
        lambda z, y: losses.max_squares(z, is_class(y, z.shape[-1])),
        labelled_max_squares_twin,
    ),
    "soft_cross_entropy": (
        lambda z, y: losses.soft_cross_entropy(z, soft(y, z.shape[-1])),
        soft_cross_entropy_twin,
    ),
    "bootstrapped_cross_entropy": (
        lambda z, y: losses.bootstrapped_cross_entropy(z, y, trust=0.7),
        lambda z, y: bootstrapped_twin(z, y, 0.7),
    ),
    "uniform_divergence": (
        lambda z, y: losses.uniform_divergence(z, is_class(y, z.shape[-1])),
        uniform_divergence_twin,
    ),
    "image_wise_max_squares": (
        lambda z, y: losses.image_wise_max_squares(z),
        lambda z, y: image_wise_max_squares_twin(z),
    ),
    "labelled_image_wise_max_squares": (
        lambda z, y: losses.image_wise_max_squares(z, is_class(y, z.shape[-1])),
        image_wise_max_squares_twin,
    ),
    "candidate_classes": (
        lambda z, y: losses.candidate_classes(
            z, candidates_in_jax(y, z.shape[-1]), jnp.asarray(y) % 3 != 1
        ),
        candidate_classes_twin,
    ),
    "prototypical_pixels": (
        lambda z, y: losses.prototypical_pixels(
            z, candidates_in_jax(y, z.shape[-1]), parts_in_jax(y), bound=4
        ),
        prototypical_pixels_twin,
    ),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def scene(seed, batch=(2,), height=6, width=5, num_classes=4, scale=3.0):
    """Random logits, and labels with ties, lumps, void and values that are no class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (*batch, height, width, num_classes)).astype(np.float32)
    values = [*range(num_classes), 255, 255, num_classes, -1]
    labels = rng.choice(values, (*batch, -(-height // 2), -(-width // 2)))
    labels = labels.repeat(2, -2).repeat(2, -1)[..., :height, :width]
    return logits, labels.astype(np.int32)


@every_loss
@pytest.mark.parametrize("batch", BATCH_SHAPES)
def test_equals_twin_eagerly_and_compiled(name, batch):
    loss, twin = LOSSES[name]
    logits, labels = scene(seed=len(batch), batch=batch)
    expected = twin(logits, labels)
    for value in (loss(logits, labels), jax.jit(loss)(logits, labels)):
        assert value.shape == () and value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-6)


@every_loss
def test_vmap_is_a_loss_per_image(name):
    loss, twin = LOSSES[name]
    logits, labels = scene(seed=7, batch=(3,))
    expected = [twin(z, y) for z, y in zip(logits, labels, strict=True)]
    values = jax.jit(jax.vmap(loss))(logits, labels)
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=1e-6)


@every_loss
def test_gradient_is_the_twins_finite_difference(name):
    loss, twin = LOSSES[name]
    # Small logits: no probability comes near negative learning's threshold, nor crosses it.
    logits, labels = scene(seed=3, batch=(), height=4, width=4, scale=0.5)
    if name == "negative_learning":
        logits[..., 0] -= 6.0
    gradient = jax.jit(jax.grad(loss))(logits, labels)
    rng = np.random.default_rng(0)
    for _ in range(3):
        direction = rng.normal(size=logits.shape)
        step = 1e-6
        logits64 = logits.astype(np.float64)
        above = twin(logits64 + step * direction, labels)
        below = twin(logits64 - step * direction, labels)
        slope = np.sum(np.asarray(gradient, np.float64) * direction)
        np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=1e-3, atol=1e-5)


@every_loss
def test_computes_in_float32_from_bfloat16(name):
    loss, twin = LOSSES[name]
    logits, labels = scene(seed=5)
    logits = jnp.asarray(logits, jnp.bfloat16)
    value, gradient = jax.jit(jax.value_and_grad(loss))(logits, labels)
    assert value.dtype == jnp.float32 and gradient.dtype == jnp.bfloat16
    rounded = np.asarray(logits, np.float32)
    np.testing.assert_allclose(value, twin(rounded, labels), rtol=2e-5, atol=1e-6)


@every_loss
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_stay_finite(name, size):
    loss, twin = LOSSES[name]
    logits, labels = scene(seed=11)
    logits = np.where(logits > 0, np.float32(size), np.float32(-size))
    value, gradient = jax.value_and_grad(loss)(logits, labels)
    np.testing.assert_allclose(value, twin(logits, labels), rtol=2e-5, atol=2e-6)
    assert np.isfinite(gradient).all()


def nothing_counts():
    logits, _ = scene(seed=13)
    shape = logits.shape[:-1]
    uniform = np.zeros_like(logits)
    empty = np.zeros((0, 6, 5, 4), np.float32)
    no_labels = np.zeros((0, 6, 5), np.int32)
    weights = np.array([0.0, 1.0, 1.0, 1.0], np.float32)
    yield "void", lambda z: losses.cross_entropy(z, np.full(shape, 255, np.int32)), logits
    yield "no class", lambda z: losses.cross_entropy(z, np.full(shape, 4, np.int32)), logits
    yield "negative", lambda z: losses.cross_entropy(z, np.full(shape, -7, np.int32)), logits
    yield (
        "weightless",
        lambda z: losses.cross_entropy(z, np.zeros(shape, np.int32), class_weights=weights),
        logits,
    )
    yield "all void", lambda z: losses.local_consistency(z, np.full(shape, 255, np.int32)), logits
    yield "no boundary", lambda z: losses.local_consistency(z, np.ones(shape, np.int32)), logits
    yield "all probable", losses.negative_learning, uniform
    yield "no soft label", lambda z: losses.soft_cross_entropy(z, uniform), logits
    yield "none counted", lambda z: losses.uniform_divergence(z, np.zeros(shape, bool)), logits
    for loss in (
        losses.entropy,
        losses.charbonnier_entropy,
        losses.max_squares,
        losses.image_wise_max_squares,
    ):
        yield f"no {loss.__name__}", lambda z, of=loss: of(z, np.zeros(shape, bool)), logits
    none = np.zeros(logits.shape, bool)
    parts = np.zeros(shape, np.int32)
    yield "no candidates", lambda z: losses.candidate_classes(z, none), logits
    yield "uncounted", lambda z: losses.candidate_classes(z, ~none, np.zeros(shape, bool)), logits
    yield "no pairs", lambda z: losses.prototypical_pixels(z, none, parts, bound=1), logits
    yield "no parts", lambda z: losses.prototypical_pixels(z, ~none, parts - 1, bound=1), logits
    yield (
        "void bootstrapped",
        lambda z: losses.bootstrapped_cross_entropy(z, np.full(shape, 255, np.int32), trust=0.9),
        logits,
    )
    yield "empty cross-entropy", lambda z: losses.cross_entropy(z, no_labels), empty
    yield "empty consistency", lambda z: losses.local_consistency(z, no_labels), empty
    yield "empty negative", losses.negative_learning, empty
    yield "empty entropy", losses.entropy, empty
    yield "empty Charbonnier", losses.charbonnier_entropy, empty
    yield "empty squares", losses.max_squares, empty
    yield "empty phases", lambda z: losses.phase_consistency(z, z + 1), empty
    yield "empty image-wise squares", losses.image_wise_max_squares, empty
    yield "empty discrepancy", lambda z: losses.classifier_discrepancy(z, z + 1), empty
    without_pixels = np.zeros((2, 0, 5, 4), np.float32)
    yield (
        "empty pairs",
        lambda z: losses.prototypical_pixels(
            z, np.zeros(z.shape, bool), np.zeros(z.shape[:-1], np.int32), bound=1
        ),
        without_pixels,
    )
    yield "empty adversarial", lambda z: losses.adversarial(z, True), empty


@pytest.mark.parametrize("loss, logits", [pytest.param(f, z, id=n) for n, f, z in nothing_counts()])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_exactly_zero_where_nothing_counts(loss, logits, scale):
    value, gradient = jax.jit(jax.value_and_grad(loss))(logits * scale)
    assert float(value) == 0.0
    assert not np.any(np.asarray(gradient)), gradient


# Few shapes, so that few programs are compiled; many contents.
shapes = st.sampled_from([(1, 1, 1), (2, 3, 4)])
compiled = {name: jax.jit(loss) for name, (loss, _) in LOSSES.items()}


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    shape=shapes,
    seed=st.integers(0, 10**6),
    levels=st.integers(1, 3),
)
def test_any_shape_with_ties_equals_twin(shape, seed, levels):
    num_classes = 4
    rng = np.random.default_rng(seed)
    logits = rng.integers(-levels, levels, (*shape, num_classes), endpoint=True) * 2.0
    labels = rng.choice([*range(num_classes), 255, -1, num_classes], shape).astype(np.int32)
    for name, (_, twin) in LOSSES.items():
        value = compiled[name](logits.astype(np.float32), labels)
        np.testing.assert_allclose(value, twin(logits, labels), rtol=5e-5, atol=2e-6, err_msg=name)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(st.integers(0, 10**6))
def test_labels_that_are_no_class_change_nothing(seed):
    rng = np.random.default_rng(seed)
    logits, labels = scene(seed)
    void = np.where((labels < 0) | (labels >= 4), 255, labels)
    other = np.where(void == 255, rng.choice([-5, 4, 100, 255], labels.shape), labels)
    assert losses.cross_entropy(logits, void) == losses.cross_entropy(logits, other)
    poisoned = np.where((void == 255)[..., None], rng.normal(0, 50, logits.shape), logits)
    assert losses.cross_entropy(poisoned, void) == losses.cross_entropy(logits, void)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.uint32])
def test_any_integer_type_of_labels(dtype):
    logits, labels = scene(seed=17)
    labels = np.where((labels < 0) | (labels >= 4), 100, labels)
    for loss in (losses.cross_entropy, losses.local_consistency):
        expected = loss(logits, labels, ignore_label=100)
        assert loss(logits, labels.astype(dtype), ignore_label=100) == expected


def test_more_classes_than_a_uint8_can_number():
    logits = np.random.default_rng(0).normal(size=(2, 3, 300)).astype(np.float32)
    labels = np.array([[0, 43, 44], [254, 255, 7]], np.uint8)
    value = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(value, cross_entropy_twin(logits, labels), rtol=1e-5)


def test_ignore_label_may_be_a_class():
    logits, labels = scene(seed=19)
    for loss, twin in (LOSSES["cross_entropy"], LOSSES["local_consistency"]):
        value = loss(logits, labels, ignore_label=0)
        np.testing.assert_allclose(value, twin(logits, labels, ignore_label=0), rtol=2e-5)


def test_pixel_weights_leave_the_divisor():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    labels = rng.integers(0, 5, (2, 3, 4))
    labels[0, 0] = 255
    weights = rng.random((2, 3, 4)).astype(np.float32)
    total = sum(
        weights[place] * cross_entropy_twin(logits[place][None], labels[place][None])
        for place in pixels(labels)
    )
    value = losses.cross_entropy(logits, labels, pixel_weights=weights)
    np.testing.assert_allclose(value, total / (labels != 255).sum(), rtol=1e-5)
    half = losses.cross_entropy(logits, labels, pixel_weights=0.5 * weights)
    np.testing.assert_allclose(half, value / 2, rtol=1e-5)
    plain = losses.cross_entropy(logits, labels)
    ones = losses.cross_entropy(logits, labels, pixel_weights=np.ones(labels.shape))
    np.testing.assert_allclose(ones, plain, rtol=1e-6)
    with pytest.raises(ValueError, match=r"pixel_weights has shape \(2, 3\)"):
        losses.cross_entropy(logits, labels, pixel_weights=np.ones((2, 3)))


def test_class_weights_are_relative():
    logits, labels = scene(seed=23)
    weights = np.array([0.2, 3.0, 1.0, 0.0])
    value = losses.cross_entropy(logits, labels, class_weights=weights)
    np.testing.assert_allclose(value, cross_entropy_twin(logits, labels, weights), rtol=2e-5)
    scaled = losses.cross_entropy(logits, labels, class_weights=100 * weights)
    np.testing.assert_allclose(scaled, value, rtol=1e-5)
    ones = losses.cross_entropy(logits, labels, class_weights=np.ones(4))
    np.testing.assert_allclose(ones, losses.cross_entropy(logits, labels), rtol=1e-6)


def test_discrepancy_of_copies_has_no_gradient_and_of_opposites_is_two():
    logits, _ = scene(seed=29)
    value, gradients = jax.value_and_grad(losses.classifier_discrepancy, argnums=(0, 1))(
        logits, logits
    )
    assert value == 0.0
    assert not any(np.any(gradient) for gradient in gradients)
    opposite = 1e4 * np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(losses.classifier_discrepancy(opposite, opposite[::-1]), 2.0)


def test_adversarial_weights_multiply_each_element():
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(size=(2, 2, 3, 1)).astype(np.float32)
    expected = np.mean(weights * np.logaddexp(0, -logits))
    found = losses.adversarial(logits, True, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_adversarial_refuses_unknown_objectives_and_weights_of_another_shape():
    logits = jnp.zeros((2, 3))
    with pytest.raises(ValueError, match="choose one of: cross_entropy, least_squares"):
        losses.adversarial(logits, True, objective="hinge")
    with pytest.raises(ValueError, match=r"weights has shape \(3,\) and discriminator_logits"):
        losses.adversarial(logits, True, weights=jnp.zeros(3))


def test_adversarial_domains_mirror_each_other():
    logits = np.random.default_rng(0).normal(size=(2, 3, 3, 1)).astype(np.float32)
    assert losses.adversarial(logits, True) == losses.adversarial(-logits, False)
    np.testing.assert_allclose(losses.adversarial(np.zeros(3, np.float32), True), math.log(2))


def test_negative_learning_threshold_moves_what_counts():
    logits = jnp.log(jnp.array([[0.9, 0.06, 0.04]]))
    only = -math.log(1 - 0.04 + 1e-6)
    both = (only - math.log(1 - 0.06 + 1e-6)) / 2
    np.testing.assert_allclose(losses.negative_learning(logits), only, rtol=1e-5)
    np.testing.assert_allclose(losses.negative_learning(logits, threshold=0.07), both, rtol=1e-5)


def test_boundary_is_marked_by_void_neighbours_but_not_by_the_images_border():
    logits, _ = scene(seed=31, batch=(), height=3, width=3)
    labels = np.full((3, 3), 2, np.int32)
    assert losses.local_consistency(logits, labels) == 0.0
    # The void corner makes the three pixels around it boundary pixels, and is none itself.
    labels[0, 0] = 255
    probabilities = softmax_twin(logits)
    padded = np.pad(probabilities, ((1, 1), (1, 1), (0, 0)), mode="edge")
    distances = [
        np.abs(probabilities[y, x] - padded[y : y + 3, x : x + 3].mean((0, 1))).sum()
        for y, x in [(0, 1), (1, 0), (1, 1)]
    ]
    np.testing.assert_allclose(
        losses.local_consistency(logits, labels), np.mean(distances), rtol=1e-5
    )


def test_a_class_that_is_ruled_out_adds_no_entropy():
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    ruled_out = np.concatenate([logits, np.full((3, 4, 1), -np.inf, np.float32)], axis=-1)
    without = float(losses.entropy(logits)) * np.log(5)
    assert float(losses.entropy(ruled_out)) * np.log(6) == pytest.approx(without, rel=1e-5)
    assert np.isfinite(jax.grad(losses.entropy)(ruled_out)).all()


def test_entropy_spans_zero_to_one_and_knows_a_single_class():
    np.testing.assert_allclose(losses.entropy(np.zeros((2, 3, 7), np.float32)), 1.0, rtol=1e-6)
    assert losses.entropy(1e4 * np.eye(3, dtype=np.float32)) == 0.0
    value, gradient = jax.value_and_grad(losses.entropy)(np.ones((2, 3, 1), np.float32))
    assert value == 0.0 and not np.any(gradient)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda z, y: losses.cross_entropy(z, y[:1]), r"labels has shape \(1, 6, 5\)"),
        (lambda z, y: losses.cross_entropy(z, y.astype(np.float32)), "dtype float32"),
        (lambda z, y: losses.cross_entropy(z, y, class_weights=np.ones(3)), "4 classes"),
        (lambda z, y: losses.local_consistency(z, y[:, :1]), r"labels has shape \(2, 1, 5\)"),
        (lambda z, y: losses.local_consistency(z[0, 0], y[0, 0]), "H, W, C"),
        (lambda z, y: losses.classifier_discrepancy(z, z[..., :1]), "have to agree"),
        (lambda z, y: losses.multi_label(z[0, 0], y[0, 0, :1] > 0), "have to agree"),
    ],
)
def test_shapes_that_would_broadcast_silently_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(*scene(seed=0))


@pytest.mark.parametrize(
    "loss",
    [
        losses.entropy,
        losses.charbonnier_entropy,
        losses.max_squares,
        losses.image_wise_max_squares,
        losses.uniform_divergence,
        lambda z, counted: losses.candidate_classes(z, np.ones(z.shape, bool), counted),
    ],
)
def test_what_counts_is_a_value_for_each_pixel(loss):
    logits, labels = scene(seed=0)
    counted = labels >= 0
    for wrong in (counted[0], counted[:1], counted[0, 0], counted[..., None]):
        with pytest.raises(ValueError, match=r"counted has shape .* one value a pixel"):
            loss(logits, wrong)
    expected = loss(logits, counted)
    for same in (counted.astype(np.int32), counted.astype(np.float32)):
        np.testing.assert_allclose(loss(logits, same), expected, rtol=1e-6)


def test_imports_nothing_of_the_shell():
    code = (
        "import sys, jax.numpy; before = set(sys.modules); import labor_jax.losses;"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('jax')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["labor_jax", "labor_jax.losses"]


def test_improbable_classes_are_those_that_negative_learning_counts():
    logits, _ = scene(seed=21)
    probabilities = softmax_twin(logits)
    for threshold in (0.05, 0.2):
        counted = losses.improbable_classes(logits, threshold=threshold)
        np.testing.assert_array_equal(counted, probabilities < threshold)
        terms = -np.log(1 - probabilities + 1e-6)
        value = losses.negative_learning(logits, threshold=threshold)
        np.testing.assert_allclose(value, terms[np.asarray(counted)].mean(), rtol=2e-5)


def test_label_boundary_is_what_local_consistency_counts():
    labels = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 255], [7, 0, 0, 0]], np.int32)
    expected = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 0], [0, 1, 1, 1]], bool)
    counted = losses.label_boundary(labels, 4)
    np.testing.assert_array_equal(counted, expected)  # 7 is no class: never counted, but a border
    np.testing.assert_array_equal(losses.label_boundary(np.stack([labels, labels]), 4)[1], expected)
    logits, _ = scene(seed=22, batch=(), height=4, width=4)
    # Only the logits around counted pixels matter.
    far = jax.grad(lambda z: losses.local_consistency(z, labels))(logits)[0, 0]
    np.testing.assert_array_equal(far, 0)


def test_soft_labels_must_fit():
    with pytest.raises(ValueError, match=r"shape \(2, 3\) and soft_labels \(2, 4\)"):
        losses.soft_cross_entropy(np.zeros((2, 3)), np.zeros((2, 4)))


def test_a_class_without_a_share_may_be_ruled_out():
    logits = np.float32([[0.0, 1.0, -np.inf]])
    soft_labels = np.float32([[0.25, 0.75, 0.0]])
    value, gradient = jax.value_and_grad(losses.soft_cross_entropy)(logits, soft_labels)
    expected = losses.soft_cross_entropy(logits[:, :2], soft_labels[:, :2])
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0])
def test_the_charbonnier_exponent(eta):
    logits, _ = scene(seed=17)
    value = losses.charbonnier_entropy(logits, eta=eta)
    np.testing.assert_allclose(value, charbonnier_entropy_twin(logits, eta), rtol=1e-5)


def pictures(seed, shape=(2, 8, 6, 3)):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 6, 3), (2, 7, 5, 1)])
def test_phase_consistency_equals_twin(shape):
    images, references = pictures(0, shape), pictures(1, shape)
    value = losses.phase_consistency(images, references)
    np.testing.assert_allclose(value, phase_consistency_twin(images, references), rtol=1e-4)


def test_an_image_without_amplitudes_is_consistent():
    black = np.zeros((2, 4, 6, 3), np.float32)
    assert losses.phase_consistency(black, black) == 0.0
    assert losses.phase_consistency(pictures(0, black.shape), black) == 0.0


def test_contrast_and_brightness_keep_phases_and_a_shift_does_not():
    images = pictures(2)
    changed = images * np.array([0.3, 1.0, 2.0], np.float32) + np.array([0.1, 0.0, 0.3], np.float32)
    np.testing.assert_allclose(losses.phase_consistency(changed, images), 0.0, atol=1e-5)
    assert losses.phase_consistency(np.roll(images, 1, axis=1), images) > 0.3


def test_descending_on_phase_consistency_restores_phases_and_is_finite_at_nothing():
    images, references = jnp.asarray(pictures(3)), pictures(4)
    value, gradient = jax.value_and_grad(losses.phase_consistency)(images, references)
    assert losses.phase_consistency(images - 5 * gradient, references) < value
    flat = jnp.zeros_like(images)
    assert np.isfinite(jax.grad(losses.phase_consistency)(flat, references)).all()


def test_phase_consistency_of_other_shapes_is_an_error():
    with pytest.raises(
        ValueError, match=r"images has shape .*8, 6, 3\) and references .*8, 5, 3\)"
    ):
        losses.phase_consistency(pictures(0), pictures(1, (2, 8, 5, 3)))


def test_an_image_of_one_class_has_the_plain_max_squares():
    logits = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    logits[0, ..., 1] += 20
    logits[1, ..., 2] += 20
    plain, weighted = losses.max_squares(logits), losses.image_wise_max_squares(logits)
    np.testing.assert_allclose(weighted, plain, rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 0.2, 1.0])
def test_a_rare_classs_pixels_pull_harder_under_image_wise_weights(exponent):
    """At equal probabilities a pixel's gradient is its class's weight: (N / n)^exponent apart."""
    logits = np.zeros((1, 8, 3), np.float32)
    logits[0, :6, 0] = logits[0, 6:, 1] = 1.0  # 6 pixels of class 0, 2 of class 1
    gradient = jax.grad(lambda z: losses.image_wise_max_squares(z, exponent=exponent))(logits)
    np.testing.assert_allclose(gradient[0, 7, 1] / gradient[0, 0, 0], 3.0**exponent, rtol=1e-5)


def test_an_image_where_nothing_counts_is_in_no_image_wise_mean():
    logits, _ = scene(seed=3)
    counted = np.stack([np.ones(logits.shape[1:3], bool), np.zeros(logits.shape[1:3], bool)])
    mean = losses.image_wise_max_squares(logits, counted)
    np.testing.assert_allclose(mean, losses.image_wise_max_squares(logits[:1]), rtol=1e-6)


def test_image_wise_weights_need_images():
    with pytest.raises(ValueError, match="H, W, C"):
        losses.image_wise_max_squares(np.zeros((4, 3)))


@pytest.mark.parametrize("beta", [0.1, 1.0, 5.0])
def test_pooled_logits_equal_twin_and_lie_between_mean_and_maximum(beta):
    logits, _ = scene(seed=3)
    pooled = losses.pooled_logits(logits, beta=beta)
    np.testing.assert_allclose(pooled, pooled_logits_twin(logits, beta), rtol=1e-4, atol=1e-5)
    assert np.all(pooled <= logits.max((1, 2)) + 1e-5)
    assert np.all(pooled >= logits.mean((1, 2)) - 1e-5)


def test_pooled_logits_are_of_the_pixels_that_count():
    logits, _ = scene(seed=3)
    counted = np.zeros(logits.shape[:-1], bool)
    counted[0, 1:, :2] = True  # of the other images nothing counts, so all does
    pooled, gradient = jax.value_and_grad(lambda z: losses.pooled_logits(z, counted).sum())(logits)
    found = losses.pooled_logits(logits, counted)
    np.testing.assert_allclose(found[0], pooled_logits_twin(logits[0, 1:, :2]), rtol=1e-4)
    np.testing.assert_allclose(found[1:], pooled_logits_twin(logits[1:]), rtol=1e-4)
    assert np.isfinite(pooled) and not np.any(gradient[0][~counted[0]])
    with pytest.raises(ValueError, match="counted has shape"):
        losses.pooled_logits(logits, counted[..., :1])


def test_a_class_that_is_ruled_out_has_no_gradient_of_pooled_logits():
    logits, _ = scene(seed=3)
    ruled_out = logits.copy()
    ruled_out[..., 0] = -np.inf
    ruled_out[0, 0, 0, 1] = -np.inf  # elsewhere it is not
    present = np.arange(logits.shape[-1]) > 0
    present = np.broadcast_to(present, (len(logits), len(present)))

    def loss(z):
        return losses.multi_label(losses.pooled_logits(z), present)

    value, gradient = jax.value_and_grad(loss)(ruled_out)
    low = np.where(np.isneginf(ruled_out), np.float32(-1e4), ruled_out)
    np.testing.assert_allclose(value, loss(low), rtol=1e-5)
    np.testing.assert_allclose(gradient, jax.grad(loss)(low), atol=1e-6)
    assert np.isneginf(losses.pooled_logits(ruled_out)[:, 0]).all()


def test_pooled_logits_do_not_overflow():
    logits = np.full((2, 2, 3), 1e4, np.float32)
    np.testing.assert_allclose(losses.pooled_logits(logits), 1e4, rtol=1e-6)


@pytest.mark.parametrize(
    "shape, beta, message",
    [((4, 3), 1.0, "H, W, C"), ((0, 4, 3), 1.0, "one pixel"), ((2, 2, 3), 0.0, "beta is 0.0")],
)
def test_a_maximum_needs_pixels_and_a_sharpness(shape, beta, message):
    with pytest.raises(ValueError, match=message):
        losses.pooled_logits(np.zeros(shape, np.float32), beta=beta)


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0, 3)])
def test_images_without_pixels_are_consistent(shape):
    logits = np.zeros(shape, np.float32)
    assert losses.local_consistency(logits, np.zeros(shape[:-1], np.int32)) == 0.0


@pytest.mark.parametrize("batch", BATCH_SHAPES)
def test_multi_label_equals_twin(batch):
    rng = np.random.default_rng(4)
    logits, present = rng.normal(0, 3, (*batch, 5)), rng.random((*batch, 5)) < 0.5
    expected = multi_label_twin(logits, present)
    np.testing.assert_allclose(losses.multi_label(logits, present), expected, rtol=1e-5)
    as_numbers = losses.multi_label(logits, present.astype(np.float32))
    np.testing.assert_allclose(as_numbers, expected, rtol=1e-5)
    assert float(losses.multi_label(np.zeros((0, 5)), np.zeros((0, 5)))) == 0.0


def test_one_candidate_is_the_cross_entropy_and_all_are_nothing():
    logits, labels = scene(seed=2)
    counted = is_class(labels, 4)
    one = np.arange(4) == labels[..., None]
    found = losses.candidate_classes(logits, one)
    np.testing.assert_allclose(found, losses.cross_entropy(logits, labels), rtol=1e-6)
    everything = losses.candidate_classes(logits, np.ones(logits.shape, bool), counted)
    np.testing.assert_allclose(everything, 0, atol=1e-6)


def test_a_prototype_is_one_pixel():
    logits = np.zeros((2, 3, 2), np.float32)
    logits[1, 2, 0] = 2.0
    candidates = np.broadcast_to([True, False], logits.shape)
    parts = np.zeros((2, 3), np.int32)
    loss = lambda z: losses.prototypical_pixels(z, candidates, parts, bound=1)  # noqa: E731
    gradient = np.asarray(jax.grad(loss)(logits))
    assert np.argwhere(gradient.any(-1)).tolist() == [[1, 2]]
    # Of several the first.
    gradient = np.asarray(jax.grad(loss)(np.zeros_like(logits)))
    assert np.argwhere(gradient.any(-1)).tolist() == [[0, 0]]


def test_candidates_must_fit():
    logits, labels = scene(seed=2)
    with pytest.raises(ValueError, match="candidates is bool"):
        losses.candidate_classes(logits, np.ones(labels.shape, bool))
    with pytest.raises(ValueError, match="candidates is int"):
        losses.candidate_classes(logits, np.ones(logits.shape, np.int32))
    with pytest.raises(ValueError, match="parts has shape"):
        losses.prototypical_pixels(logits, np.ones(logits.shape, bool), labels[0], bound=1)
