"""Translators as players: PCEDA's and BDL's losses against NumPy, and steps over many devices."""

import functools

import jax
import numpy as np
import optax
import pytest

import labor_jax
from labor_jax import adaptation, experiment, losses, models
from labor_jax.adaptation import bdl, pceda
from labor_jax.training.state import create_state, with_players
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Terms
from tests.losses_test import phase_consistency_twin
from tests.runs import comparable, interrupt_training
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import CLASSES, RATE, assert_close, both_domains, variables

SMALL = {"width": 4, "blocks": 1, "discriminator_width": 4, "learning_rate": 0.05}
SETUP = adaptation.Setup(
    num_classes=CLASSES, image_size=(32, 32), schedule=lambda rate: rate, steps=4
)
MODEL = models.Model(variables("frozen"), tiny_segmenter(CLASSES, batch_norm="frozen"))


def term_of(name, **settings):
    own = {} if name == "conditional_prior" else SMALL
    return adaptation.build(name, {name: {**own, **settings}})


@functools.cache
def drawn(name):
    """Players' parameters, with every translator's last convolution drawn too."""
    found = {}
    for number, (player, own) in enumerate(term_of(name).players(SETUP).items()):
        params = own.init(jax.random.key(number))
        if "conv_out" in params:
            kernel = params["conv_out"]["kernel"]
            noise = 0.1 * jax.random.normal(jax.random.key(10 + number), kernel.shape)
            params = {**params, "conv_out": {**params["conv_out"], "kernel": noise}}
        found[player] = params
    return found


def memory_of(term, name):
    kept = {}
    if hasattr(term, "memory"):
        kept = term.memory(MODEL, SETUP) if name == "conditional_prior" else term.memory(MODEL)
    return {**kept, **drawn(name)}


def unit(domain):
    return both_domains()[domain]["image"] / np.float32(255)


def translated(name, player, images):
    module = models.Translator(SMALL["width"], SMALL["blocks"])
    return np.asarray(module.apply({"params": drawn(name)[player]}, images))


def odds(name, player, images):
    module = models.ImageDiscriminator(SMALL["discriminator_width"])
    return np.asarray(module.apply({"params": drawn(name)[player]}, images), np.float64)


def adversarial_twin(odds, is_source):
    return np.mean(np.log1p(np.exp(-odds if is_source else odds)))


def values(name, **settings):
    term = term_of(name, **settings)
    own = term.player_losses({}, both_domains(), memory_of(term, name))
    return {player: float(each.total / each.count) for player, each in own.items()}


@pytest.mark.parametrize("name", ["phase_translation", "cycle_translation"])
def test_the_view_is_the_translated_source(name):
    term, batch = term_of(name), both_domains()
    view = term.views(jax.random.key(0), batch, memory_of(term, name))["translated"]
    expected = np.clip(translated(name, "translator", unit("source")), 0, 1)
    np.testing.assert_allclose(models.denormalize_images(view["image"]) / 255, expected, atol=1e-5)
    assert np.abs(expected - unit("source")).max() > 0.05
    np.testing.assert_array_equal(view["label"], batch["source"]["label"])


def test_phase_translations_losses():
    name, judge = "phase_translation", "image_discriminator"
    source, target = unit("source"), unit("target")
    as_target = translated(name, "translator", source)
    fooling = adversarial_twin(odds(name, judge, as_target), False)
    phases = np.mean(
        [phase_consistency_twin(*each) for each in zip(as_target, source, strict=True)]
    )
    telling = adversarial_twin(odds(name, judge, as_target), True)
    telling = (telling + adversarial_twin(odds(name, judge, target), False)) / 2
    assert phases > 1e-3
    expected = {"translator": fooling + 7 * phases, judge: telling}
    assert_close(values(name, phase_weight=7.0), expected, rtol=1e-3)


def instance_normalised(logits):
    logits = np.asarray(logits, np.float64)
    deviation = np.sqrt(logits.var((1, 2), keepdims=True) + 1e-5)
    return (logits - logits.mean((1, 2), keepdims=True)) / deviation


def perceptual_twin(images, changed):
    seen = [
        instance_normalised(MODEL(models.normalize_images(255 * each)).logits)
        for each in (images, changed)
    ]
    return np.mean((seen[0] - seen[1]) ** 2)


