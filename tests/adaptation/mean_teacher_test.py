"""The teacher, what it trusts, and that all terms which use it have the same one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labor_jax import adaptation, pseudo_labels
from labor_jax.adaptation import mean_teacher
from labor_jax.adaptation.mean_teacher import MeanTeacher
from tests.adaptation.teacher_terms import (
    CLASSES,
    SETUP,
    assert_close,
    both_domains,
    cross_entropy,
    domain,
    first_state,
    made_views,
    model,
    outputs_of,
    probabilities,
    step_of,
    terms,
)
from tests.slow import all_but

PLAIN = {"jitter": 0.0, "blur": 0.0}
BALANCED = {"confidence": "class_balanced", "portion": 0.3, **PLAIN}


def taught(term, batch, memory=None):
    memory = memory or term.memory(model(), SETUP)
    return jax.tree.map(np.asarray, jax.jit(term.views)(jax.random.key(0), batch, memory))


def weights_twin(confidence, prediction, settings, thresholds):
    if settings["confidence"] == "class_balanced":
        return (confidence >= thresholds[prediction]).astype(float)
    sure = confidence > settings["threshold"]
    if settings["confidence"] == "pixel":
        return sure.astype(float)
    return np.stack([np.full(each.shape, each.mean()) for each in sure])


@pytest.mark.parametrize("confidence", ["image_share", "pixel", "class_balanced"])
def test_a_label_weighs_as_much_as_it_is_trusted_and_an_answer_all(confidence):
    batch = both_domains()
    settings = {"confidence": confidence, "threshold": 0.5, "portion": 0.3}
    term = MeanTeacher(**settings, **PLAIN)
    memory = term.memory(model(), SETUP)
    view = taught(term, batch, memory)["taught"]
    least = np.full(CLASSES, 2.0)
    if confidence == "class_balanced":
        assert np.all(view["weight"][batch["target"]["label"] == 255] == 0)  # nothing counted yet
        memory = term.update(memory, model(), term.measure({"taught": view}, memory))
        least = np.asarray(thresholds(memory["confidences"], 0.3))
        view = taught(term, batch, memory)["taught"]
    p = probabilities(model(), batch["target"]["image"])
    expected = weights_twin(p.max(-1), p.argmax(-1), settings, least)
    assert 0 < expected.mean() < 1
    answers = batch["target"]["label"]
    unsure = np.abs(p.max(-1) - least[p.argmax(-1)]) < 1e-6
    keep = ~unsure if confidence == "class_balanced" else np.full(answers.shape, True)
    expected = np.where(answers != 255, 1.0, expected)
    np.testing.assert_allclose(view["weight"][keep], expected[keep], atol=1e-6)
    np.testing.assert_array_equal(view["label"], np.where(answers != 255, answers, p.argmax(-1)))
    np.testing.assert_array_equal(view["image"], batch["target"]["image"])


@pytest.mark.parametrize("confidence", ["image_share", "pixel", "class_balanced"])
def test_void_has_no_label_no_weight_and_no_share(confidence):
    target = domain(1, answered=0.2)
    void = (np.arange(target["image"].shape[2]) < 12) & (target["label"] == 255)
    term = MeanTeacher(confidence=confidence, threshold=0.5, **PLAIN)
    memory = term.memory(model(), SETUP)
    view = taught(term, {"target": {**target, "void": void}}, memory)["taught"]
    assert (view["label"][void] == 255).all() and not view["weight"][void].any()
    assert (view["label"][~void] != 255).all()
    confidences = probabilities(model(), target["image"]).max(-1)
    if confidence == "image_share":
        expected = [(each[~own] > 0.5).mean() for each, own in zip(confidences, void, strict=True)]
        for weights, unlabelled, share in zip(
            view["weight"], ~void & (target["label"] == 255), expected, strict=True
        ):
            np.testing.assert_allclose(weights[unlabelled], share, rtol=1e-5)
    if confidence == "class_balanced":
        counts = term.measure({"taught": view}, memory)["confidences"]
        assert np.sum(counts) == (~void).sum()


def test_the_teacher_chooses_among_the_classes_of_an_answer():
    target = domain(1, answered=0.0)
    candidates = np.full(target["label"].shape, 0b1010, np.int32)
    candidates[:, :2] = 0
    term = MeanTeacher(confidence="pixel", threshold=0.0, **PLAIN)
    view = taught(term, {"target": {**target, "candidates": candidates}})["taught"]
    p = probabilities(model(), target["image"])
    np.testing.assert_array_equal(view["label"][:, :2], p[:, :2].argmax(-1))
    among = np.where(p[..., 1] >= p[..., 3], 1, 3)
    np.testing.assert_array_equal(view["label"][:, 2:], among[:, 2:])
    assert not np.isin(p.argmax(-1)[:, 2:], [1, 3]).all()


count = jax.jit(pseudo_labels.confidence_histogram, static_argnums=2)
thresholds = jax.jit(mean_teacher.counted_thresholds)


def at_rank(confidence, prediction, number, portion):
    """The confidence that at least a portion of a class's pixels have, by sorting them."""
    ranked = -np.sort(-confidence[prediction == number])
    return ranked[int(np.ceil(np.float32(portion) * np.float32(len(ranked)))) - 1]


