"""LabOR's pixel selector: broken symmetry, the game over the discrepancy, the pseudo labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax import losses, models
from labor_jax.adaptation import pixel_selector
from labor_jax.ops import resize_bilinear_align_corners
from labor_jax.training.state import create_state
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Terms
from tests.tiny_model import tiny_segmenter

CLASSES = 5
SEGMENTER = tiny_segmenter(CLASSES, batch_norm="frozen")
RATE = 0.05
HEADS = ("head_1", "head_2")


@functools.cache
def model():
    variables = models.init_variables(SEGMENTER, jax.random.key(0), (16, 24))
    params = {**variables["params"]}
    params["head"] = jax.tree.map(lambda x: 4 * x, params["head"])
    return {**variables, "params": params}


def batch(seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (2, 4, 6, 3), np.uint8)
    return {"target": {"image": images.repeat(4, 1).repeat(4, 2)}}


def test_void_is_not_learnt():
    term, target = pixel_selector.SelfTraining(), batch()["target"]
    target["void"] = target["image"][..., 0] < 100
    memory = term.memory(models.Model(variables=model(), network=SEGMENTER), None)
    label = term.views(None, {"target": target}, memory)["pseudo_labelled"]["label"]
    np.testing.assert_array_equal(label == 255, target["void"])


def terms(weight, threshold=0.0):
    return Terms(
        {"self_training": 1.0, "discrepancy": weight},
        {
            "self_training": pixel_selector.SelfTraining(threshold=threshold),
            "discrepancy": pixel_selector.Discrepancy(),
        },
    )


def selector(noise=0.1, seed=1):
    noise_key, step_key = jax.random.split(jax.random.key(seed))
    variables = pixel_selector.selector_variables(model(), noise_key, noise=noise)
    memory = terms(1.0).memory(models.Model(variables=model(), network=SEGMENTER))
    return create_state(variables, optax.sgd(RATE), step_key, memory=memory)


@functools.cache
def step(weight=1.0, reversal=1.0, dropout=0.0, threshold=0.0, microbatches=1):
    network = pixel_selector.build_selector(SEGMENTER, feature_dropout=dropout, reversal=reversal)
    return jax.jit(
        make_train_step(
            network,
            optax.sgd(RATE),
            terms(weight, threshold),
            microbatches=microbatches,
            axis_name=None,
        )
    )


def train(state, count=3, weight=1.0, **options):
    """Takes steps; without weight on the discrepancy, its metric is measured all the same."""
    for _ in range(count):
        memory = {name: state.memory[name] for name in terms(weight).terms}
        state, metrics = step(weight=weight, **options)(state.replace(memory=memory), batch())
    return state, metrics


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def kernels_differ(first, second):
    kernels = [np.asarray(each["logits"]["kernel"]) for each in (first, second)]
    return bool(np.all(kernels[0] != kernels[1]))


def heads(state):
    return [state.variables["params"][name] for name in HEADS]


@jax.jit
def predictions(variables):
    network = pixel_selector.build_selector(SEGMENTER, feature_dropout=0.0, reversal=1.0)
    return network.apply(variables, models.normalize_images(batch()["target"]["image"])).logits


def discrepancy(state):
    return float(losses.classifier_discrepancy(*predictions(state.variables)))


def test_starts_as_copies_of_the_model_but_for_noise_on_the_kernels():
    state, own = selector(noise=0.1), model()["params"]
    assert_equal(state.variables["params"]["backbone"], own["backbone"])
    kernel = np.asarray(own["head"]["logits"]["kernel"])
    for head in heads(state):
        added = np.asarray(head["logits"]["kernel"]) - kernel
        assert 0.05 * kernel.std() < added.std() < 0.2 * kernel.std()
        np.testing.assert_array_equal(head["logits"]["bias"], own["head"]["logits"]["bias"])
    assert kernels_differ(*heads(state))
    assert state.step == 0


def test_without_noise_it_starts_as_exact_copies():
    for head in heads(selector(noise=0.0)):
        assert_equal(head, model()["params"]["head"])


@pytest.mark.slow
def test_a_heads_statistics_are_copied_too():
    segmenter = models.build_segmenter(
        {
            "backbone": "two_layers",
            "head": "deeplab_v3plus",
            "head_channels": 4,
            "batch_norm": "frozen",
            "dtype": "float32",
            "dropout": None,
        },
        CLASSES,
    )
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    copied = pixel_selector.selector_variables(variables, jax.random.key(1), noise=0.1)
    for name in HEADS:
        assert_equal(copied["batch_stats"][name], variables["batch_stats"]["head"])
    network = pixel_selector.build_selector(segmenter, feature_dropout=0.5, reversal=1.0)
    images = jnp.zeros((1, 16, 24, 3))
    expected = jax.eval_shape(network.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, copied) == jax.tree.map(jnp.shape, dict(expected))


def test_a_backbone_may_have_no_statistics():
    model = {
        "params": {"backbone": {"w": np.ones(2)}, "head": {"kernel": np.ones((2, 3), "float32")}},
        "batch_stats": {"head": {"mean": np.arange(3.0)}},
    }
    copied = pixel_selector.selector_variables(model, jax.random.key(1), noise=0.0)
    assert set(copied["params"]) == {"backbone", *HEADS}
    assert_equal(copied["batch_stats"], dict.fromkeys(HEADS, model["batch_stats"]["head"]))


def test_unbroken_symmetry_stays():
    """Why noise or dropout is needed: Eq. 3 teaches copies the same, Eq. 4 has no slope there."""
    state, _ = train(selector(noise=0.0), weight=0.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *heads(state))
    assert discrepancy(state) < 1e-5
    assert kernels_differ(heads(state)[0], model()["params"]["head"])  # they did learn

    logits = predictions(state.variables)[0]
    of_copies = jax.grad(losses.classifier_discrepancy, (0, 1))(logits, logits)
    assert_equal(of_copies, jax.tree.map(jnp.zeros_like, of_copies))


@pytest.mark.parametrize(("noise", "dropout"), [(0.1, 0.0), (0.0, 0.5)])
def test_noise_or_dropout_breaks_it(noise, dropout):
    state, metrics = train(selector(noise=noise), dropout=dropout)
    assert kernels_differ(*heads(state))
    assert metrics["discrepancy"] > 0
    assert discrepancy(state) > 0


def test_the_heads_learn_to_disagree():
    """With no reversal, φ' takes no part in Eq. 4 and the heads alone raise it."""
    start = selector(noise=0.1)
    state, _ = train(start, count=10, weight=20.0, reversal=0.0)
    assert discrepancy(state) > 1.5 * discrepancy(start)


