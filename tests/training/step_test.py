"""What each term of the step adds, what a step changes and what it leaves alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from labor_jax import losses, models
from labor_jax.adaptation import adversarial, patch_adapt
from labor_jax.adaptation.clan import weight_discrepancy
from labor_jax.ops import resize_bilinear_align_corners
from labor_jax.training import mesh as mesh_lib
from labor_jax.training import optimizers
from labor_jax.training.state import create_state
from labor_jax.training.step import _shares, make_train_step
from labor_jax.training.terms import RUNNING_STATISTICS, Term, Terms
from tests.slow import all_but
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import (
    CLASSES,
    CLUSTERS,
    PLAYERS,
    RATE,
    WEIGHTS,
    TinyDiscriminator,
    assert_close,
    assert_equal,
    both_domains,
    centres,
    discriminator_params,
    domain,
    first_state,
    followed,
    make_step,
    only,
    player_params,
    running_statistics,
    terms,
    variables,
)

ADVERSARIAL = {"adversarial": 2, "auxiliary_adversarial": 3}
"""The terms with a discriminator, and the seed of its parameters."""


@functools.cache
def taken(name, weight=1.0):
    """The state and metrics after the first step with this term alone, on both domains."""
    loss = only(name, weight)
    return jax.jit(make_step(loss))(first_state(loss), both_domains())


@functools.cache
def taken_together():
    return jax.jit(make_step(terms()))(first_state(terms()), both_domains())


def moved(state):
    """How far a step went."""
    before = variables()["params"]
    return jax.tree.map(lambda a, b: np.asarray(a - b), state.variables["params"], before)


@jax.jit
def outputs_of(images):
    """Of the first state's model in training: each domain is normalised by its own batch."""
    segmenter = tiny_segmenter(CLASSES, auxiliary=True)
    images = models.normalize_images(images)
    return segmenter.apply(variables(), images, train=True, mutable=["batch_stats"])[0]


def logits_of(domain_name, auxiliary=False):
    outputs = outputs_of(both_domains()[domain_name]["image"])
    return outputs.auxiliary_logits if auxiliary else outputs.logits


def discriminate(name, maps):
    params = discriminator_params(ADVERSARIAL[name])
    return TinyDiscriminator().apply({"params": params}, maps)


def pseudo_labelled():
    """The target's labels, and elsewhere the classes of which the first model is sure."""
    model = models.Model(variables=variables(), network=tiny_segmenter(CLASSES, auxiliary=True))
    p = jax.nn.softmax(model(both_domains()["target"]["image"]).logits)
    sure = jnp.where(p.max(-1) >= 0.5, p.argmax(-1), 255)
    assert 0.1 < (sure == 255).mean() < 0.9
    given = both_domains()["target"]["label"]
    return jnp.where(given == 255, sure, given)


@functools.cache
def expected_losses():
    """Each term and player, from the losses' own functions on the model's logits."""
    labels = {name: view["label"] for name, view in both_domains().items()}
    source, target = logits_of("source"), logits_of("target")
    expected = {
        "source_labels": losses.cross_entropy(source, labels["source"]),
        "answers": losses.cross_entropy(target, labels["target"]),
        "local_consistency": losses.local_consistency(source, labels["source"]),
        "negative_learning": losses.negative_learning(target),
        "min_entropy": losses.entropy(target),
        "max_squares": losses.max_squares(target),
        "charbonnier_entropy": losses.charbonnier_entropy(target),
        "auxiliary_source_labels": losses.cross_entropy(
            logits_of("source", auxiliary=True), labels["source"]
        ),
        "pseudo_labels": losses.cross_entropy(target, pseudo_labelled()),
    }
    expected |= clan_losses(labels["source"]) | patch_losses(labels["source"])
    for name in ADVERSARIAL:
        see, second = functools.partial(discriminate, name), name.startswith("auxiliary")
        pair = [logits_of(each, second) for each in ("source", "target")]
        expected[name] = adversarial.model_loss(see, pair[1], "softmax")
        expected[f"{name}_discriminator"] = adversarial.discriminator_loss(see, *pair, "softmax")
    return expected


