"""Pseudo labels of a frozen labeller: who labels, what answers change, and exact means."""

import jax
import numpy as np
import optax
import pytest

from labor_jax import adaptation
from labor_jax.adaptation import pseudo_labelling
from labor_jax.training.state import create_state
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Terms
from tests.adaptation import pool
from tests.slow import all_but
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import CLASSES, assert_close, assert_equal, domain, variables

SETTINGS = {
    "pseudo_labels": {"threshold": 0.6},
    "class_balanced_labels": {"portion": 0.5},
    "regularized_labels": {"portion": 0.5},
    "instance_adaptive_labels": {"portion": 0.5, "gamma": 0.5},
    "densified_labels": {"portion": 0.3, "easy_share": 0.5},
}


def loss_of(name):
    """A term with pseudo labels, and the entropy of the pixels without one."""
    terms = {
        name: adaptation.build(name, SETTINGS),
        "ignored_entropy": adaptation.build("ignored_entropy", {}),
    }
    return Terms({name: 1.0, "ignored_entropy": 3.0}, terms)


def first_state(loss, stage=1):
    memory = loss.before_phase(pool.Passes(stage), loss.memory(pool.model(), pool.setup()))
    return create_state(variables(), optax.sgd(0.1), jax.random.key(0), memory=memory)


def step_of(loss, microbatches=1, devices=1):
    step = make_train_step(
        tiny_segmenter(CLASSES, batch_norm="frozen", auxiliary=True),
        optax.sgd(0.1),
        loss,
        microbatches=microbatches,
        axis_name=None if devices == 1 else "batch",
    )
    if devices == 1:
        return jax.jit(step)
    on_all = jax.vmap(step, in_axes=(None, 0), axis_name="batch")

    def split(state, batch):
        shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        return jax.tree.map(lambda x: x[0], on_all(state, shares))

    return jax.jit(split)


@pytest.mark.parametrize("name", all_but(["pseudo_labels"], SETTINGS))
def test_a_step_in_microbatches_on_two_devices_is_the_step(name):
    loss, batch = loss_of(name), pool.batch([4, 0, 3, 1])
    batch["target"]["label"][1] = domain(3, count=1)["label"][0]
    state, metrics = step_of(loss)(first_state(loss), batch)
    cut, their_metrics = step_of(loss, microbatches=2, devices=2)(first_state(loss), batch)
    assert metrics[name] > 1e-2 and metrics["ignored_entropy"] > 1e-3
    assert_close(their_metrics, metrics)
    assert_close(cut, state, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("others", [pytest.param({}, marks=pytest.mark.slow), {"answers": 2.0}])
@pytest.mark.parametrize(
    "name",
    all_but(["regularized_labels"], ["pseudo_labels", "regularized_labels", "easy_pseudo_labels"]),
)
def test_the_network_sees_the_targets_images_once_and_learns_the_same(name, others):
    """The same as where the view's images are shown by themselves, as if they were others."""
    weights = {**others, name: 1.0}
    batch = pool.batch([1, 3], answered=True)

    def taken(**attributes):
        terms, calls = adaptation.build_all(weights, SETTINGS), []
        network = tiny_segmenter(CLASSES, auxiliary=True)

        def apply(*arguments, **options):
            calls.append(options)
            return network.apply(*arguments, **options)

        vars(terms[name]).update(attributes)
        loss = Terms(weights, terms)
        step = make_train_step(network, optax.sgd(0.1), loss, axis_name=None, apply=apply)
        state, metrics = jax.jit(step)(first_state(loss), batch)
        return len(calls), loss, state, metrics

    calls, loss, state, metrics = taken()
    more_calls, _, their_state, their_metrics = taken(images_of={})
    assert (calls, more_calls) == (1, 1 + len(others))
    assert loss.reads == loss.statistics_views == ("target",)
    assert metrics[name] > 1e-2
    assert_close(metrics, their_metrics)
    assert_close(state.variables, their_state.variables)  # with batch norm's statistics


def test_the_labeller_stays_as_it_was():
    loss = loss_of("pseudo_labels")
    state = first_state(loss)
    after, _ = step_of(loss)(state, pool.batch([0, 1]))
    assert np.any(
        after.variables["params"]["head"]["logits"]["kernel"]
        != variables()["params"]["head"]["logits"]["kernel"]
    )
    assert_equal(after.memory["pseudo_labels"]["labeller"].variables, variables())


def test_a_pass_makes_the_current_model_the_labeller():
    """In joint training memory goes on, and the labels are to be those of the latest query."""
    term = pseudo_labelling.PseudoLabels()
    labeller = term.memory(pool.model(), pool.setup())["labeller"]
    old = labeller.replace(variables=jax.tree.map(np.zeros_like, variables()))
    refreshed = term.before_phase(pool.Passes(), {"labeller": old})["labeller"]
    assert_equal(refreshed.variables, variables())


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("class_balanced_labels", {}),
        ("instance_adaptive_labels", {"gamma": 0.5}),
        ("densified_labels", {"easy_share": 0.5}),
    ],
)
def test_memory_that_goes_on_through_joint_training_keeps_no_stage(name, own):
    term = adaptation.build(name, {name: own})
    going_on = term.before_phase(pool.Passes(2), pool.prepared(term, stage=0))
    assert_equal(going_on, pool.prepared(term, stage=2))
    assert np.any(going_on["thresholds"] != pool.prepared(term, stage=0)["thresholds"])


