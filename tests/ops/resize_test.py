"""Tests of aligned bilinear resizing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.ops import interpolate, resize_bilinear_align_corners, taps_align_corners


def naive_resize(x, size):
    height, width = x.shape[:2]
    out = np.zeros((*size, x.shape[2]))
    for i in range(size[0]):
        for j in range(size[1]):
            row = i * (height - 1) / (size[0] - 1) if size[0] > 1 else 0.0
            column = j * (width - 1) / (size[1] - 1) if size[1] > 1 else 0.0
            for a in range(height):
                for b in range(width):
                    weight = max(0, 1 - abs(row - a)) * max(0, 1 - abs(column - b))
                    out[i, j] += weight * x[a, b]
    return out


@settings(max_examples=15, deadline=None)
@given(*[st.integers(1, 6)] * 2, *[st.integers(1, 9)] * 2, st.integers(0, 2**31))
def test_resize_equals_naive_and_its_gradient_is_the_transpose(h, w, out_h, out_w, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(h, w, 2)).astype(np.float32)
    y = rng.normal(size=(out_h, out_w, 2)).astype(np.float32)

    def resize(x):
        return resize_bilinear_align_corners(x, (out_h, out_w))

    value, pullback = jax.vjp(resize, x)
    np.testing.assert_allclose(value, naive_resize(x, (out_h, out_w)), atol=1e-5)
    # The map A is linear, so <A x, y> = <x, A^T y>.
    np.testing.assert_allclose(np.vdot(value, y), np.vdot(x, pullback(y)[0]), atol=1e-4, rtol=1e-4)


def test_resize_works_under_vmap_jit_and_bfloat16():
    x = jnp.arange(24.0).reshape(2, 1, 3, 4, 1)
    resize = jax.jit(jax.vmap(lambda x: resize_bilinear_align_corners(x, (5, 7))))
    np.testing.assert_allclose(resize(x), resize_bilinear_align_corners(x, (5, 7)))
    small = resize_bilinear_align_corners(x.astype(jnp.bfloat16), (3, 4))
    assert small.dtype == jnp.float32


def test_at_the_place_of_an_input_its_neighbours_do_not_matter():
    x = jnp.asarray([0.0, 9.0, jnp.nan, 5.0, 3.0])[None, :, None]
    (same,) = interpolate(x, taps_align_corners(1, 1), taps_align_corners(5, 5))[..., 0]
    np.testing.assert_array_equal(same, x[0, :, 0])
    finer = np.asarray(interpolate(x, taps_align_corners(1, 1), taps_align_corners(5, 9)))[0, :, 0]
    np.testing.assert_array_equal(finer, [0, 4.5, 9, np.nan, np.nan, np.nan, 5, 4, 3])
    for in_size, out_size in ((7, 19), (13, 37), (50, 99), (2, 7)):
        lower, upper, weight = taps_align_corners(in_size, out_size)
        exact = np.arange(out_size) * (in_size - 1) % (out_size - 1) == 0
        assert (lower[exact] == upper[exact]).all() and (weight[exact] == 0).all()
        assert lower[-1] == upper[-1] == in_size - 1


def test_resize_rejects_empty_size():
    with pytest.raises(ValueError, match="at least 1"):
        resize_bilinear_align_corners(jnp.ones((1, 2, 2, 1)), (0, 4))
