"""Tests of the discriminator."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import Discriminator


@pytest.mark.parametrize(("height", "width"), [(32, 64), (97, 40)])
def test_shapes_channels_and_dtype(height, width):
    module = Discriminator(width=4, dtype=jnp.bfloat16)
    maps = jax.nn.softmax(jax.random.normal(jax.random.key(0), (2, height, width, 5)))
    logits, variables = jax.eval_shape(module.init_with_output, jax.random.key(1), maps)
    assert logits.shape == (2, height // 32, width // 32, 1)
    assert logits.dtype == jnp.float32
    kernels = [variables["params"][f"conv{i}"]["kernel"] for i in range(1, 6)]
    assert [k.shape for k in kernels] == [
        (4, 4, 5, 4),
        (4, 4, 4, 8),
        (4, 4, 8, 16),
        (4, 4, 16, 32),
        (4, 4, 32, 1),
    ]
    assert all(k.dtype == jnp.float32 for k in kernels)


def test_published_size():
    """AdaptSegNet's discriminator for 19 classes has 2,781,121 parameters."""
    shapes = jax.eval_shape(
        Discriminator().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 19), jnp.float32)
    )
    channels = (19, 64, 128, 256, 512, 1)
    expected = sum(16 * a * b + b for a, b in itertools.pairwise(channels))
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == expected == 2781121


def test_leaky_relu_lets_gradients_through_everywhere():
    module = Discriminator(width=2)
    maps = jax.random.normal(jax.random.key(0), (1, 32, 32, 3))
    variables = jax.jit(module.init)(jax.random.key(1), maps)
    gradient = jax.jit(jax.grad(lambda x: module.apply(variables, x).sum()))(maps)
    assert np.all(np.isfinite(gradient)) and np.any(gradient)


def test_too_small_maps_are_an_error():
    with pytest.raises(ValueError, match=r"at least 32x32 pixels, got 31x64"):
        Discriminator().init(jax.random.key(0), jnp.zeros((1, 31, 64, 3)))