@pytest.mark.parametrize("threshold", [0.0, 0.6])
def test_labels_are_the_confident_predictions(threshold):
    term = pseudo_labelling.PseudoLabels(threshold=threshold)
    label = pool.view(term, pool.prepared(term), [2, 0])["label"]
    confidence, predicted = (each[[2, 0]] for each in pool.confidence_and_class())
    np.testing.assert_array_equal(label, np.where(confidence >= threshold, predicted, 255))


@pytest.mark.parametrize("name", SETTINGS)
def test_answers_stand_wherever_there_are_any(name):
    term = adaptation.build(name, SETTINGS)
    memory = pool.prepared(term)
    without, with_them = (pool.view(term, memory, [1, 3], each)["label"] for each in (False, True))
    assert (with_them[:, :, 0] == 1).all() and (without[:, :, 0] != 1).any()
    np.testing.assert_array_equal(with_them[:, :, 1:], without[:, :, 1:])


@pytest.mark.parametrize("settings", [*SETTINGS, "lrent"])
def test_void_stays_void_and_a_set_leaves_its_classes(settings):
    name, own = settings, SETTINGS
    if settings == "lrent":
        name = "regularized_labels"
        own = {name: {"regularizer": "lrent", **SETTINGS[name]}}
    term = adaptation.build(name, own)
    memory, batch = pool.prepared(term), pool.batch([1, 3])
    if "thresholds" in memory:
        memory["thresholds"] = 0.7 * memory["thresholds"]  # so that most pixels have a label
    target = batch["target"]
    target["void"] = np.zeros(target["label"].shape, bool)
    target["candidates"] = np.zeros(target["label"].shape, np.int32)
    target["void"][:, :4] = True
    target["candidates"][:, 8:] = 0b1010
    view = jax.tree.map(np.asarray, jax.jit(term.views)(jax.random.key(0), batch, memory))
    label = view["pseudo_labelled"]["label"]
    assert (label[:, :4] == 255).all() and (label[:, 4:8] != 255).any()
    assert set(np.unique(label[:, 8:])) <= {1, 3, 255} and (label[:, 8:] != 255).any()
    if settings == "lrent":
        soft = view["pseudo_labelled"]["soft_label"]
        assert not soft[:, :4].any() and not soft[:, 8:, :, [0, 2, 4]].any()
    predicted = pool.confidence_and_class()[1][[1, 3]]
    assert not np.isin(predicted[:, 8:], [1, 3]).all()  # the model alone would label otherwise


def test_the_entropy_of_void_pixels_does_not_count():
    loss, batch = loss_of("pseudo_labels"), pool.batch([0, 4])
    unsure = pool.confidence_and_class()[0][[0, 4]] < 0.6
    batch["target"]["void"] = unsure & (np.arange(unsure.shape[2]) < 12)
    _, metrics = step_of(loss)(first_state(loss), batch)
    p = pool.probabilities()[[0, 4]]
    entropies = -(p * np.log(p)).sum(-1)[unsure & ~batch["target"]["void"]]
    np.testing.assert_allclose(metrics["ignored_entropy"], entropies.mean() / CLASSES, rtol=1e-4)


def test_the_entropy_is_that_of_the_pixels_without_a_label():
    loss = loss_of("pseudo_labels")
    _, metrics = step_of(loss)(first_state(loss), pool.batch([0, 4]))
    confidence, p = pool.confidence_and_class()[0][[0, 4]], pool.probabilities()[[0, 4]]
    entropies = -(p * np.log(p)).sum(-1)[confidence < 0.6]
    np.testing.assert_allclose(metrics["ignored_entropy"], entropies.mean() / CLASSES, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("pseudo_labels", {"threshold": 1.5}, "threshold is 1.5; it is a share"),
        ("class_balanced_labels", {"portion": -0.1}, "portion is -0.1"),
        ("regularized_labels", {"regularizer": "l2"}, "choose one of: mrkld, lrent"),
        ("regularized_labels", {"entropy_weight": 0.0}, "entropy_weight is 0.0"),
        ("instance_adaptive_labels", {"portion": 2.0}, "portion is 2.0"),
        ("densified_labels", {"trust": 2.0}, "trust is 2.0"),
        ("densified_labels", {"window": 0}, "window is 0"),
        ("self_training", {"thresholds": "iast"}, "choose one of: constant, instance_adaptive"),
    ],
)
def test_senseless_settings_are_errors(name, settings, says):
    with pytest.raises(ValueError, match=says):
        adaptation.build(name, {name: settings})