def clan_losses(source_labels):
    """CLAN's at the first step, before which no pixel weighs more; see clan_test for later ones."""
    head = player_params("clan", "second_head")["head"]
    second = {}
    for view in ("source", "target"):
        features = outputs_of(both_domains()[view]["image"]).features
        coarse = tiny_segmenter(CLASSES).head.apply({"params": head}, features)
        second[view] = resize_bilinear_align_corners(coarse, (16, 24))

    def judged(view, is_source):
        probabilities = jax.nn.softmax(logits_of(view) + second[view])
        patches = TinyDiscriminator().apply(
            {"params": player_params("clan", "discriminator")}, probabilities
        )
        patches = resize_bilinear_align_corners(patches, (16, 24))
        return losses.adversarial(patches, is_source)

    of_both = losses.cross_entropy(second["source"], source_labels)
    of_both += 0.5 * judged("target", True)
    own = variables()["params"]["head"]
    of_both += 0.5 * weight_discrepancy(own, head)
    return {
        "clan": of_both,
        "clan_second_head": of_both,
        "clan_discriminator": (judged("source", True) + judged("target", False)) / 2,
    }


def patch_losses(source_labels):
    classifier, discriminator = (
        player_params("patch_adapt", name) for name in ("classifier", "discriminator")
    )
    logits = {}
    for view in ("source", "target"):
        cells = patch_adapt.cell_means(jax.nn.softmax(logits_of(view)), 8)
        module = patch_adapt.PatchClassifier(CLUSTERS)
        logits[view] = module.apply({"params": classifier}, cells)

    def judged(view, is_source):
        probabilities = jax.nn.softmax(logits[view])
        module = patch_adapt.PatchDiscriminator()
        return losses.adversarial(module.apply({"params": discriminator}, probabilities), is_source)

    clusters = patch_adapt.patch_clusters(
        patch_adapt.label_patches(source_labels, CLASSES, 4), centres()
    )
    of_both = losses.cross_entropy(logits["source"], clusters) + 0.5 * judged("target", True)
    return {
        "patch_adapt": of_both,
        "patch_adapt_classifier": of_both,
        "patch_adapt_discriminator": (judged("source", True) + judged("target", False)) / 2,
    }


@pytest.mark.parametrize("name", all_but(["source_labels", "clan"], WEIGHTS))
def test_a_single_term_is_its_loss_and_nothing_else_is_computed(name):
    _, metrics = taken(name)
    players = {f"{name}_{player}" for player in PLAYERS.get(name, ())}
    assert set(metrics) == {"loss", name, *players}
    assert abs(metrics[name]) > 1e-3
    np.testing.assert_allclose(metrics[name], expected_losses()[name], rtol=1e-4)
    np.testing.assert_allclose(metrics["loss"], metrics[name], rtol=1e-6)


def test_the_loss_is_the_weighted_sum():
    _, metrics = taken_together()
    expected = expected_losses()
    assert set(metrics) == {"loss", *expected}
    assert_close({name: metrics[name] for name in expected}, expected)
    total = sum(weight * expected[name] for name, weight in WEIGHTS.items())
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-4)