@given(st.integers(0, 10_000), st.floats(0.01, 1.0))
def test_counted_thresholds_are_the_sorted_ones_but_for_a_bins_width(seed, portion):
    rng = np.random.default_rng(seed)
    confidence = np.float32(1 - rng.beta(1, 3, 600) * 10.0 ** -rng.integers(0, 6, 600))
    prediction = rng.integers(0, 3, 600).astype(np.int32)
    counts = np.asarray(count(confidence, prediction, 4))
    assert counts.sum() == 600 and not counts[3].any()
    found = np.asarray(thresholds(counts.astype(np.float32), portion))
    for number in range(3):
        exact = at_rank(confidence, prediction, number, portion)
        assert found[number] <= exact
        assert 1 - found[number] <= (1 - exact) * (1 + 1 / 256)
        trusted = np.mean(confidence[prediction == number] >= found[number])
        assert trusted >= portion - 1e-6
    assert found[3] > 1


@pytest.mark.parametrize("portion", [0.1, 0.5, 0.95])
def test_a_sure_teacher_is_trusted_on_the_portion_too(portion):
    doubt = 1 / (1 + np.exp(np.random.default_rng(0).normal(8, 1, 100_000)))
    confidence, prediction = np.float32(1 - doubt), np.zeros(100_000, np.int32)
    (found,) = thresholds(count(confidence, prediction, 1).astype(jnp.float32), portion)
    assert abs(np.mean(confidence >= found) - portion) < 0.01


def test_no_class_is_without_labels_however_unsure_the_teacher_is():
    """A constant threshold trusts nothing here."""
    batch = {"target": domain(1, answered=0.0)}
    unsure = model(loud=0.3)
    assert probabilities(unsure, batch["target"]["image"]).max() < 0.6
    term = MeanTeacher(**BALANCED)
    memory = term.memory(unsure, SETUP)
    view = taught(term, batch, memory)["taught"]
    memory = term.update(memory, unsure, term.measure({"taught": view}, memory))
    view = taught(term, batch, memory)["taught"]
    for number in np.unique(view["prediction"]):
        assert view["weight"][view["prediction"] == number].mean() >= 0.3
    assert 0.25 < view["weight"].mean() < 0.6
    constant = MeanTeacher(confidence="pixel", **PLAIN)
    memory = constant.memory(unsure, SETUP)
    assert not taught(constant, batch, memory)["taught"]["weight"].any()


