"""A batch in microbatches is the same batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labor_jax.training import microbatches
from labor_jax.training.terms import Term, Terms
from tests.lowered_programs import operations
from tests.slow import all_but
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import (
    CLASSES,
    WEIGHTS,
    assert_close,
    both_domains,
    first_state,
    followed,
    make_step,
    only,
    running_statistics,
    terms,
    variables,
)


def test_microbatches_are_added_up_in_order():
    seen = microbatches.add_up(
        lambda carry, rows, number: (carry * 10 + number, {"sum": rows["x"].sum()}),
        jnp.zeros((), jnp.int32),
        {"x": jnp.arange(12.0).reshape(6, 2)},
        3,
    )
    assert seen[0] == 12  # microbatches 0, 1, 2
    assert seen[1]["sum"] == 66


def test_microbatches_are_mapped_in_order():
    x = jnp.arange(12.0).reshape(6, 2)
    mapped = microbatches.map_microbatches(lambda rows, number: {"y": rows + number}, x, 3)
    np.testing.assert_array_equal(mapped["y"], x + np.repeat(np.arange(3.0), 2)[:, None])


@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.integers(1, 6))
def test_the_smallest_number_of_microbatches(source, target, at_least, per_device):
    sizes = {"source_batch_size": source, "target_batch_size": target}
    fine = [
        number
        for number in range(at_least, 25)
        if source % number == target % number == 0 and max(source, target) <= number * per_device
    ]
    if fine:
        assert microbatches.microbatches_for(sizes, 1, per_device, at_least) == fine[0]
    else:
        with pytest.raises(ValueError, match=r"config\.source_batch_size gives"):
            microbatches.microbatches_for(sizes, 1, per_device, at_least)


def test_without_training_there_are_as_few_microbatches_as_may_be():
    assert microbatches.microbatches_for({}, 8, 1, 3) == 3


def step_of(loss, number, batch_norm="frozen", devices=1):
    step = make_step(
        loss,
        tiny_segmenter(CLASSES, batch_norm=batch_norm, auxiliary=True),
        axis_name=None if devices == 1 else "batch",
        microbatches=number,
    )
    if devices == 1:
        return jax.jit(step)
    on_all = jax.vmap(step, in_axes=(None, 0), axis_name="batch")

    def split_step(state, batch):
        shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        return jax.tree.map(lambda x: x[0], on_all(state, shares))

    return jax.jit(split_step)


@functools.cache
def whole(names):
    """A batch and terms; and the state and the metrics of a step on the batch as a whole.

    Images differ in how many of their pixels count, so means of means would show.
    """
    batch, loss = both_domains(count=4), terms({name: WEIGHTS[name] for name in names})
    batch["target"]["label"][0] = 255
    batch["source"]["label"][3, :12] = 255
    return batch, loss, *step_of(loss, 1)(first_state(loss, variables("frozen")), batch)


# Of counts that the batch gives and the outputs give, and of a player.
FEW = ("answers", "negative_learning", "adversarial")
ALL = tuple(WEIGHTS)


@pytest.mark.parametrize(
    ("number", "devices", "names"),
    all_but([(2, 2, FEW)], [(2, 2, FEW), (4, 1, ALL), (2, 2, ALL)]),
    ids=["few", "all-4-1", "all-2-2"],
)
def test_a_step_in_microbatches_is_the_step(number, devices, names):
    batch, loss, state, metrics = whole(names)
    cut, their_metrics = step_of(loss, number, devices=devices)(
        first_state(loss, variables("frozen")), batch
    )
    assert_close(their_metrics, metrics)
    assert_close(cut, state, rtol=1e-3, atol=1e-5)


class Confident:
    """A term whose view has weights that the outputs of memory give: its counts are not whole."""

    reads = ("weighted",)
    makes = {"weighted": ("target",)}  # noqa: RUF012

    def views(self, key, batch, memory):
        image = batch["target"]["image"]
        return {"weighted": {"image": image, "weight": image[..., 0].mean((1, 2)) / 1e4}}

    def loss(self, outputs, batch, memory):
        weight = batch["weighted"]["weight"]
        each = jnp.mean(outputs["weighted"].logits ** 2, (1, 2, 3))
        return Term(jnp.sum(weight * each), jnp.sum(weight))


def test_a_views_fractional_counts_are_exact_in_microbatches():
    loss, batch = Terms({"confident": 1.0}, {"confident": Confident()}), both_domains(count=4)
    batch = {"target": batch["target"]}
    batch["target"]["image"][:2] //= 8
    state, metrics = step_of(loss, 1)(first_state(loss, variables("frozen")), batch)
    cut, their_metrics = step_of(loss, 4)(first_state(loss, variables("frozen")), batch)
    assert metrics["confident"] > 1e-3
    assert_close(their_metrics, metrics)
    assert_close(cut, state, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "passes"), [("answers", 1), ("negative_learning", 2)])
def test_only_a_count_of_outputs_costs_a_forward_pass_more(name, passes):
    loss, batch = only(name), {"target": both_domains(count=4)["target"]}
    step = step_of(loss, 2)
    forward = jax.jit(
        lambda images: (
            tiny_segmenter(CLASSES, batch_norm="frozen", auxiliary=True)
            .apply(variables("frozen"), images)
            .logits
        )
    )
    once = convolutions(forward.lower(jnp.zeros((2, 16, 24, 3))))
    lowered = step.lower(first_state(loss, variables("frozen")), batch)
    without = step_of(loss, 1).lower(first_state(loss, variables("frozen")), batch)
    assert convolutions(lowered) == convolutions(without) + (passes - 1) * once


def convolutions(lowered):
    return operations(lowered)["convolution"]


def test_trained_batch_norm_follows_every_microbatch():
    """Of the target, as ever; the second microbatch after the first."""
    batch, loss = both_domains(count=4), terms({"source_labels": 1.0, "answers": 1.0})
    state, _ = step_of(loss, 2, "trained")(first_state(loss, variables("trained")), batch)
    before = variables()["batch_stats"]["backbone"]["bn1"]
    first, second = (followed(batch["target"]["image"][rows]) for rows in (slice(2), slice(2, 4)))
    expected = jax.tree.map(lambda x, y, z: 0.9 * y + z - 0.9 * x, before, first, second)
    assert_close(running_statistics(state), expected, rtol=1e-3, atol=1e-5)
