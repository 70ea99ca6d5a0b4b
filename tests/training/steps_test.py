"""What each term of the step adds, what a step changes and what it leaves alone."""

import dataclasses
import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.adaptation import adversarial
from labor_jax.training import mesh as mesh_lib
from labor_jax.training import optimizers, steps
from tests.tiny_model import TinyDiscriminator, tiny_discriminator_params, tiny_segmenter

CLASSES = 5
TERMS = tuple(field.name for field in dataclasses.fields(steps.LossWeights))
WEIGHTS = steps.LossWeights(
    source=0.5,
    target=2.0,
    adversarial=0.25,
    local_consistency=1.5,
    negative_learning=0.75,
    auxiliary=0.3,
    auxiliary_adversarial=0.6,
)
DISCRIMINATORS = {
    "adversarial": ("classifier", "discriminator"),
    "auxiliary_adversarial": ("auxiliary", "auxiliary_discriminator"),
}
RATE = 0.1


def only(term, weight=1.0):
    return steps.LossWeights(**{name: weight if name == term else 0.0 for name in TERMS})


def domain(seed, size=(16, 24), count=2):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (count, size[0] // 4, size[1] // 4), np.int32)
    labels = labels.repeat(4, 1).repeat(4, 2)
    labels[rng.random(labels.shape) < 0.3] = 255
    return {"image": rng.integers(0, 256, (count, *size, 3), np.uint8), "label": labels}


def both_domains():
    return {"source": domain(0), "target": domain(1)}


@functools.cache
def variables(batch_norm="trained"):
    segmenter = tiny_segmenter(CLASSES, batch_norm=batch_norm, auxiliary=True)
    model = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    # Larger weights: some classes are improbable enough for negative learning.
    params = jax.tree.map(lambda x: 4 * x, model["classifier"]["params"])
    return {**model, "classifier": {**model["classifier"], "params": params}}


def first_state(model=None, optimizer=None, seed=7):
    return steps.create_state(
        model or variables(),
        optimizer or optax.sgd(RATE),
        jax.random.key(seed),
        discriminator=tiny_discriminator_params(CLASSES),
        discriminator_optimizer=optax.sgd(RATE),
    )


@functools.cache
def make(weights, segmenter=None, optimizer=None, **options):
    return jax.jit(
        steps.make_train_step(
            segmenter or tiny_segmenter(CLASSES, auxiliary=True),
            optimizer or optax.sgd(RATE),
            weights,
            discriminator=TinyDiscriminator(),
            discriminator_optimizer=optax.sgd(RATE),
            axis_name=None,
            **options,
        )
    )


@functools.cache
def taken(weights):
    """The state and metrics after the first step with these weights, on both domains."""
    return make(weights)(first_state(), both_domains())


def assert_close(actual, expected, **tolerance):
    tolerance = {"rtol": 1e-4, "atol": 1e-6, **tolerance}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected)


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def moved(state, before=None):
    """How far a step went, by part."""
    before = steps.trainable((before or first_state()).model)
    return jax.tree.map(lambda a, b: np.asarray(a - b), steps.trainable(state.model), before)


@jax.jit
def logits_of(images):
    """Of the first state's model in training: each domain is normalised by its own batch."""
    images = models.normalize_images(images)
    return models.apply(tiny_segmenter(CLASSES), variables(), images, train=True)[0]


@jax.jit
def auxiliary_logits_of(images):
    images, segmenter = models.normalize_images(images), tiny_segmenter(CLASSES, auxiliary=True)
    features, _ = models.extract(segmenter, variables()["backbone"], images, train=True)
    kernel, bias = (variables()["auxiliary"]["params"]["conv"][name] for name in ("kernel", "bias"))
    coarse = features.middle @ kernel[0, 0] + bias
    return models.resize_bilinear_align_corners(coarse, images.shape[1:3])


@functools.cache
def expected_terms():
    """Each term, from the losses' own functions on the model's logits."""
    batch = both_domains()
    source, target = (logits_of(batch[name]["image"]) for name in ("source", "target"))
    second = [auxiliary_logits_of(batch[name]["image"]) for name in ("source", "target")]
    see = {part: functools.partial(discriminate, part) for part in ("classifier", "auxiliary")}
    kind = "softmax"
    return {
        "source": losses.cross_entropy(source, batch["source"]["label"]),
        "target": losses.cross_entropy(target, batch["target"]["label"]),
        "auxiliary": losses.cross_entropy(second[0], batch["source"]["label"]),
        "adversarial": adversarial.model_loss(see["classifier"], target, kind),
        "auxiliary_adversarial": adversarial.model_loss(see["auxiliary"], second[1], kind),
        "local_consistency": losses.local_consistency(source, batch["source"]["label"]),
        "negative_learning": losses.negative_learning(target),
        "discriminator": adversarial.discriminator_loss(see["classifier"], source, target, kind),
        "auxiliary_discriminator": adversarial.discriminator_loss(see["auxiliary"], *second, kind),
    }


