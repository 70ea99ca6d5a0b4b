"""Tests of the translator, the image discriminator and the conditional prior."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax.models import ConditionalPrior, ImageDiscriminator, Translator


def images(seed=0, size=(2, 15, 22)):
    return np.random.default_rng(seed).uniform(0, 1, (*size, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(2, 16, 24), (1, 15, 22)])
def test_an_untrained_translator_changes_nothing(size):
    module = Translator(width=4, blocks=1)
    params = jax.jit(module.init)(jax.random.key(0), images(size=size))
    translated = module.apply(params, images(size=size))
    assert translated.dtype == jnp.float32
    np.testing.assert_array_equal(translated, images(size=size))


def test_a_translator_learns_another_light():
    scene = images(size=(2, 2, 3)).repeat(8, 1).repeat(8, 2)
    module, wanted = Translator(width=8, blocks=1), 0.5 * scene + 0.3
    params = jax.jit(module.init)(jax.random.key(0), scene)
    optimizer = optax.adam(1e-2)

    def loss(params):
        return jnp.mean((module.apply(params, scene) - wanted) ** 2)

    @jax.jit
    def step(params, state):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    state, values = optimizer.init(params), []
    for _ in range(40):
        params, state, value = step(params, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize(("height", "width"), [(32, 64), (43, 24)])
def test_an_image_discriminator_scores_patches(height, width):
    module = ImageDiscriminator(width=4, dtype=jnp.bfloat16)
    shape = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    logits, variables = jax.eval_shape(module.init_with_output, jax.random.key(1), shape)
    assert logits.shape == (2, height // 8, width // 8, 1) and logits.dtype == jnp.float32
    kernels = [variables["params"][f"conv{i}"]["kernel"].shape for i in range(1, 5)]
    assert kernels == [(4, 4, 3, 4), (4, 4, 4, 8), (4, 4, 8, 16), (3, 3, 16, 1)]


def test_a_patchs_score_sees_38_pixels():
    module = ImageDiscriminator(width=2)
    picture = images(size=(1, 96, 96))
    params = jax.jit(module.init)(jax.random.key(0), picture)
    gradient = jax.jit(jax.grad(lambda x: module.apply(params, x)[0, 6, 6, 0]))(picture)
    rows = np.flatnonzero(np.abs(gradient[0]).sum((1, 2)))
    assert rows[-1] - rows[0] + 1 == 38


def test_a_prior_sees_void_as_nothing_and_labels_through_its_bottleneck_alone():
    module = ConditionalPrior(num_classes=3, width=2)
    labels = np.random.default_rng(1).integers(0, 3, (1, 16, 24))
    params = jax.jit(module.init)(jax.random.key(0), images(size=(1, 16, 24)), labels)
    apply = jax.jit(lambda labels: module.apply(params, images(size=(1, 16, 24)), labels))
    assert apply(labels).shape == (1, 16, 24, 3)
    void, other = np.full_like(labels, 255), np.full_like(labels, -1)
    np.testing.assert_array_equal(apply(void), apply(other))
    assert np.any(apply(void) != apply(labels))
    one_pixel = void.copy()
    one_pixel[0, 5, 7] = 1
    changed = np.abs(apply(one_pixel) - apply(void)).sum(-1)[0]
    assert np.count_nonzero(changed) > 64  # spread over more than a cell of the bottleneck
