"""A batch in pieces is the same batch."""

import jax
import jax.numpy as jnp
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labor_jax.adaptation import pixel_selector
from labor_jax.training import accumulation, steps
from tests.tiny_model import TinyDiscriminator, tiny_segmenter
from tests.training.steps_test import (
    CLASSES,
    WEIGHTS,
    assert_close,
    domain,
    first_state,
    followed,
    running_statistics,
    variables,
)

RATE = 0.1


def test_pieces_are_added_up_in_order():
    seen = accumulation.add_up(
        lambda carry, piece, number: (carry * 10 + number, {"sum": piece["x"].sum()}),
        jnp.zeros((), jnp.int32),
        {"x": jnp.arange(12.0).reshape(6, 2)},
        3,
    )
    assert seen[0] == 12  # pieces 0, 1, 2
    assert seen[1]["sum"] == 66


@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.integers(1, 6))
def test_the_smallest_number_of_pieces(source, target, at_least, per_device):
    sizes = {"source_batch_size": source, "target_batch_size": target}
    fine = [
        pieces
        for pieces in range(at_least, 25)
        if source % pieces == target % pieces == 0 and max(source, target) <= pieces * per_device
    ]
    if fine:
        assert accumulation.pieces_for(sizes, 1, per_device, at_least) == fine[0]
    else:
        with pytest.raises(ValueError, match=r"config\.source_batch_size gives"):
            accumulation.pieces_for(sizes, 1, per_device, at_least)


def four_images():
    return {"source": domain(0, count=4), "target": domain(1, count=4)}


def step_of(pieces, batch_norm="frozen", devices=1):
    axis_name = None if devices == 1 else "batch"
    step = steps.make_train_step(
        tiny_segmenter(CLASSES, batch_norm=batch_norm, auxiliary=True),
        optax.sgd(RATE),
        WEIGHTS,
        discriminator=TinyDiscriminator(),
        discriminator_optimizer=optax.sgd(RATE),
        accumulation=pieces,
        axis_name=axis_name,
    )
    if devices == 1:
        return jax.jit(step)
    on_all = jax.vmap(step, in_axes=(None, 0), axis_name=axis_name)

    def split_step(state, batch):
        parts = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        return jax.tree.map(lambda x: x[0], on_all(state, parts))

    return jax.jit(split_step)


@pytest.mark.parametrize(("pieces", "devices"), [(4, 1), (2, 2)])
def test_a_step_in_pieces_is_the_step(pieces, devices):
    """Every term: images differ in how many of their pixels count, so means of means would show."""
    batch = four_images()
    batch["target"]["label"][0] = 255
    batch["source"]["label"][3, :12] = 255
    state, metrics = step_of(1)(first_state(variables("frozen")), batch)
    in_pieces, their_metrics = step_of(pieces, devices=devices)(
        first_state(variables("frozen")), batch
    )
    assert_close(their_metrics, metrics)
    assert_close(in_pieces, state, rtol=1e-3, atol=1e-5)


def test_trained_batch_norm_follows_every_piece():
    """Of the target, as ever; the second piece after the first."""
    batch = four_images()
    state, _ = step_of(2, "trained")(first_state(variables("trained")), batch)
    before = variables()["backbone"]["batch_stats"]["bn"]
    first, second = (followed(batch["target"]["image"][rows]) for rows in (slice(2), slice(2, 4)))
    expected = jax.tree.map(lambda x, y, z: 0.9 * y + z - 0.9 * x, before, first, second)
    assert_close(running_statistics(state), expected, rtol=1e-3, atol=1e-5)


def test_the_selector_in_pieces_is_the_selector():
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen")
    optimizer, model = optax.sgd(RATE), variables("frozen")
    images = {"image": domain(2, count=4)["image"]}

    def taken(pieces):
        step = pixel_selector.make_selector_step(
            segmenter,
            optimizer,
            discrepancy_weight=0.5,
            reversal=1.0,
            feature_dropout=0.0,
            pseudo_label_threshold=0.4,
            accumulation=pieces,
            axis_name=None,
        )
        state = pixel_selector.create_selector(model, optimizer, jax.random.key(0), noise=0.1)
        return jax.jit(step)(state, model, images)

    (state, metrics), (in_pieces, their_metrics) = taken(1), taken(2)
    assert metrics["discrepancy"] > 0
    assert_close(their_metrics, metrics)
    assert_close(in_pieces, state, rtol=1e-3, atol=1e-5)
