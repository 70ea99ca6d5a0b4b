"""Small queries and labels that the tests of the label store share."""

import numpy as np

CLASSES = ("road", "building", "sky")
SHAPE = (5, 7)


def query_of(*pixels, shape=SHAPE):
    query = np.zeros(shape, bool)
    for pixel in pixels:
        query[pixel] = True
    return query


def random_labels(seed, shape=SHAPE):
    values = np.array([0, 1, 2, 255], np.uint8)
    return np.random.default_rng(seed).choice(values, shape)
