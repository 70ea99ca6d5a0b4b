"""What a GPU and a TPU are given lowers, also where there is none to run it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from labor_jax import models
from labor_jax.acquisition import strategies
from labor_jax.acquisition.pool import make_pool_query
from labor_jax.training import steps
from tests.acquisition.pool_test import acquisition
from tests.tiny import tiny_config
from tests.tiny_model import tiny_segmenter
from tests.training.steps_test import domain

ACCELERATORS = {"gpu": "cuda", "tpu": "tpu"}  # JAX's name of the backend, and of the platform
SIZE = (64, 96)


@pytest.fixture(params=ACCELERATORS)
def platform(request, monkeypatch):
    """The platform to lower for; code that asks JAX for the backend is told so."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return ACCELERATORS[request.param]


def operations(function, platform, *arguments):
    """How often the lowered function holds each operation of StableHLO."""
    lowered = jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,))
    names = re.findall(r"= \"?stablehlo\.(\w+)", lowered.as_text())
    return {name: names.count(name) for name in set(names)}


@pytest.mark.parametrize(
    ("head", "dtype", "of_head"),
    [("deeplab_v2", "float32", 4), ("deeplab_v3plus", "bfloat16", 6)],
    ids=["v2-float32", "v3plus-bfloat16"],
)
def test_a_training_step(head, dtype, of_head, platform):
    """RIPU's terms and the adversarial ones, on a ResNet of the published width."""
    config = tiny_config("ripu_ra").model
    config.update(head=head, backbone="resnet18", width=64, stem="imagenet", dtype=dtype)
    segmenter = models.build_segmenter(config, 5, auxiliary=True)
    discriminator, optimizer = models.Discriminator(width=4), optax.sgd(0.1, momentum=0.9)
    weights = steps.LossWeights(1.0, 1.0, 1e-3, 0.1, 1.0, 0.1, 2e-4)

    def first_state(key):
        maps = jnp.zeros((1, *SIZE, 5))
        params = discriminator.init(key, maps)["params"]
        return steps.create_state(
            models.init_variables(segmenter, key, SIZE),
            optimizer,
            key,
            discriminator={"classifier": params, "auxiliary": params},
            discriminator_optimizer=optimizer,
        )

    step = steps.make_train_step(
        segmenter,
        optimizer,
        weights,
        discriminator=discriminator,
        discriminator_optimizer=optimizer,
        axis_name=None,
    )
    batch = {"source": domain(0, SIZE), "target": domain(1, SIZE)}
    held = operations(step, platform, jax.eval_shape(first_state, jax.random.key(0)), batch)
    # Those of more than a pixel, of backbone, head and auxiliary head, for each domain: forward and
    # for two gradients, but for that of the images.
    by_model = (17 + of_head + 4) * 2 * 3 - 2
    # The same for its own loss; and for the model's the target's, whose filters have no gradient.
    by_discriminator = 5 * 2 * 3 - 2 + 5 * 2
    # All of them: no product of shifted or transformed images stands in for one, as on CPUs.
    assert held["convolution"] == by_model + 2 * by_discriminator
    assert held["select_and_scatter"] == 2  # the pooling's own gradient


@pytest.mark.parametrize("method", sorted(set(strategies.METHODS) - {"all", "human_points"}))
def test_a_query(method, platform):
    segmenter = tiny_segmenter(5, batch_norm="frozen")
    shapes = jax.eval_shape(lambda: models.init_variables(segmenter, jax.random.key(0), SIZE))
    classifier = shapes["classifier"]
    selector = {"backbone": shapes["backbone"], "classifiers": (classifier, classifier)}
    held = []

    def compile(function, batched_arguments):
        def lower(*arguments):
            held.append(operations(function, platform, *arguments))
            return jax.eval_shape(function, *arguments)

        return lower

    query = make_pool_query(
        segmenter, strategies.build(acquisition(method), 2), SIZE, with_guess=True, compile=compile
    )
    asked = query(
        shapes,
        selector if strategies.uses_selector(method) else None,
        jax.eval_shape(jax.random.key, 0),
        jax.ShapeDtypeStruct((2, 32, 48, 3), jnp.uint8),
        jax.ShapeDtypeStruct((2, *SIZE), bool),
        np.arange(2, dtype=np.int32),
    )
    assert asked.pixels.shape == (2, *SIZE)
    assert len(held) == 2
