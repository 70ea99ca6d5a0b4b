"""LabOR's pixel selector: broken symmetry, the game over the discrepancy, the pseudo labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax import losses, models
from labor_jax.adaptation import pixel_selector
from tests.tiny_model import tiny_segmenter

CLASSES = 5
SEGMENTER = tiny_segmenter(CLASSES, batch_norm="frozen")
RATE = 0.05


@functools.cache
def model():
    variables = models.init_variables(SEGMENTER, jax.random.key(0), (16, 24))
    params = jax.tree.map(lambda x: 4 * x, variables["classifier"]["params"])
    return {**variables, "classifier": {**variables["classifier"], "params": params}}


def batch(seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (2, 4, 6, 3), np.uint8)
    return {"image": images.repeat(4, 1).repeat(4, 2)}


def selector(noise=0.1, seed=1):
    return pixel_selector.create_selector(
        model(), optax.sgd(RATE), jax.random.key(seed), noise=noise
    )


@functools.cache
def step(weight=1.0, reversal=1.0, dropout=0.0, threshold=0.0):
    return jax.jit(
        pixel_selector.make_selector_step(
            SEGMENTER,
            optax.sgd(RATE),
            discrepancy_weight=weight,
            reversal=reversal,
            feature_dropout=dropout,
            pseudo_label_threshold=threshold,
            axis_name=None,
        )
    )


def train(state, count=3, **options):
    for _ in range(count):
        state, metrics = step(**options)(state, model(), batch())
    return state, metrics


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def kernels_differ(first, second):
    kernels = [each["params"]["conv"]["kernel"] for each in (first, second)]
    return bool(np.all(np.asarray(kernels[0]) != np.asarray(kernels[1])))


@jax.jit
def predictions(backbone, classifiers):
    images = models.normalize_images(batch()["image"])
    return pixel_selector.selector_logits(SEGMENTER, backbone, classifiers, images, (16, 24))


def discrepancy(state):
    return float(losses.classifier_discrepancy(*predictions(state.backbone, state.classifiers)))


def test_starts_as_copies_of_the_model_but_for_noise_on_the_kernels():
    state = selector(noise=0.1)
    assert_equal(state.backbone, model()["backbone"])
    kernel = np.asarray(model()["classifier"]["params"]["conv"]["kernel"])
    for classifier in state.classifiers:
        added = np.asarray(classifier["params"]["conv"]["kernel"]) - kernel
        assert 0.05 * kernel.std() < added.std() < 0.2 * kernel.std()
        np.testing.assert_array_equal(
            classifier["params"]["conv"]["bias"], model()["classifier"]["params"]["conv"]["bias"]
        )
    assert kernels_differ(*state.classifiers)
    assert state.step == 0


def test_without_noise_it_starts_as_exact_copies():
    for classifier in selector(noise=0.0).classifiers:
        assert_equal(classifier, model()["classifier"])


def test_unbroken_symmetry_stays():
    """Why noise or dropout is needed: Eq. 3 teaches copies the same, Eq. 4 has no slope there."""
    state, metrics = train(selector(noise=0.0), weight=0.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *state.classifiers)
    assert metrics["discrepancy"] < 1e-5
    assert kernels_differ(state.classifiers[0], model()["classifier"])  # they did learn

    logits = predictions(state.backbone, state.classifiers)[0]
    of_copies = jax.grad(losses.classifier_discrepancy, (0, 1))(logits, logits)
    assert_equal(of_copies, jax.tree.map(jnp.zeros_like, of_copies))


@pytest.mark.parametrize(("noise", "dropout"), [(0.1, 0.0), (0.0, 0.5)])
def test_noise_or_dropout_breaks_it(noise, dropout):
    state, metrics = train(selector(noise=noise), dropout=dropout)
    assert kernels_differ(*state.classifiers)
    assert metrics["discrepancy"] > 0
    assert discrepancy(state) > 0


def test_the_classifiers_learn_to_disagree():
    """With no reversal, φ' takes no part in Eq. 4 and the classifiers alone raise it."""
    start = selector(noise=0.1)
    state, _ = train(start, count=10, weight=20.0, reversal=0.0)
    assert discrepancy(state) > 1.5 * discrepancy(start)