def test_the_teacher_follows_by_the_published_recursion():
    loss = terms({"mean_teacher": 1.0}, mean_teacher={"decay": 0.6, "threshold": 0.3, **BALANCED})
    step, state, batch = step_of(loss, batch_norm="trained"), first_state(loss), both_domains()
    expected, counts = model().variables, np.zeros((CLASSES, 1))
    for t in range(5):
        view = taught(loss.terms["mean_teacher"], batch, state.memory["mean_teacher"])["taught"]
        seen = count(view["confidence"], view["prediction"], CLASSES)
        state, _ = step(state, batch)
        decay = min(1 - 1 / (t + 1), 0.6)
        expected = jax.tree.map(
            lambda old, new, decay=decay: decay * old + (1 - decay) * new,
            expected,
            state.variables,
        )
        counts = decay * counts + (1 - decay) * np.asarray(seen)
        memory = state.memory["mean_teacher"]
        assert_close(memory["teacher"].variables, expected)
        assert_close(memory["confidences"], counts)
    assert memory["steps"] == 5
    assert np.any(
        memory["teacher"].variables["params"]["head"]["logits"]["kernel"]
        != state.variables["params"]["head"]["logits"]["kernel"]
    )


def test_nothing_is_learnt_of_the_teacher_before_the_start():
    loss = terms({"mean_teacher": 1.0}, mean_teacher={"start": 0.2, "threshold": 0.2, **PLAIN})
    step, state = step_of(loss), first_state(loss)
    batch = {"target": domain(1, answered=0.0)}
    values = []
    for _ in range(4):
        state, metrics = step(state, batch)
        values.append(float(metrics["mean_teacher"]))
    assert values[:2] == [0, 0] and min(values[2:]) > 0.01


@pytest.mark.parametrize(
    "name", all_but(["class_mix"], ["mean_teacher", "class_mix", "masked_consistency"])
)
def test_a_loss_is_the_weighted_cross_entropy_over_all_pixels(name):
    weights = {name: 1.0}
    loss = terms(weights, mean_teacher={"threshold": 0.5})
    view = {"mean_teacher": "jittered", "class_mix": "mixed", "masked_consistency": "masked"}[name]
    state, batch = first_state(loss), both_domains()
    views = made_views(loss, batch, state.memory)
    outputs = {view: outputs_of(model(), views[view]["image"])}
    term = jax.jit(loss.losses)(outputs, views, state.memory)[name]
    expected = cross_entropy(outputs[view].logits, views[view])
    np.testing.assert_allclose(term.total / term.count, expected, rtol=1e-4)
    assert 0 < np.asarray(views[view]["weight"]).mean() < 1


ALL = {
    "source_labels": 1.0,
    "answers": 0.5,
    "mean_teacher": 1.0,
    "class_mix": 0.7,
    "masked_consistency": 0.4,
    "feature_distance": 0.3,
}


@pytest.mark.slow
@pytest.mark.parametrize(("microbatches", "devices"), [(4, 1), (2, 2)])
def test_microbatches_and_devices_change_nothing(microbatches, devices):
    """Without random draws: source images of one class each, no hidden blocks."""
    settings = {
        "mean_teacher": BALANCED,
        "class_mix": PLAIN,
        "masked_consistency": {"ratio": 0.0, **PLAIN},
    }
    loss, batch = terms(ALL, **settings), both_domains(one_class=True)
    batch["target"]["label"][0] = 255
    start = model(batch_norm="frozen")
    whole, cut = first_state(loss, start), first_state(loss, start)
    whole_step, cut_step = step_of(loss), step_of(loss, microbatches=microbatches, devices=devices)
    for _ in range(2):
        whole, metrics = whole_step(whole, batch)
        cut, their_metrics = cut_step(cut, batch)
        assert_close(their_metrics, metrics)
    assert min(float(metrics[name]) for name in ALL) > 1e-3
    np.testing.assert_array_equal(
        whole.memory["mean_teacher"]["confidences"], cut.memory["mean_teacher"]["confidences"]
    )
    assert_close(cut.variables, whole.variables)


def test_all_terms_have_one_teacher_whose_own_loss_is_off_without_a_weight():
    loss = terms({"class_mix": 1.0, "masked_consistency": 1.0, "source_labels": 1.0})
    assert loss.reads == ("source", "target", "mixed", "masked")  # target for batch norm
    assert set(loss.memory(model(), SETUP)) == {
        "class_mix",
        "mean_teacher",
        "masked_consistency",
        "source_labels",
    }
    state, metrics = step_of(loss, batch_norm="trained")(first_state(loss), both_domains())
    assert set(metrics) == {"loss", "class_mix", "masked_consistency", "source_labels"}
    assert state.memory["mean_teacher"]["steps"] == 1