def discriminate(part, maps):
    return TinyDiscriminator().apply({"params": first_state().discriminator[part]}, maps)


@pytest.mark.parametrize("term", TERMS)
def test_a_single_term_is_its_loss_and_nothing_else_is_computed(term):
    _, metrics = taken(only(term))
    assert set(metrics) == {"loss", term, *DISCRIMINATORS.get(term, ())[1:]}
    assert metrics[term] > 1e-3
    np.testing.assert_allclose(metrics[term], expected_terms()[term], rtol=1e-4)
    np.testing.assert_allclose(metrics["loss"], metrics[term], rtol=1e-6)


def test_the_loss_is_the_weighted_sum():
    _, metrics = taken(WEIGHTS)
    assert set(metrics) == {"loss", "discriminator", "auxiliary_discriminator", *TERMS}
    expected = expected_terms()
    assert_close({name: metrics[name] for name in expected}, expected)
    total = sum(getattr(WEIGHTS, name) * expected[name] for name in TERMS)
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-4)


def test_the_step_is_the_weighted_sum_of_the_terms_steps():
    single = {name: moved(taken(only(name))[0]) for name in TERMS}
    for name in TERMS:
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(single[name])) > 1e-5, name
    expected = jax.tree.map(
        lambda *leaves: sum(
            getattr(WEIGHTS, name) * leaf for name, leaf in zip(TERMS, leaves, strict=True)
        ),
        *single.values(),
    )
    assert_close(moved(taken(WEIGHTS)[0]), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_a_discriminator_rests_without_an_adversarial_term_of_its_classifier(term):
    after, before = taken(only(term))[0].discriminator, first_state().discriminator
    for other, (part, _) in DISCRIMINATORS.items():
        if other != term:
            assert_equal(after[part], before[part])


@pytest.mark.parametrize("term", DISCRIMINATORS)
def test_a_discriminator_moves_by_its_own_loss_alone(term):
    """The model's adversarial term would pull it the other way; its weight must not matter."""
    part, _ = DISCRIMINATORS[term]
    light, heavy = (taken(only(term, weight))[0].discriminator[part] for weight in (1.0, 50.0))
    assert_close(light, heavy, rtol=1e-6)
    batch, before = both_domains(), first_state().discriminator[part]
    logits = {"classifier": logits_of, "auxiliary": auxiliary_logits_of}[part]
    gradient = jax.grad(
        lambda params: adversarial.discriminator_loss(
            lambda x: TinyDiscriminator().apply({"params": params}, x),
            logits(batch["source"]["image"]),
            logits(batch["target"]["image"]),
            "softmax",
        )
    )(before)
    assert_close(light, jax.tree.map(lambda x, g: x - RATE * g, before, gradient), rtol=1e-4)


def test_an_auxiliary_classifier_rests_where_no_term_looks_at_it():
    optimizer = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(RATE))
    step = make(only("source"), optimizer=optimizer)
    state, _ = step(first_state(optimizer=optimizer), {"source": domain(0)})
    assert_equal(state.model["auxiliary"], variables()["auxiliary"])
    assert np.any(state.model["classifier"]["params"]["conv"]["bias"] != 0)


def test_the_discriminator_input_is_the_configured_one():
    step = make(only("adversarial"), discriminator_input="self_information")
    _, metrics = step(first_state(), both_domains())
    assert abs(metrics["adversarial"] - expected_terms()["adversarial"]) > 1e-4


def test_the_optimizer_steps_once_a_step():
    state, _ = taken(WEIGHTS)
    assert state.step == 1
    state, _ = make(WEIGHTS)(state, both_domains())
    assert state.step == 2
    assert_equal(state.key, first_state().key)


def test_frozen_batch_norm_stays_as_it_is():
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen")
    optimizer = optimizers.segmentation_optimizer(
        ConfigDict(
            {
                "name": "sgd",
                "momentum": 0.9,
                "weight_decay": 0.1,
                "classifier_multiplier": 10.0,
                "power": 0.9,
                "clip_norm": 0.0,
            }
        ),
        learning_rate=0.1,
        steps=10,
        decay_mask=lambda params: models.trainable_mask(segmenter, params),
    )
    before = variables("frozen")
    step = make(only("source"), segmenter, optimizer)
    state = first_state(before, optimizer)
    for _ in range(2):
        state, _ = step(state, {"source": domain(0)})
    after = state.model
    assert_equal(after["backbone"]["batch_stats"], before["backbone"]["batch_stats"])
    assert_equal(after["backbone"]["params"]["bn"], before["backbone"]["params"]["bn"])
    for part in ("backbone", "classifier"):
        kernels = [model[part]["params"]["conv"]["kernel"] for model in (before, after)]
        assert np.abs(kernels[1] - kernels[0]).max() > 1e-4