def test_cycle_translations_losses():
    name = "cycle_translation"
    source, target = unit("source"), unit("target")
    as_target = translated(name, "translator", source)
    as_source = translated(name, "back_translator", target)
    cycle = np.abs(translated(name, "back_translator", as_target) - source).mean()
    cycle += np.abs(translated(name, "translator", as_source) - target).mean()
    judges = {
        judge: functools.partial(odds, name, judge)
        for judge in ("target_discriminator", "source_discriminator")
    }
    on_target, on_source = judges.values()
    expected = {
        "translator": adversarial_twin(on_target(as_target), False)
        + 3 * cycle
        + 2 * perceptual_twin(source, as_target),
        "back_translator": adversarial_twin(on_source(as_source), True)
        + 3 * cycle
        + 2 * perceptual_twin(target, as_source),
        "target_discriminator": (
            adversarial_twin(on_target(as_target), True)
            + adversarial_twin(on_target(target), False)
        )
        / 2,
        "source_discriminator": (
            adversarial_twin(on_source(source), True)
            + adversarial_twin(on_source(as_source), False)
        )
        / 2,
    }
    assert_close(values(name, cycle_weight=3.0, perceptual_weight=2.0), expected, rtol=2e-3)


def test_the_perceiving_segmenter_is_the_model_that_a_phase_begins_with():
    class Passes:
        variables = jax.tree.map(lambda x: x + 1, MODEL.variables)

    term = term_of("cycle_translation")
    kept = term.before_phase(Passes, {**memory_of(term, "cycle_translation"), "other": 1})
    assert_close(kept["segmenter"].variables, Passes.variables)
    assert kept["other"] == 1


def test_logits_of_another_scale_are_perceived_alike():
    images, mirrored = unit("source"), unit("source")[:, ::-1]
    assert bdl.perceptual_loss(MODEL, images, images) == 0
    value = bdl.perceptual_loss(MODEL, images, mirrored)
    assert value > 0.1
    params = dict(MODEL.variables["params"])
    params["head"] = jax.tree.map(lambda x: 7 * x, params["head"])
    loud = MODEL.replace(variables={**MODEL.variables, "params": params})
    np.testing.assert_allclose(bdl.perceptual_loss(loud, images, mirrored), value, rtol=1e-2)


def built(names, microbatches=1):
    """A step and its first state, with these terms."""
    terms = Terms(dict.fromkeys(names, 1.0), {name: term_of_phase(name) for name in names})
    players = {
        name: {each: own._replace(optimizer=optax.sgd(RATE)) for each, own in group.items()}
        for name, group in terms.players(SETUP).items()
    }
    params = {
        name: drawn(name)
        if name in TRANSLATIONS
        else {each: own.init(jax.random.key(5)) for each, own in group.items()}
        for name, group in players.items()
    }
    state = create_state(
        variables("frozen"),
        optax.sgd(RATE),
        jax.random.key(0),
        memory=with_players(terms.memory(MODEL, SETUP), params),
        players=players,
    )
    step = make_train_step(
        tiny_segmenter(CLASSES, batch_norm="frozen", auxiliary=True),
        optax.sgd(RATE),
        terms,
        players=players,
        microbatches=microbatches,
        axis_name=None,
    )
    return step, state


TRANSLATIONS = ("phase_translation", "cycle_translation")


def term_of_phase(name):
    if name in (*TRANSLATIONS, "conditional_prior"):
        return term_of(name)
    return adaptation.build(name, {name: {"width": 2}})


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSLATIONS)
def test_a_step_in_microbatches_is_the_step(name):
    batch = both_domains()
    batch["source"]["label"][1, :12] = 255
    step, state = built((name,))
    whole = jax.jit(step)(state, batch)
    step, state = built((name,), microbatches=2)
    cut = jax.jit(step)(state, batch)
    assert_close(cut[1], whole[1], rtol=1e-3)
    assert_close(cut[0].memory, whole[0].memory, rtol=1e-2, atol=1e-5)
    assert_close(cut[0].variables, whole[0].variables, rtol=1e-2, atol=1e-5)


def test_translators_and_discriminators_have_rates_of_their_own():
    term = term_of("cycle_translation", learning_rate=0.03, discriminator_learning_rate=0.004)
    for name, player in term.players(SETUP).items():
        params = {"bias": np.zeros(3, np.float32)}
        updates, _ = player.optimizer.update(
            {"bias": np.ones(3, np.float32)}, player.optimizer.init(params), params
        )
        # Adam's first step is as long as the rate.
        rate = 0.004 if name.endswith("discriminator") else 0.03
        np.testing.assert_allclose(updates["bias"], -rate, rtol=1e-4)


def test_translated_adversarial_is_between_translated_images_and_the_target():
    rng = np.random.default_rng(0)
    logits = {
        view: models.Outputs(rng.normal(size=(2, 32, 32, CLASSES)).astype(np.float32), None)
        for view in ("source", "translated", "target")
    }
    term = adaptation.build("translated_adversarial", {"translated_adversarial": {"width": 2}})
    assert set(term.reads) == {"translated", "target"}
    params = term.players(SETUP)["discriminator"].init(jax.random.key(0))
    plain = adaptation.build("adversarial", {"adversarial": {"width": 2}})
    memory = {"discriminator": params}
    value = term.player_losses(logits, {}, memory)["discriminator"].total
    expected = plain.player_losses({**logits, "source": logits["translated"]}, {}, memory)
    assert value == expected["discriminator"].total
    assert value != plain.player_losses(logits, {}, memory)["discriminator"].total


