import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.acquisition import window_reductions


def _clipped(x, y, col, radius):
    return x[max(y - radius, 0) : y + radius + 1, max(col - radius, 0) : col + radius + 1]


def _twin(x, radius, reduce):
    return np.array(
        [
            [reduce(_clipped(x, y, col, radius)) for col in range(x.shape[1])]
            for y in range(x.shape[0])
        ]
    )


SHAPES = [(1, 1), (1, 9), (7, 12)]
RADII = [0, 1, 4, 20]

_mean, _area, _min, _any, _column_sum = (
    jax.jit(function, static_argnums=static)
    for function, static in (
        (window_reductions.window_mean, 1),
        (window_reductions.window_area, (0, 1, 2)),
        (window_reductions.window_min, 1),
        (window_reductions.window_any, 1),
        (window_reductions.column_window_sum, 1),
    )
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", RADII)
def test_mean_and_area_equal_the_loop(shape, radius):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(_mean(x, radius), _twin(x, radius, np.mean), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(_area(*shape, radius), _twin(x, radius, np.size))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", RADII)
def test_minimum_and_union_equal_the_loop(shape, radius):
    x = np.random.default_rng(1).integers(-50, 50, shape, dtype=np.int32)
    np.testing.assert_array_equal(_min(x, radius), _twin(x, radius, np.min))
    mask = x > 40
    np.testing.assert_array_equal(_any(mask, radius), _twin(mask, radius, np.any))


@pytest.mark.parametrize("radius", RADII)
def test_column_window_sum_survives_wrap_around(radius):
    # Running sums of these overflow 32 bits; no single window does.
    x = np.random.default_rng(2).integers(0, 2**32 // 50, (40, 3), dtype=np.uint32)
    expected = [
        x[max(y - radius, 0) : y + radius + 1].sum(axis=0, dtype=np.uint64) for y in range(40)
    ]
    np.testing.assert_array_equal(_column_sum(x, radius), expected)


def test_both_forms_of_the_running_sum_agree():
    x = np.random.default_rng(3).integers(0, 2**32, (17, 5), dtype=np.uint32)
    expected = np.cumsum(x, axis=0, dtype=np.uint32)
    np.testing.assert_array_equal(window_reductions._scanned_column_sums(x), expected)
    np.testing.assert_array_equal(
        window_reductions._cumulative_column_sums(jnp.asarray(x)), expected
    )


def test_equal_windows_have_exactly_equal_means():
    # A repeating texture: windows one period apart hold the same values.
    tile = np.random.default_rng(4).random((4, 4), np.float32)
    mean = np.asarray(_mean(np.tile(tile, (8, 8)), 3))
    np.testing.assert_array_equal(mean[4:12, 4:12], mean[12:20, 16:24])


def test_mean_has_the_gradient_of_a_mean():
    x = jnp.ones((6, 5))
    gradient = jax.grad(lambda x: _mean(x, 1)[0, 0])(x)
    np.testing.assert_allclose(gradient[:2, :2], 0.25)
    assert float(jnp.sum(jnp.abs(gradient))) == pytest.approx(1.0)