def with_backbone(state, params):
    return {**state.variables, "params": {**state.variables["params"], "backbone": params}}


def test_the_backbone_learns_to_make_them_agree():
    state = selector(noise=0.3)
    moved, _ = step(weight=20.0, reversal=1.0)(state, batch())
    still, _ = step(weight=20.0, reversal=0.0)(state, batch())
    # What the reversed gradient adds to φ' lowers the discrepancy of the same heads.
    only_discrepancy = jax.tree.map(
        lambda start, a, b: start + 0.1 * (a - b),
        *(each.variables["params"]["backbone"] for each in (state, moved, still)),
    )
    after = state.replace(variables=with_backbone(state, only_discrepancy))
    assert discrepancy(after) < discrepancy(state)


def test_the_discrepancy_may_be_of_logits():
    first, second = np.random.default_rng(0).normal(size=(2, 1, 3, 4, CLASSES)).astype(np.float32)
    outputs = {"pseudo_labelled": pixel_selector.SelectorOutputs((), (first, second))}
    total, count = pixel_selector.Discrepancy(input="logits").loss(outputs, {}, {})
    np.testing.assert_allclose(total / count, np.abs(first - second).sum(-1).mean(), rtol=1e-6)
    with pytest.raises(ValueError, match="input is 'classes'"):
        pixel_selector.Discrepancy(input="classes")