def test_permuted_classes_keep_their_shapes_and_void():
    labels = np.array([[0, 1, 2, 255], [2, 2, 0, -1]])
    order = np.array([2, 0, 1])
    np.testing.assert_array_equal(pceda.permuted(labels, order), [[2, 0, 1, 255], [1, 1, 2, -1]])
    term, batch = term_of("conditional_prior"), both_domains(count=4)
    memory = memory_of(term, "conditional_prior")
    made = np.asarray(term.views(jax.random.key(1), batch, memory)["permuted"]["label"])
    orders = set()
    for before, after in zip(batch["source"]["label"], made, strict=True):
        pairs = set(zip(before.ravel().tolist(), after.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert (255, 255) in pairs
        orders.add(tuple(sorted(pairs)))
    assert len(orders) > 1


def test_the_model_waits_for_the_prior_and_an_answer_overrides_it():
    batch, prior = both_domains(), models.ConditionalPrior(CLASSES, 16)
    logits = np.random.default_rng(0).normal(size=(2, 16, 24, CLASSES)).astype(np.float32)
    images = models.normalize_images(batch["target"]["image"])
    params = {"params": drawn("conditional_prior")["prior"]}
    rebuilt = np.asarray(jax.nn.softmax(prior.apply(params, images, logits.argmax(-1))))
    threshold = float(np.median(rebuilt.max(-1)))
    term = term_of("conditional_prior", start=0.5, threshold=threshold)
    memory, outputs = memory_of(term, "conditional_prior"), {"target": models.Outputs(logits, None)}
    waits = []
    for _ in range(4):
        waits.append(float(term.loss(outputs, batch, memory).total) == 0)
        memory = term.update(memory, MODEL)
    assert waits == [True, True, False, False]
    sure = rebuilt.max(-1) >= threshold
    rebuilt = np.where(sure, rebuilt.argmax(-1), 255)
    labels = np.where(batch["target"]["label"] == 255, rebuilt, batch["target"]["label"])
    value = term.loss(outputs, batch, memory)
    np.testing.assert_allclose(
        value.total / value.count, losses.cross_entropy(logits, labels), rtol=5e-3
    )
    assert abs(value.count - np.sum(labels != 255)) <= 1  # rounding at the median itself
    batch["target"]["void"] = batch["target"]["label"] == 255
    assert term.loss(outputs, batch, memory).count == np.sum(batch["target"]["label"] != 255)


@pytest.mark.slow
def test_a_prior_learns_to_rebuild_label_maps():
    term, batch = term_of("conditional_prior"), both_domains()
    kept = memory_of(term, "conditional_prior")
    outputs = {"target": models.Outputs(np.zeros((2, 16, 24, CLASSES), np.float32), None)}
    batch["permuted"] = {"label": batch["source"]["label"]}
    optimizer = optax.adam(1e-2)

    def loss(prior):
        own = term.player_losses(outputs, batch, {**kept, "prior": prior})["prior"]
        return own.total / own.count

    @jax.jit
    def step(prior, state):
        value, gradient = jax.value_and_grad(loss)(prior)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(prior, updates), state, value

    prior, values = kept["prior"], []
    state = optimizer.init(prior)
    for _ in range(60):
        prior, state, value = step(prior, state)
        values.append(float(value))
    np.testing.assert_allclose(values[0], np.log(CLASSES), atol=0.2)
    assert values[-1] < 0.7 * values[0]


def test_a_start_outside_of_the_phase_is_an_error():
    with pytest.raises(ValueError, match=r"config\.terms\.conditional_prior: start is 1\.5"):
        term_of("conditional_prior", start=1.5)


def test_bdl_goes_on_with_adversarial_training_when_it_retrains():
    config = labor_jax.get_config("uda:bdl")
    adapted = {"cycle_translation": 1.0, "translated_adversarial": 1e-3}
    for section, more in ((config.warmup, {}), (config.retraining, {"median_labels": 1.0})):
        used = {name: weight for name, weight in section.terms.items() if weight}
        assert used == adapted | more
    assert config.terms.translated_adversarial.width == config.terms.adversarial.width
    assert config.retraining.stages == 2


@pytest.mark.slow
def test_translators_live_through_a_resume(tmp_path):
    def config():
        config = tiny_config("uda:bdl")
        config.supervised.steps = config.warmup.steps = 0
        config.retraining.steps = 3
        config.terms.cycle_translation.update(SMALL)
        config.terms.translated_adversarial.width = 2
        return config

    summary = experiment.run(config(), tmp_path / "whole")
    interrupt_training(config(), tmp_path / "cut", "retraining_2", 3)
    assert comparable(experiment.run(config(), tmp_path / "cut")) == comparable(summary)