@pytest.mark.slow
def test_the_step_is_the_weighted_sum_of_the_terms_steps():
    single = {name: moved(taken(name)[0]) for name in WEIGHTS}
    for name in WEIGHTS:
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(single[name])) > 1e-5, name
    expected = jax.tree.map(
        lambda *leaves: sum(
            weight * leaf for weight, leaf in zip(WEIGHTS.values(), leaves, strict=True)
        ),
        *single.values(),
    )
    assert_close(moved(taken_together()[0]), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_player_moves_by_its_own_loss_alone(name):
    """The model's adversarial term would pull it the other way; its weight must not matter."""
    light, heavy = (taken(name, weight)[0].memory[name]["discriminator"] for weight in (1.0, 50.0))
    assert_close(light, heavy, rtol=1e-6)
    before = discriminator_params(ADVERSARIAL[name])
    second = name.startswith("auxiliary")
    gradient = jax.grad(
        lambda params: adversarial.discriminator_loss(
            lambda x: TinyDiscriminator().apply({"params": params}, x),
            logits_of("source", second),
            logits_of("target", second),
            "softmax",
        )
    )(before)
    assert_close(light, jax.tree.map(lambda x, g: x - RATE * g, before, gradient), rtol=1e-4)


class Twins:
    """A term with two players that pull each other apart: a's loss is a * b, b's is -a * b."""

    reads = ("source",)

    def loss(self, outputs, batch, memory):
        return Term.of_mean(jnp.mean(outputs["source"].logits), 1.0)

    def players(self, setup):
        raise AssertionError("the step takes players from its caller")

    def player_losses(self, outputs, batch, memory):
        product = memory["a"] * memory["b"]
        return {"a": Term.of_mean(product, 1.0), "b": Term.of_mean(-product, 1.0)}


def test_each_of_several_players_descends_on_its_own_loss():
    loss = Terms({"twins": 1.0}, {"twins": Twins()})
    optimizer = optax.sgd(RATE)
    own = {"twins": {name: optimizer_only(optimizer) for name in "ab"}}
    memory = {"twins": {"a": jnp.float32(2.0), "b": jnp.float32(3.0)}}
    state = create_state(variables(), optimizer, jax.random.key(0), memory=memory, players=own)
    segmenter = tiny_segmenter(CLASSES, auxiliary=True)
    step = make_train_step(segmenter, optimizer, loss, players=own, axis_name=None)
    state, metrics = jax.jit(step)(state, {"source": domain(0)})
    assert_close(state.memory["twins"], {"a": 2 - RATE * 3, "b": 3 + RATE * 2})
    assert (metrics["twins_a"], metrics["twins_b"]) == (6, -6)


def test_a_player_without_a_loss_is_named():
    class Forgetful(Twins):
        def player_losses(self, outputs, batch, memory):
            return {"a": super().player_losses(outputs, batch, memory)["a"]}

    loss, optimizer = Terms({"twins": 1.0}, {"twins": Forgetful()}), optax.sgd(RATE)
    own = {"twins": {name: optimizer_only(optimizer) for name in "ab"}}
    memory = {"twins": {"a": jnp.float32(2.0), "b": jnp.float32(3.0)}}
    state = create_state(variables(), optimizer, jax.random.key(0), memory=memory, players=own)
    segmenter = tiny_segmenter(CLASSES, auxiliary=True)
    step = make_train_step(segmenter, optimizer, loss, players=own, axis_name=None)
    with pytest.raises(
        ValueError, match=r"of the term 'twins' returned no loss .* 'b', but of \['a"
    ):
        jax.eval_shape(step, state, {"source": domain(0)})


class Drawing(Twins):
    """A term that draws a number, and a player that has to draw the same one."""

    def loss(self, outputs, batch, memory, key):
        return Term.of_mean(jax.random.uniform(key), 1.0)

    def player_losses(self, outputs, batch, memory, key):
        return {"a": self.loss(outputs, batch, memory, key)}


def test_a_term_and_its_players_draw_the_same_and_each_step_and_microbatch_anew():
    loss = Terms({"one": 1.0, "two": 1.0}, {"one": Drawing(), "two": Drawing()})
    optimizer = optax.sgd(RATE)
    own = {name: {"a": optimizer_only(optimizer)} for name in ("one", "two")}
    memory = {name: {"a": jnp.float32(2.0)} for name in own}

    def draws(number):
        state = create_state(variables(), optimizer, jax.random.key(0), memory=memory, players=own)
        step = jax.jit(
            make_train_step(
                tiny_segmenter(CLASSES, auxiliary=True),
                optimizer,
                loss,
                players=own,
                microbatches=number,
                axis_name=None,
            )
        )
        batch, found = {"source": both_domains(count=2)["source"]}, []
        for _ in range(2):
            state, metrics = step(state, batch)
            assert metrics["one"] == metrics["one_a"] and metrics["two"] == metrics["two_a"]
            found += [float(metrics["one"]), float(metrics["two"])]
        return found

    assert len(set(draws(1) + draws(2))) == 8


def optimizer_only(optimizer):
    class Fixed:
        pass

    fixed = Fixed()
    fixed.optimizer = optimizer
    return fixed


class Halved:
    """A term with a view and memory: images at half their brightness, and a count of steps."""

    reads = ("halved",)
    makes = {"halved": ("target",)}  # noqa: RUF012

    def memory(self, model):
        return {"steps": jnp.zeros((), jnp.int32), "seen": jnp.zeros(())}

    def views(self, key, batch, memory):
        image = batch["target"]["image"] // 2
        shape = (len(image),)
        return {"halved": {"image": image, "drawn": jax.random.uniform(key, shape)}}

    def loss(self, outputs, batch, memory):
        return Term.of_mean(jnp.mean(batch["halved"]["drawn"]) + memory["steps"], 1.0)

    def update(self, memory, model):
        head = model.variables["params"]["head"]["logits"]["bias"]
        return {"steps": memory["steps"] + 1, "seen": jnp.sum(head)}


def test_views_are_made_anew_and_memory_is_kept():
    loss = Terms({"halved": 1.0, "answers": 1.0}, {"halved": Halved(), **only("answers").terms})
    assert loss.reads == ("target", "halved")
    assert loss.domains == ("target",)
    step = jax.jit(make_step(loss))
    state, batch, values = first_state(loss), {"target": domain(1)}, []
    for _ in range(3):
        state, metrics = step(state, batch)
        values.append(float(metrics["halved"]))
    draws = [value - number for number, value in enumerate(values)]
    assert len(set(draws)) == 3 and all(0 < draw < 1 for draw in draws)
    assert state.memory["halved"]["steps"] == 3
    bias = state.variables["params"]["head"]["logits"]["bias"]
    np.testing.assert_allclose(state.memory["halved"]["seen"], jnp.sum(bias), rtol=1e-5)


def test_the_auxiliary_head_rests_where_no_term_reads_it():
    settings = optimizer_config(weight_decay=0.5)
    optimizer = optimizers.segmentation_optimizer(
        settings, learning_rate=0.1, steps=10, frozen=("auxiliary_head",)
    )
    loss = only("source_labels")
    step = jax.jit(make_step(loss, optimizer=optimizer))
    state, _ = step(first_state(loss, optimizer=optimizer), {"source": domain(0)})
    before, after = variables()["params"], state.variables["params"]
    assert_equal(after["auxiliary_head"], before["auxiliary_head"])
    assert np.any(after["head"]["logits"]["bias"] != 0)


def optimizer_config(**fields):
    defaults = {
        "name": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.1,
        "head_multiplier": 10.0,
        "power": 0.9,
        "clip_norm": 0.0,
    }
    return ConfigDict({**defaults, **fields})


def test_the_discriminator_input_is_the_configured_one():
    loss = only("adversarial", input="self_information")
    _, metrics = jax.jit(make_step(loss))(first_state(loss), both_domains())
    assert abs(metrics["adversarial"] - expected_losses()["adversarial"]) > 1e-4


def test_the_optimizer_steps_once_a_step():
    loss = only("source_labels")
    state, _ = taken("source_labels")
    assert state.step == 1
    state, _ = jax.jit(make_step(loss))(state, both_domains())
    assert state.step == 2
    assert_equal(state.key, first_state(loss).key)


@pytest.mark.parametrize("kept", RUNNING_STATISTICS)
def test_frozen_batch_norm_stays_as_it_is(kept):
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen", auxiliary=True)
    before = variables("frozen")
    optimizer = optimizers.segmentation_optimizer(
        optimizer_config(),
        learning_rate=0.1,
        steps=10,
        decay_mask=lambda params: models.trainable_mask(segmenter, params, before["batch_stats"]),
    )
    loss = terms({"source_labels": 1.0, "answers": 1.0}, kept)
    step = jax.jit(make_step(loss, segmenter, optimizer))
    state = first_state(loss, before, optimizer)
    for _ in range(2):
        state, _ = step(state, both_domains())
    after = state.variables
    assert_equal(after["batch_stats"], before["batch_stats"])
    assert_equal(after["params"]["backbone"]["bn1"], before["params"]["backbone"]["bn1"])
    for path in (("backbone", "conv1"), ("head", "logits")):
        kernels = [each["params"][path[0]][path[1]]["kernel"] for each in (before, after)]
        assert np.abs(kernels[1] - kernels[0]).max() > 1e-4


def test_trained_batch_norm_learns_its_scale():
    before = variables()["params"]["backbone"]["bn1"]["scale"]
    after = taken("source_labels")[0].variables["params"]["backbone"]["bn1"]["scale"]
    assert np.all(after != before)


def test_domains_of_different_sizes():
    batch = {"source": domain(0, (16, 24)), "target": domain(1, (20, 12), count=3)}
    loss = terms({"source_labels": 1.0, "answers": 1.0})
    state, metrics = jax.jit(make_step(loss))(first_state(loss), batch)
    for name, view in (("source_labels", "source"), ("answers", "target")):
        logits = outputs_of(batch[view]["image"]).logits
        expected = losses.cross_entropy(logits, batch[view]["label"])
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-4)
    assert_close(running_statistics(state), followed(batch["target"]["image"]))


