"""Tests of aligned bilinear resizing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.ops import resize_bilinear_align_corners


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


def test_resize_rejects_empty_size():
    with pytest.raises(ValueError, match="at least 1"):
        resize_bilinear_align_corners(jnp.ones((1, 2, 2, 1)), (0, 4))
