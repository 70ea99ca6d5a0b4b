"""A batch is the `jax.vmap` of one image: what the tests of selections share."""

import jax
import numpy as np


def assert_batch_equals_single_images(select, *batch):
    """`select` takes one image's arrays; each of `batch` has a leading batch dimension."""
    together = jax.jit(jax.vmap(select))(*batch)
    for index in range(len(batch[0])):
        single = select(*(each[index] for each in batch))
        jax.tree.map(
            lambda leaf, expected, i=index: np.testing.assert_array_equal(leaf[i], expected),
            together,
            single,
        )