@pytest.mark.parametrize(
    ("kept", "names", "followed_view"),
    [
        ("target", ("source_labels",), "source"),
        ("target", ("answers",), "target"),
        ("target", ("source_labels", "answers"), "target"),
        ("source", ("source_labels",), "source"),
        ("source", ("answers",), "target"),
        ("source", ("source_labels", "answers"), "source"),
    ],
)
def test_running_statistics_follow_a_domain_where_it_is_read(kept, names, followed_view):
    loss, batch = terms(dict.fromkeys(names, 1.0), kept), both_domains()
    state, _ = jax.jit(make_step(loss))(first_state(loss), batch)
    assert_close(running_statistics(state), followed(batch[followed_view]["image"]))


@pytest.mark.parametrize("names", [("source_labels",), ("source_labels", "answers")])
def test_running_statistics_can_be_the_mean_over_the_views(names):
    loss, batch = terms(dict.fromkeys(names, 1.0), "all"), both_domains()
    state, _ = jax.jit(make_step(loss))(first_state(loss), batch)
    each = [followed(batch[view]["image"]) for view in loss.reads]
    expected = jax.tree.map(lambda *values: np.mean(values, axis=0), *each)
    assert_close(running_statistics(state), expected)


def test_every_step_draws_its_own_dropout():
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen", dropout=0.5, auxiliary=True)
    optimizer = optax.set_to_zero()  # the loss then depends on the dropout alone
    loss, batch = only("source_labels"), {"source": domain(0)}
    step = jax.jit(make_step(loss, segmenter, optimizer))

    def losses_of(seed, count=3):
        state, values = first_state(loss, variables("frozen"), optimizer, seed), []
        for _ in range(count):
            state, metrics = step(state, batch)
            values.append(float(metrics["loss"]))
        return values

    assert len(set(losses_of(7))) == 3
    assert losses_of(7) == losses_of(7)
    assert not set(losses_of(7)) & set(losses_of(8))