def test_the_backbone_learns_to_make_them_agree():
    state = selector(noise=0.3)
    moved, _ = step(weight=20.0, reversal=1.0)(state, model(), batch())
    still, _ = step(weight=20.0, reversal=0.0)(state, model(), batch())
    # What the reversed gradient adds to φ' lowers the discrepancy of the same classifiers.
    only_discrepancy = jax.tree.map(
        lambda start, a, b: start + 0.1 * (a - b),
        state.backbone["params"],
        moved.backbone["params"],
        still.backbone["params"],
    )
    after = state.replace(backbone={**state.backbone, "params": only_discrepancy})
    assert discrepancy(after) < discrepancy(state)


@pytest.mark.parametrize("reversal", [1.0, 2.5])
def test_a_step_follows_equations_3_and_4(reversal):
    """Classifiers descend on Eq. 3 - w d, φ' on Eq. 3 + reversal w d: gradients taken apart."""
    weight, state = 0.7, selector(noise=0.1)
    after, metrics = step(weight=weight, reversal=reversal)(state, model(), batch())
    images = models.normalize_images(batch()["image"])

    @jax.jit
    def gradients():
        pseudo_labels = jnp.argmax(models.apply(SEGMENTER, model(), images)[0], -1)

        def logits(backbone, classifiers):
            variables = [
                {**old, "params": new}
                for old, new in zip(state.classifiers, classifiers, strict=True)
            ]
            return pixel_selector.selector_logits(
                SEGMENTER,
                {**state.backbone, "params": backbone},
                tuple(variables),
                images,
                (16, 24),
            )

        def eq3(*params):
            return sum(losses.cross_entropy(each, pseudo_labels) for each in logits(*params))

        def eq4(*params):
            return losses.classifier_discrepancy(*logits(*params))

        params = (state.backbone["params"], tuple(c["params"] for c in state.classifiers))
        return [(f(*params), jax.grad(f, (0, 1))(*params)) for f in (eq3, eq4)]

    (value3, (backbone3, classifiers3)), (value4, (backbone4, classifiers4)) = gradients()
    np.testing.assert_allclose(metrics["self_training"], value3, rtol=1e-5)
    np.testing.assert_allclose(metrics["discrepancy"], value4, rtol=1e-5)

    def assert_moved(old, new, first, second, factor):
        jax.tree.map(
            lambda o, n, a, b: np.testing.assert_allclose(
                n, o - RATE * (a + factor * weight * b), rtol=1e-4, atol=1e-6
            ),
            old,
            new,
            first,
            second,
        )

    assert_moved(state.backbone["params"], after.backbone["params"], backbone3, backbone4, reversal)
    for number in range(2):
        assert_moved(
            state.classifiers[number]["params"],
            after.classifiers[number]["params"],
            classifiers3[number],
            classifiers4[number],
            -1.0,
        )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_reversed_gradient(dtype):
    x = jnp.asarray([1.0, -2.0, 3.0], dtype)
    value, gradient = jax.value_and_grad(
        lambda x: jnp.sum(pixel_selector._reverse_gradient(x, 0.5) ** 2)
    )(x)
    assert value == 14 and gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, -0.5 * 2 * x)


def test_the_model_and_all_batch_statistics_stay():
    before = jax.tree.map(np.array, model())
    state, _ = train(selector(), dropout=0.5)
    assert_equal(model(), before)
    assert_equal(state.backbone["batch_stats"], model()["backbone"]["batch_stats"])
    assert_equal(state.backbone["params"]["bn"], model()["backbone"]["params"]["bn"])
    assert state.step == 3


def test_steps_draw_their_own_dropout_from_the_key():
    def metrics_of(seed):
        return [float(train(selector(0.0, seed), n, dropout=0.5)[1]["discrepancy"]) for n in (1, 2)]

    assert metrics_of(1) == metrics_of(1)
    assert len({*metrics_of(1), *metrics_of(2)}) == 4


def test_pseudo_labels_are_the_models_predictions():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, CLASSES)).astype(np.float32)
    labels = pixel_selector.confident_labels(logits, 0.0)
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels, logits.argmax(-1))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.999])
def test_unconfident_pixels_have_no_pseudo_label(threshold):
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, CLASSES)).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.where(probabilities.max(-1) >= threshold, logits.argmax(-1), 255)
    np.testing.assert_array_equal(pixel_selector.confident_labels(logits, threshold), expected)


def test_without_any_confident_pixel_eq3_teaches_nothing():
    state, metrics = train(selector(), count=1, weight=0.0, threshold=1.1)
    assert metrics["self_training"] == 0
    assert_equal(state.backbone["params"], model()["backbone"]["params"])