@pytest.mark.slow
def test_batch_norm_follows_the_target_or_what_a_term_asks_for():
    follows = {
        "target": terms({"class_mix": 1.0, "source_labels": 1.0}),
        "mixed": terms({"class_mix": 1.0, "source_labels": 1.0}, class_mix={"statistics": "mixed"}),
    }
    for view, loss in follows.items():
        assert loss.statistics_views == (view,)
        assert ("target" in loss.reads) == (view == "target")
    answered = terms({"class_mix": 1.0, "answers": 1.0}, class_mix={"statistics": "mixed"})
    assert answered.statistics_views == ("target",)
    batch, means = both_domains(), {}
    for view, loss in follows.items():
        state, _ = step_of(loss, batch_norm="trained")(first_state(loss), batch)
        means[view] = np.asarray(state.variables["batch_stats"]["backbone"]["bn1"]["mean"])
    plain = terms({"answers": 1.0})
    state, _ = step_of(plain, batch_norm="trained")(first_state(plain), batch)
    expected = state.variables["batch_stats"]["backbone"]["bn1"]["mean"]
    np.testing.assert_allclose(means["target"], expected, rtol=1e-4)
    assert np.abs(means["mixed"] - expected).max() > 1e-3


def test_jittered_images_are_new_each_and_half_of_them_blurred():
    images = np.repeat(domain(0, 1)["image"], 200, axis=0)
    jittered = jax.jit(mean_teacher.jittered, static_argnums=(2, 3))
    blurred = np.asarray(jittered(jax.random.key(0), images, 0.0, 1.15))
    changed = np.any(blurred != images, axis=(1, 2, 3))
    assert blurred.dtype == np.uint8 and 0.3 < changed.mean() < 0.6
    coloured = np.asarray(jittered(jax.random.key(0), images, 0.25, 0.0))
    changed = np.any(coloured != images, axis=(1, 2, 3))
    assert 0.7 < changed.mean() < 0.9
    np.testing.assert_array_equal(jittered(jax.random.key(0), images[:2], 0.0, 0.0), images[:2])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mean_teacher", {"confidence": "none"}, "confidence is 'none'; choose one of: image_sh"),
        ("mean_teacher", {"decay": 1.5}, r"decay is 1\.5; it is from 0 to 1"),
        ("mean_teacher", {"start": -0.1}, r"start is -0\.1"),
        ("mean_teacher", {"jitter": 2.0}, r"jitter is 2\.0; it is from 0 to 0\.5"),
        ("class_mix", {"paste": "all"}, "paste is 'all'; choose one of: source, source_and_ans"),
        ("class_mix", {"statistics": "all"}, "statistics is 'all'"),
        ("class_mix", {"reach": -1}, "reach is -1"),
        ("class_mix", {"blur": -1.0}, r"blur is -1\.0; it is from 0 to 16"),
        ("masked_consistency", {"ratio": 1.2}, r"ratio is 1\.2"),
        ("masked_consistency", {"block": -2}, "block is -2"),
        ("feature_distance", {"share": 0.0}, r"share is 0\.0"),
    ],
)
def test_a_senseless_setting_is_an_error(name, settings, message):
    with pytest.raises(ValueError, match=rf"config\.terms\.{name}: .*{message}"):
        adaptation.build(name, {name: settings})


def test_the_weight_of_answers_needs_no_sure_teacher():
    loss = terms({"mean_teacher": 1.0}, mean_teacher={"threshold": 1.0, **PLAIN})
    batch = {"target": domain(1, answered=0.2)}
    state = first_state(loss)
    views = made_views(loss, batch, state.memory)
    np.testing.assert_array_equal(views["taught"]["weight"], batch["target"]["label"] != 255)
    assert jnp.sum(views["taught"]["weight"]) > 0