def test_target_without_a_labelled_pixel_adds_nothing():
    batch = {"target": {**domain(1), "label": np.full((2, 16, 24), 255, np.int32)}}
    loss = only("answers")
    state, metrics = jax.jit(make_step(loss))(first_state(loss), batch)
    assert {name: float(value) for name, value in metrics.items()} == {"loss": 0.0, "answers": 0.0}
    assert_equal(state.variables["params"], variables()["params"])


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_term_needs_no_domain_that_it_does_not_read(name):
    loss = only(name)
    batch = {domain_name: both_domains()[domain_name] for domain_name in loss.domains}
    jax.eval_shape(make_step(loss), first_state(loss), batch)


def test_compiles_once_for_many_steps():
    mesh = mesh_lib.device_mesh(jax.devices()[:1])
    optimizer, traces = optax.sgd(RATE, momentum=0.9), []
    loss = only("source_labels")
    step = make_step(loss, tiny_segmenter(CLASSES, axis_name="batch"), optimizer, "batch")

    def counted(state, batch):
        traces.append(None)
        return step(state, batch)

    compiled = mesh_lib.data_parallel(counted, mesh, batched_arguments=(1,), donate=True)
    drawn = models.init_variables(tiny_segmenter(CLASSES), jax.random.key(0), (16, 24))
    state = first_state(loss, drawn, optimizer)
    state = mesh_lib.replicate(jax.tree.map(jnp.copy, state), mesh)
    batches = ({"source": domain(seed)} for seed in range(3))
    for batch in mesh_lib.prefetch_to_devices(batches, mesh):
        state, _ = compiled(state, batch)
    assert len(traces) == 1
    assert state.step == 3