def test_trained_batch_norm_learns_its_scale():
    before, after = variables()["backbone"], taken(only("source"))[0].model["backbone"]
    assert np.all(after["params"]["bn"]["scale"] != before["params"]["bn"]["scale"])


def test_domains_of_different_sizes():
    batch = {"source": domain(0, (16, 24)), "target": domain(1, (20, 12), count=3)}
    state, metrics = make(steps.LossWeights(source=1.0, target=1.0))(first_state(), batch)
    for name in ("source", "target"):
        expected = losses.cross_entropy(logits_of(batch[name]["image"]), batch[name]["label"])
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-4)
    assert_close(running_statistics(state), followed(batch["target"]["image"]))


@pytest.mark.parametrize("domains", [("source",), ("target",), ("source", "target")])
def test_running_statistics_follow_the_target_as_soon_as_there_is_one(domains):
    batch = {name: both_domains()[name] for name in domains}
    state, _ = make(only(domains[0]))(first_state(), batch)
    assert_close(running_statistics(state), followed(batch[domains[-1]]["image"]))


def running_statistics(state):
    return state.model["backbone"]["batch_stats"]["bn"]


@jax.jit
def followed(images):
    """The tiny backbone's running statistics after one batch."""
    features = jax.lax.conv_general_dilated(
        models.normalize_images(images),
        variables()["backbone"]["params"]["conv"]["kernel"],
        (2, 2),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    before = variables()["backbone"]["batch_stats"]["bn"]
    return {
        "mean": 0.9 * before["mean"] + 0.1 * features.mean((0, 1, 2)),
        "var": 0.9 * before["var"] + 0.1 * features.var((0, 1, 2)),
    }


def test_every_step_draws_its_own_dropout():
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen", dropout=0.5)
    optimizer = optax.set_to_zero()  # the loss then depends on the dropout alone
    step = make(only("source"), segmenter, optimizer)
    batch = {"source": domain(0)}

    def losses_of(seed, count=3):
        state, values = first_state(variables("frozen"), optimizer, seed), []
        for _ in range(count):
            state, metrics = step(state, batch)
            values.append(float(metrics["loss"]))
        return values

    assert len(set(losses_of(7))) == 3
    assert losses_of(7) == losses_of(7)
    assert not set(losses_of(7)) & set(losses_of(8))


def test_target_without_a_labelled_pixel_adds_nothing():
    batch = {"target": {**domain(1), "label": np.full((2, 16, 24), 255, np.int32)}}
    state, metrics = make(only("target"))(first_state(), batch)
    assert {name: float(value) for name, value in metrics.items()} == {"loss": 0.0, "target": 0.0}
    assert_equal(steps.trainable(state.model), steps.trainable(variables()))


def test_no_term_needs_a_batch_that_the_weights_do_not_name():
    assert (only("source").uses_source, only("source").uses_target) == (True, False)
    assert (only("target").uses_source, only("target").uses_target) == (False, True)
    assert (only("adversarial").uses_source, only("adversarial").uses_target) == (True, True)
    consistency, negative = only("local_consistency"), only("negative_learning")
    assert (consistency.uses_source, consistency.uses_target) == (True, False)
    assert (negative.uses_source, negative.uses_target) == (False, True)
    for term in TERMS:
        names = ("source", "target")
        needed = [name for name in names if getattr(only(term), f"uses_{name}")]
        batch = {name: both_domains()[name] for name in needed}
        jax.eval_shape(make(only(term)), first_state(), batch)


def test_auxiliary_terms_need_an_auxiliary_classifier():
    with pytest.raises(ValueError, match="auxiliary=True"):
        make(only("auxiliary"), tiny_segmenter(CLASSES))


def test_compiles_once_for_many_steps(caplog):
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    step = steps.make_train_step(
        tiny_segmenter(CLASSES, axis_name="batch"), optax.sgd(RATE, momentum=0.9), only("source")
    )
    compiled = mesh_lib.data_parallel(step, mesh, batched_arguments=(1,), donate=True)
    state = steps.create_state(variables(), optax.sgd(RATE, momentum=0.9), jax.random.key(0))
    state = mesh_lib.replicate(jax.tree.map(jnp.copy, state), mesh)
    batches = ({"source": domain(seed)} for seed in range(3))
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for batch in mesh_lib.prefetch_to_devices(batches, mesh):
            state, _ = compiled(state, batch)
    compilations = [r for r in caplog.messages if "Finished XLA compilation of jit(call)" in r]
    assert len(compilations) == 1
    assert state.step == 3
