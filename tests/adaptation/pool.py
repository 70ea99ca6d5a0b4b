"""A tiny model and a pool of random images, for tests of terms that label the pool."""

import functools

import jax
import numpy as np

from labor_jax import models
from labor_jax.training.terms import Setup
from tests.tiny_model import tiny_segmenter
from tests.training.every_term import CLASSES, domain, variables

SEGMENTER = tiny_segmenter(CLASSES, auxiliary=True)
IMAGES = 5


def model():
    return models.Model(variables=variables(), network=SEGMENTER)


def setup():
    return Setup(
        num_classes=CLASSES,
        image_size=(16, 24),
        schedule=lambda rate: rate,
        num_images={"source": IMAGES, "target": IMAGES},
    )


@functools.cache
def pool():
    """The pool's images, uint8[N, h, w, 3]; brighter and brighter, so that they differ."""
    images = domain(5, count=IMAGES)["image"] // np.arange(IMAGES, 0, -1)[:, None, None, None]
    return images.astype(np.uint8)


@functools.cache
def probabilities():
    """The model's on the pool, f32[N, h, w, C]."""
    return np.asarray(jax.nn.softmax(jax.jit(lambda m, x: m(x).logits)(model(), pool())))


def confidence_and_class():
    return probabilities().max(-1), probabilities().argmax(-1)


class Passes:
    """Shows the pool in batches of at most 2, as `experiment.passes` does."""

    variables = property(lambda self: model().variables)

    def __init__(self, stage=0):
        self.stage = stage

    def images(self, domain, function):
        assert domain == "target"
        compiled = jax.jit(lambda m, images: function(m(images)))
        for first in range(0, IMAGES, 2):
            numbers = np.arange(first, min(first + 2, IMAGES))
            padded = np.minimum(np.arange(first, first + 2), IMAGES - 1)
            rows = compiled(model(), pool()[padded])
            valid = first + np.arange(2) < IMAGES
            yield numbers, jax.tree.map(lambda x, valid=valid: np.asarray(x)[valid], rows)


def prepared(term, stage=0):
    """A term's memory before the first step of a stage."""
    return term.before_phase(Passes(stage), term.memory(model(), setup()))


def batch(numbers, answered=False):
    """A batch of the pool; with answers, a column of each image is of class 1."""
    label = np.full((len(numbers), *pool().shape[1:3]), 255, np.int32)
    if answered:
        label[:, :, 0] = 1
    index = np.asarray(numbers, np.int32)
    return {"target": {"image": pool()[index], "label": label, "index": index}}


def view(term, memory, numbers, answered=False):
    """The images as the term labels them."""
    made = jax.jit(term.views)(jax.random.key(0), batch(numbers, answered), memory)
    assert list(made) == ["pseudo_labelled"]
    return jax.tree.map(np.asarray, made["pseudo_labelled"])


def value(term, view):
    """A term on the first images, whose labels are `view`'s and whose predictions the model's."""
    logits = np.log(probabilities()[: len(view["label"])])
    outputs = {"pseudo_labelled": models.Outputs(logits=logits, features=None)}
    total, count = jax.jit(lambda o, b: term.loss(o, b, {}))(outputs, {"pseudo_labelled": view})
    return total / count