@pytest.mark.parametrize("reversal", [1.0, 2.5])
def test_a_step_follows_equations_3_and_4(reversal):
    """The heads descend on Eq. 3 - w d, φ' on Eq. 3 + reversal w d: gradients taken apart."""
    weight, state = 0.7, selector(noise=0.1)
    after, metrics = step(weight=weight, reversal=reversal)(state, batch())

    @jax.jit
    def gradients():
        images = models.normalize_images(batch()["target"]["image"])
        pseudo_labels = jnp.argmax(SEGMENTER.apply(model(), images).logits, -1)

        def eq3(params):
            logits = predictions({**state.variables, "params": params})
            return sum(losses.cross_entropy(each, pseudo_labels) for each in logits)

        def eq4(params):
            return losses.classifier_discrepancy(
                *predictions({**state.variables, "params": params})
            )

        return [jax.value_and_grad(f)(state.variables["params"]) for f in (eq3, eq4)]

    (value3, gradient3), (value4, gradient4) = gradients()
    np.testing.assert_allclose(metrics["self_training"], value3, rtol=1e-5)
    np.testing.assert_allclose(metrics["discrepancy"], value4, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], value3 + weight * value4, rtol=1e-5)
    for module, factor in (("backbone", reversal), ("head_1", -1.0), ("head_2", -1.0)):
        jax.tree.map(
            lambda old, new, a, b, factor=factor: np.testing.assert_allclose(
                new, old - RATE * (a + factor * weight * b), rtol=1e-4, atol=1e-6
            ),
            *(each.variables["params"][module] for each in (state, after)),
            gradient3[module],
            gradient4[module],
        )


def test_in_microbatches_it_is_the_same():
    options = {"weight": 0.5, "threshold": 0.4}
    (state, metrics), (cut, their_metrics) = (
        step(**options, microbatches=number)(selector(), batch()) for number in (1, 2)
    )
    assert metrics["discrepancy"] > 0
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    jax.tree.map(close, (their_metrics, cut), (metrics, state))


def test_the_model_and_all_batch_statistics_stay():
    before = jax.tree.map(np.array, model())
    state, _ = train(selector(), dropout=0.5)
    assert_equal(model(), before)
    assert_equal(state.memory["self_training"]["labeller"].variables, before)
    backbone = state.variables["params"]["backbone"]
    assert_equal(state.variables["batch_stats"], model()["batch_stats"])
    assert_equal(backbone["bn1"], model()["params"]["backbone"]["bn1"])
    assert state.step == 3


def test_steps_draw_their_own_dropout_from_the_key():
    def metrics_of(seed):
        return [float(train(selector(0.0, seed), n, dropout=0.5)[1]["discrepancy"]) for n in (1, 2)]

    assert metrics_of(1) == metrics_of(1)
    assert len({*metrics_of(1), *metrics_of(2)}) == 4


def test_both_heads_of_a_query_are_those_of_the_network():
    state = selector()
    network = pixel_selector.build_selector(SEGMENTER, feature_dropout=0.5, reversal=1.0)
    images = models.normalize_images(batch()["target"]["image"])
    features = network.apply(state.variables, images, method="extract")
    coarse = network.apply(state.variables, features, method="coarse_logits")
    upsampled = [resize_bilinear_align_corners(each, (16, 24)) for each in coarse]
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        tuple(upsampled),
        predictions(state.variables),
    )


def test_without_any_confident_pixel_eq3_teaches_nothing():
    state, metrics = train(selector(), count=1, weight=0.0, threshold=1.0)
    assert metrics["self_training"] == 0
    assert_equal(state.variables["params"]["backbone"], model()["params"]["backbone"])
