"""FDA's images against NumPy's spectra, and what its method sets."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labor_jax
from labor_jax import adaptation, losses, models
from labor_jax.adaptation.image_pairs import targets_for_sources
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import (
    CLASSES,
    assert_close,
    both_domains,
    domain,
    first_state,
    make_step,
    only,
    variables,
)


def spectrum(images):
    return np.fft.fft2(np.asarray(images, np.float64), axes=(1, 2))


def swapped(batch, beta):
    """The view's images in 0 to 255."""
    term = adaptation.build("fourier_swap", {"fourier_swap": {"beta": beta}})
    view = term.views(jax.random.key(0), batch, {})["fourier_swapped"]
    np.testing.assert_array_equal(view["label"], batch["source"]["label"])
    return models.denormalize_images(view["image"])


@given(st.integers(0, 2**31 - 3), st.sampled_from([0.01, 0.07, 0.13, 0.3]))
def test_amplitudes_change_inside_the_window_alone_and_phases_nowhere(seed, beta):
    batch = {"source": domain(seed), "target": domain(seed + 1)}
    before, reference, after = (
        spectrum(each)
        for each in (batch["source"]["image"], batch["target"]["image"], swapped(batch, beta))
    )
    reach = int(np.floor(beta * 16))
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n) * n for n in (16, 24)), indexing="ij")
    inside = (np.abs(rows) < reach + 0.5) & (np.abs(columns) < reach + 0.5)
    assert inside.sum() == (2 * reach + 1) ** 2
    tolerance = {"rtol": 1e-2, "atol": 1.0}
    np.testing.assert_allclose(abs(after[:, inside]), abs(reference[:, inside]), **tolerance)
    np.testing.assert_allclose(abs(after[:, ~inside]), abs(before[:, ~inside]), **tolerance)
    # The phases of what isn't too weak for float32.
    products = after * np.conj(before)
    strong = abs(products) > 1e4
    np.testing.assert_allclose(np.angle(products[strong]), 0, atol=2e-2)


def test_domains_may_differ_in_number_and_size():
    batch = {"source": domain(0, (16, 24), 3), "target": domain(1, (20, 12), 2)}
    targets = targets_for_sources(batch)
    assert targets.shape == (3, 16, 24, 3)
    np.testing.assert_array_equal(targets[0], targets[2])
    assert np.any(targets[0] != targets[1])
    means = batch["target"]["image"].mean((1, 2))
    np.testing.assert_allclose(targets[:2].mean((1, 2)), means, atol=10)
    np.testing.assert_allclose(swapped(batch, 0.0).mean((1, 2)), targets.mean((1, 2)), atol=0.1)


def test_the_term_is_cross_entropy_on_the_swapped_images():
    loss, batch = only("fourier_swap"), both_domains()
    _, metrics = jax.jit(make_step(loss))(first_state(loss), batch)
    own = adaptation.build("fourier_swap", {})
    view = own.views(jax.random.key(0), batch, {})["fourier_swapped"]
    plain = only("source_labels")
    _, expected = jax.jit(make_step(plain))(first_state(plain), {"source": view})
    np.testing.assert_allclose(metrics["fourier_swap"], expected["source_labels"], rtol=1e-4)


def test_a_step_in_microbatches_swaps_with_the_same_targets():
    loss, batch = only("fourier_swap"), both_domains(count=4)
    batch["source"]["label"][0] = 255
    state = first_state(loss, variables("frozen"))
    segmenter = tiny_segmenter(CLASSES, batch_norm="frozen", auxiliary=True)
    whole, cut = (
        jax.jit(make_step(loss, segmenter, microbatches=number))(state, batch) for number in (1, 2)
    )
    assert_close(cut[1], whole[1])
    assert_close(cut[0].variables, whole[0].variables, rtol=1e-3, atol=1e-5)


def test_charbonnier_entropy_is_of_the_target():
    loss, batch = only("charbonnier_entropy", 3.0), both_domains()
    _, metrics = jax.jit(make_step(loss))(first_state(loss), {"target": batch["target"]})
    assert 0 < metrics["charbonnier_entropy"] <= 1
    shape = (*batch["target"]["image"].shape[:3], 5)
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    built = adaptation.build("charbonnier_entropy", {"charbonnier_entropy": {"eta": 1.5}})
    outputs = {"target": models.Outputs(logits, None)}
    term = built.loss(outputs, batch, {})
    expected = losses.charbonnier_entropy(logits, eta=1.5)
    np.testing.assert_allclose(term.total / term.count, expected, rtol=1e-6)


def test_the_method_trains_on_swapped_images_instead_of_plain_ones():
    config = labor_jax.get_config("uda:fda")
    used = {name: weight for name, weight in config.warmup.terms.items() if weight}
    assert used == {"fourier_swap": 1.0, "charbonnier_entropy": 0.005}
    assert config.supervised.terms.source_labels == 1.0 and config.terms.fourier_swap.beta == 0.09


@pytest.mark.parametrize(
    ("name", "field", "value"), [("fourier_swap", "beta", 0.6), ("charbonnier_entropy", "eta", 0.0)]
)
def test_senseless_settings_are_errors(name, field, value):
    with pytest.raises(ValueError, match=rf"config\.terms\.{name}: {field} is {value}"):
        adaptation.build(name, {name: {field: value}})