def mean_over_devices(totals, counts):
    """The sum of the devices' shares of a loss."""
    shares = jax.vmap(
        lambda total, count: _shares({"loss": Term(total, count)}, {}, "batch")["loss"],
        axis_name="batch",
    )(jnp.asarray(totals), jnp.asarray(counts))
    return shares.sum()


@pytest.mark.parametrize(
    ("terms_of", "says"),
    [
        (
            {"adv": ["critic"], "adv_critic": []},
            "player 'critic' of 'adv' has the metric 'adv_critic', .* of the term 'adv_critic' too",
        ),
        (
            {"a": ["b_c"], "a_b": ["c"]},
            "player 'c' of 'a_b' has the metric 'a_b_c', .* of the player 'b_c' of 'a' too",
        ),
        ({"learning": ["rate"]}, "has the metric 'learning_rate', .* another metric too; rename"),
        ({"miou": ["night"]}, "has the metric 'miou_night', .* of another metric too"),
    ],
)
def test_two_losses_of_one_name_are_an_error(terms_of, says):
    class Reads:
        reads = ("source",)

    own = {term: dict.fromkeys(players) for term, players in terms_of.items()}
    loss = Terms(dict.fromkeys(own, 1.0), dict.fromkeys(own, Reads()))
    with pytest.raises(ValueError, match=says):
        make_train_step(tiny_segmenter(CLASSES), optax.sgd(RATE), loss, players=own)


def test_devices_weigh_by_what_counts_on_them():
    values = [np.array([1.0, 2.0, 6.0]), np.array([10.0]), np.array([]), np.array([-4.0, 3.0])]
    result = mean_over_devices([v.sum() for v in values], [v.size for v in values])
    np.testing.assert_allclose(result, np.concatenate(values).mean(), rtol=1e-6)


def test_a_loss_of_nothing_is_zero_with_zero_gradient():
    value, gradient = jax.value_and_grad(
        lambda totals: mean_over_devices(totals, jnp.zeros(3, jnp.int32))
    )(jnp.zeros(3))
    assert value == 0 and not np.any(gradient)


def test_each_mean_of_a_sum_is_over_its_own_count():
    """Two devices: the first mean counts 1 and 3 there, the second 1 and 1."""
    totals, counts = np.array([[1.0, 5.0], [9.0, 7.0]]), np.array([[1.0, 1.0], [3.0, 1.0]])
    np.testing.assert_allclose(mean_over_devices(totals, counts), 10 / 4 + 12 / 2, rtol=1e-6)


def test_counts_go_beyond_int32():
    counts = jnp.full(4, 2**30, jnp.int32)
    totals = counts * jnp.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(mean_over_devices(totals, counts), 2.5, rtol=1e-6)


def test_no_gradient_goes_through_a_count():
    gradient = jax.grad(lambda x: _shares({"loss": Term(3.0 * x, 2.0 * x)}, {}, None)["loss"])(4.0)
    np.testing.assert_allclose(gradient, 3.0 / 8.0)
