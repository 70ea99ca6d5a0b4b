"""Splits in memory, of any image sizes."""

import numpy as np

SIZE = (20, 30)  # of most tests
CLASSES = ("road", "car <b>", "sky & co", "never")


class Scenes:
    """Random images, and labels of all classes but the last with some void."""

    def __init__(self, sizes, *, seed=0, labelled=True, readable_labels=True):
        rng = np.random.default_rng(seed)
        self.names = tuple(f"<drive>/{i}&" for i in range(len(sizes)))
        self._readable = readable_labels
        self._images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
        self._labels = [rng.integers(0, len(CLASSES) - 1, size).astype(np.uint8) for size in sizes]
        for label in self._labels:
            label[rng.random(label.shape) < (0.2 if labelled else 2.0)] = 255

    def __len__(self):
        return len(self.names)

    def size(self, i):
        return self._labels[i].shape

    def image(self, i):
        return self._images[i]

    def label(self, i):
        assert self._readable, "labels must not be read"
        return self._labels[i]
