"""The price of a whole image follows the objects in it."""

import numpy as np

from labor_jax.experiment.budget import mean_outlines


class Labels:
    def __init__(self, *maps):
        self.maps = maps

    def __len__(self):
        return len(self.maps)

    def label(self, number):
        return self.maps[number]


def test_the_mean_over_a_sample():
    halves = np.zeros((8, 8), np.uint8)
    halves[:, 4:] = 1
    split = Labels(halves * 0, halves, halves * 0 + 255)
    assert mean_outlines(split) == 1.0
    assert mean_outlines(split, sample=1) == 1.0
    assert mean_outlines(Labels(*[halves] * 100)) == 2.0
