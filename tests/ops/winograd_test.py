"""Tests of Winograd's convolution: against taps, choice of form, transformations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec

from labor_jax import models
from labor_jax.ops import convolution_3x3
from labor_jax.ops import winograd as winograd_module
from labor_jax.ops.convolution import dilated_convolution
from labor_jax.ops.winograd import winograd
from tests.lowered_programs import operations


def arrays(size=(5, 8), channels=(6, 3), batch=2):
    rng = np.random.default_rng(0)
    shapes = (batch, *size, channels[0]), (3, 3, *channels), (batch, *size, channels[1])
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@functools.partial(jax.jit, static_argnums=(3, 4))
def run(x, kernel, cotangent, dilation, form):
    value, transpose = jax.vjp(lambda x, kernel: form(x, kernel, dilation), x, kernel)
    return value, *transpose(cotangent)


def by_taps(x, kernel, cotangent, dilation):
    """Values and both gradients in float64, a tap at a time."""
    _, height, width, channels = x.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), *[(dilation, dilation)] * 2, (0, 0)))
    value = np.zeros(cotangent.shape)
    padded_gradient, kernel_gradient = np.zeros(padded.shape), np.zeros(kernel.shape)
    for row, column in np.ndindex(3, 3):
        top, left = row * dilation, column * dilation
        seen = np.s_[:, top : top + height, left : left + width]
        value += padded[seen] @ kernel[row, column]
        padded_gradient[seen] += cotangent @ kernel[row, column].T
        pairs = padded[seen].reshape(-1, channels).T, cotangent.reshape(-1, cotangent.shape[-1])
        kernel_gradient[row, column] = pairs[0] @ pairs[1]
    inside = np.s_[:, dilation : dilation + height, dilation : dilation + width]
    return value, padded_gradient[inside], kernel_gradient


# Whole tiles, part of a tile, one pixel, a dilation beyond the image.
CASES = [((4, 8), 1), ((5, 7), 1), ((1, 1), 1), ((8, 5), 2), ((9, 11), 3), ((4, 6), 7)]


@pytest.mark.parametrize("form", [winograd, dilated_convolution])
@pytest.mark.parametrize(("size", "dilation"), CASES)
def test_values_and_gradients_are_those_of_the_taps(size, dilation, form):
    given_arrays = arrays(size)
    ours = run(*given_arrays, dilation, form)
    for array, expected in zip(ours, by_taps(*given_arrays, dilation), strict=True):
        np.testing.assert_allclose(array, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dilation=st.integers(1, 4),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    batch=st.integers(1, 3),
)
def test_any_shape(size, dilation, channels, batch):
    given_arrays = arrays(size, channels, batch)
    ours = run(*given_arrays, dilation, winograd)
    for array, expected in zip(ours, by_taps(*given_arrays, dilation), strict=True):
        np.testing.assert_allclose(array, expected, atol=2e-5 * max(1, np.abs(expected).max()))


def test_many_channels_are_summed_as_accurately_as_by_taps():
    given_arrays = arrays((12, 16), (128, 128))
    expected = by_taps(*given_arrays, 2)
    errors = {
        form: [
            np.abs(array - exact).max() / np.abs(exact).max()
            for array, exact in zip(run(*given_arrays, 2, form), expected, strict=True)
        ]
        for form in (winograd, dilated_convolution)
    }
    assert max(errors[winograd]) < 4e-6
    assert max(errors[dilated_convolution]) < 4e-6


def test_bfloat16_keeps_its_type_and_sums_in_float32():
    given_arrays = [array.astype(jnp.bfloat16) for array in arrays()]
    expected = by_taps(*[array.astype(np.float32) for array in given_arrays], 2)
    for array, exact in zip(run(*given_arrays, 2, winograd), expected, strict=True):
        assert array.dtype == jnp.bfloat16
        np.testing.assert_allclose(
            array.astype(np.float32), exact, atol=0.004 * max(1, np.abs(exact).max())
        )


def products(platform, size, channels, dilation=1, dtype=jnp.float32):
    """How many matrix products and convolutions a platform gets."""
    x, kernel, _ = (jnp.asarray(array, dtype) for array in arrays(size, channels))
    traced = jax.jit(convolution_3x3, static_argnums=2).trace(x, kernel, dilation)
    counts = operations(traced.lower(lowering_platforms=(platform,)))
    return counts["dot_general"], counts["convolution"]


def test_a_cpu_takes_it_where_it_pays():
    assert products("cpu", (16, 16), (64, 64)) == (4, 0)
    assert products("cpu", (16, 16), (64, 63)) == (0, 1)
    assert products("cpu", (6, 6), (64, 64)) == (0, 1), "too few tiles"
    assert products("cpu", (17, 17), (64, 64), dilation=8) == (0, 1), "tiles mostly outside"
    assert products("cpu", (16, 16), (64, 64), dtype=jnp.bfloat16) == (0, 1)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_devices_never_take_it(platform):
    assert products(platform, (16, 16), (64, 64)) == (0, 1)


def test_a_filter_of_another_size_is_refused():
    x, kernel, _ = arrays()
    with pytest.raises(ValueError, match=r"the filter has the shape \(2, 3, 6, 3\); it must be"):
        convolution_3x3(x, kernel[:2])


def test_gradients_under_vmap_and_remat():
    x, kernel, cotangent = arrays()

    def total(x, kernel, cotangent):
        return jnp.vdot(winograd(x, kernel, 2), cotangent)

    gradient = jax.grad(jax.checkpoint(total), 1)
    each = jax.jit(jax.vmap(lambda x, y: gradient(x[None], kernel, y[None])))(x, cotangent)
    np.testing.assert_allclose(each.sum(0), by_taps(x, kernel, cotangent, 2)[2], atol=1e-4)


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("form", [winograd, convolution_3x3])
def test_gradients_under_shard_map(check_vma, form, monkeypatch):
    """The filter is the same on all devices, the images are not."""
    monkeypatch.setattr(winograd_module, "_pays", lambda *_: True)
    x, kernel, cotangent = arrays()
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.shard_map(
        lambda x, kernel, cotangent: run(x, kernel, cotangent, 2, form)[1:],
        mesh=mesh,
        in_specs=(PartitionSpec("batch"), PartitionSpec(), PartitionSpec("batch")),
        out_specs=(PartitionSpec("batch"), PartitionSpec()),
        check_vma=check_vma,
    )
    expected = by_taps(x, kernel, cotangent, 2)[1:]
    for ours, reference in zip(jax.jit(sharded)(x, kernel, cotangent), expected, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="runs the form for CPUs")
def test_a_network_gives_what_it_gives_by_taps(monkeypatch):
    """Every 3x3 of the blocks at stride 1, of both dilations, and the head's go through it."""
    segmenter = models.Segmenter(models.ResNet("resnet18"), models.DeepLabV3Plus(5, 64))
    images = np.random.default_rng(0).normal(size=(1, 128, 192, 3)).astype(np.float32)
    variables = models.init_variables(segmenter, jax.random.key(0), (32, 32))

    def logits():
        apply = jax.jit(lambda variables: segmenter.apply(variables, images).logits)
        lowered = apply.lower(variables)
        convolutions = operations(lowered)["convolution"]
        return np.asarray(lowered.compile()(variables)), convolutions

    ours, convolutions = logits()
    monkeypatch.setattr(winograd_module, "_MIN_CHANNELS", 10**6)
    expected, more_convolutions = logits()
    assert more_convolutions - convolutions == 16
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())
