"""Views, labels and steps for tests of the terms that learn a teacher's labels."""

import functools

import jax
import numpy as np
import optax

from labor_jax import adaptation, models
from labor_jax.training.state import create_state
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Setup, Terms
from tests.tiny_model import tiny_segmenter

CLASSES = 5
SIZE = (16, 24)
SETUP = Setup(
    num_classes=CLASSES,
    image_size=SIZE,
    schedule=lambda rate: rate,
    classes=("road", "Car", "sky", "person", "wall"),
    num_images={"source": 4, "target": 4},
    steps=10,
)


@functools.cache
def model(seed=0, loud=4.0, batch_norm="trained", axis_name=None):
    """A model that is sure of some pixels."""
    network = tiny_segmenter(CLASSES, batch_norm=batch_norm, axis_name=axis_name)
    variables = models.init_variables(network, jax.random.key(seed), SIZE)
    head = jax.tree.map(lambda x: np.float32(loud) * np.asarray(x), variables["params"]["head"])
    return models.Model(
        variables={**variables, "params": {**variables["params"], "head": head}}, network=network
    )


def domain(seed, count=4, answered=1.0, one_class=False, size=SIZE):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (count, size[0] // 4, size[1] // 4), np.int32)
    if one_class:
        labels[:] = labels[:, :1, :1]
    labels = labels.repeat(4, 1).repeat(4, 2)
    labels[rng.random(labels.shape) >= answered] = 255
    images = rng.integers(0, 256, (count, size[0] // 4, size[1] // 4, 3), np.uint8)
    return {"image": images.repeat(4, 1).repeat(4, 2), "label": labels}


def both_domains(count=4, **source):
    return {"source": domain(0, count, 0.9, **source), "target": domain(1, count, 0.1)}


@jax.jit
def outputs_of(of, images):
    """A model's outputs in evaluation mode."""
    return of(images)


def probabilities(of, images):
    """A model's, f64[B, h, w, C]."""
    exponentials = np.exp(np.asarray(outputs_of(of, images).logits, np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def made_views(loss, batch, memory, seed=0):
    """The batch with the views that terms make of it, as NumPy arrays."""
    views = jax.jit(loss.add_views)(jax.random.key(seed), batch, memory)
    return jax.tree.map(np.asarray, views)


def cross_entropy(logits, view):
    """Of a view, by hand."""
    logits = np.asarray(logits, np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    label, weight = np.asarray(view["label"]), np.asarray(view["weight"])
    valid = label != 255
    picked = np.take_along_axis(log_p, np.where(valid, label, 0)[..., None], -1)[..., 0]
    return -(weight * picked)[valid].sum() / valid.sum()


def terms(weights, **settings):
    return Terms(weights, adaptation.build_all(weights, settings))


def first_state(loss, start=None, seed=7):
    start = start or model()
    return create_state(
        start.variables,
        optax.sgd(0.05),
        jax.random.key(seed),
        memory=loss.memory(start, SETUP),
    )


def step_of(loss, *, microbatches=1, devices=1, batch_norm="frozen"):
    """A compiled step, over several devices by `vmap`."""
    step = make_train_step(
        tiny_segmenter(CLASSES, batch_norm=batch_norm, axis_name=None if devices == 1 else "batch"),
        optax.sgd(0.05),
        loss,
        microbatches=microbatches,
        axis_name=None if devices == 1 else "batch",
    )
    if devices == 1:
        return jax.jit(step)
    on_all = jax.vmap(step, in_axes=(None, 0), axis_name="batch")

    def split_step(state, batch):
        shares = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        return jax.tree.map(lambda x: x[0], on_all(state, shares))

    return jax.jit(split_step)


def assert_close(actual, expected, **tolerance):
    tolerance = {"rtol": 1e-3, "atol": 1e-5, **tolerance}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected)
