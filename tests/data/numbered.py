"""Images that show their number, and training batches of a split."""

import itertools

import numpy as np

from labor_jax.data import BatchSpec, ProcessShare
from labor_jax.data.augmentation import Augment
from labor_jax.data.pipeline import TrainingImages, training_batches

AUGMENT = Augment(scale=(0.5, 2.0), crop=(6, 5), brightness=0.4, hue=0.1, blur=1.0)
_IN_SPEC = ("batch_size", "size", "num_threads", "share")
_IN_CALL = ("seed", "start")


def images(count, size=(6, 8)):
    """Images whose red channel is their number; labels that are their number."""
    images = [np.full((*size, 3), i, np.uint8) for i in range(count)]
    labels = [np.full(size, i, np.uint8) for i in range(count)]
    return images, labels


def numbers(batches, count):
    """Image numbers of the first `count` batches, int[count, B]."""
    return np.array([batch["image"][:, 0, 0, 0] for batch in itertools.islice(batches, count)])


def train(split, **options):
    """Training batches; options of the images, of the spec and of the call by their names."""
    options = {"batch_size": 4, "seed": 0, "num_threads": 2, "labels": split.label, **options}
    spec = BatchSpec(**{name: options.pop(name) for name in _IN_SPEC if name in options})
    call = {name: options.pop(name) for name in _IN_CALL if name in options}
    return training_batches(TrainingImages(split, **options), spec, **call)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def assert_shared(whole, parts):
    """Each batch of `whole` is the batches of the processes, one after the other."""
    for expected, *shares in zip(whole, *parts, strict=True):
        assert_same(
            {name: np.concatenate([share[name] for share in shares]) for name in expected}, expected
        )


def share(process):
    """The share of one of two processes."""
    return ProcessShare(process, 2)
